package function

import (
	"context"
	"database/sql"
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

// cut takes some records out of b, at most historyBatch and about batchBytes of them,
// and all that is not a record.
func (b *batch) cut() *batch {
	n, size := 0, int64(0)
	for n < min(historyBatch, len(b.ended)) && size < batchBytes {
		size += b.ended[n].size()
		n++
	}
	first := &batch{ended: b.ended[:n], began: b.began, metrics: b.metrics}
	b.ended, b.began, b.metrics = b.ended[n:], nil, nil
	return first
}

// The records of functions that were deleted meanwhile are left out.
const (
	insertRunning = `INSERT INTO flagbase_invocations (id, function_id, version, started_at, success, code, output, error,
			peak_memory_bytes, host_calls, output_size_bytes, trace_id, log)
		SELECT ?, ?2, ?, ?, 0, '', '', '', 0, 0, 0, ?, x'' WHERE EXISTS (SELECT 1 FROM flagbase_functions WHERE id = ?2)`
	deleteRunning = `DELETE FROM flagbase_invocations WHERE id = ?`
	insertBlock   = `INSERT INTO flagbase_invocation_blocks (newest, function_id, invocations, records)
		SELECT ?, ?2, ?, ? WHERE EXISTS (SELECT 1 FROM flagbase_functions WHERE id = ?2)`
	insertMetric = `INSERT INTO flagbase_metrics (name, value, tags, function_id, invocation_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`
)

// store writes b: what runs as rows, what ended as blocks.
func (b *batch) store(ctx context.Context, db *database.DB) error {
	blocks := blocksOf(b.ended)
	err := db.Write(ctx, func(tx *sql.Tx) error {
		w := &batchWriter{tx: tx, statements: map[string]*sql.Stmt{}}
		defer w.close()
		if err := w.write(b, blocks); err != nil {
			return err
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

// batchWriter prepares each statement once.
type batchWriter struct {
	tx         *sql.Tx
	statements map[string]*sql.Stmt
}

func (w *batchWriter) close() {
	for _, st := range w.statements {
		_ = st.Close() // the transaction is over or will be rolled back
	}
}

func (w *batchWriter) write(b *batch, blocks []block) error {
	for i := range b.began {
		r := &b.began[i]
		if err := w.exec(insertRunning, r.id, r.functionID, int64(r.version), database.Micros(r.startedAt), r.traceID); err != nil {
			return err
		}
	}
	for _, r := range b.ended {
		if !r.stored {
			continue
		}
		if err := w.exec(deleteRunning, r.ID); err != nil {
			return err
		}
	}
	for i := range blocks {
		if err := w.insert(&blocks[i]); err != nil {
			return err
		}
	}
	for i := range b.metrics {
		m := &b.metrics[i]
		if err := w.exec(insertMetric, m.Name, m.Value, string(m.Tags), m.FunctionID, m.InvocationID, database.Micros(m.at)); err != nil {
			return err
		}
	}
	return nil
}

// insert writes a block. That there is one of the same time takes a clock that was set
// back: ids of one process rise.
func (w *batchWriter) insert(b *block) error {
	for newest := b.newest; ; newest++ {
		err := w.exec(insertBlock, newest, b.functionID, int64(b.invocations), b.records)
		if !database.IsUniqueViolation(err) {
			return err
		}
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

// markInterrupted ends the records of invocations that a crash cut short.
func markInterrupted(ctx context.Context, db *database.DB) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE flagbase_invocations SET completed_at = ?, success = 0, code = ?, error = ?
			WHERE completed_at IS NULL`,
			database.Micros(time.Now()), ErrInterrupted.Code, ErrInterrupted.Code+": "+ErrInterrupted.Message)
		return err
	})
}
