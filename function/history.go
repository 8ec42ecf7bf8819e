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
	// historyBound is how many records may wait; then invocations wait for the
	// writer rather than memory growing.
	historyBound = 10_000
)

// record is one row of flagbase_invocations.
type record struct {
	FunctionInvocation
	version int
	code    string
	log     []byte
}

// history writes invocations and custom metrics in batches: one transaction for
// what came within 20 ms. Its goroutine runs only while there is something to
// write. An invocation that takes longer is first written as running, so that one
// cut short by a crash is found at the next start.
type history struct {
	db    *database.DB
	write chan struct{} // held while a batch is written

	mu      sync.Mutex
	space   *sync.Cond // signalled when a batch was taken
	records map[string]*record
	order   []string
	metrics []hostabi.Metric
	stamps  []time.Time // of metrics
	running bool
}

// history gives the writer for db; one per database, shared by all stores on it.
func (e *Engine) history(db *database.DB) *history {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.histories[db]
	if h == nil {
		h = &history{db: db, write: make(chan struct{}, 1), records: make(map[string]*record)}
		h.space = sync.NewCond(&h.mu)
		e.histories[db] = h
	}
	return h
}

// put queues the state of an invocation; a later state replaces an earlier one.
func (h *history) put(r *record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.order) >= historyBound {
		h.space.Wait()
	}
	if _, ok := h.records[r.ID]; !ok {
		h.order = append(h.order, r.ID)
	}
	h.records[r.ID] = r
	h.wake()
}

// Publish queues a custom metric.
func (h *history) Publish(_ context.Context, m hostabi.Metric) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.metrics) >= historyBound {
		h.space.Wait()
	}
	h.metrics, h.stamps = append(h.metrics, m), append(h.stamps, time.Now())
	h.wake()
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
		if len(h.order)+len(h.metrics) == 0 {
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
	order, records, metrics, stamps := h.order, h.records, h.metrics, h.stamps
	h.order, h.records, h.metrics, h.stamps = nil, make(map[string]*record), nil, nil
	h.space.Broadcast()
	h.mu.Unlock()
	if len(order)+len(metrics) == 0 {
		return nil
	}
	err := h.db.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range order {
			if err := writeRecord(ctx, tx, records[id]); err != nil {
				return err
			}
		}
		for i, m := range metrics {
			_, err := tx.ExecContext(ctx, `INSERT INTO flagbase_metrics (name, value, tags, function_id, invocation_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
				m.Name, m.Value, string(m.Tags), m.FunctionID, m.InvocationID, database.Micros(stamps[i]))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || h.db.SQL().PingContext(context.Background()) != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range h.order {
		if records[id] == nil {
			order = append(order, id)
		}
		records[id] = h.records[id] // newer
	}
	h.order, h.records = order, records
	h.metrics, h.stamps = append(metrics, h.metrics...), append(stamps, h.stamps...)
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
