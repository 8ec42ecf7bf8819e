package tracing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"flagbase.dev/internal/database"
)

// ErrNotFound: there is no trace with that id, or not any more.
var ErrNotFound = errors.New("trace not found")

// Options are the optional parts of a Recorder.
type Options struct {
	// MaxSpans is how many spans are kept, the newest. Defaults to 100,000.
	MaxSpans int
	// QueueSize is how many ended spans wait to be written; further ones are
	// dropped. Defaults to 8,192.
	QueueSize int
	// FlushInterval is how long spans are gathered before they are written.
	// Defaults to 200 ms.
	FlushInterval time.Duration
	// TracesPerSecond is how many traces that begin here are recorded a second, on
	// average over ten; a span that fails is recorded in any case, and so is a trace
	// whose remote parent is. Of what is not recorded there are ids. Negative records
	// all. Defaults to 500.
	TracesPerSecond int
	// Logger hears of spans that could not be written. Defaults to slog.Default().
	Logger *slog.Logger
}

const (
	defaultMaxSpans      = 100_000
	defaultQueueSize     = 8192
	defaultFlushInterval = 200 * time.Millisecond
	defaultTraceRate     = 500

	// batchSize is how many spans share one transaction.
	batchSize = 512
	// writeTimeout bounds the writing of one batch.
	writeTimeout = 15 * time.Second
	// shards divide the queue, so that calls that end at the same moment do not
	// wait for each other.
	shards = 16
)

// Recorder starts spans and keeps the ended ones in SQL. Make one with
// [NewRecorder] and [Recorder.Close] it. It is safe for concurrent use; every
// method may be called on a nil *Recorder, which records nothing.
type Recorder struct {
	db   *database.DB
	opts Options

	sampler sampler
	queue   [shards]shard
	queued  atomic.Int64 // in queue and pending
	dropped atomic.Uint64

	writing chan struct{} // holds a token while spans are written
	pending []ended       // taken from the queue, not written yet; guarded by writing

	mu      sync.Mutex    // guards what follows; never held during I/O
	writer  chan struct{} // closed when the writing goroutine ends; nil: there is none
	closing chan struct{} // closed by Close
	closed  atomic.Bool
	full    chan struct{} // tells the goroutine not to wait any longer
}

type shard struct {
	mu    sync.Mutex
	spans []ended
	_     [32]byte // a cache line of its own
}

// NewRecorder returns a recorder that writes to db, whose schema it migrates.
// opts may be nil. The caller closes the recorder, then db.
func NewRecorder(ctx context.Context, db *sql.DB, opts *Options) (*Recorder, error) {
	d, err := database.Use(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	r := &Recorder{
		db:      d,
		writing: make(chan struct{}, 1),
		closing: make(chan struct{}),
		full:    make(chan struct{}, 1),
	}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.MaxSpans <= 0 {
		r.opts.MaxSpans = defaultMaxSpans
	}
	if r.opts.QueueSize <= 0 {
		r.opts.QueueSize = defaultQueueSize
	}
	if r.opts.FlushInterval <= 0 {
		r.opts.FlushInterval = defaultFlushInterval
	}
	if r.opts.TracesPerSecond == 0 {
		r.opts.TracesPerSecond = defaultTraceRate
	}
	r.sampler.init(r.opts.TracesPerSecond)
	if r.opts.Logger == nil {
		r.opts.Logger = slog.Default()
	}
	return r, nil
}

// Dropped returns how many spans were not recorded since the start, because the
// queue was full, the database failed or the recorder was closed.
func (r *Recorder) Dropped() uint64 {
	if r == nil {
		return 0
	}
	return r.dropped.Load()
}

func (r *Recorder) enqueue(e *ended) {
	if r.closed.Load() {
		r.dropped.Add(1)
		return
	}
	n := r.queued.Add(1)
	if n > int64(r.opts.QueueSize) {
		r.queued.Add(-1)
		r.dropped.Add(1)
		return
	}
	s := &r.queue[e.SpanID[0]%shards]
	s.mu.Lock()
	s.spans = append(s.spans, *e)
	s.mu.Unlock()
	switch n {
	case 1:
		r.wake()
	case batchSize, int64(r.opts.QueueSize):
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
}

// wake starts the writing goroutine unless there is one.
func (r *Recorder) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writer != nil || r.closed.Load() {
		return
	}
	r.writer = make(chan struct{})
	go r.write(r.writer)
}

// write empties the queue every FlushInterval, and ends when it finds nothing.
func (r *Recorder) write(done chan struct{}) {
	defer close(done)
	timer := time.NewTimer(r.opts.FlushInterval)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.full:
		case <-r.closing:
		}
		_ = r.drain(context.Background()) // reported by drain
		r.mu.Lock()
		// enqueue counts a span first and then, for the first one, calls wake,
		// which needs mu: a span is either counted here or starts a new goroutine.
		if r.queued.Load() <= 0 || r.closed.Load() {
			r.writer = nil
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		timer.Reset(r.opts.FlushInterval)
	}
}

// drain writes what has been queued, in batches. A batch that cannot be written
// is dropped and logged: tracing must not grow without bound because a disk is
// full. ctx is minded between batches; one that has begun is finished.
func (r *Recorder) drain(ctx context.Context) error {
	select {
	case r.writing <- struct{}{}:
		defer func() { <-r.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r.collect()
	var failures []error
	for len(r.pending) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(r.pending), batchSize)
		timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		err := r.insert(timeout, r.pending[:n])
		cancel()
		if err != nil {
			r.dropped.Add(uint64(n))
			r.opts.Logger.Warn("spans could not be written", "spans", n, "error", err)
			failures = append(failures, err)
		}
		clear(r.pending[:n]) // let go of their strings
		r.pending = r.pending[n:]
		r.queued.Add(-int64(n))
	}
	r.pending = nil
	return errors.Join(failures...)
}

// collect moves every queued span to pending. The caller holds writing.
func (r *Recorder) collect() {
	for i := range r.queue {
		s := &r.queue[i]
		s.mu.Lock()
		r.pending = append(r.pending, s.spans...)
		clear(s.spans)
		s.spans = s.spans[:0]
		s.mu.Unlock()
	}
}

// Flush waits until every span that has ended is written, or ctx ends.
func (r *Recorder) Flush(ctx context.Context) error {
	if r == nil {
		return nil
	}
	if err := r.drain(ctx); err != nil {
		return fmt.Errorf("flush spans: %w", err)
	}
	return nil
}

// Close writes the spans that have ended and stops recording: spans that end
// later are dropped. It returns when the recorder's goroutine has ended, or ctx.
// Closing again is allowed.
func (r *Recorder) Close(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	if !r.closed.Swap(true) {
		close(r.closing)
	}
	writer := r.writer
	r.mu.Unlock()
	err := r.Flush(ctx)
	if writer != nil {
		select {
		case <-writer:
		case <-ctx.Done():
			return fmt.Errorf("close recorder: %w", ctx.Err())
		}
	}
	return err
}
