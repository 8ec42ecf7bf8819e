package function

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"
)

const (
	// retainBatch is how many rows one transaction of the cleaning deletes, and
	// retainBlocks how many blocks; it takes a few milliseconds, which is what another
	// writer may wait for it.
	retainBatch  = 200
	retainBlocks = 100
	// retainRest is how long the cleaning rests after a transaction, as a multiple of what
	// that took. After rows it rests for retainRestRows: what ends now goes to blocks, so
	// no more rows come than a crash or an older version left.
	retainRest     = 3
	retainRestRows = 20
	// retainEvery is how often all functions are looked at, for what became too old.
	retainEvery = time.Hour
)

// retention deletes invocations that are too old or too many, in the background and
// in small steps. Nothing waits for it.
type retention struct {
	age         time.Duration // negative: kept for ever
	perFunction int           // negative: no limit

	mu      sync.Mutex
	written map[string]int // by function id, since it was last cleaned
	timer   *time.Timer
	stop    context.CancelFunc // of the cleaning under way
	done    chan struct{}      // closed when that has ended; nil: there is none
	closed  bool
}

// slack is how many invocations above the limit are let be, so that a function is
// cleaned now and then rather than after each batch.
func (k *retention) slack() int { return max(k.perFunction/20, blockInvocations) }

// retain counts what was written and starts the cleaning when a function may have
// come above its limit.
func (h *history) retain(b *batch) {
	k := &h.keep
	if k.perFunction < 0 || len(b.ended) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	due, slack := false, k.slack()
	for _, r := range b.ended {
		k.written[r.FunctionID]++
		due = due || k.written[r.FunctionID] >= slack
	}
	if due {
		h.startCleaning(false)
	}
}

// watch starts the hourly look at all functions, the first in a minute: a start has
// better things to do.
func (h *history) watch() {
	k := &h.keep
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = false
	if k.timer == nil && (k.age >= 0 || k.perFunction >= 0) {
		k.timer = time.AfterFunc(time.Minute, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.timer != nil {
				k.timer.Reset(retainEvery)
				h.startCleaning(true)
			}
		})
	}
}

// close ends the cleaning and waits for it. watch begins anew.
func (k *retention) close() {
	k.mu.Lock()
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
	done := k.done
	if done != nil {
		k.stop()
	}
	k.mu.Unlock()
	if done != nil {
		<-done
	}
}

// startCleaning starts a goroutine unless one is at it. The caller holds keep.mu.
func (h *history) startCleaning(all bool) {
	k := &h.keep
	if k.done != nil || k.closed {
		return
	}
	var due []string
	for id, n := range k.written {
		if all || n >= k.slack() {
			due = append(due, id)
			delete(k.written, id)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	k.stop, k.done = cancel, done
	go func() {
		defer cancel()
		err := h.clean(ctx, all, due)
		if err != nil && ctx.Err() == nil && h.db.SQL().PingContext(ctx) == nil {
			slog.Error("delete old invocations", "error", err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		close(done)
		k.done = nil
		for _, n := range k.written { // while this one was at it
			if err == nil && n >= k.slack() {
				h.startCleaning(false)
				break
			}
		}
	}()
}

// clean deletes what is too old or too many of the functions due, or of all.
func (h *history) clean(ctx context.Context, all bool, due []string) error {
	if all {
		due = nil
		rows, err := h.db.SQL().QueryContext(ctx, `SELECT id FROM flagbase_functions`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return errors.Join(err, rows.Close())
			}
			due = append(due, id)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	for _, id := range due {
		below, err := h.oldest(ctx, id)
		if err != nil {
			return err
		}
		if err := h.deleteBelow(ctx, id, below); err != nil {
			return err
		}
	}
	return nil
}

// limit is below what a function's invocations go.
type limit struct {
	id     string // of rows; "" is none
	newest int64  // of blocks
}

// raise makes l the higher of the two.
func (l *limit) raise(to limit) {
	l.id, l.newest = max(l.id, to.id), max(l.newest, to.newest)
}

// limitAt is the limit that lets all go which began before an idTime.
func limitAt(t int64) limit {
	return limit{id: fmt.Sprintf("%s%012x7%03x", invocationPrefix, t>>12, t&0xfff), newest: t}
}

// oldest is the limit of a function.
func (h *history) oldest(ctx context.Context, functionID string) (limit, error) {
	var l limit
	k := &h.keep
	if k.age >= 0 {
		l = limitAt(time.Now().Add(-k.age).UnixMilli() << 12)
	}
	if k.perFunction < 0 {
		return l, nil
	}
	// The newest block with which there are enough stays, those before it go. Rows are
	// older than blocks, but for those that run, which stay in any case.
	var at, total int64
	err := h.db.SQL().QueryRowContext(ctx, `SELECT newest, total FROM (
			SELECT newest, sum(invocations) OVER (ORDER BY newest DESC) AS total FROM flagbase_invocation_blocks WHERE function_id = ?)
		WHERE total >= ? LIMIT 1`, functionID, k.perFunction).Scan(&at, &total)
	if err == nil {
		l.raise(limitAt(at))
		return l, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return l, err
	}
	err = h.db.SQL().QueryRowContext(ctx, `SELECT coalesce(sum(invocations), 0) FROM flagbase_invocation_blocks WHERE function_id = ?`, functionID).Scan(&total)
	if err != nil {
		return l, err
	}
	var id string
	err = h.db.SQL().QueryRowContext(ctx, `SELECT id FROM flagbase_invocations WHERE function_id = ?
		ORDER BY id DESC LIMIT 1 OFFSET ?`, functionID, max(int64(k.perFunction)-total-1, 0)).Scan(&id)
	if err == nil {
		l.raise(limit{id: id})
	} else if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return l, err
}

const (
	deleteRows = `DELETE FROM flagbase_invocations WHERE id IN (
		SELECT id FROM flagbase_invocations WHERE function_id = ? AND id < ? AND completed_at IS NOT NULL
		ORDER BY id LIMIT ?)`
	deleteBlocks = `DELETE FROM flagbase_invocation_blocks WHERE newest IN (
		SELECT newest FROM flagbase_invocation_blocks WHERE function_id = ? AND newest < ? ORDER BY newest LIMIT ?)`
)

// deleteBelow deletes what of a function is below the limit, but for what runs.
func (h *history) deleteBelow(ctx context.Context, functionID string, below limit) error {
	if err := h.deleteInSteps(ctx, retainRest, deleteBlocks, functionID, below.newest, retainBlocks); err != nil {
		return err
	}
	return h.deleteInSteps(ctx, retainRestRows, deleteRows, functionID, below.id, retainBatch)
}

// deleteAll deletes what of a function ended, without rest.
func (h *history) deleteAll(ctx context.Context, functionID string) error {
	if err := h.deleteInSteps(ctx, 0, deleteBlocks, functionID, int64(math.MaxInt64), retainBlocks); err != nil {
		return err
	}
	return h.deleteInSteps(ctx, 0, deleteRows, functionID, afterInvocations, historyBatch)
}

// deleteInSteps runs a statement, which deletes at most batch, until there is no more,
// each time in a transaction of its own, after which it rests as many times as long as
// that took.
func (h *history) deleteInSteps(ctx context.Context, rest int, statement, functionID string, below any, batch int) error {
	for {
		start := time.Now()
		var deleted int64
		err := h.db.Write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, statement, functionID, below, batch)
			if err == nil {
				deleted, err = res.RowsAffected()
			}
			return err
		})
		if err != nil || deleted < int64(batch) {
			return err
		}
		select {
		case <-time.After(time.Duration(rest) * time.Since(start)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
