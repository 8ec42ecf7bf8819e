package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// stub is the module without its code: each body is a single unreachable. wazero loads the
// machine code of the whole module for it, for all that wazero wants of a module beside code is in
// it. So nobody decodes and validates bodies a second time, which is two thirds of what loading
// would cost, and none is kept in memory.
//
// wazero identifies a module by the hash of its bytes; sum, the hash of the whole module, in a custom
// section, makes stubs as distinct as what they stand for.
func stub(rewritten []byte, sum [sha256.Size]byte) ([]byte, error) {
	errShape := errors.New("the rewritten module is none")
	const header = 8
	if len(rewritten) < header {
		return nil, errShape
	}
	const (
		custom = 0
		code   = 10
	)
	out := make([]byte, 0, len(rewritten)/4)
	out = append(out, rewritten[:header]...)
	out = appendSection(out, custom, append([]byte("\x0dflagbase:code"), sum[:]...))
	for rest := rewritten[header:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			return nil, errShape
		}
		id, body := rest[0], rest[1+n:][:size]
		rest = rest[1+n+int(size):]
		if id != code {
			out = appendSection(out, id, body)
			continue
		}
		count, n := binary.Uvarint(body)
		if n <= 0 || count > size {
			return nil, errShape
		}
		bodies := binary.AppendUvarint(make([]byte, 0, 4*count+5), count)
		for range count {
			bodies = append(bodies, 3, 0, 0x00, 0x0b) // 3 bytes: no locals, unreachable, end
		}
		out = appendSection(out, id, bodies)
	}
	return out, nil
}

func appendSection(out []byte, id byte, content []byte) []byte {
	out = append(out, id)
	out = binary.AppendUvarint(out, uint64(len(content)))
	return append(out, content...)
}
