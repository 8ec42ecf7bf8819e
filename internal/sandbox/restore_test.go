package sandbox_test

import (
	"context"
	"errors"
	"flag"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

var restores = flag.Int("restores", 400, "rounds of TestRestore each way; 100000 is what the project claims")

// Whatever an instance did and however it ended, the next one made of it is, bit for
// bit, as the first was: memory, its size, globals, tables. So is one that starts from a
// snapshot.
func TestRestore(t *testing.T) {
	t.Run("scan", testRestore)
	t.Run("read", func(t *testing.T) {
		undo := sandbox.ReadingPagemap()
		if undo == nil {
			t.Log("this system has no pagemap: it is tested as portable")
			return
		}
		defer undo()
		testRestore(t)
	})
	t.Run("portable", func(t *testing.T) {
		sandbox.Portably(t)
		testRestore(t)
	})
}

func testRestore(t *testing.T) {
	var rounds, kept atomic.Int64
	for name, v := range vandals {
		// Large ones take long to compare.
		n := *restores / 5
		if v.large {
			n = *restores / 100
		}
		t.Run(name, func(t *testing.T) { v.test(t, n, &rounds, &kept) })
	}
	t.Logf("%d restores compared, %d of them of guests that are kept", rounds.Load(), kept.Load())
}

// test does so many rounds, with two goroutines on the same module, and two instances at once in
// each.
func (v vandal) test(t *testing.T, n int, rounds, kept *atomic.Int64) {
	rt := newRuntime(t)
	must(t, rt.Register(t.Context(), vandalHost))
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, v.wat))
	must(t, err)
	first := acquire(t, t.Context(), m, nil)
	starts := []start{{"fresh", m.Acquire, stateOf(t, first)}}
	if len(starts[0].want.memory) > 0 {
		call(t, first, "fill", 300, 1, 2000)
	}
	call(t, first, "grow", 1)
	call(t, first, "set", 1, 2, 3, 4)
	later := stateOf(t, first)
	switch snapshot, err := first.Snapshot(nil); {
	case v.restorable != (err == nil):
		t.Fatalf("a snapshot of it: %v", err)
	case err == nil:
		starts = append(starts, start{"snapshot", snapshot.Acquire, later})
	}
	first.Release()
	const goroutines = 2
	for range goroutines {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			checks, mine, unwound, idle := 0, 0, false, false
			// rapid's own number of checks is a flag of the whole binary, so a check does
			// several rounds, or none.
			rapid.Check(t, func(t *rapid.T) {
				checks++
				for unwound || mine*100 < n/goroutines*checks {
					unwound = true // and then comes again, to be shrunk
					held := v.begin(t, starts)
					v.begin(t, starts)()
					held()
					unwound, mine = false, mine+2
				}
				guests, _ := rt.Idle()
				idle = idle || guests > 0
			})
			rounds.Add(int64(mine))
			if idle {
				kept.Add(int64(mine))
			}
			if idle != v.restorable {
				t.Errorf("instances kept: %v", idle)
			}
		})
	}
}

// start is a way to get an instance, and the state it must have.
type start struct {
	name    string
	acquire func(context.Context, *sandbox.InstanceOptions) (*sandbox.Instance, error)
	want    state
}

// begin checks an instance and does something to it; the function it gives does the rest.
func (v vandal) begin(t *rapid.T, starts []start) (end func()) {
	s := starts[rapid.IntRange(0, len(starts)-1).Draw(t, "start")]
	ctx, cancel := context.WithCancel(context.Background())
	inst, err := s.acquire(ctx, &sandbox.InstanceOptions{Host: cancel})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inst.Release) // also when it fails: the runtime waits for all
	// Seldom, because looking is a use too: it grows memory as far as any vandal does.
	beyond := rapid.SampledFrom([]int{0, 0, 0, 2, 60}).Draw(t, "beyond")
	s.want.check(t, s.name, inst, beyond)
	v.vandalise(t, inst)
	return func() {
		defer cancel()
		defer inst.Release()
		v.vandalise(t, inst)
		v.finish(t, inst)
	}
}

// Kept instances are bounded: by memory, by time, and by what new instances need.
func TestIdleBounds(t *testing.T) {
	wasm := testguest.WAT(t, `(module (memory (export "memory") 40) (func (export "dirty") (memory.fill (i32.const 0) (i32.const 1) (i32.const 2000000))))`)
	runtimeWith := func(c *sandbox.Config) (*sandbox.Runtime, *sandbox.Module) {
		rt, err := sandbox.NewRuntime(t.Context(), c)
		must(t, err)
		t.Cleanup(func() { must(t, rt.Close(context.Background())) })
		m, err := rt.Prepare(t.Context(), wasm)
		must(t, err)
		return rt, m
	}
	use := func(m *sandbox.Module, n int) {
		t.Helper()
		all := make([]*sandbox.Instance, n)
		for i := range all {
			all[i] = acquire(t, t.Context(), m, nil)
			call(t, all[i], "dirty")
		}
		for _, inst := range all {
			inst.Release()
		}
	}

	rt, m := runtimeWith(&sandbox.Config{IdleBytes: 10 << 20})
	use(m, 20)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n, held := rt.Idle()
		if n > 0 && held <= 10<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("by memory: %d are kept, with %d bytes", n, held)
		}
	}

	rt, m = runtimeWith(&sandbox.Config{IdleBytes: -1})
	use(m, 3)
	if n, held := rt.Idle(); n != 0 || held != 0 {
		t.Errorf("none wanted: %d are kept, with %d bytes", n, held)
	}

	rt, m = runtimeWith(&sandbox.Config{IdleTime: 20 * time.Millisecond})
	use(m, 3)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if n, held := rt.Idle(); n == 0 && held == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("by time: they stay")
		}
	}

	ledger := sandbox.NewLedger(10 * 40 << 16)
	_, m = runtimeWith(&sandbox.Config{Memory: ledger})
	use(m, 10)
	if ledger.Used() == 0 {
		t.Error("what is kept is not counted")
	}
	other, err := m.Acquire(t.Context(), &sandbox.InstanceOptions{MemoryPages: 4000}) // no kept one allows as much
	must(t, err)
	other.Release()
}

// A runtime that is closed holds nothing any more, also what is given back late.
func TestCloseFreesKept(t *testing.T) {
	ledger := sandbox.NewLedger(1 << 30)
	rt, err := sandbox.NewRuntime(t.Context(), &sandbox.Config{Memory: ledger})
	must(t, err)
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module (memory 2))`))
	must(t, err)
	kept, late := acquire(t, t.Context(), m, nil), acquire(t, t.Context(), m, nil)
	kept.Release()
	closed := make(chan error)
	go func() { closed <- rt.Close(context.Background()) }()
	runtime.Gosched()
	late.Release()
	must(t, <-closed)
	if n := ledger.Used(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
	if _, err := m.Acquire(t.Context(), nil); !errors.Is(err, sandbox.ErrClosed) {
		t.Error(err)
	}
}

// Reactors of Go start from a snapshot, but with random numbers of their own; guests
// that drew from randomness and are not Go's are not snapshot.
func TestSnapshotRandom(t *testing.T) {
	rt := newRuntime(t)
	m, err := rt.Prepare(t.Context(), testguest.Go(t, "internal/sandbox/testdata/random", true))
	must(t, err)
	first := acquire(t, t.Context(), m, nil)
	call(t, first, "_initialize")
	snapshot, err := first.Snapshot(nil)
	must(t, err)
	if n := snapshot.GoRandoms(); n < 2 { // the runtime's and the first thread's
		t.Errorf("%d generators found", n)
	}
	seen := map[uint64]string{}
	for range 200 {
		inst, err := snapshot.Acquire(t.Context(), nil)
		must(t, err)
		for _, source := range []string{"rand_v2", "rand_v1", "crypto", "map_order"} {
			got := call(t, inst, source)[0]
			if by, twice := seen[got]; twice && source != "map_order" {
				t.Fatalf("%s gives %x, as %s did in another instance", source, got, by)
			}
			seen[got] = source
		}
		inst.Release()
	}

	m = prepare(t, `(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
		(memory (export "memory") 1) (func (export "_initialize") (drop (call $random (i32.const 0) (i32.const 8)))))`)
	inst := acquire(t, t.Context(), m, nil)
	call(t, inst, "_initialize")
	if _, err := inst.Snapshot(nil); !errors.Is(err, sandbox.ErrNoSnapshot) {
		t.Errorf("drew random bytes: %v", err)
	}
}

// Compute time counts the guest's own code and not its host calls, and is limited.
func TestCompute(t *testing.T) {
	m := prepare(t, `(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1)
		(data (i32.const 24) "\80\f0\fa\02\00\00\00\00") ;; 50 ms
		(func (export "sleep") (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))))
		(func (export "spin") (loop $l (br $l))))`)
	inst := acquire(t, t.Context(), m, &sandbox.InstanceOptions{Compute: 30 * time.Millisecond})
	start := time.Now()
	call(t, inst, "sleep")
	if slept := time.Since(start); slept < 50*time.Millisecond || inst.Compute() > slept/2 {
		t.Errorf("slept %s, of which %s computing", slept, inst.Compute())
	}
	if _, err := inst.Call("spin"); !errors.Is(err, sandbox.ErrComputeExceeded) {
		t.Error(err)
	}
	if c := inst.Compute(); c < 30*time.Millisecond {
		t.Errorf("stopped after computing %s", c)
	}
}
