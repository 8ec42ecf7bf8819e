package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/internal/wasmbin"
	"flagbase.dev/internal/wasmbin/hostile"
)

// RunTestWorker makes the test binary what a test's compiler asks for.
func RunTestWorker() bool {
	if len(os.Args) < 2 {
		return false
	}
	switch os.Args[1] {
	case "compile-worker":
		os.Exit(CompileWorker(os.Stdin, os.Stderr, os.Args[2:]))
	case "crash-worker":
		panic("internal compiler error: block 17")
	case "sleep-worker":
		fmt.Println(os.Getpid())
		time.Sleep(time.Minute)
	case "report-worker":
		dir, _ := os.Getwd()
		fmt.Fprintf(os.Stderr, "%d %s %s\n%s", len(os.Environ()), dir, os.Args[2], strings.Repeat("x", 1<<20))
		os.Exit(exitModule)
	case "killed-worker":
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		time.Sleep(time.Minute)
	case "nice-worker":
		_ = limitProcess(4<<30, 60)
		stat, _ := os.ReadFile("/proc/self/stat")
		_, fields, _ := strings.Cut(string(stat), ") ")
		fmt.Fprintln(os.Stderr, strings.Fields(fields)[16])
		os.Exit(exitModule)
	case "half-worker":
		_, _ = bufio.NewReaderSize(os.Stdin, 16).ReadByte()
		os.Exit(exitMachine)
	default:
		return false
	}
	return true
}

func worker(name string) *compiler { return &compiler{worker: []string{name}, limits: limitsOf} }

// rewrite does what the sandbox does to a module before it is compiled.
func rewrite(t testing.TB, wasm []byte) []byte {
	t.Helper()
	info, err := wasmbin.Scan(wasm, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := info.Rewrite(&wasmbin.Rewrite{Meter: true, StartExport: "flagbase:start", ExportGlobals: "flagbase:global:"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWorkerCompiles(t *testing.T) {
	dir := t.TempDir()
	if err := worker("compile-worker").compile(t.Context(), rewrite(t, testguest.Go(t, "internal/app/testdata/guest", false)), dir); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
}

// The worker has no environment, works in its directory, and cannot flood its parent.
func TestWorkerIsAlone(t *testing.T) {
	t.Setenv("FLAGBASE_ADMIN_KEY", "0123456789abcdef")
	dir := t.TempDir()
	err := worker("report-worker").compile(t.Context(), []byte("module"), dir)
	if real, e := filepath.EvalSymlinks(dir); e == nil && err != nil && !strings.Contains(err.Error(), "0 "+real+" "+dir) {
		t.Errorf("the worker says: %.200s", err)
	}
	if !errors.Is(err, sandbox.ErrInvalidModule) || len(err.Error()) > 5<<10 {
		t.Errorf("%.100s (%d bytes)", err, len(err.Error()))
	}
}

// What a worker fails with says whose fault it is.
func TestWorkerFails(t *testing.T) {
	large := bytes.Repeat([]byte("module"), 1<<20)
	for name, c := range map[string]struct {
		compiler *compiler
		want     error
		text     string
	}{
		"crash":         {worker("crash-worker"), sandbox.ErrInvalidModule, "block 17"},
		"killed":        {worker("killed-worker"), sandbox.ErrCompiler, "killed"},
		"no program":    {&compiler{worker: []string{"x"}, limits: limitsOf, program: "/nonexistent/flagbase"}, sandbox.ErrCompiler, "/nonexistent/flagbase"},
		"reads no more": {worker("half-worker"), sandbox.ErrCompiler, ""},
		"no module":     {worker("compile-worker"), sandbox.ErrInvalidModule, ""},
		"no time": {&compiler{worker: []string{"sleep-worker"}, limits: func(int) compileLimits {
			return compileLimits{memory: 4 << 30, cpu: time.Minute, wall: 100 * time.Millisecond}
		}}, sandbox.ErrInvalidModule, "took more than 100ms"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.compiler.compile(t.Context(), large, t.TempDir()); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A directory that cannot be written to is the machine's fault.
func TestWorkerWithoutDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	module := rewrite(t, testguest.WAT(t, `(module (func (export "f")))`))
	if err := sandbox.CompileTo(t.Context(), module, filepath.Join(file, "dir")); !errors.Is(err, sandbox.ErrCompiler) {
		t.Errorf("%v", err)
	}
}

// Cancelling ends the worker, at once.
func TestWorkerIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	if err := worker("sleep-worker").compile(ctx, []byte("module"), t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The limits of a worker hold, and what goes beyond them is refused in a sentence.
func TestWorkerIsLimited(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are limits of a process on Linux only")
	}
	module := rewrite(t, testguest.Go(t, "internal/app/testdata/guest", false))
	module = slow(module)
	for name, c := range map[string]struct {
		limits compileLimits
		text   string
	}{
		"CPU":    {compileLimits{memory: 4 << 30, cpu: time.Second, wall: time.Minute}, "more than 1s of CPU time"},
		"memory": {compileLimits{memory: 1 << 30, cpu: time.Minute, wall: time.Minute}, "more than 1024 MiB of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			limited := &compiler{worker: []string{"compile-worker"}, limits: func(int) compileLimits { return c.limits }}
			if err := limited.compile(t.Context(), module, t.TempDir()); !errors.Is(err, sandbox.ErrInvalidModule) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A stack that cannot grow any more ends a worker with a fault and not with a word about memory.
func TestWorkerWithoutStack(t *testing.T) {
	crash := exec.Command("go", "tool", "no-such-tool") // ends with exit status 2, as a crash does
	err := crash.Run()
	err = compileLimits{memory: 1 << 30}.explain(t.Context(), crash.ProcessState, "SIGSEGV: segmentation violation\nPC=0x474c61 m=0 sigcode=2\n", err)
	if !errors.Is(err, sandbox.ErrInvalidModule) || !strings.Contains(err.Error(), "more than 1024 MiB of memory") {
		t.Errorf("%v", err)
	}
}

// slow gives a module of the hostile kind that takes the compiler long and much memory.
func slow(fallback []byte) []byte {
	for _, c := range hostile.Modules() {
		if strings.Contains(c.Name, "br_table") {
			return c.Bytes
		}
	}
	return fallback
}

// TestHostileModulesInWorker gives the worker what the scan refuses: it ends, in time, and this
// process is as it was.
func TestHostileModulesInWorker(t *testing.T) {
	for _, c := range append(hostile.Modules(), hostile.Case{Name: "table", Bytes: hostile.TableGrow()}) {
		limited := &compiler{worker: []string{"compile-worker"}, limits: func(int) compileLimits {
			return compileLimits{memory: 3 << 30, cpu: time.Second, wall: time.Minute}
		}}
		start := time.Now()
		err := limited.compile(t.Context(), c.Bytes, t.TempDir())
		t.Logf("%-40s %8s %.100v", c.Name, time.Since(start).Round(time.Millisecond), err)
		if err != nil && !errors.Is(err, sandbox.ErrInvalidModule) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// A worker leaves room to those who run.
func TestWorkerIsNice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("priorities are set on Linux only")
	}
	if err := worker("nice-worker").compile(t.Context(), []byte("module"), t.TempDir()); err == nil || !strings.HasSuffix(err.Error(), ": 5") {
		t.Errorf("%v", err)
	}
}

// A worker ends when whoever asked is gone, before or while it compiles.
func TestWorkerEndsWithItsParent(t *testing.T) {
	module := slow(nil)
	for name, sent := range map[string][]byte{
		"at once":         nil,
		"half a module":   append(binary.LittleEndian.AppendUint64(nil, uint64(len(module))), module[:100]...),
		"while compiling": append(binary.LittleEndian.AppendUint64(nil, uint64(len(module))), module...),
	} {
		t.Run(name, func(t *testing.T) {
			program, err := self()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), program, "compile-worker", t.TempDir(), strconv.Itoa(4<<30), "3600")
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := stdin.Write(sent); err != nil {
				t.Fatal(err)
			}
			_ = stdin.Close()
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitMachine {
				t.Errorf("%v", err)
			}
		})
	}
}
