package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// This file drives quickjs.wasm the way internal/quickjs does, with the same prelude
// and the same calls, but on any runtime: so that peers run the same JavaScript engine
// with the same work around it.

// quickJS is the JavaScript engine that flagbase embeds, and its prelude as bytecode.
type quickJS struct {
	wasm     []byte
	prelude  string
	compiler *scriptVM
}

func (b *bench) quickJS() (*quickJS, error) {
	if b.js != nil {
		return b.js, nil
	}
	dir := filepath.Join(b.root, "internal", "quickjs")
	wasm, err := os.ReadFile(filepath.Join(dir, "dist", "quickjs.wasm"))
	if err != nil {
		return nil, fmt.Errorf("%w: run `make build` first", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "prelude", "*.js"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there is no prelude in %s", dir)
	}
	sort.Strings(files)
	var text strings.Builder
	text.WriteString("(function (sys, rawBytes, rawHost, rawHostBytes) {\n\"use strict\";\n")
	for _, f := range files {
		part, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		text.Write(part)
	}
	text.WriteString("})")
	q := &quickJS{wasm: wasm}
	if q.compiler, _, _, err = b.stockScript(wasm, false); err != nil {
		return nil, err
	}
	q.compiler.start()
	if q.prelude, err = q.compiler.compile("prelude.js", text.String(), 0); err != nil {
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
	invoke  uint32 // the prelude's function
	outcome []byte
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

func (s *scriptVM) runJobs() {
	for s.err == nil && int32(s.call("qjs_execute_pending_job")) > 0 {
	}
}

// start brings up QuickJS in a new instance.
func (s *scriptVM) start() {
	s.call("_initialize")
	s.call("qjs_init")
	s.call("qjs_set_max_stack_size", 512<<10)
	s.call("qjs_set_promise_rejection_handler", 1)
	s.scratch = s.buffer(strings.Repeat("\x00", 16))
}

// load starts QuickJS, evaluates the prelude and then the script, both bytecode.
func (s *scriptVM) load(q *quickJS, code string) error {
	s.start()
	factory := s.evaluate(q.prelude)
	var ways []uint32
	for _, way := range []string{"sys", "bytes", "host", "hostBytes"} {
		ptr := s.buffer(way)
		ways = append(ways, s.call("qjs_new_host_function", uint64(ptr), uint64(len(way)), 0))
		s.call("wasm_free", uint64(ptr))
	}
	main := s.apply(factory, ways...)
	s.invoke = s.property(main, "invoke")
	promise := s.evaluate(code)
	s.call("qjs_promise_mark_as_handled", uint64(promise))
	s.runJobs()
	handlers := s.apply(s.property(main, "load"), s.call("qjs_promise_result", uint64(promise)))
	s.free(handlers)
	s.call("qjs_run_gc")
	return s.err
}

// details are what each invocation is told about itself.
const details = `{"functionId":"fn_0199f0000000700080000000000000aa","functionName":"hello","version":1,"invocationId":"inv_0199f0000000700080000000000000aa","traceId":"0af7651916cd43dd8448eb211c80319c"}`

// handle calls the script's handler.
func (s *scriptVM) handle(event string) ([]byte, error) {
	s.outcome = nil
	args := []uint32{s.newString(details), s.newString(""), s.newString(event)}
	result := s.apply(s.invoke, args...)
	for _, x := range append(args, result) {
		s.free(x)
	}
	s.runJobs()
	if s.err == nil && s.outcome == nil {
		s.err = errors.New("the handler did not finish")
	}
	return s.outcome, s.err
}

// hostFunction is what quickjs.wasm imports from the module env; all its parameters
// and results are i32.
type hostFunction struct {
	params, results int
	call            func(s *scriptVM, stack []uint64)
}

var hostFunctions = map[string]hostFunction{
	"host_call":                {5, 1, hostCall},
	"host_promise_rejection":   {3, 0, func(*scriptVM, []uint64) {}},
	"host_interrupt":           {0, 1, zero},
	"host_module_normalize":    {2, 1, zero},
	"host_module_load":         {2, 1, zero},
	"host_get_timezone_offset": {2, 1, zero},
}

func zero(_ *scriptVM, stack []uint64) { stack[0] = 0 }

// hostCall is (name, its length, this, count of arguments, arguments).
func hostCall(s *scriptVM, stack []uint64) {
	var args []string
	for i := range uint32(stack[3]) {
		at := uint32(stack[4]) + 4*i
		args = append(args, s.text(binary.LittleEndian.Uint32(s.on.memory()[at:])))
	}
	answer := ""
	switch args[0] {
	case "done":
		s.outcome = []byte(args[len(args)-1])
	case "fail":
		if s.err == nil {
			s.err = fmt.Errorf("the script failed: %s", args[1])
		}
	case "stack":
		answer = args[1]
	case "random":
		n, _ := strconv.Atoi(args[1])
		random := make([]byte, n)
		_, _ = rand.Read(random) // never fails
		answer = string(random)
	}
	stack[0] = uint64(s.newString(answer))
}
