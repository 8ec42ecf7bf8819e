package hostile

import (
	"bytes"
	"encoding/binary"
)

// Section ids.
const (
	sCustom, sType, sImport, sFunction, sTable, sMemory, sGlobal, sExport = 0, 1, 2, 3, 4, 5, 6, 7
	sStart, sElement, sCode, sData, sDataCount, sTag                      = 8, 9, 10, 11, 12, 13
)

const header = "\x00asm\x01\x00\x00\x00"

// huge is 2^32-1 in LEB128.
const huge = "\xff\xff\xff\xff\x0f"

// cat joins strings, byte slices, bytes (as int) and other joined parts.
func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		default:
			panic("hostile: cat of an unknown type")
		}
	}
	return b
}

// leb is v as unsigned LEB128.
func leb(v int) []byte { return binary.AppendUvarint(nil, uint64(v)) }

// section is a section of that content.
func section(id int, parts ...any) []byte {
	content := cat(parts...)
	return cat(id, leb(len(content)), content)
}

// module is a module of those sections.
func module(sections ...[]byte) []byte { return cat(header, bytes.Join(sections, nil)) }

// repeat is s, n times.
func repeat(s any, n int) []byte { return bytes.Repeat(cat(s), n) }

// vec is a vector of n times s.
func vec(n int, s any) []byte { return cat(leb(n), repeat(s, n)) }

// name is a name.
func name(s string) []byte { return cat(leb(len(s)), s) }

// noType is the type section with the one type () -> ().
var noType = section(sType, 1, "\x60\x00\x00")

// function is a module with one function of type () -> (); code stands behind its locals and needs no end.
func function(locals []byte, code ...any) []byte {
	return module(noType, section(sFunction, 1, 0), bodies(locals, code...))
}

// bodies is the code section with one body.
func bodies(locals []byte, code ...any) []byte {
	body := cat(locals, cat(code...), 0x0b)
	return section(sCode, 1, leb(len(body)), body)
}

// none is a body's empty list of locals.
var none = []byte{0}
