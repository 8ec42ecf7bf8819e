package quickjs

import (
	"context"
	"errors"

	"flagbase.dev/internal/sandbox"
)

// The four ways from the prelude into the host: the name says what it reaches and
// whether it gives a string or bytes.
const (
	waySystem      = "sys"
	waySystemBytes = "bytes"
	wayHost        = "host"
	wayHostBytes   = "hostBytes"
)

var ways = []string{waySystem, waySystemBytes, wayHost, wayHostBytes}

const maxArguments = 8

// HostModule is the module "env" that quickjs.wasm imports. It holds no state: what
// belongs to a call is found through the instance. A module other than
// quickjs.wasm that calls it is stopped.
func HostModule() sandbox.HostModule {
	i32 := func(n int) []sandbox.ValueType {
		t := make([]sandbox.ValueType, n)
		for i := range t {
			t[i] = sandbox.I32
		}
		return t
	}
	zero := func(_ context.Context, _ *sandbox.Instance, stack []uint64) { stack[0] = 0 }
	return sandbox.HostModule{Name: "env", Funcs: []sandbox.HostFunc{
		{Name: "host_call", Params: i32(5), Results: i32(1), Quick: true, Call: hostCall},
		{Name: "host_promise_rejection", Params: i32(3), Quick: true, Call: hostPromiseRejection},
		// Never asked to interrupt: the sandbox stops guests. 0 goes on.
		{Name: "host_interrupt", Results: i32(1), Quick: true, Call: zero},
		// Scripts are bundled: no module is loaded at run time. 0 is "not found".
		{Name: "host_module_normalize", Params: i32(2), Results: i32(1), Call: zero},
		{Name: "host_module_load", Params: i32(2), Results: i32(1), Call: zero},
		// Functions live in UTC, wherever the server is.
		{Name: "host_get_timezone_offset", Params: i32(2), Results: i32(1), Quick: true, Call: zero},
	}}
}

var errForeign = errors.New(`the module "env" is for flagbase's JavaScript engine only`)

func sessionOf(g *sandbox.Instance) *session {
	s, ok := g.Host().(*session)
	if !ok {
		sandbox.Fail(errForeign)
	}
	return s
}

// hostCall is (namePtr, nameLen, thisPtr, argc, argvPtr) -> a value, or 0 when an
// exception is pending. The arguments stay the caller's.
func hostCall(ctx context.Context, g *sandbox.Instance, stack []uint64) {
	s := sessionOf(g)
	v := &vm{inst: g, places: places{scratch: s.places.scratch}}
	name, ok := g.Read(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		sandbox.Fail(errGuestMemory)
	}
	way := string(name)
	argc, argv := uint32(stack[3]), uint32(stack[4])
	var args [][]byte
	for i := range min(argc, maxArguments) {
		x := value(v.uint32At(argv + 4*i))
		b, ok := v.stringOf(x)
		if !ok {
			b, ok = v.bytesOf(x)
		}
		if v.err != nil {
			sandbox.Fail(v.err)
		}
		if !ok {
			s.lastError = "an argument is neither a string nor bytes"
			args = nil
			break
		}
		args = append(args, b)
	}
	var out []byte
	if way == wayHost || way == wayHostBytes {
		g.Waits()
	}
	if len(args) > 0 {
		out = s.call(ctx, way, string(args[0]), args[1:])
	}
	var result value
	switch {
	case out == nil:
		result = value(v.call("qjs_get_undefined"))
	case way == waySystemBytes || way == wayHostBytes:
		result = v.newBytes(out)
	default:
		result = v.newString(validUTF8(out))
	}
	if v.err != nil {
		sandbox.Fail(v.err)
	}
	stack[0] = uint64(result)
}

// hostPromiseRejection is (promisePtr, reasonPtr, isHandled); both values are ours
// to free.
func hostPromiseRejection(_ context.Context, g *sandbox.Instance, stack []uint64) {
	s := sessionOf(g)
	v := &vm{inst: g}
	// The upper half of a slot that holds an i32 is undefined.
	s.rejected(v, value(stack[0]), value(stack[1]), uint32(stack[2]) != 0)
	if v.err != nil {
		sandbox.Fail(v.err)
	}
}
