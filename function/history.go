package function

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"flagbase.dev/internal/database"
	"flagbase.dev/internal/hostabi"
)

const (
	// historyDelay is how long the writer gathers records before it writes them.
	// A process that is killed loses what came in this time and in that of one write.
	historyDelay = 20 * time.Millisecond
	// historyRecords and historyMetrics are how many records and metrics may wait to be
	// written, and historyBytes how large the records may be together. Then new
	// invocations and metrics wait for the writer, as long as their time lasts, rather
	// than memory growing. 16,000 records are some 30 ms of writing, and what comes in 200 ms
	// from two cores at their busiest: a disk that hesitates for that long stops nobody.
	historyRecords = 16_000
	historyMetrics = 10_000
	historyBytes   = 64 << 20
	// historyBatch is how many records one transaction writes, and batchBytes about how
	// many bytes of them: other writers of the database wait for it, some milliseconds.
	historyBatch = 1000
	batchBytes   = 4 << 20
	// historyShards divide the queue, so that invocations that begin or end at the same
	// moment do not wait for each other.
	historyShards = 16
)

// record is an invocation as the history keeps it.
type record struct {
	FunctionInvocation
	version int
	compute time.Duration
	log     []byte

	shard      *historyShard
	prev, next *record // in shard.open
	stored     bool    // there is a row of it, as running
}

// size is about what r holds of memory.
func (r *record) size() int64 {
	return int64(512 + len(r.Output) + len(r.Error) + len(r.log))
}

// historyShard is a part of the queue.
type historyShard struct {
	mu   sync.Mutex
	open record    // ring of invocations that run, oldest first
	done []*record // have ended, not yet in the database
	_    [64]byte  // a cache line of its own
}

// timedMetric is a custom metric and when it was published.
type timedMetric struct {
	hostabi.Metric
	at time.Time
}

// history writes invocations and custom metrics in batches: one transaction for
// what came within 20 ms. Its goroutine runs only while there is something to
// write. An invocation that takes longer is first written as running, so that one
// cut short by a crash is found at the next start.
type history struct {
	db    *database.DB
	write chan struct{} // held while a batch is written
	keep  retention

	shards  [historyShards]historyShard
	waiting atomic.Int64 // records that have ended and are not in the database
	bytes   atomic.Int64 // of them
	running atomic.Bool  // the goroutine

	mu      sync.Mutex // guards what follows; never held during I/O
	metrics []timedMetric
	pending int           // metrics, with those being written
	space   chan struct{} // closed when a batch was written
}

// history gives the writer for db; one per database, shared by all stores on it.
func (e *Engine) history(db *database.DB) *history {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.histories[db]
	if h == nil {
		h = newHistory(db, e.options.HistoryAge, e.options.HistoryPerFunction)
		e.histories[db] = h
	}
	return h
}

func newHistory(db *database.DB, age time.Duration, perFunction int) *history {
	h := &history{db: db, write: make(chan struct{}, 1), space: make(chan struct{})}
	h.keep.age, h.keep.perFunction, h.keep.written = age, perFunction, map[string]int{}
	for i := range h.shards {
		open := &h.shards[i].open
		open.prev, open.next = open, open
	}
	return h
}

// begin lets an invocation in. It waits for space, at most until ctx ends.
func (h *history) begin(ctx context.Context, r *record) error {
	full := func() bool { return h.waiting.Load() >= historyRecords || h.bytes.Load() >= historyBytes }
	if full() {
		h.mu.Lock()
		err := h.wait(ctx, full)
		h.mu.Unlock()
		if err != nil {
			return err
		}
	}
	s := &h.shards[rand.Uint32()%historyShards]
	r.shard = s
	s.mu.Lock()
	r.prev, r.next = s.open.prev, &s.open
	r.prev.next, r.next.prev = r, r
	s.mu.Unlock()
	h.wake()
	return nil
}

// put queues the end of an invocation that begin let in. It does not wait, because
// the invocation's time may be over. r belongs to the writer from here on.
func (h *history) put(r *record) {
	h.waiting.Add(1)
	h.bytes.Add(r.size())
	s := r.shard
	s.mu.Lock()
	r.prev.next, r.next.prev = r.next, r.prev
	r.prev, r.next = nil, nil
	s.done = append(s.done, r)
	s.mu.Unlock()
	h.wake()
}

// Publish queues a custom metric. It waits for space, at most until ctx ends.
func (h *history) Publish(ctx context.Context, m hostabi.Metric) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.wait(ctx, func() bool { return h.pending >= historyMetrics }); err != nil {
		return err
	}
	h.metrics = append(h.metrics, timedMetric{m, time.Now()})
	h.pending++
	h.wake()
	return nil
}

// wait waits, with h.mu held on entry and return, until full is false or ctx ends.
func (h *history) wait(ctx context.Context, full func() bool) error {
	for full() {
		space := h.space
		h.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
		}
		h.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (h *history) wake() {
	if !h.running.Load() && h.running.CompareAndSwap(false, true) {
		go h.run()
	}
}

func (h *history) run() {
	for {
		if h.waiting.Load() < historyBatch {
			time.Sleep(historyDelay)
		}
		if err := h.writeBatch(context.Background(), historyDelay); err != nil {
			slog.Error("write invocation history", "error", err)
			time.Sleep(time.Second)
		}
		if h.idle() {
			h.running.Store(false)
			// What came between the look and the store found the goroutine running.
			if h.idle() || !h.running.CompareAndSwap(false, true) {
				return
			}
		}
	}
}

// idle says whether nothing is left that will have to be written without anybody
// calling again.
func (h *history) idle() bool {
	if h.waiting.Load() > 0 {
		return false
	}
	h.mu.Lock()
	metrics := h.pending
	h.mu.Unlock()
	if metrics > 0 {
		return false
	}
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		newest := s.open.prev
		fresh := newest != &s.open && !newest.stored
		s.mu.Unlock()
		if fresh {
			return false
		}
	}
	return true
}

// flush writes all there is. When it returns nil, whatever began or ended before it
// was called can be read.
func (h *history) flush(ctx context.Context) error { return h.writeBatch(ctx, 0) }

// writeBatch writes what has ended, and as running what began at least delay ago.
// What could not be written is dropped only when the database is closed; otherwise it
// is kept and tried again.
func (h *history) writeBatch(ctx context.Context, delay time.Duration) error {
	select {
	case h.write <- struct{}{}:
		defer func() { <-h.write }()
	case <-ctx.Done():
		return ctx.Err()
	}
	all := h.take(delay)
	for !all.empty() {
		b := all.cut()
		err := b.store(ctx, h.db)
		if err != nil && h.db.SQL().PingContext(context.Background()) == nil {
			h.putBack(b, all)
			return err
		}
		h.written(b)
		if err != nil {
			h.written(all)
			return err
		}
		h.retain(b)
	}
	return nil
}

// written makes room: b is in the database, or will never be.
func (h *history) written(b *batch) {
	for _, r := range b.ended {
		h.bytes.Add(-r.size())
	}
	h.waiting.Add(-int64(len(b.ended)))
	h.mu.Lock()
	h.pending -= len(b.metrics)
	close(h.space)
	h.space = make(chan struct{})
	h.mu.Unlock()
}

func (h *history) take(delay time.Duration) *batch {
	b := &batch{}
	before := time.Now().Add(-delay)
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		b.ended = append(b.ended, s.done...)
		clear(s.done)
		s.done = s.done[:0]
		// Newest first: what came before one that is old enough is so too, and what came
		// before a stored one is stored.
		old := false
		for r := s.open.prev; r != &s.open && !r.stored; r = r.prev {
			if old = old || !r.StartedAt.After(before); old {
				b.began = append(b.began, running{r, r.ID, r.FunctionID, r.TraceID, r.version, r.StartedAt})
			}
		}
		s.mu.Unlock()
	}
	h.mu.Lock()
	b.metrics, h.metrics = h.metrics, nil
	h.mu.Unlock()
	return b
}

// putBack queues what was taken and not written again, before what came meanwhile.
func (h *history) putBack(b, rest *batch) {
	s := &h.shards[0]
	s.mu.Lock()
	s.done = slices.Concat(b.ended, rest.ended, s.done)
	s.mu.Unlock()
	h.mu.Lock()
	h.metrics = slices.Concat(b.metrics, rest.metrics, h.metrics)
	h.mu.Unlock()
}
