package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v37"
)

const wasmtimeName = "wasmtime-go, epoch deadline"

// epoch is how exact wasmtime's deadlines are.
const epoch = 10 * time.Millisecond

// wasmtimeEngine is an engine whose epoch a goroutine counts up.
func wasmtimeEngine() (engine *wasmtime.Engine, stop func()) {
	config := wasmtime.NewConfig()
	config.SetEpochInterruption(true)
	engine = wasmtime.NewEngineWithConfig(config)
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(epoch)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				engine.IncrementEpoch()
			case <-quit:
				return
			}
		}
	}()
	return engine, func() { close(quit); <-gone }
}

// wasmtimeStore is what one call gets: a store with a deadline, and WASI whose output
// goes to a file, because wasmtime's C API has no other way.
func wasmtimeStore(engine *wasmtime.Engine, output string) (*wasmtime.Store, error) {
	store := wasmtime.NewStore(engine)
	store.SetEpochDeadline(uint64(deadline / epoch))
	wasi := wasmtime.NewWasiConfig()
	wasi.SetArgv([]string{"guest"})
	if output != "" {
		if err := wasi.SetStdoutFile(output); err != nil {
			return nil, err
		}
	}
	store.SetWasi(wasi)
	return store, nil
}

// wasmtimeModule runs a module as stockWazero does: compiled once, an instance per call.
func (b *bench) wasmtimeModule(wasm []byte, answer *answerOf) (*subject, error) {
	engine, stop := wasmtimeEngine()
	module, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		return nil, err
	}
	linker := wasmtime.NewLinker(engine)
	if err := linker.DefineWasi(); err != nil {
		return nil, err
	}
	output := filepath.Join(b.dir, "wasmtime.out")
	call := func() ([]byte, error) {
		store, err := wasmtimeStore(engine, output)
		if err != nil {
			return nil, err
		}
		defer store.Close()
		instance, err := linker.Instantiate(store, module)
		if err != nil {
			return nil, err
		}
		if start := instance.GetFunc(store, "_start"); start != nil {
			_, err := start.Call(store)
			if exit := (*wasmtime.Error)(nil); errors.As(err, &exit) {
				if code, ok := exit.ExitStatus(); ok && code == 0 {
					err = nil
				}
			}
			if err != nil {
				return nil, err
			}
			return os.ReadFile(output)
		}
		if initialize := instance.GetFunc(store, "_initialize"); initialize != nil {
			if _, err := initialize.Call(store); err != nil {
				return nil, err
			}
		}
		results, err := instance.GetFunc(store, "handle").Call(store)
		if err != nil {
			return nil, err
		}
		pair, ok := results.([]wasmtime.Val)
		if !ok {
			return os.ReadFile(output)
		}
		ptr, size := uint32(pair[0].I32()), uint32(pair[1].I32())
		memory := instance.GetExport(store, "memory").Memory().UnsafeData(store)
		return append([]byte(nil), memory[ptr:ptr+size]...), nil
	}
	return &subject{Name: wasmtimeName, Isolates: yes, run: func() error {
		out, err := call()
		return answer.check(out, err)
	}, close: stop}, nil
}

// wasmtimeScript is an instance of quickjs.wasm on wasmtime.
type wasmtimeScript struct {
	store     wasmtime.Storelike
	instance  *wasmtime.Instance
	functions map[string]*wasmtime.Func
	data      *wasmtime.Memory
}

func (w *wasmtimeScript) call(name string, args []uint64) (uint64, error) {
	fn := w.functions[name]
	if fn == nil {
		if fn = w.instance.GetFunc(w.store, name); fn == nil {
			return 0, fmt.Errorf("quickjs.wasm has no export %s", name)
		}
		w.functions[name] = fn
	}
	params := make([]any, len(args))
	for i, a := range args {
		params[i] = int(a)
	}
	result, err := fn.Call(w.store, params...)
	if n, ok := result.(int32); ok {
		return uint64(uint32(n)), err
	}
	return 0, err
}

func (w *wasmtimeScript) memory() []byte {
	if w.data == nil {
		w.data = w.instance.GetExport(w.store, "memory").Memory()
	}
	return w.data.UnsafeData(w.store)
}

// wasmtimeQuickJS calls a script, as bytecode, in an instance per call: brought up from
// nothing each time, or made from a module whose memory holds the evaluated script.
func (b *bench) wasmtimeQuickJS(q *quickJS, code string, snapshot bool, event string, answer *answerOf) (*subject, error) {
	engine, stop := wasmtimeEngine()
	linker := wasmtime.NewLinker(engine)
	if err := linker.DefineWasi(); err != nil {
		return nil, err
	}
	for name, f := range hostFunctions {
		i32 := func(n int) (list []*wasmtime.ValType) {
			for range n {
				list = append(list, wasmtime.NewValType(wasmtime.KindI32))
			}
			return list
		}
		err := linker.FuncNew("env", name, wasmtime.NewFuncType(i32(f.params), i32(f.results)), func(_ *wasmtime.Caller, args []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
			stack := make([]uint64, max(1, len(args)))
			f.call(stack)
			return []wasmtime.Val{wasmtime.ValI32(int32(stack[0]))}[:f.results], nil
		})
		if err != nil {
			return nil, err
		}
	}
	wasm, name := q.wasm, wasmtimeName+", instance initialised per call"
	var ready scriptVM
	if snapshot {
		name = wasmtimeName + ", instance per call from a snapshot"
		s, w, done, err := b.stockScript(q.wasm, false)
		if err != nil {
			return nil, err
		}
		defer done()
		if err := s.load(q, code); err != nil {
			return nil, err
		}
		if wasm, err = withMemory(q.wasm, w.memory()); err != nil {
			return nil, err
		}
		ready = scriptVM{scratch: s.scratch, invoke: s.invoke}
	}
	module, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		return nil, err
	}
	return &subject{Name: name, Isolates: yes, run: func() error {
		store, err := wasmtimeStore(engine, "")
		if err != nil {
			return err
		}
		defer store.Close()
		instance, err := linker.Instantiate(store, module)
		if err != nil {
			return err
		}
		s := ready
		s.on = &wasmtimeScript{store: store, instance: instance, functions: make(map[string]*wasmtime.Func)}
		if !snapshot {
			if err := s.load(q, code); err != nil {
				return err
			}
		}
		out, err := s.handle(event)
		return answer.check(out, err)
	}, close: stop}, nil
}
