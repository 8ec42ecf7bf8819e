package quickjs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"flagbase.dev/internal/sandbox"
)

// Host answers the calls a script makes to flagbase's services. op is the name of a
// function of the "flagbase" host module (docs: host ABI), args are its arguments in
// that order: strings and data as bytes, numbers as decimal text. The result is what
// the two-step calls of the ABI give; of flag_eval it is "1" or "0", of a call that
// only succeeds nothing. An error becomes an Error in the script, with its message.
// Calls of one invocation come one at a time.
type Host interface {
	HostCall(ctx context.Context, op string, args [][]byte) ([]byte, error)
}

// Engine compiles and runs scripts. It is safe for any number of goroutines.
type Engine struct {
	runtime *sandbox.Runtime

	mu       sync.Mutex
	prepared *prepared
}

// prepared is what all scripts share.
type prepared struct {
	module  *sandbox.Module
	prelude []byte // bytecode
	random  uint32 // offset of Math.random's state in a context
}

// New registers the module "env" with rt and gives an Engine on it. QuickJS itself
// is compiled when the first script comes.
func New(ctx context.Context, rt *sandbox.Runtime) (*Engine, error) {
	if err := rt.Register(ctx, HostModule()); err != nil {
		return nil, err
	}
	return &Engine{runtime: rt}, nil
}

// Prepare compiles QuickJS and the prelude, which otherwise the first script waits
// for (about a second). The error is ErrNotEmbedded when the binary lacks QuickJS.
func (e *Engine) Prepare(ctx context.Context) error {
	_, err := e.prepare(ctx)
	return err
}

func (e *Engine) prepare(ctx context.Context) (*prepared, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.prepared != nil {
		return e.prepared, nil
	}
	wasm, err := engineWasm()
	if err != nil {
		return nil, err
	}
	module, err := e.runtime.Prepare(ctx, wasm)
	if err != nil {
		return nil, fmt.Errorf("prepare the JavaScript engine: %w", err)
	}
	p := &prepared{module: module}
	source, err := preludeSource()
	if err != nil {
		return nil, fmt.Errorf("prepare the JavaScript engine: %w", err)
	}
	inst, err := module.Acquire(ctx, &sandbox.InstanceOptions{Host: &session{loading: true}})
	if err != nil {
		return nil, fmt.Errorf("prepare the JavaScript engine: %w", err)
	}
	defer inst.Release()
	v := &vm{inst: inst}
	start(v, defaultMemoryPages)
	var ok bool
	if p.prelude, ok = v.compile(preludeName, source, 0, stripSource); !ok && v.err == nil {
		x := v.exception()
		v.err = fmt.Errorf("compile the prelude: %s", v.describe(x))
	}
	if v.err == nil {
		p.random, v.err = findRandomState(v)
	}
	if v.err != nil {
		return nil, fmt.Errorf("prepare the JavaScript engine: %w", v.err)
	}
	e.prepared = p
	return p, nil
}

const (
	defaultMemoryPages = 2048
	pageSize           = 64 << 10

	// stackBytes is how much of the guest's C stack, 1 MiB, scripts may use.
	stackBytes = 512 << 10

	// reserveBytes is what QuickJS leaves of the instance's memory: its C stack and
	// data, what the heap loses between its blocks, and room to describe that memory
	// is out.
	reserveBytes = 4 << 20
)

// start brings up QuickJS in a new instance.
func start(v *vm, pages uint32) {
	v.call("_initialize")
	if v.call("qjs_init") != 0 && v.err == nil {
		v.err = errors.New("QuickJS does not start")
	}
	limitMemory(v, pages)
	v.call("qjs_set_max_stack_size", stackBytes)
	v.call("qjs_set_promise_rejection_handler", 1)
	v.places.scratch = v.buffer(make([]byte, 16))
}

// limitMemory makes QuickJS notice that memory is out before the sandbox does.
func limitMemory(v *vm, pages uint32) {
	memory := uint64(pages) * pageSize
	v.call("qjs_set_memory_limit", max(memory-min(memory, reserveBytes), memory/2))
}

// boot starts QuickJS and evaluates the prelude.
func (p *prepared) boot(v *vm, s *session, pages uint32) error {
	start(v, pages)
	s.places = v.places
	factory := v.evaluate(p.prelude)
	if v.isException(factory) {
		return fmt.Errorf("evaluate the prelude: %s", v.describe(v.exception()))
	}
	args := make([]value, len(ways))
	for i, way := range ways {
		args[i] = v.newFunction(way)
	}
	main := v.invoke(factory, args...)
	if v.isException(main) {
		return fmt.Errorf("evaluate the prelude: %s", v.describe(v.exception()))
	}
	s.main = prelude{
		load:    v.property(main, "load"),
		invoke:  v.property(main, "invoke"),
		settle:  v.property(main, "settle"),
		awaited: v.property(main, "awaited"),
		tick:    v.property(main, "tick"),
		fail:    v.property(main, "fail"),
		mail:    v.addressOf(v.property(main, "mail")),
	}
	reseed(v, p.randomState(v))
	return v.err
}

// randomState is the address of Math.random's state.
func (p *prepared) randomState(v *vm) uint32 { return v.call("qjs_get_context_ptr") + p.random }

// findRandomState finds where in a JSContext QuickJS keeps the state of
// Math.random: the eight bytes that one call changes the way xorshift64* does.
func findRandomState(v *vm) (uint32, error) {
	const window = 4096
	ptr := v.call("qjs_get_context_ptr")
	read := func() []byte {
		b, ok := v.inst.Read(ptr, window)
		if !ok && v.err == nil {
			v.err = errGuestMemory
		}
		return bytes.Clone(b)
	}
	code, ok := v.compile("random", []byte("Math.random()"), 0, 0)
	if !ok {
		return 0, errors.Join(errors.New("find the state of Math.random: it does not compile"), v.err)
	}
	v.free(v.evaluate(code)) // the first call may fill caches
	before := read()
	v.free(v.evaluate(code))
	after := read()
	if v.err != nil {
		return 0, v.err
	}
	found := uint32(0)
	for at := uint32(0); at+8 <= window; at += 8 {
		x := binary.LittleEndian.Uint64(before[at:])
		x ^= x >> 12
		x ^= x << 25
		x ^= x >> 27
		if x == 0 || x != binary.LittleEndian.Uint64(after[at:]) {
			continue
		}
		if found != 0 {
			return 0, errors.New("the state of Math.random is ambiguous")
		}
		found = at
	}
	if found == 0 {
		return 0, errors.New("the state of Math.random is not where it is expected")
	}
	return found, nil
}
