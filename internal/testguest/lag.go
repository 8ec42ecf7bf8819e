package testguest

import "time"

// MeasureLag sleeps again and again until the returned function is called, which says
// by how much the worst sleep was too long.
func MeasureLag() func() time.Duration {
	stop, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		var w time.Duration
		for {
			const nap = 5 * time.Millisecond
			start := time.Now()
			time.Sleep(nap)
			w = max(w, time.Since(start)-nap)
			select {
			case <-stop:
				worst <- w
				return
			default:
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-worst
	}
}
