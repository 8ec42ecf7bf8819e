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
	Isolates answer // each operation starts from a fresh state
	run      func() error
	close    func() // may be nil
}

// answer is yes, no, or that the question makes no sense.
type answer string

const (
	yes        answer = "yes"
	no         answer = "no"
	irrelevant answer = "-"
)

// turn is how long a subject runs before it is the next one's turn.
const turn = 20 * time.Millisecond

// measureLatency runs the subjects in turns, one operation after another, until each
// has run for about the given time.
func measureLatency(subjects []*subject, each time.Duration) ([]row, error) {
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
			for batch := time.Duration(0); batch < turn; {
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
	rows := make([]row, len(subjects))
	for i, s := range subjects {
		rows[i] = row{Subject: s.Name, Isolates: s.Isolates, Rounds: len(times[i])}
		rows[i].Median, rows[i].P99 = quantiles(times[i])
	}
	return rows, nil
}

// quantiles sorts times and gives the median and the 99th percentile.
func quantiles(times []time.Duration) (median, p99 time.Duration) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100]
}

func median[T float64 | int64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// perSecond runs a subject, which must be safe for concurrent use, with that many
// workers at once.
func perSecond(s *subject, workers int, d time.Duration) (float64, error) {
	var done atomic.Int64
	var failure atomic.Value
	var group sync.WaitGroup
	start := time.Now()
	for range workers {
		group.Go(func() {
			for time.Since(start) < d {
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
		return 0, fmt.Errorf("%s: %w", s.Name, err)
	}
	return float64(done.Load()) / time.Since(start).Seconds(), nil
}

func closeAll(subjects []*subject) {
	for _, s := range subjects {
		if s.close != nil {
			s.close()
		}
	}
}
