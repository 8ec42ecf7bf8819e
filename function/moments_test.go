package function_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
)

var deadlines = flag.Int("deadlines", 1000, "invocations that TestAnyMoment ends; 100000 is what the project claims")

// restlessWAT does for ever what the first byte of its event says: s spins, f fills memory, d
// recurses, r draws random bytes, p sleeps, t puts records, i invokes another function, h fetches. e says whether
// memory and global are as at first.
const restlessWAT = `(module
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
	(import "flagbase" "table_put" (func $put (param i32 i32 i32 i32) (result i32)))
	(import "flagbase" "fn_invoke_event" (func $invoke (param i32 i32 i32 i32) (result i32)))
	(import "flagbase" "http_fetch" (func $fetch (param i32 i32) (result i32)))
	(memory (export "memory") 4 40) (global $used (mut i32) (i32.const 0))
	(data (i32.const 0) "\00\08\00\00\00\04\00\00") (data (i32.const 100) "right 1") (data (i32.const 16) "\64\00\00\00\07\00\00\00")
	(data (i32.const 200) "restless{\22a\22:1}sleeper") (data (i32.const 4024) "\00\00\64\a7\b3\b6\e0\0d")
	(func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))) (call $deep (i32.sub (local.get 0) (i32.const 1))))))
	(func (export "handle") (local $mode i32) (local $n i32)
		(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
		(local.set $mode (i32.load8_u (i32.const 2048))) (local.set $n (i32.sub (i32.load (i32.const 8)) (i32.const 2)))
		(if (i32.eq (local.get $mode) (i32.const 101)) (then
			(if (i32.or (global.get $used) (i32.load (i32.const 262140))) (then unreachable))
			(if (i32.ne (memory.size) (i32.const 4)) (then unreachable))
			(drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8))) return))
		(global.set $used (i32.const 1)) (memory.fill (i32.const 8192) (i32.const 1) (i32.const 253952)) (drop (memory.grow (i32.const 1)))
		(loop $for
			(if (i32.eq (local.get $mode) (i32.const 102)) (then (memory.fill (i32.const 8192) (i32.const 1) (i32.const 253952))))
			(if (i32.eq (local.get $mode) (i32.const 100)) (then (call $deep (i32.const 60))))
			(if (i32.eq (local.get $mode) (i32.const 114)) (then (drop (call $random (i32.const 8192) (i32.const 100000)))))
			(if (i32.eq (local.get $mode) (i32.const 112)) (then (drop (call $poll (i32.const 4000) (i32.const 5000) (i32.const 1) (i32.const 6000)))))
			(if (i32.eq (local.get $mode) (i32.const 116)) (then (drop (call $put (i32.const 200) (i32.const 8) (i32.const 208) (i32.const 7)))))
			(if (i32.eq (local.get $mode) (i32.const 105)) (then (drop (call $invoke (i32.const 215) (i32.const 7) (i32.const 208) (i32.const 7)))))
			(if (i32.eq (local.get $mode) (i32.const 104)) (then (drop (call $fetch (i32.const 2050) (local.get $n)))))
			(br $for))))`

const restlessJS = `
let before = 0, kept = []
async function restless(event) {
	before++
	const [mode, text] = event.split(" ")
	const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2)
	for (;;) switch (mode) {
		case "right": return "right " + before + kept.length
		case "spin": kept.length = 0; break
		case "fib": fib(60)
		case "regexp": /^(a+)+$/.test("a".repeat(40) + "b"); break
		case "random": crypto.getRandomValues(new Uint8Array(60000)); break
		case "grow": kept.push(text.repeat(50)); if (kept.length > 1000) kept = []; break
		case "sleep": await new Promise(r => setTimeout(r, 3600000)); break
		case "ticks": await new Promise(r => setTimeout(r, 0)); break
		case "await": await null; break
		case "put": flagbase.table.put("restless", { a: 1 }); break
		case "invoke": flagbase.fn.invoke("sleeper", text); break
		case "fetch": await flagbase.http.fetch(text); break
	}
}
`

// Whenever the deadline of an invocation comes, or its caller goes away, also in a host call, it
// ends at once, and the next of that function is right.
func TestAnyMoment(t *testing.T) {
	var fetched atomic.Int64
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		select {
		case <-r.Context().Done():
		case <-time.After(rand.N(3 * time.Millisecond)):
		}
		_, _ = w.Write([]byte("slow"))
	}))
	defer slow.Close()
	// A commit that has begun is waited for, as long as the disk takes, which is not what is measured.
	w := newWorldOn(t, "file:"+filepath.Join(t.TempDir(), "test.db")+"?_pragma=synchronous(off)", &function.EngineOptions{
		Fetch:              &function.FetchPolicy{AllowPrivate: []string{strings.TrimPrefix(slow.URL, "http://")}},
		HistoryPerFunction: 1000,
	})
	ctx := t.Context()
	upload := func(name string, wasm []byte) {
		_, err := w.Upload(ctx, name, "", wasm)
		must(t, err)
	}
	create := func(name, source string) {
		_, err := w.Create(ctx, name, "", "javascript", source)
		must(t, err)
	}
	upload("wat", testguest.WAT(t, restlessWAT))
	upload("command", testguest.Go(t, "function/testdata/restless", false))
	upload("reactor", testguest.Go(t, "function/testdata/restless", true))
	create("handle", restlessJS+"export const handle = event => restless(event)")
	create("fetch", restlessJS+"export default { async fetch(request) { return new Response(await restless(await request.text())) } }")
	create("sleeper", `export async function handle(event) { for (let i = 0; ; i++) if (i % 3 == 0) await new Promise(r => setTimeout(r, 1)) }`)
	goModes := []string{"spin", "sleep", "random", "grow xyz", "put", "invoke now", "fetch " + slow.URL}
	jsModes := append([]string{"fib", "regexp", "ticks", "await"}, goModes...)
	modes := map[string][]string{
		"wat": {"s", "f", "d", "r", "p", "t", "i", `h {"url":"` + slow.URL + `"}`}, "command": goModes, "reactor": goModes, "handle": jsModes, "fetch": jsModes,
	}
	names := []string{"wat", "command", "reactor", "handle", "fetch"}

	total := *deadlines
	if testing.Short() {
		total /= 2
	}
	var next, cancelled, worst atomic.Int64
	lag := testguest.WatchLag()
	defer lag.Stop()
	began := time.Now()
	var group sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for next.Add(1) <= int64(total) && !t.Failed() {
				name := names[rand.IntN(len(names))]
				mode := modes[name][rand.IntN(len(modes[name]))]
				moment, expires := 1+rand.N(4*time.Millisecond), rand.IntN(3) > 0
				took, late, err := endAt(ctx, w, name, mode, moment, expires)
				if allowed := 100 * time.Millisecond; late > allowed {
					if more := lag.Since(time.Now().Add(-late)); late > allowed+more {
						t.Errorf("%s %s, to end after %v (by deadline: %v): ended %v late, %v and %v are allowed; the invocation itself took %v", name, mode, moment, expires, late, allowed, more, took)
					}
				}
				for old := worst.Load(); int64(late) > old && !worst.CompareAndSwap(old, int64(late)); old = worst.Load() {
				}
				want := function.ErrDeadlineExceeded
				if !expires {
					want = function.ErrCancelled
					cancelled.Add(1)
				}
				if !errors.Is(err, want) {
					t.Errorf("%s %s, to end after %v: ended with %v, want %v", name, mode, moment, err, want)
				}
				event := "right"
				if name == "wat" {
					event = "e"
				}
				res, err := w.Do(ctx, name, &function.InvokeRequest{Event: []byte(event)})
				if err != nil {
					t.Errorf("%s, after %s was ended: %v", name, mode, err)
				} else if got := string(res.Output); got != "right 1" && got != "right 10" {
					t.Errorf("%s, after %s was ended: %q", name, mode, got)
				}
			}
		})
	}
	group.Wait()
	records, err := w.tables.Query(ctx, "restless", nil)
	must(t, err)
	slept, err := w.ListInvocations(ctx, "sleeper")
	must(t, err)
	if len(records) == 0 || len(slept) == 0 || fetched.Load() == 0 {
		t.Errorf("%d records put, %d functions invoked, %d requests sent: not all host calls were made", len(records), len(slept), fetched.Load())
	}
	t.Logf("%d invocations ended at random moments in %v, %d of them by their caller, the last at most %v after its moment; each was followed by one that was right",
		total, time.Since(began).Round(time.Second), cancelled.Load(), time.Duration(worst.Load()))
}

// endAt invokes a function that does not end, whose deadline is, or whose caller goes away, in that
// time, and says how long after that it ended.
func endAt(ctx context.Context, w *world, name, mode string, moment time.Duration, expires bool) (took, late time.Duration, err error) {
	req := &function.InvokeRequest{Event: []byte(mode), Timeout: moment}
	end := time.Now().Add(moment)
	if expires {
		res, err := w.Do(ctx, name, req)
		late = time.Since(end)
		return duration(res), late, err
	}
	req.Timeout = time.Minute
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	went := make(chan time.Time, 1)
	timer := time.AfterFunc(moment, func() {
		went <- time.Now()
		cancel()
	})
	defer timer.Stop()
	res, err := w.Do(ctx, name, req)
	ended := time.Now()
	select {
	case end = <-went:
		return duration(res), ended.Sub(end), err
	default:
		return duration(res), 0, fmt.Errorf("it ended before: %w", err)
	}
}

func duration(res *function.InvokeResult) time.Duration {
	if res == nil {
		return 0
	}
	return res.Duration
}
