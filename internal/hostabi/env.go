package hostabi

import (
	"context"
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"flagbase.dev/internal/sandbox"
)

// EnvModule gives the one function that compilers import from "env" by default:
// abort(message, file, line, column), which AssemblyScript calls when a program
// throws. Message and file are its strings: UTF-16 whose length in bytes stands in the
// four bytes before (https://www.assemblyscript.org/runtime.html#memory-layout).
func EnvModule() sandbox.HostModule {
	i32 := sandbox.I32
	return sandbox.HostModule{Name: "env", Funcs: []sandbox.HostFunc{{
		Name: "abort", Params: []sandbox.ValueType{i32, i32, i32, i32},
		Call: func(_ context.Context, g *sandbox.Instance, stack []uint64) {
			message := "abort: " + utf16At(g, uint32(stack[0]))
			if file := utf16At(g, uint32(stack[1])); file != "" {
				message += fmt.Sprintf(" (%s:%d:%d)", file, uint32(stack[2]), uint32(stack[3]))
			}
			sandbox.Fail(&sandbox.TrapError{Message: message})
		},
	}}}
}

const maxAbortBytes = 4096

func utf16At(g *sandbox.Instance, ptr uint32) string {
	if ptr < 4 {
		return ""
	}
	size, ok := g.Read(ptr-4, 4)
	if !ok {
		return ""
	}
	b, ok := g.Read(ptr, min(binary.LittleEndian.Uint32(size), maxAbortBytes))
	if !ok {
		return ""
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
