package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

// cachedRuntime keeps its code in a directory, and counts what it compiles.
type cachedRuntime struct {
	*sandbox.Runtime
	compiled atomic.Int32
	log      bytes.Buffer // read it after close
	close    func()
}

func newCached(t require, config sandbox.Config) *cachedRuntime {
	c := &cachedRuntime{}
	compile := config.Compile
	if compile == nil {
		compile = sandbox.CompileTo
	}
	config.Compile = func(ctx context.Context, rewritten []byte, dir string) error {
		c.compiled.Add(1)
		return compile(ctx, rewritten, dir)
	}
	config.Log = slog.New(slog.NewTextHandler(&c.log, nil))
	var err error
	if c.Runtime, err = sandbox.NewRuntime(context.Background(), &config); err != nil {
		t.Fatalf("new runtime: %v", err)
	}
	c.close = sync.OnceFunc(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Fatalf("close: %v", err)
		}
	})
	t.Cleanup(c.close)
	return c
}

// require is a testing.T or a rapid.T.
type require interface {
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// call prepares wasm and gives what its export f returns.
func (c *cachedRuntime) call(t require, wasm []byte) uint64 {
	m, err := c.Prepare(context.Background(), wasm)
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
	inst, err := m.Acquire(context.Background(), nil)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	defer inst.Release()
	res, err := inst.Call("f")
	if err != nil || len(res) != 1 {
		t.Fatalf("call: %v, %v", res, err)
	}
	return res[0]
}

func constant(t testing.TB, n int) []byte {
	return testguest.WAT(t, fmt.Sprintf(`(module (func (export "f") (result i32) (i32.const %d)))`, n))
}

// entries are the files of the entries, in any order.
func entries(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "v1-*", "*"))
	must(t, err)
	return found
}

// leftovers is what is in the directory besides the key and the entries.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, f := range found {
		if f.Name() != "key" && !strings.HasPrefix(f.Name(), "v1-") {
			names = append(names, f.Name())
		}
	}
	return names
}

// What one runtime compiled, the next one loads, of every kind of module.
func TestCacheIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "cache")
	guest := testguest.Go(t, "internal/app/testdata/guest", false)
	modules := map[string][]byte{
		"code":    constant(t, 7),
		"nothing": testguest.WAT(t, `(module)`),
		"data":    testguest.WAT(t, `(module (memory (export "memory") 1) (data (i32.const 0) "hello") (func (export "f") (result i32) (i32.load8_u (i32.const 4))))`),
		"passive": testguest.WAT(t, `(module (memory 1) (data $d "hello") (func (export "f") (result i32) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 5)) (i32.load8_u (i32.const 1))))`),
		"table":   testguest.WAT(t, `(module (table 2 2 funcref) (elem (i32.const 0) $a $b) (type $t (func (result i32))) (func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 2)) (func (export "f") (result i32) (call_indirect (type $t) (i32.const 1))))`),
		"imports": testguest.WAT(t, `(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32))) (global $g (mut i32) (i32.const 5)) (start $s) (func $s (global.set $g (i32.const 6))) (func (export "f") (result i32) (i32.add (call $y) (global.get $g))))`),
	}
	want := map[string]uint64{"code": 7, "data": 'o', "passive": 'e', "table": 2, "imports": 6}
	for round := range 3 {
		rt := newCached(t, sandbox.Config{CacheDir: dir})
		for name, wasm := range modules {
			if name == "nothing" {
				_, err := rt.Prepare(t.Context(), wasm)
				must(t, err)
			} else if got := rt.call(t, wasm); got != want[name] {
				t.Errorf("round %d: %s gives %d, want %d", round, name, got, want[name])
			}
		}
		m, err := rt.Prepare(t.Context(), guest)
		must(t, err)
		var stdout bytes.Buffer
		inst := acquire(t, t.Context(), m, &sandbox.InstanceOptions{Stdin: strings.NewReader("echo"), Stdout: &stdout})
		_, err = inst.Call("_start")
		must(t, err)
		inst.Release()
		expect := len(modules) + 1
		if round > 0 {
			expect = 0
		}
		if n := rt.compiled.Load(); int(n) != expect || stdout.String() != "echo" {
			t.Errorf("round %d: compiled %d modules, want %d; the guest says %q", round, n, expect, &stdout)
		}
		rt.close()
		if left := leftovers(t, dir); len(left) > 0 || rt.log.Len() > 0 {
			t.Errorf("round %d: left %q, logged %s", round, left, &rt.log)
		}
	}
}

// Two modules that differ in the code of a function alone are never taken for each
// other, nor are two that are rewritten to the same bytes.
func TestCacheTellsModulesApart(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	for range 2 {
		rt := newCached(t, sandbox.Config{CacheDir: dir})
		var work sync.WaitGroup
		for n := range 20 {
			wasm := constant(t, n)
			same := append(bytes.Clone(wasm), 0, 3, 2, 'x', 'y') // a custom section
			for _, module := range [][]byte{wasm, same} {
				work.Go(func() {
					if got := rt.call(t, module); got != uint64(n) {
						t.Errorf("module %d gives %d", n, got)
					}
				})
			}
		}
		work.Wait()
		rt.close()
	}
}

// A trap in code from the cache names its functions.
func TestCachedTrap(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	wasm := testguest.WAT(t, `(module (func $inner (unreachable)) (func $outer (export "f") (call $inner)))`)
	for range 2 {
		rt := newCached(t, sandbox.Config{CacheDir: dir})
		m, err := rt.Prepare(t.Context(), wasm)
		must(t, err)
		inst := acquire(t, t.Context(), m, nil)
		_, err = inst.Call("f")
		inst.Release()
		var trap *sandbox.TrapError
		if !errors.As(err, &trap) || trap.Message != "unreachable" || !strings.Contains(trap.Stack, "inner") || !strings.Contains(trap.Stack, "outer") {
			t.Errorf("%+v", err)
		}
		rt.close()
	}
}

// Whatever happens to a file of the cache, the module is compiled again, and right.
func TestCacheTampered(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	wasm, other := constant(t, 41), constant(t, 42)
	first := newCached(t, sandbox.Config{CacheDir: dir})
	first.call(t, wasm)
	path := entries(t, dir)[0]
	first.call(t, other)
	first.close()
	good, err := os.ReadFile(path)
	must(t, err)
	var otherPath string
	for _, e := range entries(t, dir) {
		if e != path {
			otherPath = e
		}
	}
	check := func(t require, what string) {
		rt := newCached(t, sandbox.Config{CacheDir: dir})
		defer rt.close()
		if got, n := rt.call(t, wasm), rt.compiled.Load(); got != 41 || n != 1 {
			t.Fatalf("%s: it gives %d, and compiled %d times", what, got, n)
		}
		rt.close()
		if !strings.Contains(rt.log.String(), "damaged") {
			t.Fatalf("%s: nothing is logged: %s", what, &rt.log)
		}
		again := newCached(t, sandbox.Config{CacheDir: dir})
		if got, n := again.call(t, wasm), again.compiled.Load(); got != 41 || n != 0 {
			t.Fatalf("%s, mended: it gives %d, and compiled %d times", what, got, n)
		}
		again.close()
	}
	swapped, err := os.ReadFile(otherPath)
	must(t, err)
	for what, content := range map[string][]byte{
		"empty":           {},
		"another's":       swapped,
		"without trailer": good[:len(good)-120],
		"longer":          append(bytes.Clone(good), 0),
		"code twice":      append(bytes.Clone(good[:len(good)-120]), good...),
	} {
		must(t, os.WriteFile(path, content, 0o600))
		check(t, what)
	}
	must(t, os.Chmod(path, 0o644))
	check(t, "readable by others")
	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o700))
	check(t, "a directory")

	rapid.Check(t, func(t *rapid.T) {
		content := bytes.Clone(good)
		if rapid.Bool().Draw(t, "cut") {
			content = content[:rapid.IntRange(0, len(content)-1).Draw(t, "length")]
		} else {
			content[rapid.IntRange(0, len(content)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		check(t, "changed")
	})
}

// A directory or key that others have access to, or that is no directory, is not used,
// and the operator is told.
func TestCacheRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes there")
	}
	for name, spoil := range map[string]func(dir string) error{
		"directory of all":    func(dir string) error { return os.Chmod(dir, 0o755) },
		"key of all":          func(dir string) error { return os.Chmod(filepath.Join(dir, "key"), 0o644) },
		"short key":           func(dir string) error { return os.WriteFile(filepath.Join(dir, "key"), []byte("short"), 0o600) },
		"no directory":        func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
		"another's directory": func(dir string) error { return os.Chown(dir, 12345, 12345) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			first := newCached(t, sandbox.Config{CacheDir: dir})
			first.call(t, constant(t, 1))
			first.close()
			if err := spoil(dir); err != nil {
				t.Skip(err) // only root gives files away
			}
			for range 2 {
				rt := newCached(t, sandbox.Config{CacheDir: dir})
				if got, n := rt.call(t, constant(t, 1)), rt.compiled.Load(); got != 1 || n != 1 {
					t.Errorf("it gives %d, compiled %d times", got, n)
				}
				rt.close()
				if !strings.Contains(rt.log.String(), "level=WARN") {
					t.Errorf("logged: %s", &rt.log)
				}
			}
		})
	}
}

// Where nothing can be written, modules are compiled and run all the same.
func TestCacheCannotKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	first := newCached(t, sandbox.Config{CacheDir: dir})
	first.call(t, constant(t, 1))
	first.close()
	place := filepath.Dir(entries(t, dir)[0])
	must(t, os.RemoveAll(place))
	must(t, os.WriteFile(place, nil, 0o600)) // nobody, not even root, writes into a file
	for range 2 {
		rt := newCached(t, sandbox.Config{CacheDir: dir})
		if got, n := rt.call(t, constant(t, 1)), rt.compiled.Load(); got != 1 || n != 1 {
			t.Errorf("it gives %d, compiled %d times", got, n)
		}
		rt.close()
		if !strings.Contains(rt.log.String(), "not kept") {
			t.Errorf("logged: %s", &rt.log)
		}
	}
}

// What was not used for longest goes when there is too much.
func TestCacheIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	rt := newCached(t, sandbox.Config{CacheDir: dir})
	rt.call(t, constant(t, 0))
	rt.close()
	info, err := os.Stat(entries(t, dir)[0])
	must(t, err)
	long := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(entries(t, dir)[0], long, long))

	limit := 5*info.Size() + info.Size()/2
	for n := 1; n < 12; n++ {
		rt := newCached(t, sandbox.Config{CacheDir: dir, CacheBytes: limit})
		rt.call(t, constant(t, n))
		if got, n := rt.call(t, constant(t, 0)), rt.compiled.Load(); got != 0 || n != 1 {
			t.Errorf("the one that is always used: %d, compiled %d", got, n)
		}
		rt.close()
	}
	if found := entries(t, dir); len(found) != 5 {
		t.Errorf("%d entries, want 5", len(found))
	}
	rt = newCached(t, sandbox.Config{CacheDir: dir, CacheBytes: limit / 2})
	if found := entries(t, dir); len(found) != 2 {
		t.Errorf("%d entries after a start with a lower limit, want 2", len(found))
	}
	rt.close()
}

// A start removes what dead processes and other versions left, and nothing of those
// that live.
func TestCacheIsCleaned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	alive := newCached(t, sandbox.Config{CacheDir: dir})
	dead := filepath.Join(dir, "flagbase-run-DEAD")
	must(t, os.MkdirAll(filepath.Join(dead, "wazero", "x"), 0o700))
	must(t, os.WriteFile(dead+".lock", nil, 0o600))
	old := filepath.Join(dir, "v0-wazero-v0.9.0-amd64-linux")
	must(t, os.Mkdir(old, 0o700))
	must(t, os.WriteFile(filepath.Join(old, "entry"), []byte("x"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	next := newCached(t, sandbox.Config{CacheDir: dir})
	next.close()
	if got := alive.call(t, constant(t, 3)); got != 3 {
		t.Errorf("the living runtime gives %d", got)
	}
	for _, path := range []string{dead, dead + ".lock", old} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	alive.close()
	if left := leftovers(t, dir); len(left) != 1 || left[0] != "notes.txt" {
		t.Errorf("left: %q", left)
	}
}

// Any number of runtimes start and work in one directory at once.
func TestCacheIsShared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	var wasm [6][]byte
	for n := range wasm {
		wasm[n] = constant(t, n)
	}
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for n := range wasm {
				rt := newCached(t, sandbox.Config{CacheDir: dir})
				if got := rt.call(t, wasm[n]); got != uint64(n) {
					t.Errorf("module %d gives %d", n, got)
				}
				rt.close()
				if strings.Contains(rt.log.String(), "damaged") {
					t.Errorf("logged: %s", &rt.log)
				}
			}
		})
	}
	work.Wait()
	rt := newCached(t, sandbox.Config{CacheDir: dir})
	for n := range wasm {
		rt.call(t, wasm[n])
	}
	if n := rt.compiled.Load(); n != 0 || len(leftovers(t, dir)) != 2 {
		t.Errorf("compiled %d; there are %q", n, leftovers(t, dir))
	}
}

// Closing ends a compilation that is under way, once its own time is over.
func TestCloseEndsCompilation(t *testing.T) {
	began := make(chan struct{})
	rt := newCached(t, sandbox.Config{Compile: func(ctx context.Context, _ []byte, _ string) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}})
	failed := make(chan error)
	go func() {
		_, err := rt.Prepare(context.Background(), constant(t, 1))
		failed <- err
	}()
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, rt.Close(ctx))
	if err := <-failed; !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("prepare: %v", err)
	}
}

// A compiler that lies, fails or leaves nothing is an error and no more.
func TestBrokenCompiler(t *testing.T) {
	for name, c := range map[string]struct {
		compile func(ctx context.Context, rewritten []byte, dir string) error
		want    error
	}{
		"module": {func(context.Context, []byte, string) error {
			return fmt.Errorf("%w: too hard", sandbox.ErrInvalidModule)
		}, sandbox.ErrInvalidModule},
		"machine": {func(context.Context, []byte, string) error { return fmt.Errorf("%w: no disk", sandbox.ErrCompiler) }, sandbox.ErrCompiler},
		"nothing": {func(context.Context, []byte, string) error { return nil }, sandbox.ErrCompiler},
		"rubbish": {func(_ context.Context, _ []byte, dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "x"), 0o700), os.WriteFile(filepath.Join(dir, "x", strings.Repeat("ab", 32)), []byte("WAZEVO"), 0o600))
		}, sandbox.ErrCompiler},
		"link": {func(_ context.Context, _ []byte, dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "x"), 0o700), os.Symlink(os.DevNull, filepath.Join(dir, "x", strings.Repeat("ab", 32))))
		}, sandbox.ErrCompiler},
	} {
		t.Run(name, func(t *testing.T) {
			rt := newCached(t, sandbox.Config{Compile: c.compile, CacheDir: filepath.Join(t.TempDir(), "cache")})
			if m, err := rt.Prepare(t.Context(), constant(t, 1)); !errors.Is(err, c.want) || m != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// BenchmarkPrepareCached is what a process pays for the first use of a Go module that another
// has compiled: 2.6 MB, 10 MB of machine code.
func BenchmarkPrepareCached(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "cache")
	wasm := testguest.Go(b, "internal/app/testdata/guest", false)
	for first := true; b.Loop(); first = false {
		b.StopTimer()
		rt := newCached(b, sandbox.Config{CacheDir: dir})
		b.StartTimer()
		if _, err := rt.Prepare(b.Context(), wasm); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if n := rt.compiled.Load(); n != 0 && !first {
			b.Fatalf("compiled %d", n)
		}
		rt.close()
		b.StartTimer()
	}
}
