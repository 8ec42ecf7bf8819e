package sandbox_test

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

var canaries = flag.Int("canaries", 1000, "instances of TestCanary each way")

// What every instance spreads over its memory, stacks and globals, and no new one has: the letter
// U+01E9 a hundred times.
var (
	canaryEvent = "r" + strings.Repeat("\u01e9", 100)
	canaryMark  = []byte("\u01e9\u01e9\u01e9\u01e9")
)

// No byte of what an instance had is in the memory of any later one, neither of Go programs nor of
// others, with many at once, whose idle ones are evicted all the time.
func TestCanary(t *testing.T) {
	t.Run("mapped", testCanary)
	t.Run("portable", func(t *testing.T) {
		sandbox.Portably(t)
		testCanary(t)
	})
}

func testCanary(t *testing.T) {
	rt, err := sandbox.NewRuntime(t.Context(), &sandbox.Config{IdleBytes: 24 << 20})
	must(t, err)
	t.Cleanup(func() { must(t, rt.Close(context.Background())) })
	type guest struct {
		acquire func(context.Context, *sandbox.InstanceOptions) (*sandbox.Instance, error)
		entry   string
	}
	var guests []guest
	add := func(wasm []byte, entry string, initialised bool) {
		m, err := rt.Prepare(t.Context(), wasm)
		must(t, err)
		acquire := m.Acquire
		if initialised {
			inst, err := m.Acquire(t.Context(), nil)
			must(t, err)
			defer inst.Release()
			call(t, inst, "_initialize")
			snapshot, err := inst.Snapshot(nil)
			must(t, err)
			acquire = snapshot.Acquire
		}
		guests = append(guests, guest{acquire, entry})
	}
	add(testguest.Go(t, "function/testdata/canary", false), "_start", false)
	add(testguest.Go(t, "function/testdata/canary", true), "handle", true)
	for _, pages := range []string{"1 20", "7 30"} {
		wasm := testguest.WAT(t, `(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
			(memory (export "memory") `+pages+`) (data (i32.const 0) "\40\00\00\00\c8\00\00\00") (data (i32.const 50000) "own")
			(func $start (export "_initialize") (i32.store (i32.const 40000) (i32.const 9)))
			(func (export "handle") (local $at i32)
				(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (drop (memory.grow (i32.const 3)))
				(local.set $at (i32.const 4096))
				(loop $l (memory.copy (local.get $at) (i32.const 64) (i32.const 200))
					(br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1000))) (i32.shl (i32.sub (memory.size) (i32.const 1)) (i32.const 16)))))
				(if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 116)) (then unreachable))))`)
		add(wasm, "handle", false)
		add(wasm, "handle", true)
	}
	total := *canaries
	if testing.Short() {
		total /= 5
	}
	var next, scanned, reported atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) + 1 {
		group.Go(func() {
			for next.Add(1) <= int64(total) && !t.Failed() {
				g := guests[rand.IntN(len(guests))]
				event := canaryEvent
				if rand.IntN(10) == 0 {
					event = "t" + canaryEvent[1:]
				}
				var out bytes.Buffer
				inst, err := g.acquire(context.Background(), &sandbox.InstanceOptions{Stdin: strings.NewReader(event), Stdout: &out})
				if err != nil {
					t.Error(err)
					return
				}
				all, _ := inst.Read(0, inst.PeakMemory())
				if at := bytes.Index(all, canaryMark); at >= 0 {
					t.Errorf("a new instance has what another left at %d of %d", at, len(all))
				}
				scanned.Add(int64(len(all)))
				_, err = inst.Call(g.entry)
				if (err != nil) != (event[0] == 't') {
					t.Error(err)
				}
				// Afterwards it is there: what is looked for would be found.
				if after, _ := inst.Read(0, inst.PeakMemory()); !bytes.Contains(after, canaryMark) {
					t.Error("an instance did not spread its event")
				}
				if report := out.String(); report != "" {
					if reported.Add(1); !strings.HasPrefix(report, "0 ") {
						t.Errorf("a guest found what another left: %q", report)
					}
				}
				inst.Release()
			}
		})
	}
	group.Wait()
	idle, held := rt.Idle()
	t.Logf("%d instances, %d MiB of their memory looked through, %d also by themselves; %d idle at the end, with %d KiB", total, scanned.Load()>>20, reported.Load(), idle, held>>10)
}
