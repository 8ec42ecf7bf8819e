package function

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errQueueFull and errQueueSlow say why a place in a queue was not got.
var (
	errQueueFull = errors.New("the queue is full")
	errQueueSlow = errors.New("no place came free in time")
)

// queueLimits are the limits of a queue.
type queueLimits struct {
	running int           // at once
	waiting int           // at most
	timeout time.Duration // of waiting
}

// queue lets a number of invocations of one function in at once. Others wait in the
// order they came, a bounded number of them for a bounded time.
type queue struct {
	limits queueLimits

	mu      sync.Mutex
	running int
	line    []chan struct{} // closed when the place is theirs; nil once they left
	left    int             // of line, those that are nil
}

// enter takes a place, for which leave must be called.
func (q *queue) enter(ctx context.Context) error {
	q.mu.Lock()
	if q.running < q.limits.running {
		q.running++
		q.mu.Unlock()
		return nil
	}
	if len(q.line)-q.left >= q.limits.waiting {
		q.mu.Unlock()
		return errQueueFull
	}
	turn := make(chan struct{})
	q.line = append(q.line, turn)
	q.mu.Unlock()
	timer := time.NewTimer(q.limits.timeout)
	defer timer.Stop()
	var err error
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = errQueueSlow
	}
	if q.quit(turn) {
		return err
	}
	return nil // the turn came at the same moment
}

// quit takes a waiting one out of the line; false when its turn has come.
func (q *queue) quit(turn chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, t := range q.line {
		if t == turn {
			q.line[i] = nil
			q.left++
			q.trim()
			return true
		}
	}
	return false
}

// leave gives the place to the first that waits.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.trim()
	if len(q.line) == 0 {
		q.running--
		return
	}
	close(q.line[0])
	q.line[0] = nil
	q.left++
	q.trim()
}

// trim drops those at the front of the line that are not in it any more.
func (q *queue) trim() {
	n := 0
	for n < len(q.line) && q.line[n] == nil {
		n++
	}
	q.line, q.left = q.line[n:], q.left-n
	if len(q.line) == 0 {
		q.line = nil
	}
}
