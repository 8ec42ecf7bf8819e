package main

import (
	"encoding/binary"
	"errors"
)

// withMemory gives the module with its memory's first contents replaced, so that an
// instance starts where another one was: what the tool Wizer does. It is for modules
// like quickjs.wasm, whose globals are back at their first values between calls and
// whose data segments are all active.
func withMemory(wasm, memory []byte) ([]byte, error) {
	const memorySection, dataSection, dataCountSection, pageSize = 5, 11, 12, 1 << 16
	out := append([]byte(nil), wasm[:8]...)
	section := func(id byte, body []byte) {
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	for rest := wasm[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			return nil, errors.New("a section is cut short")
		}
		id, body := rest[0], rest[1+n:1+n+int(size)]
		rest = rest[1+n+int(size):]
		switch id {
		case memorySection:
			if body[0] != 1 || body[1] != 0 {
				return nil, errors.New("the memory is not the one that was expected")
			}
			section(id, binary.AppendUvarint([]byte{1, 0}, uint64(len(memory)/pageSize)))
		case dataCountSection:
			section(id, []byte{1})
		case dataSection:
			data := []byte{1, 0, 0x41, 0, 0x0b} // one segment, active, at i32.const 0
			data = binary.AppendUvarint(data, uint64(len(memory)))
			section(id, append(data, memory...))
		default:
			section(id, body)
		}
	}
	return out, nil
}
