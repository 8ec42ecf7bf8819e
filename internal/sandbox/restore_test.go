package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

var restores = flag.Int("restores", 400, "rounds of TestRestore; 100000 is what the project claims")

// vandalWAT does to memory and globals whatever it is told, and ends however it is
// told. Its data is scattered, one memory has none, one more than is mapped.
func vandalWAT(pages, data string) string {
	return `(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
	(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
	(memory (export "memory") ` + pages + `)
	(global $a (mut i32) (i32.const 7)) (global $b (mut i64) (i64.const -9)) (global $c (mut f64) (f64.const 0.5)) (global $d (mut f32) (f32.const 1.5))
	` + data + `
	(func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
	(func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
	(func (export "random") (param i32 i32) (drop (call $random (local.get 0) (local.get 1))))
	(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
	(func (export "size") (result i32) (memory.size))
	(func (export "set") (param i32 i64 f64 f32) (global.set $a (local.get 0)) (global.set $b (local.get 1)) (global.set $c (local.get 2)) (global.set $d (local.get 3)))
	(func (export "globals") (result i32 i64 f64 f32) (global.get $a) (global.get $b) (global.get $c) (global.get $d))
	(func (export "trap") (unreachable))
	(func (export "exit") (param i32) (call $exit (local.get 0)))
	(func (export "spin") (loop $l (i32.store8 (global.get $a) (i32.const 1)) (br $l)))
	(func $deep (export "deep") (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))))))`
}

var vandals = map[string]string{
	"small":  vandalWAT("2 60", `(data (i32.const 100) "data") (data (i32.const 65000) "end") (data (i32.const 70000) "next")`),
	"blank":  vandalWAT("1 60", ``),
	"none":   vandalWAT("0 9", ``),
	"far":    vandalWAT("200 260", `(data (i32.const 8) "far") (data (i32.const 6000000) "x") (data (i32.const 13000000) "y")`),
	"copied": vandalWAT("200 260", `(data (i32.const 8) "many")`+manyData(40)),
}

func manyData(n int) string {
	var b bytes.Buffer
	for i := range n {
		b.WriteString(`(data (i32.const ` + itoa(300_000*(i+1)) + `) "piece")`)
	}
	return b.String()
}

func itoa(n int) string {
	var digits []byte
	for ; n > 0; n /= 10 {
		digits = append(digits, byte('0'+n%10))
	}
	slices.Reverse(digits)
	return string(digits)
}

// vandalise does things at random with an instance.
func vandalise(t *rapid.T, inst *sandbox.Instance, cancel func()) {
	size := func() uint64 { return call(t, inst, "size")[0] * 65536 }
	for range rapid.IntRange(0, 8).Draw(t, "steps") {
		all := size()
		at := rapid.Uint64Range(0, max(all, 1)-1).Draw(t, "at")
		n := min(rapid.SampledFrom([]uint64{0, 1, 5, 4096, 70_000, 5_000_000}).Draw(t, "n"), all-min(at, all))
		switch rapid.IntRange(0, 5).Draw(t, "step") {
		case 0:
			call(t, inst, "fill", at, rapid.Uint64Range(0, 255).Draw(t, "byte"), n)
		case 1:
			call(t, inst, "copy", at, rapid.Uint64Range(0, max(all, n)-n).Draw(t, "from"), n)
		case 2:
			call(t, inst, "grow", rapid.Uint64Range(0, 20).Draw(t, "pages"))
		case 3:
			call(t, inst, "set", uint64(rapid.Uint32().Draw(t, "a")), rapid.Uint64().Draw(t, "b"), rapid.Uint64().Draw(t, "c"), uint64(rapid.Uint32().Draw(t, "d")))
		case 4:
			call(t, inst, "random", at, n)
		case 5:
			call(t, inst, "deep", rapid.SampledFrom([]uint64{1, 1000, 100_000}).Draw(t, "deep"))
		}
	}
	switch rapid.IntRange(0, 6).Draw(t, "end") {
	case 0:
		if _, err := inst.Call("trap"); err == nil {
			t.Fatal("no trap")
		}
	case 1:
		_, _ = inst.Call("exit", rapid.Uint64Range(0, 1).Draw(t, "code"))
	case 2:
		if size() > 0 {
			call(t, inst, "set", 5, 0, 0, 0)
			timer := time.AfterFunc(100*time.Microsecond, cancel)
			defer timer.Stop()
			if _, err := inst.Call("spin"); !errors.Is(err, sandbox.ErrInterrupted) {
				t.Fatal(err)
			}
		}
	}
}

type state struct {
	memory  []byte
	globals []uint64
}

func stateOf(t rapid.TB, inst *sandbox.Instance) state {
	return state{memoryOf(t, inst), slices.Clone(call(t, inst, "globals"))}
}

func (s state) check(t rapid.TB, what string, inst *sandbox.Instance) {
	t.Helper()
	now, ok := inst.Read(0, uint32(call(t, inst, "size")[0]*65536))
	if !ok || !bytes.Equal(now, s.memory) {
		t.Fatalf("%s: memory differs: %d bytes at first, now %d", what, len(s.memory), len(now))
	}
	if got := call(t, inst, "globals"); !slices.Equal(got, s.globals) {
		t.Fatalf("%s: globals are %x, were %x", what, got, s.globals)
	}
	// What lies beyond the end is zero.
	if got := uint32(call(t, inst, "grow", 2)[0]); got != 0xFFFFFFFF {
		more, _ := inst.Read(uint32(len(s.memory)), 2*65536)
		if !bytes.Equal(more, make([]byte, 2*65536)) {
			t.Fatalf("%s: new memory is not zero", what)
		}
	}
}

// Whatever an instance did and however it ended, the next one made of it is, bit for
// bit, as the first was: memory, its size, globals. So is one that starts from a
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
	for name, wat := range vandals {
		t.Run(name, func(t *testing.T) {
			rt := newRuntime(t)
			m, err := rt.Prepare(t.Context(), testguest.WAT(t, wat))
			must(t, err)
			first := acquire(t, t.Context(), m, nil)
			fresh := stateOf(t, first)
			if len(fresh.memory) > 0 {
				call(t, first, "fill", 300, 1, 2000)
			}
			call(t, first, "grow", 1)
			call(t, first, "set", 1, 2, 3, 4)
			later := stateOf(t, first)
			snapshot, err := first.Snapshot(nil)
			must(t, err)
			acquirers := [2]struct {
				name    string
				acquire func(context.Context, *sandbox.InstanceOptions) (*sandbox.Instance, error)
				want    state
			}{{"fresh", m.Acquire, fresh}, {"snapshot", snapshot.Acquire, later}}
			rounds := *restores
			if len(fresh.memory) > 1<<20 {
				rounds = rounds/20 + 1 // large ones take long to compare
			}
			// rapid's own number of checks is a flag of the whole binary, so each check
			// does several rounds.
			kept := false
			rapid.Check(t, func(t *rapid.T) {
				for range rounds/100 + 1 {
					a := acquirers[rapid.IntRange(0, 1).Draw(t, "from a snapshot")]
					ctx, cancel := context.WithCancel(context.Background())
					inst, err := a.acquire(ctx, nil)
					if err != nil {
						t.Fatal(err)
					}
					func() {
						defer cancel()
						defer inst.Release()
						a.want.check(t, a.name, inst)
						vandalise(t, inst, cancel)
					}()
					n, _ := rt.Idle()
					kept = kept || n > 0
				}
			})
			if !kept {
				t.Error("no instance was kept: nothing was tested")
			}
		})
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
	if n, held := rt.Idle(); n == 0 || held > 10<<20 {
		t.Errorf("by memory: %d are kept, with %d bytes", n, held)
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
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, vandals["small"]))
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
