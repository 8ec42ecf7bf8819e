package wasmbin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"flagbase.dev/internal/wasmbin"
)

// sec is a section of that content.
func sec(id byte, content string) string {
	return string(binary.AppendUvarint([]byte{id}, uint64(len(content)))) + content
}

// program is a module with the given bodies, all () -> (), of which the first is exported as "run"; it has a memory of one page,
// a table of four elements that hold the first function, and an i32 parameterless type.
func program(bodies ...string) []byte {
	var functions, code strings.Builder
	for _, b := range bodies {
		functions.WriteByte(0)
		b = "\x01\x01\x7f" + b + "\x0b" // one i32 local
		code.Write(binary.AppendUvarint(nil, uint64(len(b))))
		code.WriteString(b)
	}
	n := string(rune(len(bodies)))
	return []byte("\x00asm\x01\x00\x00\x00" + sec(1, "\x01\x60\x00\x00") + sec(3, n+functions.String()) + sec(4, "\x01\x70\x00\x04") +
		sec(5, "\x01\x00\x01") + sec(7, "\x01\x03run\x00\x00") + sec(9, "\x01\x00\x41\x00\x0b\x01\x00") + sec(10, n+code.String()))
}

func rewritten(t testing.TB, b []byte, r *wasmbin.Rewrite) []byte {
	t.Helper()
	m, err := wasmbin.Scan(b, nil)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	out, err := m.Rewrite(r)
	if err != nil {
		t.Fatalf("rewrite: %v", err)
	}
	return out
}

// allocator is a host's memory: it refuses what is over its limit, counts pauses and stops the guest when told to.
type allocator struct {
	memory []byte
	pauses atomic.Int64
	stop   atomic.Bool
}

var errStopped = errors.New("stopped by the test")

func (a *allocator) Allocate(_, _ uint64) experimental.LinearMemory { return a }
func (a *allocator) Free()                                          {}
func (a *allocator) Reallocate(size uint64) []byte {
	if size == 1<<32 {
		a.pauses.Add(1)
		if a.stop.Load() {
			panic(errStopped)
		}
		return nil
	}
	if size > 1<<27 {
		return nil
	}
	a.memory = append(a.memory, make([]byte, size-uint64(len(a.memory)))...)
	return a.memory
}

func (a *allocator) context() context.Context {
	return experimental.WithMemoryAllocator(context.Background(), a)
}

func TestGuestsPauseAndCanBeStopped(t *testing.T) {
	cases := map[string][]byte{
		"endless loop":          program("\x03\x40\x0c\x00\x0b"),
		"nested loops":          program("\x03\x40\x03\x40\x03\x40\x0c\x00\x0b\x0c\x00\x0b\x0c\x00\x0b"),
		"br_table loop":         program("\x03\x40\x02\x40\x20\x00\x0e\x02\x00\x01\x01\x0b\x20\x00\x41\x01\x6a\x41\x03\x70\x21\x00\x0c\x00\x0b"),
		"loop with br_if":       program("\x03\x40\x41\x01\x0d\x00\x0b"),
		"mutual tail recursion": program("\x12\x01", "\x12\x00"),
		"indirect tail call":    program("\x41\x00\x13\x00\x00"),
		"loop around catch_all": program("\x03\x40\x02\x40\x1f\x40\x01\x02\x00\x10\x01\x0b\x0b\x0c\x00\x0b", "\x03\x40\x0c\x00\x0b"),
		"loop-free call chains": program(chain(60)...),
		"fib of 60":             fibonacci(60),
		"fills of memory":       program("\x03\x40" + strings.Repeat("\x41\x00\x41\x00\x41\x80\x80\x04\xfc\x0b\x00", 500) + "\x0c\x00\x0b"),
	}
	ctx := context.Background()
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))
			defer rt.Close(ctx)
			host := &allocator{}
			guest, err := rt.Instantiate(host.context(), rewritten(t, b, &wasmbin.Rewrite{Meter: true}))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			var args []uint64
			if strings.HasPrefix(name, "fib") {
				args = []uint64{60}
			}
			go func() {
				_, err := guest.ExportedFunction("run").Call(ctx, args...)
				done <- err
			}()
			select {
			case err := <-done:
				t.Fatalf("ended by itself: %v", err)
			case <-time.After(30 * time.Millisecond):
			}
			start := time.Now()
			host.stop.Store(true)
			select {
			case err := <-done:
				if !errors.Is(err, errStopped) {
					t.Errorf("stopped with %v", err)
				}
				if took := time.Since(start); took > 100*time.Millisecond {
					t.Errorf("stopped after %v", took)
				}
				if host.pauses.Load() < 2 {
					t.Error("the guest never paused before it was stopped")
				}
			case <-time.After(5 * time.Second):
				t.Fatal("did not stop")
			}
		})
	}
}

// chain is functions of which each calls the next twice.
func chain(n int) []string {
	bodies := make([]string, n)
	for i := range n - 1 {
		bodies[i] = strings.Repeat("\x10"+string(rune(i+1)), 2)
	}
	return bodies
}

// fibonacci exports "run", the plain recursion (i32) -> i32.
func fibonacci(int) []byte {
	body := "\x00\x20\x00\x41\x02\x48\x04\x7f\x20\x00\x05\x20\x00\x41\x01\x6b\x10\x00\x20\x00\x41\x02\x6b\x10\x00\x6a\x0b\x0b"
	return []byte("\x00asm\x01\x00\x00\x00" + sec(1, "\x01\x60\x01\x7f\x01\x7f") + sec(3, "\x01\x00") + sec(7, "\x01\x03run\x00\x00") +
		sec(10, "\x01"+string(rune(len(body)))+body))
}

func TestRewriteComputesTheSame(t *testing.T) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))
	defer rt.Close(ctx)
	host := &allocator{}
	guest, err := rt.Instantiate(host.context(), rewritten(t, fibonacci(0), &wasmbin.Rewrite{Meter: true, Quantum: 1000}))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := guest.ExportedFunction("run").Call(ctx, 20); err != nil || got[0] != 6765 {
		t.Errorf("fib(20) = %v, %v", got, err)
	}
	// 21,891 calls of 4 units each.
	if n := host.pauses.Load(); n < 80 || n > 96 {
		t.Errorf("paused %d times", n)
	}
}

// interpreter is a loop around a br_table of 64 ways, each 600 bytes of code, that goes round as often as given.
func interpreter(rounds int32) []byte {
	body := "\x41" + string(binary.AppendUvarint(nil, uint64(rounds))) + "\x21\x00\x03\x40\x02\x40" + strings.Repeat("\x02\x40", 64) +
		"\x20\x00\x41\x3f\x71\x0e\x3f"
	for i := range 64 {
		body += string(rune(i))
	}
	for i := range 64 {
		body += "\x0b" + strings.Repeat("\x41\x00\x1a", 200) + "\x0c" + string(rune(63-i))
	}
	return program(body + "\x0b\x20\x00\x41\x01\x6b\x22\x00\x0d\x00\x0b")
}

// In a large function work is counted by what runs: not less, and not much more.
func TestWorkOfAnInterpreterIsCounted(t *testing.T) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))
	defer rt.Close(ctx)
	host := &allocator{}
	const rounds, quantum = 1_000_000, 10_000
	guest, err := rt.Instantiate(host.context(), rewritten(t, interpreter(rounds), &wasmbin.Rewrite{Meter: true, Quantum: quantum}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guest.ExportedFunction("run").Call(ctx); err != nil {
		t.Fatal(err)
	}
	const ran = rounds * 600 / 16 // units, at least
	if counted := host.pauses.Load() * quantum; counted < ran || counted > 2*ran {
		t.Errorf("%d units were counted, at least %d ran", counted, ran)
	}
}

func TestStartBecomesAnExport(t *testing.T) {
	b := []byte("\x00asm\x01\x00\x00\x00" + sec(1, "\x01\x60\x00\x00") + sec(3, "\x01\x00") +
		sec(6, "\x01\x7f\x01\x41\x07\x0b") + sec(8, "\x00") + sec(10, "\x01\x06\x00\x41\x2a\x24\x00\x0b") + sec(0, "\x01xabc"))
	m, err := wasmbin.Scan(b, nil)
	if err != nil || !m.HasStart {
		t.Fatalf("scan: %+v, %v", m, err)
	}
	out := rewritten(t, b, &wasmbin.Rewrite{Meter: true, StartExport: "begin", ExportGlobals: "g"})
	if !bytes.HasSuffix(out, []byte(sec(0, "\x01xabc"))) {
		t.Error("the custom section at the end is gone")
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))
	defer rt.Close(ctx)
	guest, err := rt.Instantiate(ctx, out)
	if err != nil {
		t.Fatal(err)
	}
	if v := guest.ExportedGlobal("g0").Get(); v != 7 {
		t.Errorf("the start function ran before it was called: the global is %d", v)
	}
	if _, err := guest.ExportedFunction("begin").Call(ctx); err != nil {
		t.Fatal(err)
	}
	if v := guest.ExportedGlobal("g0").Get(); v != 42 {
		t.Errorf("the start function left %d", v)
	}
}

func TestRewriteRefusesTakenNames(t *testing.T) {
	b := bytes.Replace(program(""), []byte(sec(9, "\x01\x00\x41\x00\x0b\x01\x00")), []byte(sec(8, "\x00")), 1) // a start function instead of elements
	m, err := wasmbin.Scan(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *wasmbin.Error
	if _, err := m.Rewrite(&wasmbin.Rewrite{StartExport: "run"}); !errors.As(err, &refusal) || !strings.Contains(err.Error(), `exports "run"`) {
		t.Errorf("taking the name of an export gave %v", err)
	}
}

func TestMemoryAndTableGetAMaximum(t *testing.T) {
	out := rewritten(t, program(""), &wasmbin.Rewrite{MaxMemoryPages: 16})
	m, err := wasmbin.Scan(out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Memory.HasMax || m.Memory.Max != 16 {
		t.Errorf("memory: %+v", m.Memory)
	}
	if !m.Tables[0].HasMax || m.Tables[0].Max != 100_000 || m.Tables[0].Min != 4 {
		t.Errorf("table: %+v", m.Tables[0])
	}
	large := bytes.Replace(program(""), []byte(sec(5, "\x01\x00\x01")), []byte(sec(5, "\x01\x00\x20")), 1)
	if m, err = wasmbin.Scan(large, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Rewrite(&wasmbin.Rewrite{MaxMemoryPages: 16}); !errors.Is(err, wasmbin.ErrLimit) {
		t.Errorf("a memory that begins over the maximum gave %v", err)
	}
	if _, err := wasmbin.Scan(large, &wasmbin.Limits{MaxMemoryPages: 16}); !errors.Is(err, wasmbin.ErrLimit) {
		t.Errorf("scan of it gave %v", err)
	}
}

func TestScanDescribesTheModule(t *testing.T) {
	m, err := wasmbin.Scan(fibonacci(0), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := m.ExportedFunction("run")
	if f == nil || len(f.Params) != 1 || f.Params[0] != wasmbin.I32 || len(f.Results) != 1 || f.Results[0] != wasmbin.I32 {
		t.Errorf("run is %+v", f)
	}
	if m.ExportedFunction("walk") != nil || m.HasImport("env") || m.Memory != nil {
		t.Errorf("scan found what is not there: %+v", m)
	}
}
