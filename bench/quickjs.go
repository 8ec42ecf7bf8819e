package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// This file drives quickjs.wasm, the JavaScript engine that flagbase embeds, on any
// runtime: so that peers run scripts on the same engine, with as little as possible
// around it. Unlike flagbase they give scripts neither Web APIs nor a host.

// quickJS is the engine, and what can compile scripts for it.
type quickJS struct {
	wasm     []byte
	adapter  string // bytecode of adapter
	compiler *scriptVM
}

// adapter makes of a script's namespace what takes an event and gives the answer,
// both JSON.
const adapter = `(namespace) => (event) => JSON.stringify(namespace.handle(JSON.parse(event)))`

func (b *bench) quickJS() (*quickJS, error) {
	if b.js != nil {
		return b.js, nil
	}
	wasm, err := os.ReadFile(filepath.Join(b.root, "internal", "quickjs", "dist", "quickjs.wasm"))
	if err != nil {
		return nil, fmt.Errorf("%w: run `make build` first", err)
	}
	q := &quickJS{wasm: wasm}
	if q.compiler, _, _, err = b.stockScript(wasm, false); err != nil {
		return nil, err
	}
	q.compiler.start()
	if q.adapter, err = q.compiler.compile("adapter.js", adapter, 0); err != nil {
		return nil, err
	}
	b.js = q
	return q, nil
}

// compile turns a script, which is an ES module, into bytecode.
func (q *quickJS) compile(source string) (string, error) {
	return q.compiler.compile("guest.js", source, evalModule)
}

// scriptRuntime is an instance of quickjs.wasm on some runtime.
type scriptRuntime interface {
	call(name string, args []uint64) (uint64, error)
	memory() []byte // valid until the next call
}

// scriptVM is a script in an instance. The first failure sticks.
type scriptVM struct {
	on      scriptRuntime
	err     error
	scratch uint32
	invoke  uint32 // the function that adapter gave
}

func (s *scriptVM) call(name string, args ...uint64) uint32 {
	if s.err != nil {
		return 0
	}
	result, err := s.on.call(name, args)
	if err != nil {
		s.err = fmt.Errorf("%s: %w", name, err)
	}
	return uint32(result)
}

func (s *scriptVM) buffer(text string) uint32 {
	ptr := s.call("wasm_malloc", uint64(len(text))+1)
	if s.err == nil {
		m := s.on.memory()
		copy(m[ptr:], text)
		m[int(ptr)+len(text)] = 0
	}
	return ptr
}

func (s *scriptVM) free(x uint32) { s.call("qjs_free_value", uint64(x)) }

func (s *scriptVM) newString(text string) uint32 {
	ptr := s.buffer(text)
	x := s.call("qjs_new_string", uint64(ptr), uint64(len(text)))
	s.call("wasm_free", uint64(ptr))
	return x
}

func (s *scriptVM) apply(fn uint32, args ...uint32) uint32 {
	argv := make([]byte, 4*len(args))
	for i, a := range args {
		binary.LittleEndian.PutUint32(argv[4*i:], a)
	}
	ptr := s.buffer(string(argv))
	this := s.call("qjs_get_undefined")
	x := s.call("qjs_call", uint64(fn), uint64(this), uint64(len(args)), uint64(ptr))
	s.free(this)
	s.call("wasm_free", uint64(ptr))
	s.catch(x)
	return x
}

// catch turns an exception into the error.
func (s *scriptVM) catch(x uint32) {
	if s.call("qjs_is_exception", uint64(x)) != 0 && s.err == nil {
		message := s.property(s.call("qjs_get_exception"), "message")
		s.err = errors.New(s.text(message))
	}
}

func (s *scriptVM) property(object uint32, name string) uint32 {
	ptr := s.buffer(name)
	x := s.call("qjs_get_prop_string", uint64(object), uint64(ptr))
	s.call("wasm_free", uint64(ptr))
	return x
}

func (s *scriptVM) text(x uint32) string {
	if s.call("qjs_is_string", uint64(x)) == 0 || s.err != nil {
		return ""
	}
	ptr := s.call("qjs_get_string_len", uint64(x), uint64(s.scratch))
	if s.err != nil {
		return ""
	}
	m := s.on.memory()
	out := string(m[ptr : ptr+binary.LittleEndian.Uint32(m[s.scratch:])])
	s.call("qjs_free_cstring", uint64(ptr))
	return out
}

const evalModule = 1 // the source is an ES module

// compile gives the bytecode of source.
func (s *scriptVM) compile(name, source string, flags uint64) (string, error) {
	text, file := s.buffer(source), s.buffer(name)
	ptr := s.call("qjs_compile", uint64(text), uint64(len(source)), uint64(file), flags, 0, uint64(s.scratch))
	if s.err == nil && ptr == 0 {
		s.err = fmt.Errorf("%s does not compile: %s", name, s.text(s.property(s.call("qjs_get_exception"), "message")))
	}
	if s.err != nil {
		return "", s.err
	}
	m := s.on.memory()
	code := string(m[ptr : ptr+binary.LittleEndian.Uint32(m[s.scratch:])])
	for _, p := range []uint32{text, file, ptr} {
		s.call("wasm_free", uint64(p))
	}
	return code, s.err
}

// evaluate runs bytecode.
func (s *scriptVM) evaluate(code string) uint32 {
	ptr := s.buffer(code)
	x := s.call("qjs_eval_bytecode", uint64(ptr), uint64(len(code)))
	s.call("wasm_free", uint64(ptr))
	s.catch(x)
	return x
}

// start brings up QuickJS in a new instance.
func (s *scriptVM) start() {
	s.call("_initialize")
	s.call("qjs_init")
	s.call("qjs_set_max_stack_size", 512<<10)
	s.call("qjs_set_promise_rejection_handler", 1)
	s.scratch = s.buffer(strings.Repeat("\x00", 16))
}

// load starts QuickJS and evaluates a script, which is bytecode.
func (s *scriptVM) load(q *quickJS, code string) error {
	s.start()
	promise := s.evaluate(code)
	for s.err == nil && int32(s.call("qjs_execute_pending_job")) > 0 {
	}
	s.invoke = s.apply(s.evaluate(q.adapter), s.call("qjs_promise_result", uint64(promise)))
	s.call("qjs_run_gc")
	return s.err
}

// handle calls the script's handler.
func (s *scriptVM) handle(event string) ([]byte, error) {
	raw := s.newString(event)
	result := s.apply(s.invoke, raw)
	answer := s.text(result)
	s.free(raw)
	s.free(result)
	return []byte(answer), s.err
}

// hostFunction is what quickjs.wasm imports from the module env; all its parameters
// and results are i32.
type hostFunction struct {
	params, results int
	call            func(stack []uint64)
}

// The scripts of the benchmarks call none of them; loading and time zones are not
// needed either.
var hostFunctions = map[string]hostFunction{
	"host_call":                {5, 1, zero},
	"host_promise_rejection":   {3, 0, func([]uint64) {}},
	"host_interrupt":           {0, 1, zero},
	"host_module_normalize":    {2, 1, zero},
	"host_module_load":         {2, 1, zero},
	"host_get_timezone_offset": {2, 1, zero},
}

func zero(stack []uint64) { stack[0] = 0 }
