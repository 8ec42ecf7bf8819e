package function_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
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
	soon := func(what, query string, args ...any) {
		t.Helper()
		for end := time.Now().Add(10 * second); ; time.Sleep(5 * time.Millisecond) {
			var found bool
			must(t, w.db.QueryRow(`SELECT EXISTS (`+query+`)`, args...).Scan(&found))
			if found {
				return
			}
			if time.Now().After(end) {
				t.Fatal(what + ": it is not in the database")
			}
		}
	}
	res, err := w.Do(ctx, "slow", &function.InvokeRequest{Event: []byte(`{"wait":0}`)})
	must(t, err)
	soon("after it ended", `SELECT 1 WHERE (SELECT sum(invocations) FROM flagbase_invocation_blocks) = 1`)
	check := func(id string, least time.Duration) {
		t.Helper()
		inv, err := w.GetInvocation(ctx, id)
		must(t, err)
		if !inv.Success || inv.Output != "done" || inv.ComputeMs == nil || inv.CompletedAt.Sub(inv.StartedAt) < least {
			t.Errorf("recorded %+v", inv)
		}
	}
	check(res.InvocationID, 0)

	began, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		_, err := w.Do(ctx, "slow", &function.InvokeRequest{Event: []byte(`{"wait":1500}`), Started: func(id, _ string) { began <- id }})
		ended <- err
	}()
	id := <-began
	soon("while it runs", `SELECT 1 FROM flagbase_invocations WHERE id = ? AND completed_at IS NULL`, id)
	must(t, <-ended)
	soon("when it had ended", `SELECT 1 WHERE (SELECT sum(invocations) FROM flagbase_invocation_blocks) = 2`)
	check(id, 1500*time.Millisecond)
	page, err := w.Invocations(ctx, "slow", nil)
	must(t, err)
	if n := len(page.Invocations); n != 2 {
		t.Errorf("two invocations are listed as %d", n)
	}
}

// Pages list each invocation once, newest first, whether it runs, ended at once, ended
// long after others that began later, or was recorded in a row of its own.
func TestHistoryPages(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	f, err := w.Create(ctx, "slow", "", "javascript", `export const handle = e => new Promise(r => setTimeout(() => r("done"), e.wait))`)
	must(t, err)
	old := fmt.Sprintf("inv_%012x700080000000000000ff", time.Now().Add(-time.Hour).UnixMilli())
	_, err = w.db.Exec(`INSERT INTO flagbase_invocations (id, function_id, version, started_at, completed_at, success, code, output, error, execution_ms,
		peak_memory_bytes, host_calls, output_size_bytes, trace_id, log) VALUES (?, ?, 1, 1, 2, 1, '', 'old', '', 1, 0, 0, 3, '', x'')`, old, f.ID)
	must(t, err)
	began, ended := make(chan string), make(chan struct{}, 2)
	running, stop := context.WithCancel(ctx)
	long := func(ctx context.Context, event string) string {
		go func() {
			_, _ = w.Do(ctx, "slow", &function.InvokeRequest{Event: []byte(event), Started: func(id, _ string) { began <- id }})
			ended <- struct{}{}
		}()
		return <-began
	}
	want := []string{old, long(ctx, `{"wait":300}`), long(running, `{"wait":1e6}`)}
	for end := time.Now().Add(600 * time.Millisecond); time.Now().Before(end); {
		res, err := w.Do(ctx, "slow", &function.InvokeRequest{Event: []byte(`{"wait":0}`)})
		must(t, err)
		want = append(want, res.InvocationID)
	}
	<-ended
	slices.Reverse(want)
	for _, limit := range []int{7, 1000} {
		var got []string
		for cursor := ""; ; {
			page, err := w.Invocations(ctx, "slow", &function.InvocationsOptions{Limit: limit, Cursor: cursor})
			must(t, err)
			for _, inv := range page.Invocations {
				got = append(got, inv.ID)
				if done := inv.CompletedAt != nil; done == (inv.ID == want[len(want)-3]) {
					t.Errorf("%s ended: %v", inv.ID, done)
				}
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %d invocations, not the %d there were, or in another order", limit, len(got), len(want))
		}
	}
	for _, id := range want {
		if inv, err := w.GetInvocation(ctx, id); err != nil || inv.ID != id {
			t.Fatalf("%s: %+v, %v", id, inv, err)
		}
	}
	stop()
	<-ended
}
