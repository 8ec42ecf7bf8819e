package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dop251/goja"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
	_ "modernc.org/sqlite"

	"flagbase.dev/function"
	"flagbase.dev/storage"
)

const (
	deadline   = 5 * time.Second
	wantHello  = "hello from Go\n"
	helloJS    = `export function handle(event) { return {hello: event.name, length: event.name.length} }`
	helloGoja  = `function handle(event) { return JSON.stringify({hello: event.name, length: event.name.length}) }`
	helloEvent = `{"name":"world"}`
	wantJS     = `{"hello":"world","length":5}`
)

func want(got []byte, want string, err error) error {
	if err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("gave %q, want %q", got, want)
	}
	return nil
}

// buildHello builds the Go WASI command that prints a line.
func buildHello(root string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "hello.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, ".")
	cmd.Dir = filepath.Join(root, "function", "testdata", "hello")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build hello: %w\n%s", err, b)
	}
	return os.ReadFile(out)
}

// flagbaseEngine invokes a module through Engine.InvokeWASI.
func flagbaseEngine(ctx context.Context, wasm []byte) (*subject, error) {
	e, err := function.NewEngine(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &subject{Name: "flagbase Engine.InvokeWASI", Isolates: true, run: func() error {
		out, err := e.InvokeWASI(ctx, wasm, deadline, nil, nil)
		return want(out, wantHello, err)
	}, close: func() { e.Close(ctx) }}, nil
}

// flagbaseStore invokes a stored function, with its history.
func flagbaseStore(ctx context.Context, name string, deploy func(s *function.Store) error, event, answer string) (*subject, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "bench.db"))
	if err != nil {
		return nil, err
	}
	e, err := function.NewEngine(ctx, nil)
	if err != nil {
		return nil, err
	}
	s, err := function.NewStore(db, storage.NewMemory(), e, nil)
	if err != nil {
		return nil, err
	}
	if err := deploy(s); err != nil {
		return nil, err
	}
	return &subject{Name: name, Isolates: true, run: func() error {
		out, err := s.InvokeWithEvent(ctx, "hello", deadline, []byte(event))
		return want(out, answer, err)
	}, close: func() {
		_ = s.Close(ctx)
		e.Close(ctx)
		_ = db.Close()
		_ = os.RemoveAll(dir)
	}}, nil
}

// stockWazero is wazero as its documentation shows it: compiled once, instantiated per
// call, with its own deadline or without any.
func stockWazero(ctx context.Context, wasm []byte, withDeadline bool) (*subject, error) {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(withDeadline))
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		return nil, err
	}
	name := "stock wazero, no deadline"
	if withDeadline {
		name = "stock wazero, deadline on"
	}
	return &subject{Name: name, Isolates: true, run: func() error {
		ctx := ctx
		if withDeadline {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, deadline)
			defer cancel()
		}
		var out bytes.Buffer
		m, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithArgs("hello").
			WithStdin(bytes.NewReader(nil)).WithStdout(&out).WithStderr(&bytes.Buffer{}).
			WithSysWalltime().WithSysNanotime().WithSysNanosleep().WithRandSource(rand.Reader))
		var exit *sys.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 0 {
			err = nil
		}
		if m != nil {
			defer func() { _ = m.Close(ctx) }()
		}
		return want(out.Bytes(), wantHello, err)
	}, close: func() { _ = r.Close(ctx) }}, nil
}

// gojaFresh compiles once and gives each call a runtime of its own.
func gojaFresh() *subject {
	program := goja.MustCompile("hello.js", helloGoja, true)
	return &subject{Name: "goja, a new runtime per call", Isolates: true, run: func() error {
		vm := goja.New()
		if _, err := vm.RunProgram(program); err != nil {
			return err
		}
		return callGoja(vm)
	}}
}

// gojaReused keeps one runtime; what a call leaves behind, the next sees.
func gojaReused() *subject {
	vm := goja.New()
	if _, err := vm.RunString(helloGoja); err != nil {
		panic(err)
	}
	return &subject{Name: "goja, one runtime for all calls", run: func() error { return callGoja(vm) }}
}

func callGoja(vm *goja.Runtime) error {
	parse, _ := goja.AssertFunction(vm.Get("JSON").ToObject(vm).Get("parse"))
	event, err := parse(goja.Undefined(), vm.ToValue(helloEvent))
	if err != nil {
		return err
	}
	handle, _ := goja.AssertFunction(vm.Get("handle"))
	out, err := handle(goja.Undefined(), event)
	if err != nil {
		return err
	}
	return want([]byte(out.String()), wantJS, nil)
}
