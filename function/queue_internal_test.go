package function

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func (q *queue) inLine() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.line) - q.left
}

func TestQueueOrder(t *testing.T) {
	ctx := t.Context()
	q := &queue{limits: queueLimits{running: 1, waiting: 20, timeout: time.Minute}}
	if err := q.enter(ctx); err != nil {
		t.Fatal(err)
	}
	var order []int
	var all sync.WaitGroup
	cancelled, cancel := context.WithCancel(ctx)
	for i := range 20 {
		all.Go(func() {
			if i%3 == 1 { // these lose their patience
				if err := q.enter(cancelled); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			if err := q.enter(ctx); err != nil {
				t.Error(err)
				return
			}
			order = append(order, i) // one at a time
			q.leave()
		})
		waitFor(t, "nobody stands in line", func() bool { return q.inLine() == i+1 })
	}
	if err := q.enter(ctx); !errors.Is(err, errQueueFull) {
		t.Errorf("the queue is full, but: %v", err)
	}
	cancel()
	waitFor(t, "the cancelled still stand in line", func() bool { return q.inLine() == 13 })
	q.leave()
	all.Wait()
	for i := 1; i < len(order); i++ {
		if order[i] < order[i-1] {
			t.Fatalf("they went in as %v", order)
		}
	}
	if len(order) != 13 || q.running != 0 || q.line != nil || q.left != 0 {
		t.Errorf("%d went in; afterwards %+v", len(order), q)
	}
	q.limits.timeout = time.Millisecond
	if err := q.enter(ctx); err != nil {
		t.Error(err)
	}
	if err := q.enter(ctx); !errors.Is(err, errQueueSlow) {
		t.Errorf("nobody left, but: %v", err)
	}
}

func TestQueueHammer(t *testing.T) {
	q := &queue{limits: queueLimits{running: 3, waiting: 5, timeout: 200 * time.Microsecond}}
	var all sync.WaitGroup
	var inside, entered atomic.Int64
	for g := range 16 {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(g*i%400)*time.Microsecond)
				if q.enter(ctx) == nil {
					entered.Add(1)
					if n := inside.Add(1); n > 3 {
						t.Errorf("%d are inside", n)
					}
					time.Sleep(time.Duration(i%50) * time.Microsecond)
					inside.Add(-1)
					q.leave()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if q.running != 0 || q.line != nil || q.left != 0 || entered.Load() < 100 {
		t.Errorf("after %d: %+v", entered.Load(), q)
	}
}
