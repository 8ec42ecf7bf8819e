package wasmbin

import "bytes"

// goResume finds, in a command that Go's linker made, the function that runs the program's goroutines. The stacks of these are
// in memory, and a switch between two unwinds WebAssembly's stack as far as that function, so whenever control is there the
// program is in memory and globals alone. The command is
//
//	(func (export "_start")
//	  (global.set 0 (i32.wrap_i64 (i64.const ...)))
//	  (drop (call $runtime.rt0_go (i32.const 0)))
//	  (call $wasm_pc_f_loop)
//	  (return) (unreachable))
//
// and wasm_pc_f_loop returns at once when global GoPause is not 0, which it then sets to 0. Anything that is not exactly so is no
// such command.
func (m *Module) goResume() (function uint32, ok bool) {
	b, ok := m.goStart()
	if !ok || !m.goGlobals() || !m.hasCustom("go:buildid") {
		return 0, false
	}
	r := reader{b: m.bytes, pos: b.code, end: b.end}
	is := func(code ...byte) bool {
		if !bytes.HasPrefix(m.bytes[r.pos:b.end], code) {
			return false
		}
		r.skip(len(code))
		return true
	}
	if !is(0x42) { // i64.const
		return 0, false
	}
	r.signed(64)
	if !is(0xa7, 0x24, 0, 0x41, 0, 0x10) { // i32.wrap_i64, global.set 0, i32.const 0, call
		return 0, false
	}
	r.u32()
	if !is(0x1a, 0x10) { // drop, call
		return 0, false
	}
	function = r.u32()
	ok = is(0x0f, 0x00, 0x0b) && r.pos == b.end // return, unreachable, end
	return function, ok && r.err == nil && m.takesNothing(function)
}

// GoCommand says whether the module is a command that Go made, as Rewrite.ResumeExport means it.
func (m *Module) GoCommand() bool {
	_, ok := m.goResume()
	return ok
}

// GoPause is the global that makes a command of Go's return from _start once the Go runtime is set up, before any goroutine ran.
const GoPause = 7

// goGlobals says whether the first globals are Go's registers: SP, CTXT, g, RET0 to RET3, PAUSE.
func (m *Module) goGlobals() bool {
	if len(m.Globals) <= GoPause {
		return false
	}
	for i, g := range m.Globals[:GoPause+1] {
		want := I64
		if i == 0 || i == GoPause {
			want = I32
		}
		if g.Type != want || !g.Mutable || g.Imported {
			return false
		}
	}
	return true
}

// goStart gives the body of _start, if it has no locals.
func (m *Module) goStart() (b body, ok bool) {
	for _, e := range m.Exports {
		if e.Name != "_start" || e.Kind != Function {
			continue
		}
		i := int(e.Index) - (len(m.functions) - len(m.bodies))
		if i < 0 || !m.takesNothing(e.Index) {
			return body{}, false
		}
		b := m.bodies[i]
		return b, bytes.Equal(m.bytes[b.start:b.code], []byte{0})
	}
	return body{}, false
}

func (m *Module) takesNothing(function uint32) bool {
	t := m.FunctionType(function)
	return t != nil && len(t.Params)+len(t.Results) == 0
}

func (m *Module) hasCustom(name string) bool {
	prefix := append([]byte{byte(len(name))}, name...)
	for _, s := range m.sections {
		if s.id == sectionCustom && bytes.HasPrefix(m.bytes[s.start:s.end], prefix) {
			return true
		}
	}
	return false
}
