package function_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
)

// lockDatabase keeps the world's database from being written until unlock.
func lockDatabase(t *testing.T, w *world) (unlock func()) {
	t.Helper()
	var file string
	must(t, w.db.QueryRow(`SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&file))
	other, err := sql.Open("sqlite", file+"?_txlock=immediate")
	must(t, err)
	tx, err := other.Begin()
	must(t, err)
	return func() {
		must(t, tx.Rollback())
		must(t, other.Close())
	}
}

// Back-pressure of the history never holds an invocation beyond its time.
func TestHistoryBackPressure(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Upload(ctx, "publish", "", testguest.WAT(t, `(module
		(import "flagbase" "metrics_publish" (func $publish (param i32 i32 f64 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "m")
		(func (export "handle") (loop $l
			(drop (call $publish (i32.const 0) (i32.const 1) (f64.const 1) (i32.const 0) (i32.const 0))) (br $l))))`))
	must(t, err)
	_, err = w.Create(ctx, "chatty", "", "javascript", `export function handle() { console.log("x".repeat(1 << 18)); return "y".repeat(1 << 16) }`)
	must(t, err)
	unlock := lockDatabase(t, w)
	locked := true
	defer func() {
		if locked {
			unlock()
		}
	}()
	endsInTime(t, 500*time.Millisecond, func() error { return second1(w.Invoke(ctx, "publish", 500*time.Millisecond)) })

	// What waits to be written is bounded in bytes; then no invocation begins.
	began := 0
	for began = range 1000 {
		var res *function.InvokeResult
		if res, err = w.Do(ctx, "chatty", &function.InvokeRequest{Timeout: 500 * time.Millisecond}); err != nil {
			if !errors.Is(err, function.ErrDeadlineExceeded) || res != nil || !strings.Contains(err.Error(), "history") {
				t.Errorf("%+v, %v", res, err)
			}
			break
		}
	}
	if began < 100 || began > 300 {
		t.Errorf("%d invocations of 320 KiB of history began while nothing was written", began)
	}
	unlock()
	locked = false
	list, err := w.ListInvocations(ctx, "publish")
	must(t, err)
	if len(list) != 1 || !strings.HasPrefix(list[0].Error, "deadline_exceeded") {
		t.Errorf("recorded %+v", list)
	}
	n := 0
	for cursor := ""; ; {
		page, err := w.Invocations(ctx, "chatty", &function.InvocationsOptions{Limit: 1000, Cursor: cursor})
		must(t, err)
		n += len(page.Invocations)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if n != began {
		t.Errorf("%d of %d invocations are recorded", n, began)
	}
}

// Nobody has to ask: what ended is written by itself, once, and what runs is written as
// running meanwhile.
func TestHistoryWritesByItself(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Create(ctx, "slow", "", "javascript", `export const handle = e => new Promise(r => setTimeout(() => r("done"), e.wait))`)
	must(t, err)
	rows := func(where string, args ...any) (n int) {
		must(t, w.db.QueryRow(`SELECT count(*) FROM flagbase_invocations WHERE `+where, args...).Scan(&n))
		return n
	}
	soon := func(what, where string, args ...any) {
		t.Helper()
		for end := time.Now().Add(10 * second); rows(where, args...) != 1; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d rows", what, rows(where, args...))
			}
		}
	}
	res, err := w.Do(ctx, "slow", &function.InvokeRequest{Event: []byte(`{"wait":0}`)})
	must(t, err)
	soon("after it ended", `id = ? AND success = 1 AND output = 'done' AND completed_at IS NOT NULL AND cpu_us IS NOT NULL`, res.InvocationID)

	began, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		_, err := w.Do(ctx, "slow", &function.InvokeRequest{Event: []byte(`{"wait":1500}`), Started: func(id, _ string) { began <- id }})
		ended <- err
	}()
	id := <-began
	soon("while it runs", `id = ? AND completed_at IS NULL`, id)
	must(t, <-ended)
	soon("when it had ended", `id = ? AND success = 1 AND output = 'done' AND completed_at - started_at >= 1500000`, id)
	if n := rows(`1 = 1`); n != 2 {
		t.Errorf("two invocations are %d rows", n)
	}
}
