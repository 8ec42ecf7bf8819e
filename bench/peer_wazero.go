package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

const (
	stockNoDeadline = "stock wazero, no deadline"
	stockDeadline   = "stock wazero, WithCloseOnContextDone"
)

func stockName(withDeadline bool) string {
	if withDeadline {
		return stockDeadline
	}
	return stockNoDeadline
}

// stockContext is what bounds a call into stock wazero.
func stockContext(ctx context.Context, withDeadline bool) (context.Context, context.CancelFunc) {
	if withDeadline {
		return context.WithTimeout(ctx, deadline)
	}
	return ctx, func() {}
}

// stockWazero is wazero as its documentation shows it: compiled once, instantiated per
// call. A command runs main, a reactor _initialize and handle, any other module handle.
func (b *bench) stockWazero(wasm []byte, withDeadline bool, answer *answerOf) (*subject, error) {
	r := wazero.NewRuntimeWithConfig(b.ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(withDeadline))
	wasi_snapshot_preview1.MustInstantiate(b.ctx, r)
	compiled, err := r.CompileModule(b.ctx, wasm)
	if err != nil {
		return nil, err
	}
	start := []string{"_start"}
	_, handles := compiled.ExportedFunctions()["handle"]
	if handles {
		start = []string{"_initialize"}
	}
	return &subject{Name: stockName(withDeadline), Isolates: yes, run: func() error {
		ctx, cancel := stockContext(b.ctx, withDeadline)
		defer cancel()
		var out bytes.Buffer
		m, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithArgs("guest").WithStartFunctions(start...).
			WithStdin(bytes.NewReader(nil)).WithStdout(&out).WithStderr(&bytes.Buffer{}).
			WithSysWalltime().WithSysNanotime().WithSysNanosleep().WithRandSource(rand.Reader))
		if exit := (*sys.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 0 {
			err = nil
		}
		if m != nil {
			defer func() { _ = m.Close(ctx) }()
		}
		if err == nil && handles {
			var results []uint64
			if results, err = m.ExportedFunction("handle").Call(ctx); err == nil && len(results) == 2 {
				view, ok := m.Memory().Read(uint32(results[0]), uint32(results[1]))
				if !ok {
					err = errors.New("the answer is outside its memory")
				}
				out.Write(view)
			}
		}
		return answer.check(out.Bytes(), err)
	}, close: func() { _ = r.Close(b.ctx) }}, nil
}

// wazeroScript is an instance of quickjs.wasm on stock wazero.
type wazeroScript struct {
	ctx       context.Context
	module    api.Module
	functions map[string]api.Function
}

func (w *wazeroScript) call(name string, args []uint64) (uint64, error) {
	fn := w.functions[name]
	if fn == nil {
		if fn = w.module.ExportedFunction(name); fn == nil {
			return 0, fmt.Errorf("quickjs.wasm has no export %s", name)
		}
		w.functions[name] = fn
	}
	results, err := fn.Call(w.ctx, args...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return results[0], nil
}

func (w *wazeroScript) memory() []byte {
	mem := w.module.Memory()
	view, _ := mem.Read(0, mem.Size())
	return view
}

// stockScript is a new instance of quickjs.wasm on stock wazero, before _initialize.
func (b *bench) stockScript(wasm []byte, withDeadline bool) (*scriptVM, *wazeroScript, func(), error) {
	r := wazero.NewRuntimeWithConfig(b.ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(withDeadline))
	wasi_snapshot_preview1.MustInstantiate(b.ctx, r)
	s := &scriptVM{}
	env := r.NewHostModuleBuilder("env")
	i32 := func(n int) []api.ValueType { return slices.Repeat([]api.ValueType{api.ValueTypeI32}, n) }
	for name, f := range hostFunctions {
		env.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			f.call(stack)
		}), i32(f.params), i32(f.results)).Export(name)
	}
	if _, err := env.Instantiate(b.ctx); err != nil {
		return nil, nil, nil, err
	}
	module, err := r.InstantiateWithConfig(b.ctx, wasm, wazero.NewModuleConfig().WithStartFunctions().
		WithSysWalltime().WithSysNanotime().WithRandSource(rand.Reader))
	if err != nil {
		return nil, nil, nil, err
	}
	w := &wazeroScript{ctx: b.ctx, module: module, functions: map[string]api.Function{}}
	s.on = w
	return s, w, func() { _ = r.Close(b.ctx) }, nil
}

// stockQuickJS runs a script, as bytecode, on one instance of quickjs.wasm on stock wazero.
func (b *bench) stockQuickJS(q *quickJS, code string, withDeadline bool, event string, answer *answerOf) (*subject, error) {
	s, w, done, err := b.stockScript(q.wasm, withDeadline)
	if err != nil {
		return nil, err
	}
	if err := s.load(q, code); err != nil {
		return nil, err
	}
	return &subject{Name: stockName(withDeadline), Isolates: no, run: func() error {
		ctx, cancel := stockContext(b.ctx, withDeadline)
		defer cancel()
		w.ctx = ctx
		out, err := s.handle(event)
		return answer.check(out, err)
	}, close: done}, nil
}
