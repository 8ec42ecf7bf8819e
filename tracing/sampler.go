package tracing

import (
	"sync/atomic"
	"time"
)

// sampler lets a number of traces a second be recorded, on average over
// samplerSeconds: the generic cell rate algorithm (ITU-T I.371), which is one word of
// state. Writing a span costs more than a short invocation, and of thousands a second
// nobody reads each.
type sampler struct {
	interval  int64 // nanoseconds a trace is worth; 0: every trace is taken
	tolerance int64 // nanoseconds that may be used ahead
	start     time.Time
	taken     atomic.Int64 // nanoseconds after start that have been used
}

const samplerSeconds = 10

func (s *sampler) init(perSecond int) {
	s.start = time.Now()
	if perSecond > 0 {
		s.interval = max(int64(time.Second)/int64(perSecond), 1)
		s.tolerance = samplerSeconds * int64(time.Second)
	}
}

// take reports whether one more trace is recorded.
func (s *sampler) take(now time.Time) bool {
	if s.interval == 0 {
		return true
	}
	at := int64(now.Sub(s.start))
	for {
		taken := s.taken.Load()
		from := max(taken, at)
		if from-at >= s.tolerance {
			return false
		}
		if s.taken.CompareAndSwap(taken, from+s.interval) {
			return true
		}
	}
}
