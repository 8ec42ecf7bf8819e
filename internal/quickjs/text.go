package quickjs

import (
	"math"
	"unicode/utf8"
)

func decodeF64(bits uint64) float64 { return math.Float64frombits(bits) }

// validUTF8 copies b, which is UTF-8 in which QuickJS may have written lone
// surrogates as three bytes each, and puts U+FFFD for each of those and for every
// other byte that is not part of a character.
func validUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return append(make([]byte, 0, len(b)), b...)
	}
	out := make([]byte, 0, len(b)+len(b)/8)
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size <= 1 {
			size = 1
			if b[i] == 0xED && i+2 < len(b) && b[i+1] >= 0xA0 && b[i+1] <= 0xBF && b[i+2]&0xC0 == 0x80 {
				size = 3 // a lone surrogate
			}
			r = utf8.RuneError
		}
		out = utf8.AppendRune(out, r)
		i += size
	}
	return out
}
