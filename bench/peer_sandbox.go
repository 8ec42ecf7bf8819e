package main

import (
	"context"
	"time"

	"flagbase.dev/internal/quickjs"
	"flagbase.dev/internal/sandbox"
)

// sandboxScript is an instance of quickjs.wasm on flagbase's own sandbox.
type sandboxScript struct{ *sandbox.Instance }

func (i sandboxScript) call(name string, args []uint64) (uint64, error) {
	results, err := i.Call(name, args...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return results[0], nil
}

func (i sandboxScript) memory() []byte {
	size := i.PeakMemory()
	view, _ := i.Read(0, size)
	return view
}

// bareName is what keptQuickJS gives.
const bareName = "flagbase's sandbox, one bare QuickJS never reset"

// keptQuickJS runs a script on one instance of flagbase's sandbox, which is never
// reset, with as little around it as the peers have.
func (b *bench) keptQuickJS(q *quickJS, code, event string, answer *answerOf) (*subject, error) {
	r, err := sandbox.NewRuntime(b.ctx, nil)
	if err != nil {
		return nil, err
	}
	env := sandbox.HostModule{Name: "env"}
	for name, f := range hostFunctions {
		fn := sandbox.HostFunc{Name: name, Call: func(_ context.Context, _ *sandbox.Instance, stack []uint64) { f.call(stack) }}
		for range f.params {
			fn.Params = append(fn.Params, sandbox.I32)
		}
		for range f.results {
			fn.Results = append(fn.Results, sandbox.I32)
		}
		env.Funcs = append(env.Funcs, fn)
	}
	if err := r.Register(b.ctx, env); err != nil {
		return nil, err
	}
	module, err := r.Prepare(b.ctx, q.wasm)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(b.ctx, 24*time.Hour)
	inst, err := module.Acquire(ctx, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &scriptVM{on: sandboxScript{inst}}
	if err := s.load(q, code); err != nil {
		cancel()
		return nil, err
	}
	return &subject{Name: bareName, Isolates: no, run: func() error {
		out, err := s.handle(event)
		return answer.check(out, err)
	}, close: func() {
		inst.Release()
		cancel()
		_ = r.Close(b.ctx)
	}}, nil
}

// scriptEngine runs scripts in flagbase's sandbox, without the Store around it.
type scriptEngine struct {
	ctx     context.Context
	runtime *sandbox.Runtime
	engine  *quickjs.Engine
}

func (b *bench) scriptEngine(config *sandbox.Config) (*scriptEngine, error) {
	r, err := sandbox.NewRuntime(b.ctx, config)
	if err != nil {
		return nil, err
	}
	e, err := quickjs.New(b.ctx, r)
	if err != nil {
		return nil, err
	}
	return &scriptEngine{b.ctx, r, e}, nil
}

func (e *scriptEngine) close() { _ = e.runtime.Close(e.ctx) }

// handler compiles a script and gives what invokes it once.
func (e *scriptEngine) handler(source, event string, answer *answerOf) (func() error, error) {
	program, err := e.engine.Compile(e.ctx, "hello.js", []byte(source), nil)
	if err != nil {
		return nil, err
	}
	return e.caller(program.Run, event, answer), nil
}

// caller gives what makes one call under a deadline.
func (e *scriptEngine) caller(run func(ctx context.Context, call *quickjs.Call) (*quickjs.Result, error), event string, answer *answerOf) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(e.ctx, deadline)
		defer cancel()
		res, err := run(ctx, &quickjs.Call{Event: []byte(event), Context: quickjs.Context{
			FunctionID: "fn_0199f0000000700080000000000000aa", FunctionName: "hello", Version: 1,
			InvocationID: "inv_0199f0000000700080000000000000aa", TraceID: "0af7651916cd43dd8448eb211c80319c",
		}})
		if err != nil {
			return err
		}
		return answer.check(res.Output, nil)
	}
}

// flagbaseScript calls a script's handler in flagbase's sandbox, in an instance that
// is fresh each time.
func (b *bench) flagbaseScript(source, event string, answer *answerOf) (*subject, error) {
	e, err := b.scriptEngine(nil)
	if err != nil {
		return nil, err
	}
	run, err := e.handler(source, event, answer)
	if err != nil {
		return nil, err
	}
	return &subject{Name: flagbaseFreshName, Isolates: yes, run: run, close: e.close}, nil
}

// unresetScript is the same in one instance that is never reset: the least that an
// invocation can cost.
func (b *bench) unresetScript(source, event string, answer *answerOf) (*subject, error) {
	e, err := b.scriptEngine(nil)
	if err != nil {
		return nil, err
	}
	program, err := e.engine.Compile(b.ctx, "hello.js", []byte(source), nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(b.ctx, 24*time.Hour)
	run, release, err := program.Unreset(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	call := e.caller(func(_ context.Context, call *quickjs.Call) (*quickjs.Result, error) { return run(call) }, event, answer)
	return &subject{Name: "flagbase's sandbox, one instance never reset", Isolates: no, run: call, close: func() {
		release()
		cancel()
		e.close()
	}}, nil
}
