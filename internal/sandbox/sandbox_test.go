package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRuntime(t testing.TB) *sandbox.Runtime {
	t.Helper()
	rt, err := sandbox.NewRuntime(context.Background(), nil)
	must(t, err)
	t.Cleanup(func() { must(t, rt.Close(context.Background())) })
	return rt
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func prepare(t testing.TB, wat string) *sandbox.Module {
	t.Helper()
	m, err := newRuntime(t).Prepare(context.Background(), testguest.WAT(t, wat))
	must(t, err)
	return m
}

func acquire(t testing.TB, ctx context.Context, m *sandbox.Module, opts *sandbox.InstanceOptions) *sandbox.Instance {
	t.Helper()
	inst, err := m.Acquire(ctx, opts)
	must(t, err)
	t.Cleanup(inst.Release)
	return inst
}

func TestEndings(t *testing.T) {
	m := prepare(t, `(module
		(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
		(memory (export "memory") 1)
		(func (export "zero") (call $exit (i32.const 0)))
		(func (export "seven") (call $exit (i32.const 7)))
		(func $inner (unreachable))
		(func (export "trap") (call $inner))
		(func (export "outside") (drop (i32.load (i32.const -4))))
		(func $deep (export "deep") (call $deep) (call $deep))
		(func (export "hoard") (loop $l (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) (br $l))))`)
	call := func(name string) error {
		inst := acquire(t, t.Context(), m, nil)
		_, err := inst.Call(name)
		return err
	}
	must(t, call("zero"))
	var exit *sandbox.ExitError
	if err := call("seven"); !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("exit 7: %v", err)
	}
	var trap *sandbox.TrapError
	if err := call("trap"); !errors.As(err, &trap) || trap.Message != "unreachable" || !strings.Contains(trap.Stack, "inner") {
		t.Errorf("trap: %#v", err)
	}
	if err := call("outside"); !errors.As(err, &trap) || trap.Message != "out of bounds memory access" {
		t.Errorf("outside: %v", err)
	}
	if err := call("deep"); !errors.As(err, &trap) || !strings.Contains(trap.Message, "stack overflow") {
		t.Errorf("deep: %v", err)
	}
	if err := call("hoard"); !errors.Is(err, sandbox.ErrOutOfMemory) {
		t.Errorf("hoard: %v", err)
	}
	if err := call("absent"); !errors.Is(err, sandbox.ErrInvalidModule) {
		t.Errorf("absent: %v", err)
	}
}

// Work that no loop head counts one by one still ends in time.
func TestInterrupt(t *testing.T) {
	straight := strings.Repeat("(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 7)) (i32.const 13)))\n", 60_000)
	divide := strings.Repeat("(local.set 0 (i64.div_u (i64.const 0x7fffffffffffff) (i64.or (local.get 0) (i64.const 3))))\n", 40_000)
	for name, wat := range map[string]string{
		"loop":     `(module (func (export "handle") (loop $l (br $l))))`,
		"mutual":   `(module (func $f (param i32) (if (local.get 0) (then (call $g (local.get 0)) (call $g (local.get 0))))) (func $g (param i32) (call $f (i32.sub (local.get 0) (i32.const 1)))) (func (export "handle") (call $f (i32.const 60))))`,
		"fib":      `(module (func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1)))))) (func (export "handle") (call $f (i32.const 60))))`,
		"indirect": `(module (type $v (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (export "handle") (return_call_indirect (type $v) (i32.const 0))))`,
		"start":    `(module (func $f (loop $l (br $l))) (start $f) (func (export "handle")))`,
		"straight": `(module (func $s (param i32) ` + straight + `) (func (export "handle") (loop $l (call $s (i32.const 1)) (br $l))))`,
		"divide":   `(module (func $s (param i64) ` + divide + `) (func (export "handle") (loop $l (call $s (i64.const 1)) (br $l))))`,
		"fill":     `(module (memory 512) (func (export "handle") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 33000000)) (br $l))))`,
		"copy":     `(module (memory 512) (func (export "handle") (loop $l (memory.copy (i32.const 0) (i32.const 16000000) (i32.const 16000000)) (br $l))))`,
		"misses": `(module (memory 2000) (func (export "handle") (local i32) (loop $l
			(local.set 0 (i32.rem_u (i32.add (i32.mul (local.get 0) (i32.const 1103515245)) (i32.const 12345)) (i32.const 131000000)))
			(i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1))) (br $l))))`,
		"random": `(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
			(memory (export "memory") 2000) (func (export "handle") (loop $l (drop (call $random (i32.const 0) (i32.const 131000000))) (br $l))))`,
		"grow": `(module (memory 1) (func (export "handle") (loop $l (drop (memory.grow (i32.const 1))) (br $l))))`,
	} {
		t.Run(name, func(t *testing.T) {
			m := prepare(t, wat)
			const timeout = 200 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			lag := testguest.MeasureLag()
			start := time.Now()
			inst, err := m.Acquire(ctx, nil)
			if err == nil {
				defer inst.Release()
				_, err = inst.Call("handle")
			}
			late, allowed := time.Since(start)-timeout, 100*time.Millisecond+lag()
			if !errors.Is(err, sandbox.ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ended with %v", err)
			}
			if late > allowed {
				t.Errorf("ended %v late, %v is allowed", late, allowed)
			}
		})
	}
}

// Closing never takes the memory and the code from under a guest that runs.
func TestCloseWaitsForGuests(t *testing.T) {
	loop := testguest.WAT(t, `(module (memory (export "memory") 1) (func (export "handle") (loop $l (i32.store (i32.const 0) (i32.const 1)) (br $l))))`)
	for name, c := range map[string]struct {
		timeout, patience time.Duration
		want              error
	}{
		"until their deadline":    {200 * time.Millisecond, time.Minute, context.DeadlineExceeded},
		"until patience runs out": {time.Minute, 200 * time.Millisecond, sandbox.ErrClosed},
		"without any patience":    {time.Minute, 0, sandbox.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			rt, err := sandbox.NewRuntime(t.Context(), nil)
			must(t, err)
			m, err := rt.Prepare(t.Context(), loop)
			must(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
			defer cancel()
			ended, running := make(chan error, 3), make(chan bool)
			for range cap(ended) {
				go func() {
					inst, err := m.Acquire(ctx, nil)
					running <- true
					if err == nil {
						_, err = inst.Call("handle")
						inst.Release()
					}
					ended <- err
				}()
				<-running
			}
			patient, stop := context.WithTimeout(t.Context(), c.patience)
			defer stop()
			start := time.Now()
			must(t, rt.Close(patient))
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v", took)
			}
			for range cap(ended) {
				if err := <-ended; !errors.Is(err, sandbox.ErrInterrupted) || !errors.Is(err, c.want) {
					t.Errorf("a guest ended with %v", err)
				}
			}
			if _, err := m.Acquire(t.Context(), nil); !errors.Is(err, sandbox.ErrClosed) {
				t.Errorf("acquire after the close: %v", err)
			}
			if _, err := rt.Prepare(t.Context(), append(loop, 0, 2, 1, 'x')); !errors.Is(err, sandbox.ErrClosed) {
				t.Errorf("prepare after the close: %v", err)
			}
			must(t, rt.Close(t.Context())) // again: nothing
		})
	}
}

// As many endless loops as there are cores, and then some, must let the collector
// and everything else go on.
func TestBusyGuestsDoNotStopTheWorld(t *testing.T) {
	m := prepare(t, `(module (func (export "handle") (loop $l (br $l))))`)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		group.Go(func() {
			inst, err := m.Acquire(ctx, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer inst.Release()
			if _, err := inst.Call("handle"); !errors.Is(err, sandbox.ErrInterrupted) {
				t.Error(err)
			}
		})
	}
	// Each round allocates enough for a collection and then waits for a timer.
	worst, collections := time.Duration(0), numGC()
	for range 20 {
		for range 64 {
			sink = make([]byte, 1<<20)
		}
		start := time.Now()
		time.Sleep(time.Millisecond)
		worst = max(worst, time.Since(start))
	}
	if n := numGC() - collections; n < 3 {
		t.Errorf("%d collections beside busy guests", n)
	}
	cancel()
	group.Wait()
	if worst > 200*time.Millisecond {
		t.Errorf("a timer of 1 ms beside busy guests took %v", worst)
	}
}

var sink []byte

func numGC() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

func TestModulesAreCompiledOnceAndShared(t *testing.T) {
	rt := newRuntime(t)
	wasm := testguest.WAT(t, `(module (func (export "handle")))`)
	modules := make(chan *sandbox.Module, 32)
	for range 32 {
		go func() {
			m, err := rt.Prepare(context.Background(), bytes.Clone(wasm))
			if err != nil {
				t.Error(err)
			}
			modules <- m
		}()
	}
	first := <-modules
	for range 31 {
		if m := <-modules; m != first {
			t.Fatal("the same bytes gave two modules")
		}
	}
}

// Modules that nobody holds are freed, and the ones that are held stay usable.
func TestManyModules(t *testing.T) {
	rt, err := sandbox.NewRuntime(t.Context(), &sandbox.Config{KeepModules: 4})
	must(t, err)
	t.Cleanup(func() { must(t, rt.Close(context.Background())) })
	var held []*sandbox.Module
	for i := range 200 {
		// A module of its own for each i, without 200 runs of the assembler.
		wasm := testguest.WAT(t, `(module (func (export "handle") (result i32 i32) (i32.const 1) (i32.const 2)))`)
		m, err := rt.Prepare(t.Context(), append(bytes.Clone(wasm), customSection(i)...))
		must(t, err)
		if i%20 == 0 {
			held = append(held, m)
			runtime.GC()
		}
	}
	for _, m := range held {
		inst := acquire(t, t.Context(), m, nil)
		if res, err := inst.Call("handle"); err != nil || len(res) != 2 {
			t.Errorf("a held module fails: %v", err)
		}
	}
}

func customSection(i int) []byte {
	name := fmt.Sprintf("n%06d", i)
	return append(append([]byte{0, byte(len(name) + 2), byte(len(name))}, name...), 0)
}

func TestRefusals(t *testing.T) {
	rt := newRuntime(t)
	for wat, part := range map[string]string{
		`(module (import "env" "host_call" (func (param i32 i32 i32 i32 i32) (result i32))))`: "env.host_call, which flagbase does not provide",
		`(module (func $f) (start $f) (global (export "flagbase:start") i32 (i32.const 0)))`:  "a name that flagbase uses itself",
		`(module (import "wasi_snapshot_preview1" "fd_write" (func)))`:                        "it is (i32 i32 i32 i32)->(i32)",
		`(module (import "env" "memory" (memory 1)))`:                                         "only functions can be imported",
	} {
		_, err := rt.Prepare(t.Context(), testguest.WAT(t, wat))
		if !errors.Is(err, sandbox.ErrInvalidModule) || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", wat, err)
		}
	}
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module (memory 3000))`))
	must(t, err)
	if _, err := m.Acquire(t.Context(), nil); !errors.Is(err, sandbox.ErrOutOfMemory) {
		t.Errorf("a module that starts beyond the limit: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Acquire(ended, nil); !errors.Is(err, sandbox.ErrInterrupted) && !errors.Is(err, sandbox.ErrOutOfMemory) {
		t.Errorf("acquired although the context had ended: %v", err)
	}
}

// All instances together stay under the runtime's limit; what one gives back another
// can have.
func TestTotalMemory(t *testing.T) {
	rt, err := sandbox.NewRuntime(t.Context(), &sandbox.Config{Memory: sandbox.NewLedger(10 << 16)})
	must(t, err)
	defer func() { must(t, rt.Close(context.Background())) }()
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module (memory (export "memory") 4)
		(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
		(func (export "need") (if (i32.eq (memory.grow (i32.const 3)) (i32.const -1)) (then unreachable))))`))
	must(t, err)
	first, err := m.Acquire(t.Context(), nil)
	must(t, err)
	second, err := m.Acquire(t.Context(), nil)
	must(t, err)
	if _, err := m.Acquire(t.Context(), nil); !errors.Is(err, sandbox.ErrExhausted) {
		t.Errorf("a third of 4 pages: %v", err)
	}
	if res, err := first.Call("grow", 2); err != nil || res[0] != 4 {
		t.Errorf("grow by the 2 that are left: %v, %v", res, err)
	}
	if _, err := second.Call("need"); !errors.Is(err, sandbox.ErrExhausted) {
		t.Errorf("grow by more: %v", err)
	}
	first.Release()
	second.Release()
	for range 3 { // nothing was lost
		inst, err := m.Acquire(t.Context(), nil)
		must(t, err)
		if res, err := inst.Call("grow", 6); err != nil || res[0] != 4 {
			t.Errorf("grow to all there is: %v, %v", res, err)
		}
		inst.Release()
	}
}

func TestTheRuntimeLimitsMemoryToo(t *testing.T) {
	rt, err := sandbox.NewRuntime(t.Context(), &sandbox.Config{MaxMemoryPages: 4})
	must(t, err)
	defer func() { must(t, rt.Close(context.Background())) }()
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module (memory (export "memory") 2)
		(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`))
	must(t, err)
	inst, err := m.Acquire(t.Context(), nil)
	must(t, err)
	defer inst.Release()
	for _, c := range []struct{ by, want uint32 }{{2, 2}, {1, 0xFFFFFFFF}, {0, 4}} {
		if res, err := inst.Call("grow", uint64(c.by)); err != nil || uint32(res[0]) != c.want {
			t.Errorf("memory.grow %d gave %v, %v, want %d", c.by, res, err, c.want)
		}
	}
	if _, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module (memory 5))`)); !errors.Is(err, sandbox.ErrInvalidModule) {
		t.Errorf("a module that starts with more: %v", err)
	}
}

func TestAWriterEndsTheGuest(t *testing.T) {
	m := prepare(t, `(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\05\00\00\00") (data (i32.const 16) "hello")
		(func (export "handle") (loop $l (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))))`)
	gone := errors.New("gone")
	inst := acquire(t, t.Context(), m, &sandbox.InstanceOptions{Stdout: writer(func(p []byte) (int, error) { return 0, gone })})
	if _, err := inst.Call("handle"); !errors.Is(err, gone) {
		t.Errorf("ended with %v", err)
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
