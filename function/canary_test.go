package function_test

import (
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
)

var canaries = flag.Int("canaries", 20_000, "invocations of TestCanary; 1000000 is what the project claims")

// letters is 200 bytes that an event has, and nothing else: whatever the offset at which it
// lies, each aligned word within is one of two.
var letters = strings.Repeat("\u01e9", 100)

// canaryWAT looks for words of an event in its memory and for what it left in a global
// and a table, writes how many it found and 16 random bytes, and then fills memory with its event,
// whose first byte says how it ends.
func canaryWAT(pages, more, spread string) string {
	return `(module
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
	(memory (export "memory") ` + pages + `) (data (i32.const 64) "the module's own")
	(global $left (mut i64) (i64.const 0)) (table $t 2 9 funcref) ` + more + `
	(func $scan (result i32) (local $at i32) (local $end i32) (local $n i32)
		(local.set $end (i32.shl (memory.size) (i32.const 16)))
		(loop $l
			(if (i32.or (i64.eq (i64.load (local.get $at)) (i64.const 0xA9C7A9C7A9C7A9C7)) (i64.eq (i64.load (local.get $at)) (i64.const 0xC7A9C7A9C7A9C7A9)))
				(then (local.set $n (i32.add (local.get $n) (i32.const 1)))))
			(br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 32))) (local.get $end))))
		(local.get $n))
	(func (export "handle") (local $at i32) (local $end i32) (local $n i32)
		(local.set $n (i32.add (call $scan) (i32.add (i64.ne (global.get $left) (i64.const 0)) (i32.ne (table.size $t) (i32.const 2)))))
		(drop (memory.grow (i32.const 1)))
		(i32.store (i32.const 1024) (i32.add (local.get $n) (call $scan)))
		(drop (call $random (i32.const 1032) (i32.const 16)))
		(i32.store (i32.const 1000) (i32.const 1024)) (i32.store (i32.const 1004) (i32.const 24))
		(drop (call $write (i32.const 1) (i32.const 1000) (i32.const 1) (i32.const 1016)))
		(i32.store (i32.const 1000) (i32.const 2048)) (i32.store (i32.const 1004) (i32.const 256))
		(drop (call $read (i32.const 0) (i32.const 1000) (i32.const 1) (i32.const 1016)))
		(global.set $left (i64.load (i32.const 2056)))
		` + spread + `
		(local.set $at (i32.const 4096)) (local.set $end (i32.shl (memory.size) (i32.const 16)))
		(loop $l (memory.copy (local.get $at) (i32.const 2048) (i32.const 256))
			(br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 256))) (local.get $end))))
		(if (i32.eq (i32.load8_u (i32.const 2048)) (i32.const 116)) (then unreachable))
		(if (i32.eq (i32.load8_u (i32.const 2048)) (i32.const 120)) (then (call $exit (i32.const 3))))
		(if (i32.eq (i32.load8_u (i32.const 2048)) (i32.const 108)) (then (loop $for (br $for))))))`
}

// canaryJS does the same with all that a script has.
const canaryJS = `
let closure = "", made = Math.random(); const shared = new Map(); class Keep { static secret = "" }
const pattern = /x/g, weak = new WeakMap(), numbers = (function* () { for (let i = 0; ; i++) yield i })(), decoder = new TextDecoder(), typed = new Uint8Array(64)
const parse = JSON.parse, random = Math.random, trim = String.prototype.trim, limit = Error.stackTraceLimit
const names = Object.getOwnPropertyNames(globalThis).length
function left() {
	return +(closure !== "") + +(Keep.secret !== "") + shared.size + pattern.lastIndex + numbers.next().value + +weak.has(pattern) + decoder.decode().length +
		+typed.some(x => x) + +(JSON.parse !== parse) + +(Math.random !== random) + +(String.prototype.trim !== trim) + +(Error.stackTraceLimit !== limit) +
		+("left" in {}) + +("left" in globalThis) + +("left" in Math) + +("left" in crypto) + (Object.getOwnPropertyNames(globalThis).length - names)
}
function report() {
	const words = crypto.getRandomValues(new Uint32Array(2))
	console.log(left(), random(), random(), crypto.randomUUID(), words[0].toString(16) + words[1].toString(16), "")
}
function spread(event) {
	closure = event; Keep.secret = event; shared.set(event, event); pattern.lastIndex = 7; weak.set(pattern, event); decoder.decode(new Uint8Array([0xe2, 0x82]), { stream: true })
	typed.fill(0xC7); globalThis.left = event; Object.prototype.left = event; Math.left = event; crypto.left = event; Error.stackTraceLimit = 3
	JSON.parse = () => event; Math.random = () => 0.5; String.prototype.trim = () => event
	globalThis[event] = Array.from({ length: 10 }, (_, i) => event + i)
	setTimeout(() => console.log("left a timer", 9, 9, 9), 100000); Promise.resolve().then(function again() { closure += event[1] })
	if (event[0] == "t") throw new Error(event)
	if (event[0] == "l") for (;;) {}
	return "ok"
}`

const (
	canaryHandle = canaryJS + `
export async function handle(event) { report(); await null; return spread(event) }`
	canaryFetch = canaryJS + `
export default { async fetch(request) { report(); return new Response(spread(await request.text())) } }`
)

// canary is a function that reports what it finds.
type canary struct {
	id   string
	kind string
	http bool
}

// report gives the random values of a report, and fails when the function found what is not its
// own. none says that it did not come so far.
func (c *canary) report(t *testing.T, res *function.InvokeResult, hash func(string) uint64) (values []uint64, none bool) {
	var found string
	var fields []string
	switch c.kind {
	case "wat":
		out := res.Output
		if len(out) != 24 {
			return nil, true
		}
		found, fields = fmt.Sprint(out[0:4]), []string{string(out[8:16]), string(out[16:24])}
		if found == "[0 0 0 0]" {
			found = "0"
		}
	case "go":
		fields = strings.Fields(string(res.Output))
	case "js":
		fields = strings.Fields(string(res.Log))
	}
	if c.kind != "wat" {
		if len(fields) < 5 {
			return nil, true
		}
		found, fields = fields[0], fields[1:5]
	}
	if found != "0" {
		t.Errorf("%s: found %s of other invocations: %q", c.id, found, res.Log)
	}
	for _, f := range fields {
		values = append(values, hash(f))
	}
	return values, false
}

// canaryFunctions deploys 64 functions. Some have the same artifact, as those of several tenants may.
func canaryFunctions(t *testing.T, w *world) []*canary {
	t.Helper()
	var all []*canary
	upload := func(kind string, n int, wasm []byte) {
		for range n {
			c := &canary{id: fmt.Sprintf("canary-%02d", len(all)), kind: kind}
			_, err := w.Upload(t.Context(), c.id, "", wasm)
			must(t, err)
			all = append(all, c)
		}
	}
	upload("wat", 10, testguest.WAT(t, canaryWAT("1 9", "", "")))
	upload("wat", 8, testguest.WAT(t, canaryWAT("8 40", `(func (export "_initialize") (memory.fill (i32.const 9000) (i32.const 5) (i32.const 300000)))`, `(drop (memory.grow (i32.const 5)))`)))
	upload("wat", 4, testguest.WAT(t, canaryWAT("2 9", `(func $start (i64.store (i32.const 90000) (i64.const 77))) (start $start)`, "")))
	upload("wat", 4, testguest.WAT(t, canaryWAT("1 9", `(func $f) (elem declare func $f)`, `(drop (table.grow $t (ref.func $f) (i32.const 1)))`)))
	upload("go", 3, testguest.Go(t, "function/testdata/canary", true))
	upload("go", 3, testguest.Go(t, "function/testdata/canary", false))
	for i := range 32 {
		source, web := canaryHandle, i%2 == 1
		if web {
			source = canaryFetch
		}
		c := &canary{id: fmt.Sprintf("canary-%02d", len(all)), kind: "js", http: web}
		_, err := w.Create(t.Context(), c.id, "", "javascript", source+fmt.Sprintf("\n// %d", i/4))
		must(t, err)
		all = append(all, c)
	}
	return all
}

// No invocation sees a byte of another one, of its own function or another, however that
// ended, and no two draw the same random value. The memory for all guests is so little that idle ones
// make room all the time.
func TestCanary(t *testing.T) {
	total := *canaries
	if testing.Short() {
		total /= 10 // make check runs it under the race detector
	}
	w := newWorld(t, &function.EngineOptions{TotalMemoryBytes: 128 << 20, HistoryPerFunction: 1000})
	all := canaryFunctions(t, w)
	seed := maphash.MakeSeed()
	workers := runtime.GOMAXPROCS(0) + 1
	var next, endings, silent atomic.Int64
	var kinds [256]atomic.Int64
	var mu sync.Mutex
	var drawn []uint64
	began := time.Now()
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			var mine []uint64
			for n := next.Add(1); n <= int64(total) && !t.Failed(); n = next.Add(1) {
				c := all[rand.IntN(len(all))]
				mode, timeout := "r", 30*second
				switch rand.IntN(300) {
				case 0, 1, 2, 3, 4, 5:
					mode = "t"
				case 6, 7, 8:
					mode = "x"
				case 9:
					mode, timeout = "l", 5*time.Millisecond
				}
				event := fmt.Appendf(nil, "%s%s secret of tenant %d", mode, letters, worker)
				req := &function.InvokeRequest{Event: event, Timeout: timeout}
				if c.http {
					req.Event, req.HTTP = nil, &function.HTTPRequest{Method: "POST", URL: "http://canary/", Body: event}
				}
				res, err := w.Do(t.Context(), c.id, req)
				switch {
				case mode == "l" && errors.Is(err, function.ErrDeadlineExceeded), (mode == "t" || mode == "x" && c.kind != "js") && errors.Is(err, function.ErrFunction):
					endings.Add(1)
				case err != nil || mode == "t" || mode == "l":
					t.Errorf("%s (%s), told %s: %v", c.id, c.kind, mode, err)
					return
				}
				if res == nil {
					silent.Add(1)
					continue
				}
				values, none := c.report(t, res, func(s string) uint64 { return maphash.String(seed, s) })
				if none {
					silent.Add(1)
					if mode != "l" {
						t.Errorf("%s (%s), told %s: no report: %q %q", c.id, c.kind, mode, res.Output, res.Log)
					}
				}
				kinds[c.kind[0]].Add(1)
				mine = append(mine, values...)
			}
			mu.Lock()
			defer mu.Unlock()
			drawn = append(drawn, mine...)
		})
	}
	group.Wait()
	slices.Sort(drawn)
	values := len(drawn)
	if n := values - len(slices.Compact(drawn)); n > 0 {
		t.Errorf("%d random values came twice", n)
	}
	t.Logf("%d invocations of %d functions in %v (WAT %d, Go %d, JavaScript %d), %d ended by a trap, an exit, an exception or the deadline, %d of them before their report; %d random values, all different",
		total, len(all), time.Since(began).Round(time.Second), kinds['w'].Load(), kinds['g'].Load(), kinds['j'].Load(), endings.Load(), silent.Load(), values)
}
