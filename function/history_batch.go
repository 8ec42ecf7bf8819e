package function

import (
	"context"
	"database/sql"
	"runtime"
	"time"

	"flagbase.dev/internal/database"
)

// batch is what is written in one transaction.
type batch struct {
	ended   []*record
	began   []running
	metrics []timedMetric
}

// running is what of an invocation is known while it runs. It is a copy: the
// invocation goes on meanwhile.
type running struct {
	record                  *record
	id, functionID, traceID string
	version                 int
	startedAt               time.Time
}

func (b *batch) empty() bool { return len(b.ended)+len(b.began)+len(b.metrics) == 0 }

// cut takes at most n records out of b, and all that is not a record.
func (b *batch) cut(n int) *batch {
	n = min(n, len(b.ended))
	first := &batch{ended: b.ended[:n], began: b.began, metrics: b.metrics}
	b.ended, b.began, b.metrics = b.ended[n:], nil, nil
	return first
}

const (
	insertInvocation = `INSERT INTO flagbase_invocations (id, function_id, version, started_at, completed_at, success, code, output, error,
			execution_ms, peak_memory_bytes, host_calls, output_size_bytes, trace_id, log, cpu_us)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateInvocation = `UPDATE flagbase_invocations SET completed_at = ?, success = ?, code = ?, output = ?, error = ?,
			execution_ms = ?, peak_memory_bytes = ?, host_calls = ?, output_size_bytes = ?, log = ?, cpu_us = ? WHERE id = ?`
	insertMetric = `INSERT INTO flagbase_metrics (name, value, tags, function_id, invocation_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`
)

// store writes b. The records of functions that were deleted meanwhile are left out.
func (b *batch) store(ctx context.Context, db *database.DB) error {
	err := db.Write(ctx, func(tx *sql.Tx) error {
		w := &batchWriter{tx: tx, exists: map[string]bool{}, statements: map[string]*sql.Stmt{}}
		defer w.close()
		for i := range b.began {
			if err := w.begin(&b.began[i]); err != nil {
				return err
			}
		}
		for _, r := range b.ended {
			// A batch computes for milliseconds; invocations that wait for this core come first.
			runtime.Gosched()
			if err := w.end(r); err != nil {
				return err
			}
		}
		for i := range b.metrics {
			m := &b.metrics[i]
			if err := w.exec(insertMetric, m.Name, m.Value, string(m.Tags), m.FunctionID, m.InvocationID, database.Micros(m.at)); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for i := range b.began {
		b.began[i].setStored()
	}
	return nil
}

// setStored takes the shard's lock, under which the writer looks for what is not
// stored yet.
func (r *running) setStored() {
	s := r.record.shard
	s.mu.Lock()
	r.record.stored = true
	s.mu.Unlock()
}

// batchWriter prepares each statement once and asks for each function once.
type batchWriter struct {
	tx         *sql.Tx
	exists     map[string]bool // by function id
	statements map[string]*sql.Stmt
}

func (w *batchWriter) close() {
	for _, st := range w.statements {
		_ = st.Close() // the transaction is over or will be rolled back
	}
}

// exec runs without the batch's context: the driver would start a goroutine to watch
// it for every row. A batch takes milliseconds.
func (w *batchWriter) exec(statement string, args ...any) error {
	st := w.statements[statement]
	if st == nil {
		var err error
		if st, err = w.tx.Prepare(statement); err != nil {
			return err
		}
		w.statements[statement] = st
	}
	_, err := st.Exec(args...)
	return err
}

func (w *batchWriter) known(functionID string) (bool, error) {
	exists, asked := w.exists[functionID]
	if !asked {
		if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM flagbase_functions WHERE id = ?)`, functionID).Scan(&exists); err != nil {
			return false, err
		}
		w.exists[functionID] = exists
	}
	return exists, nil
}

var noLog = []byte{}

// begin inserts an invocation that runs.
func (w *batchWriter) begin(r *running) error {
	if known, err := w.known(r.functionID); err != nil || !known {
		return err
	}
	return w.exec(insertInvocation, r.id, r.functionID, int64(r.version), database.Micros(r.startedAt), nil, int64(0), "", "", "",
		nil, int64(0), int64(0), int64(0), r.traceID, noLog, nil)
}

// end inserts an invocation that has ended, or updates it when it was inserted as
// running, also in this batch.
func (w *batchWriter) end(r *record) error {
	log := r.log
	if log == nil {
		log = noLog
	}
	success := int64(0)
	if r.Success {
		success = 1
	}
	completed, cpu := database.Micros(*r.CompletedAt), r.compute.Microseconds()
	if r.stored {
		return w.exec(updateInvocation, completed, success, r.code, r.Output, r.Error,
			*r.ExecutionMs, r.PeakMemoryBytes, int64(r.HostCalls), int64(r.OutputSizeBytes), log, cpu, r.ID)
	}
	if known, err := w.known(r.FunctionID); err != nil || !known {
		return err
	}
	return w.exec(insertInvocation, r.ID, r.FunctionID, int64(r.version), database.Micros(r.StartedAt), completed, success, r.code, r.Output, r.Error,
		*r.ExecutionMs, r.PeakMemoryBytes, int64(r.HostCalls), int64(r.OutputSizeBytes), r.TraceID, log, cpu)
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
