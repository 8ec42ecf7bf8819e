package function_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
)

// churn is how long TestConcurrentChanges goes on: FLAGBASE_TEST_CHURN, such as 10m,
// or two seconds.
func churn(t *testing.T) time.Duration {
	if text := os.Getenv("FLAGBASE_TEST_CHURN"); text != "" {
		d, err := time.ParseDuration(text)
		must(t, err)
		return d
	}
	return 2 * second
}

// While a function is deployed, rolled back, renamed, deleted and made again, each
// invocation runs one whole version, the one it reports, and none fails because of
// the change.
func TestConcurrentChanges(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	// Version n answers with its number twice; a script has one from the memory that the
	// deployment left and one from its code.
	script := func(n int) string {
		return fmt.Sprintf(`const n = "%06d"; globalThis.count = 0
			export function handle() { if (count++ != 0) throw "not fresh"; return n + " %06d" }`, n, n)
	}
	blank := testguest.WAT(t, `(module (memory (export "memory") 1) (data (i32.const 8) "@@@@@@ @@@@@@")
		(func (export "handle") (result i32 i32) (i32.const 8) (i32.const 13)))`)
	module := func(n int) []byte { return bytes.ReplaceAll(blank, []byte("@@@@@@"), fmt.Appendf(nil, "%06d", n)) }
	const stable, passing = "stable", "passing"
	fn, err := w.Create(ctx, stable, "", "javascript", script(1))
	must(t, err)

	var stop atomic.Bool
	var all sync.WaitGroup
	var invocations, changes atomic.Int64
	invoke := func(id string, version int) error {
		res, err := w.Do(ctx, id, &function.InvokeRequest{Version: version})
		if err != nil {
			return err
		}
		invocations.Add(1)
		want := fmt.Sprintf("%06d %06d", res.Version, res.Version)
		if string(res.Output) != want || version != 0 && res.Version != version {
			t.Errorf("version %d answered %q, asked for %d", res.Version, res.Output, version)
		}
		return nil
	}
	for range 4 {
		all.Go(func() {
			for !stop.Load() {
				must := func(err error) {
					if err != nil {
						t.Error(err)
						stop.Store(true)
					}
				}
				must(invoke(fn.ID, 0))
				must(invoke(fn.ID, 1))
				// What is deleted is absent, and nothing else.
				if err := invoke(passing, 0); err != nil && !errors.Is(err, function.ErrNotFound) && !errors.Is(err, function.ErrNotReady) {
					must(err)
				}
			}
		})
	}
	// One goroutine deploys and rolls back: what it did is what the next invocation sees.
	all.Go(func() {
		newest := 1
		for !stop.Load() {
			active := newest + 1
			var v *function.FunctionVersion
			var err error
			if active%2 == 0 {
				v, err = w.DeployVersion(ctx, fn.ID, module(active))
			} else {
				v, err = w.DeploySource(ctx, fn.ID, "javascript", script(active))
			}
			if err != nil {
				t.Error(err)
				return
			}
			newest = v.Version
			res, err := w.Do(ctx, fn.ID, nil)
			if err != nil || res.Version != newest {
				t.Errorf("after version %d was deployed: %+v, %v", newest, res, err)
				return
			}
			if _, err := w.Activate(ctx, fn.ID, 1); err != nil {
				t.Error(err)
				return
			}
			if res, err := w.Do(ctx, fn.ID, nil); err != nil || res.Version != 1 {
				t.Errorf("after version 1 was activated: %+v, %v", res, err)
				return
			}
			if _, err := w.Update(ctx, fn.ID, stable+"-"+strconv.Itoa(newest), "", ""); err != nil {
				t.Error(err)
				return
			}
			changes.Add(3)
		}
	})
	all.Go(func() {
		for !stop.Load() {
			made, err := w.Upload(ctx, passing, "", module(1))
			if err != nil {
				t.Error(err)
				return
			}
			if err := invoke(passing, 0); err != nil {
				t.Errorf("after it was made: %v", err)
			}
			if err := w.Delete(ctx, made.ID); err != nil {
				t.Error(err)
				return
			}
			if _, err := w.Do(ctx, passing, nil); !errors.Is(err, function.ErrNotFound) {
				t.Errorf("after it was deleted: %v", err)
			}
			changes.Add(2)
		}
	})
	time.Sleep(churn(t))
	// A busy machine gets the time that a few changes take.
	for end := time.Now().Add(60 * second); changes.Load() < 10 && !t.Failed() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	stop.Store(true)
	all.Wait()
	if !t.Failed() && (invocations.Load() < 20 || changes.Load() < 10) {
		t.Errorf("only %d invocations, %d changes", invocations.Load(), changes.Load())
	}
	t.Logf("%d invocations, %d changes", invocations.Load(), changes.Load())
}

// An invocation that has begun when its function is deleted finishes.
func TestDeleteWhileRunning(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	fn, err := w.Create(ctx, "slow", "", "javascript", `export async function handle() { await new Promise(r => setTimeout(r, 500)); return "done" }`)
	must(t, err)
	began := make(chan struct{})
	var out []byte
	var wait sync.WaitGroup
	wait.Go(func() {
		var res *function.InvokeResult
		if res, err = w.Do(ctx, fn.ID, &function.InvokeRequest{Started: func(string, string) { close(began) }}); res != nil {
			out = res.Output
		}
	})
	<-began
	must(t, w.Delete(ctx, fn.ID))
	wait.Wait()
	if err != nil || string(out) != "done" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := w.Invoke(ctx, fn.ID, second); !errors.Is(err, function.ErrNotFound) || strings.Contains(err.Error(), "artifact") {
		t.Errorf("afterwards: %v", err)
	}
}
