package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// subject is something that is measured: one operation, run again and again.
type subject struct {
	Name     string
	Isolates bool // each operation starts from a fresh state
	run      func() error
	close    func()
}

// latency is the median time of one operation, one after another.
type latency struct {
	Subject  string        `json:"subject"`
	Isolates bool          `json:"isolates"`
	Median   time.Duration `json:"median_ns"`
	P99      time.Duration `json:"p99_ns"`
	Rounds   int           `json:"rounds"`
}

// measureLatency runs the subjects in turns, so that what disturbs the machine
// disturbs all of them, for about the given time each.
func measureLatency(subjects []*subject, each time.Duration) ([]latency, error) {
	const warmups = 3
	times := make([][]time.Duration, len(subjects))
	for i, s := range subjects {
		for range warmups {
			if err := s.run(); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		times[i] = make([]time.Duration, 0, 1<<12)
	}
	spent := make([]time.Duration, len(subjects))
	for working := true; working; {
		working = false
		for i, s := range subjects {
			if spent[i] >= each {
				continue
			}
			working = true
			for batch := time.Duration(0); batch < 20*time.Millisecond; {
				start := time.Now()
				if err := s.run(); err != nil {
					return nil, fmt.Errorf("%s: %w", s.Name, err)
				}
				d := time.Since(start)
				times[i] = append(times[i], d)
				batch += d
				spent[i] += d
			}
		}
	}
	out := make([]latency, len(subjects))
	for i, s := range subjects {
		slices.Sort(times[i])
		n := len(times[i])
		out[i] = latency{Subject: s.Name, Isolates: s.Isolates, Median: times[i][n/2], P99: times[i][n*99/100], Rounds: n}
	}
	return out, nil
}

// throughput is operations a second with several workers at once.
type throughput struct {
	Subject   string  `json:"subject"`
	Isolates  bool    `json:"isolates"`
	PerSecond float64 `json:"per_second"`
	Workers   int     `json:"workers"`
}

func measureThroughput(subjects []*subject, workers int, each time.Duration) ([]throughput, error) {
	const rounds = 3
	best := make([][]float64, len(subjects))
	for range rounds {
		for i, s := range subjects {
			var done atomic.Int64
			var failure atomic.Value
			var group sync.WaitGroup
			start := time.Now()
			for range workers {
				group.Go(func() {
					for time.Since(start) < each/rounds {
						if err := s.run(); err != nil {
							failure.Store(err)
							return
						}
						done.Add(1)
					}
				})
			}
			group.Wait()
			if err, ok := failure.Load().(error); ok {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			best[i] = append(best[i], float64(done.Load())/time.Since(start).Seconds())
		}
	}
	out := make([]throughput, len(subjects))
	for i, s := range subjects {
		slices.Sort(best[i])
		out[i] = throughput{Subject: s.Name, Isolates: s.Isolates, PerSecond: best[i][rounds/2], Workers: workers}
	}
	return out, nil
}
