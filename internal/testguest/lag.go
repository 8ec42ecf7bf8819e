package testguest

import (
	"sync"
	"time"
)

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

// Lag knows by how much sleeps were too long, and when. Stop it after use.
type Lag struct {
	stop, stopped chan struct{}
	mu            sync.Mutex
	began         time.Time  // the sleep under way
	late          []lateness // of more than a few milliseconds
}

type lateness struct {
	from, to time.Time
	by       time.Duration
}

// WatchLag begins to sleep again and again.
func WatchLag() *Lag {
	l := &Lag{stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(l.stopped)
		for {
			const nap = 2 * time.Millisecond
			start := time.Now()
			l.mu.Lock()
			l.began = start
			l.mu.Unlock()
			select {
			case <-l.stop:
				return
			case <-time.After(nap):
			}
			if end := time.Now(); end.Sub(start) > 3*nap {
				l.mu.Lock()
				l.late = append(l.late, lateness{start, end, end.Sub(start) - nap})
				l.mu.Unlock()
			}
		}
	}()
	return l
}

// Since is by how much the worst sleep was too long that ended after start. It waits for one that
// was not yet over.
func (l *Lag) Since(start time.Time) (worst time.Duration) {
	for called := time.Now(); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		began := l.began
		l.mu.Unlock()
		if began.After(called) {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.late) - 1; i >= 0 && l.late[i].to.After(start); i-- {
		worst = max(worst, l.late[i].by)
	}
	return worst
}

// Stop ends it.
func (l *Lag) Stop() {
	close(l.stop)
	<-l.stopped
}
