package quickjs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"flagbase.dev/internal/sandbox"
)

// CompileOptions is what Compile may be told. The zero value is fine.
type CompileOptions struct {
	// MemoryPages limits the evaluation's memory, in pages of 64 KiB. Defaults to
	// 2048 (128 MiB).
	MemoryPages uint32
	// SourceMap is the source map (revision 3, JSON) of the script, when a bundler
	// made it. Errors then name the files and lines it was made from.
	SourceMap []byte
	// Log gets what the script prints while it is loaded. Nil throws it away.
	Log io.Writer
}

// Program is a script that compiled and was evaluated once. It is safe for any
// number of goroutines.
type Program struct {
	engine   *prepared
	name     string
	maps     *positions
	handlers int

	// snapshot is QuickJS with the prelude and the script evaluated, ready to be
	// called: every invocation starts from it. What follows are addresses in it, and
	// the memory limit it has.
	snapshot *sandbox.Snapshot
	main     prelude
	places   places
	random   uint32 // state of Math.random
	pages    uint32
}

// ErrNoHandler says that a script gives nothing to call.
var ErrNoHandler = errors.New("the script has no handler: export default { fetch(request, env, ctx) {} }, or export a function handle(event, context)")

// errLoading is a script whose evaluation cannot end.
var errLoading = errors.New("the script waits at its top level for a promise that nothing will settle")

// Compile compiles an ES module and evaluates it once, without access to the host,
// within ctx's deadline. name is the file errors speak of. A script that does not
// parse, or throws while it is loaded, gives an *Error; one that runs out of time or
// memory gives the sandbox's errors; a binary without QuickJS ErrNotEmbedded.
func (e *Engine) Compile(ctx context.Context, name string, source []byte, opts *CompileOptions) (*Program, error) {
	if opts == nil {
		opts = &CompileOptions{}
	}
	engine, err := e.prepare(ctx)
	if err != nil {
		return nil, err
	}
	p := &Program{engine: engine, name: name, maps: &positions{script: name, raw: opts.SourceMap}}
	s := &session{loading: true, log: opts.Log, maps: p.maps, name: name}
	pages := pagesOrDefault(opts.MemoryPages)
	inst, err := engine.module.Acquire(ctx, &sandbox.InstanceOptions{Host: s, MemoryPages: pages})
	if err != nil {
		return nil, err
	}
	defer inst.Release()
	v := &vm{inst: inst}
	if err := engine.boot(v, s, pages); err != nil {
		return nil, err
	}
	bytecode, ok := v.compile(name, validUTF8(source), evalModule, 0)
	if !ok && v.err == nil {
		s.throw(v, v.exception(), false)
		return nil, s.result(v, pages)
	}
	p.handlers = s.load(ctx, v, bytecode)
	if err := s.result(v, pages); err != nil {
		return nil, err
	}
	if p.handlers == 0 {
		return nil, ErrNoHandler
	}
	v.reserve()
	v.freeBuffer(v.call("wasm_malloc", headroom))
	p.random = engine.randomState(v)
	v.call("qjs_run_gc") // what evaluation left behind would be in every instance
	v.gather()
	// QuickJS collects when its heap passes a threshold, which it raises only afterwards:
	// every invocation would begin with a collection.
	v.call("qjs_set_gc_threshold", min(uint64(inst.PeakMemory())+gcHeadroom, uint64(pages)*pageSize/2))
	if v.err != nil {
		return nil, v.err
	}
	p.main, p.places, p.pages = s.main, v.places, pages
	if p.snapshot, err = inst.Snapshot(&sandbox.SnapshotOptions{Renews: true}); err != nil {
		return nil, fmt.Errorf("keep the evaluated script: %w", err)
	}
	return p, nil
}

// headroom is what the heap of every instance has left before it grows, which costs more
// than what most invocations do.
const headroom = 128 << 10

// gcHeadroom is how much a script may allocate before QuickJS first looks for cycles.
// What no cycle holds is freed at once anyway.
const gcHeadroom = 4 << 20

// HasFetch says whether the script handles HTTP requests itself.
func (p *Program) HasFetch() bool { return p.handlers&1 != 0 }

// HasHandle says whether the script handles events.
func (p *Program) HasHandle() bool { return p.handlers&2 != 0 }

func pagesOrDefault(pages uint32) uint32 {
	if pages == 0 {
		return defaultMemoryPages
	}
	return pages
}

// load evaluates the script and lets the prelude find its handlers. What fails is
// in v.err or s.failure.
func (s *session) load(ctx context.Context, v *vm, bytecode []byte) (handlers int) {
	promise := v.evaluate(bytecode)
	if v.isException(promise) {
		s.throw(v, v.exception(), false)
		return 0
	}
	v.call("qjs_promise_mark_as_handled", uint64(promise))
	state := uint32(promisePends)
	err := s.wait(ctx, v, func() bool {
		state = v.call("qjs_promise_state", uint64(promise))
		return state != promisePends
	})
	switch {
	case errors.Is(err, errPending):
		v.err = errLoading
	case v.err == nil:
		v.err = err
	}
	if v.err != nil || s.failure != nil {
		return 0
	}
	result := value(v.call("qjs_promise_result", uint64(promise)))
	if state != promiseKept {
		s.throw(v, result, false)
		return 0
	}
	found := v.invoke(s.main.load, result)
	if v.isException(found) {
		s.throw(v, v.exception(), false)
		return 0
	}
	handlers = int(v.number(found))
	v.free(found)
	v.free(result)
	v.free(promise)
	return handlers
}

// result is the error the session ended with, if any.
func (s *session) result(v *vm, pages uint32) error {
	switch {
	case v.err != nil:
		var trap *sandbox.TrapError
		if errors.As(v.err, &trap) {
			return fmt.Errorf("run %s: %w", s.name, v.err)
		}
		return v.err
	case s.failure != nil:
		return scriptError(s.failure, s.maps, v.inst, pages)
	}
	return nil
}
