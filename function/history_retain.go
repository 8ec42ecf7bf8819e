package function

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// retainBatch is how many invocations one transaction of the cleaning deletes; it
	// takes a few milliseconds, which is what another writer may wait for it.
	retainBatch = 200
	// retainShare is how long the cleaning rests after a transaction, as a multiple of
	// what that took.
	retainShare = 3
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
func (k *retention) slack() int { return max(k.perFunction/20, retainBatch) }

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
		limit, err := h.oldest(ctx, id)
		if err != nil {
			return err
		}
		if err := h.deleteBelow(ctx, id, limit, retainBatch, retainShare); err != nil {
			return err
		}
	}
	return nil
}

// oldest is the id below which the function's invocations go; "" is none.
func (h *history) oldest(ctx context.Context, functionID string) (limit string, err error) {
	k := &h.keep
	if k.age >= 0 {
		// Ids begin with their time: 48 bits of milliseconds.
		limit = fmt.Sprintf("%s%012x", invocationPrefix, time.Now().Add(-k.age).UnixMilli())
	}
	if k.perFunction >= 0 {
		var id string
		err = h.db.SQL().QueryRowContext(ctx, `SELECT id FROM flagbase_invocations WHERE function_id = ?
			ORDER BY id DESC LIMIT 1 OFFSET ?`, functionID, max(k.perFunction-1, 0)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		limit = max(limit, id)
	}
	return limit, err
}

// deleteBelow deletes the invocations of a function whose ids are below limit, but
// for those that run: batch of them a transaction, after which it rests as many times
// as long as that took.
func (h *history) deleteBelow(ctx context.Context, functionID, limit string, batch, rest int) error {
	for {
		start := time.Now()
		var deleted int64
		err := h.db.Write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM flagbase_invocations WHERE id IN (
				SELECT id FROM flagbase_invocations WHERE function_id = ? AND id < ? AND completed_at IS NOT NULL
				ORDER BY id LIMIT ?)`, functionID, limit, batch)
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
