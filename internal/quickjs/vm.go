package quickjs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"flagbase.dev/internal/sandbox"
)

// value is a JavaScript value in a guest: a pointer to a box that the guest's
// exports take and give. 0 is no value.
type value uint32

// vm drives the exports of quickjs.wasm in one instance. The first failure sticks:
// later calls do nothing and give 0, and err says what happened. A failure here is
// the instance's end (deadline, trap), not a JavaScript exception.
type vm struct {
	inst   *sandbox.Instance
	err    error
	places places
	frees  bool // the instance outlives the call: values are freed
}

// places are addresses in the guest that save a call its allocations. They are the same
// in all instances of a snapshot.
type places struct {
	scratch uint32 // 16 bytes for what exports return through pointers

	// Of the outermost use of an instance only; 0 is none.
	arguments uint32 // room for maxArguments pointers
	text      uint32 // textBytes
	undefined value
}

const textBytes = 16 << 10

// reserve makes the places, in an instance that will be a snapshot.
func (v *vm) reserve() {
	v.places.arguments = v.buffer(make([]byte, 4*maxArguments))
	v.places.text = v.buffer(make([]byte, textBytes))
	v.places.undefined = value(v.call("qjs_get_undefined"))
}

var errGuestMemory = errors.New("QuickJS gave a pointer outside its memory")

func (v *vm) call(name string, args ...uint64) uint32 {
	if v.err != nil {
		return 0
	}
	results, err := v.inst.Call(name, args...)
	if err != nil {
		v.err = err
		return 0
	}
	if len(results) == 0 {
		return 0
	}
	return uint32(results[0])
}

// buffer copies b to the guest's heap, with a NUL behind it. The caller frees it.
func (v *vm) buffer(b []byte) uint32 {
	ptr := v.call("wasm_malloc", uint64(len(b))+1)
	if v.err != nil {
		return 0
	}
	if ptr == 0 {
		v.err = fmt.Errorf("%w: no room for %d bytes", sandbox.ErrOutOfMemory, len(b))
		return 0
	}
	if !v.inst.Write(ptr, b) || !v.inst.Write(ptr+uint32(len(b)), []byte{0}) {
		v.err = errGuestMemory
	}
	return ptr
}

func (v *vm) freeBuffer(ptr uint32) { v.call("wasm_free", uint64(ptr)) }

func (v *vm) free(x value) { v.call("qjs_free_value", uint64(x)) }

// newString makes a string of b, which must be valid UTF-8.
func (v *vm) newString(b []byte) value {
	if v.places.text != 0 && len(b) <= textBytes && v.err == nil {
		if !v.inst.Write(v.places.text, b) {
			v.err = errGuestMemory
		}
		return value(v.call("qjs_new_string", uint64(v.places.text), uint64(len(b))))
	}
	ptr := v.buffer(b)
	x := v.call("qjs_new_string", uint64(ptr), uint64(len(b)))
	v.freeBuffer(ptr)
	return value(x)
}

func (v *vm) newBytes(b []byte) value {
	ptr := v.buffer(b)
	x := v.call("qjs_new_uint8_array", uint64(ptr), uint64(len(b)))
	v.freeBuffer(ptr)
	return value(x)
}

func (v *vm) newFunction(name string) value {
	ptr := v.buffer([]byte(name))
	x := v.call("qjs_new_host_function", uint64(ptr), uint64(len(name)), 0)
	v.freeBuffer(ptr)
	return value(x)
}

func (v *vm) isException(x value) bool { return v.call("qjs_is_exception", uint64(x)) != 0 }

// exception takes the pending exception.
func (v *vm) exception() value { return value(v.call("qjs_get_exception")) }

// property reads a property of an object of the prelude's, where no getter of the
// user's can run.
func (v *vm) property(object value, name string) value {
	ptr := v.buffer([]byte(name))
	x := v.call("qjs_get_prop_string", uint64(object), uint64(ptr))
	v.freeBuffer(ptr)
	return value(x)
}

// invoke calls a function with this undefined.
func (v *vm) invoke(fn value, args ...value) value {
	argv := make([]byte, 0, 4*maxArguments)
	for _, a := range args {
		argv = binary.LittleEndian.AppendUint32(argv, uint32(a))
	}
	if at := v.places.arguments; at != 0 && v.err == nil {
		if !v.inst.Write(at, argv) {
			v.err = errGuestMemory
		}
		return value(v.call("qjs_call", uint64(fn), uint64(v.places.undefined), uint64(len(args)), uint64(at)))
	}
	ptr := v.buffer(argv)
	this := v.call("qjs_get_undefined")
	x := v.call("qjs_call", uint64(fn), uint64(this), uint64(len(args)), uint64(ptr))
	v.free(value(this))
	v.freeBuffer(ptr)
	return value(x)
}

func (v *vm) number(x value) float64 {
	if v.err != nil {
		return 0
	}
	results, err := v.inst.Call("qjs_get_float64", uint64(x))
	if err != nil {
		v.err = err
		return 0
	}
	return decodeF64(results[0])
}

// describe is for failures of the prelude itself: it may run getters.
func (v *vm) describe(x value) string {
	message, _ := v.stringOf(v.property(x, "message"))
	stack, _ := v.stringOf(v.property(x, "stack"))
	return string(message) + "\n" + string(stack)
}

// uint32At reads a little-endian number.
func (v *vm) uint32At(ptr uint32) uint32 {
	b, ok := v.inst.Read(ptr, 4)
	if !ok {
		if v.err == nil {
			v.err = errGuestMemory
		}
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// stringOf copies a string out as valid UTF-8. ok is false when x is no string:
// converting other values would run the user's code.
func (v *vm) stringOf(x value) (s []byte, ok bool) {
	if v.call("qjs_is_string", uint64(x)) == 0 || v.err != nil {
		return nil, false
	}
	return v.textOf(x, true)
}

// textOf is stringOf for what is known to be a string. The guest's copy is freed only if
// frees is set.
func (v *vm) textOf(x value, frees bool) (s []byte, ok bool) {
	ptr := v.call("qjs_get_string_len", uint64(x), uint64(v.places.scratch))
	if v.err != nil {
		return nil, false
	}
	if ptr == 0 {
		v.err = fmt.Errorf("%w: no room to read a string", sandbox.ErrOutOfMemory)
		return nil, false
	}
	b, ok := v.inst.Read(ptr, v.uint32At(v.places.scratch))
	if !ok {
		v.err = errGuestMemory
		return nil, false
	}
	s = validUTF8(b)
	if frees {
		v.call("qjs_free_cstring", uint64(ptr))
	}
	return s, v.err == nil
}

// bytesOf copies the bytes of a Uint8Array out. ok is false when x is none.
func (v *vm) bytesOf(x value) (b []byte, ok bool) {
	data, length, ok := v.viewOf(x)
	if !ok {
		return nil, false
	}
	view, ok := v.inst.Read(data, length)
	if !ok {
		v.err = errGuestMemory
		return nil, false
	}
	return append([]byte{}, view...), true
}

// viewOf finds the bytes of a typed array. ok is false when x is none, or detached.
func (v *vm) viewOf(x value) (data, length uint32, ok bool) {
	out := v.places.scratch
	array := value(v.call("qjs_get_typed_array_buffer", uint64(x), uint64(out), uint64(out+4), uint64(out+8)))
	if v.err != nil {
		return 0, 0, false
	}
	defer v.free(array)
	if array == 0 || v.isException(array) {
		v.free(v.exception()) // "not a typed array", of no interest
		return 0, 0, false
	}
	offset, length := v.uint32At(out), v.uint32At(out+4)
	data = v.call("qjs_get_array_buffer", uint64(array), uint64(out+12))
	if v.err != nil {
		return 0, 0, false
	}
	if length == 0 {
		return 0, 0, true
	}
	if total := v.uint32At(out + 12); uint64(offset)+uint64(length) > uint64(total) || data == 0 {
		return 0, 0, false // detached
	}
	return data + offset, length, true
}

// addressOf is where a typed array of the prelude's has its numbers.
func (v *vm) addressOf(x value) uint32 {
	data, _, ok := v.viewOf(x)
	if (!ok || data == 0) && v.err == nil {
		v.err = errGuestMemory
	}
	return data
}

// compile turns source into bytecode. ok is false when that threw; the exception
// is pending then.
func (v *vm) compile(name string, source []byte, evalFlags, compileFlags uint64) (bytecode []byte, ok bool) {
	src, file := v.buffer(source), v.buffer([]byte(name))
	ptr := v.call("qjs_compile", uint64(src), uint64(len(source)), uint64(file), evalFlags, compileFlags, uint64(v.places.scratch))
	v.freeBuffer(src)
	v.freeBuffer(file)
	if v.err != nil || ptr == 0 {
		return nil, false
	}
	view, ok := v.inst.Read(ptr, v.uint32At(v.places.scratch))
	if !ok {
		v.err = errGuestMemory
		return nil, false
	}
	bytecode = append([]byte(nil), view...)
	v.freeBuffer(ptr)
	return bytecode, v.err == nil
}

// evaluate runs bytecode that compile made.
func (v *vm) evaluate(bytecode []byte) value {
	ptr := v.buffer(bytecode)
	x := v.call("qjs_eval_bytecode", uint64(ptr), uint64(len(bytecode)))
	v.freeBuffer(ptr)
	return value(x)
}

const (
	evalModule   = 1 << 0
	stripSource  = 1 << 4
	promisePends = 0
	promiseKept  = 1
)

// interrupted gives the error of an instance whose context has ended, else nil.
func interrupted(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", sandbox.ErrInterrupted, cause)
	}
	return nil
}
