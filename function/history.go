package function

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"

	"flagbase.dev/internal/database"
	"flagbase.dev/internal/hostabi"
)

const (
	// historyDelay is how long the writer gathers records before it writes them.
	// A process that is killed loses at most what came in this time.
	historyDelay = 20 * time.Millisecond
	// historyBound is how many records, and how many metrics, may wait to be written,
	// and historyBytes how large the records may be together. Then new invocations and
	// metrics wait for the writer, as long as their time lasts, rather than memory
	// growing.
	historyBound = 10_000
	historyBytes = 64 << 20
)

// record is one row of flagbase_invocations.
type record struct {
	FunctionInvocation
	version int
	code    string
	log     []byte
}

// size is about what r holds of memory.
func (r *record) size() int64 {
	return int64(512 + len(r.Output) + len(r.Error) + len(r.log))
}

// batch is what is written in one transaction.
type batch struct {
	records map[string]*record
	order   []string
	bytes   int64 // of records
	metrics []hostabi.Metric
	stamps  []time.Time // of metrics
}

func (b *batch) put(r *record) {
	if old := b.records[r.ID]; old != nil {
		b.bytes -= old.size()
	} else {
		b.order = append(b.order, r.ID)
	}
	if b.records == nil {
		b.records = make(map[string]*record)
	}
	b.records[r.ID] = r
	b.bytes += r.size()
}

func (b *batch) publish(m hostabi.Metric, at time.Time) {
	b.metrics, b.stamps = append(b.metrics, m), append(b.stamps, at)
}

func (b *batch) empty() bool { return len(b.order)+len(b.metrics) == 0 }

// history writes invocations and custom metrics in batches: one transaction for
// what came within 20 ms. Its goroutine runs only while there is something to
// write. An invocation that takes longer is first written as running, so that one
// cut short by a crash is found at the next start.
type history struct {
	db    *database.DB
	write chan struct{} // held while a batch is written

	mu      sync.Mutex
	queue   batch
	writing batch         // taken from queue, not yet in the database
	space   chan struct{} // closed when writing was emptied
	running bool
}

// history gives the writer for db; one per database, shared by all stores on it.
func (e *Engine) history(db *database.DB) *history {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.histories[db]
	if h == nil {
		h = &history{db: db, write: make(chan struct{}, 1), space: make(chan struct{})}
		e.histories[db] = h
	}
	return h
}

// begin queues an invocation as running. It waits for space, at most until ctx ends.
func (h *history) begin(ctx context.Context, r *record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.wait(ctx, func() bool {
		return len(h.queue.order)+len(h.writing.order) >= historyBound || h.queue.bytes+h.writing.bytes >= historyBytes
	})
	if err == nil {
		h.queue.put(r)
		h.wake()
	}
	return err
}

// put queues a later state of an invocation that begin let in; it replaces an earlier
// one. It does not wait, because the invocation's time may be over.
func (h *history) put(r *record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue.put(r)
	h.wake()
}

// Publish queues a custom metric. It waits for space, at most until ctx ends.
func (h *history) Publish(ctx context.Context, m hostabi.Metric) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.wait(ctx, func() bool { return len(h.queue.metrics)+len(h.writing.metrics) >= historyBound })
	if err == nil {
		h.queue.publish(m, time.Now())
		h.wake()
	}
	return err
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
	if !h.running {
		h.running = true
		go h.run()
	}
}

func (h *history) run() {
	for {
		time.Sleep(historyDelay)
		if err := h.flush(context.Background()); err != nil {
			slog.Error("write invocation history", "error", err)
			time.Sleep(time.Second)
		}
		h.mu.Lock()
		if h.queue.empty() {
			h.running = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
	}
}

// flush writes all that is queued. When it returns nil, whatever was put before it
// was called can be read. What could not be written is dropped only when the
// database is closed; otherwise it is kept and tried again.
func (h *history) flush(ctx context.Context) error {
	select {
	case h.write <- struct{}{}:
		defer func() { <-h.write }()
	case <-ctx.Done():
		return ctx.Err()
	}
	h.mu.Lock()
	h.writing, h.queue = h.queue, batch{}
	b := h.writing
	h.mu.Unlock()
	if b.empty() {
		return nil
	}
	err := h.db.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range b.order {
			if err := writeRecord(ctx, tx, b.records[id]); err != nil {
				return err
			}
		}
		for i, m := range b.metrics {
			_, err := tx.ExecContext(ctx, `INSERT INTO flagbase_metrics (name, value, tags, function_id, invocation_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
				m.Name, m.Value, string(m.Tags), m.FunctionID, m.InvocationID, database.Micros(b.stamps[i]))
			if err != nil {
				return err
			}
		}
		return nil
	})
	keep := err != nil && h.db.SQL().PingContext(context.Background()) == nil
	h.mu.Lock()
	defer h.mu.Unlock()
	if keep { // in front of what came meanwhile
		for _, id := range h.queue.order {
			b.put(h.queue.records[id])
		}
		b.metrics, b.stamps = append(b.metrics, h.queue.metrics...), append(b.stamps, h.queue.stamps...)
		h.queue = b
	}
	h.writing = batch{}
	close(h.space)
	h.space = make(chan struct{})
	return err
}

// writeRecord upserts one invocation, unless its function was deleted meanwhile.
func writeRecord(ctx context.Context, tx *sql.Tx, r *record) error {
	var completed *int64
	if r.CompletedAt != nil {
		t := database.Micros(*r.CompletedAt)
		completed = &t
	}
	if r.log == nil {
		r.log = []byte{}
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO flagbase_invocations (id, function_id, version, started_at, completed_at, success, code, output, error,
			execution_ms, peak_memory_bytes, host_calls, output_size_bytes, trace_id, log)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM flagbase_functions WHERE id = ?)
		ON CONFLICT (id) DO UPDATE SET completed_at = excluded.completed_at, success = excluded.success, code = excluded.code,
			output = excluded.output, error = excluded.error, execution_ms = excluded.execution_ms,
			peak_memory_bytes = excluded.peak_memory_bytes, host_calls = excluded.host_calls,
			output_size_bytes = excluded.output_size_bytes, log = excluded.log`,
		r.ID, r.FunctionID, r.version, database.Micros(r.StartedAt), completed, r.Success, r.code, r.Output, r.Error,
		r.ExecutionMs, r.PeakMemoryBytes, r.HostCalls, r.OutputSizeBytes, r.TraceID, r.log, r.FunctionID)
	return err
}

// markInterrupted ends the records of invocations that a crash cut short.
func markInterrupted(ctx context.Context, db *database.DB) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE flagbase_invocations SET completed_at = ?, success = 0, code = ?, error = ?
			WHERE completed_at IS NULL`,
			database.Micros(time.Now()), ErrInterrupted.Code, ErrInterrupted.Code+": "+ErrInterrupted.Message)
		return err
	})
}
