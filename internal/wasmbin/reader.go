package wasmbin

import (
	"fmt"
	"unicode/utf8"
)

// reader walks over b[pos:end]. Its first error sticks: from then on it reads zeroes and stands at its end, so that callers
// may read several things and look once.
type reader struct {
	b        []byte
	pos, end int
	err      *Error
}

func (r *reader) fail(at int, kind error, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: at, Message: fmt.Sprintf(format, args...), Kind: kind}
	}
	r.pos = r.end
}

func (r *reader) left() int { return r.end - r.pos }

func (r *reader) truncated() {
	r.fail(r.pos, ErrMalformed, "the module ends in the middle of something, it is cut off or damaged")
}

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.truncated()
		return 0
	}
	v := r.b[r.pos]
	r.pos++
	return v
}

func (r *reader) skip(n int) {
	if n > r.left() {
		r.truncated()
		return
	}
	r.pos += n
}

// u32 reads an unsigned LEB128 of at most 32 bits and 5 bytes.
func (r *reader) u32() uint32 {
	if r.pos < r.end {
		if v := r.b[r.pos]; v < 0x80 {
			r.pos++
			return uint32(v)
		}
	}
	at := r.pos
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.fail(at, ErrMalformed, "a number does not fit in 32 bits")
	return 0
}

// signed reads a signed LEB128 of that many bits (32, 33 or 64) in at most as many bytes as they need.
func (r *reader) signed(bits int) int64 {
	at := r.pos
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		if rest := bits - shift; rest < 7 {
			// The last byte: the bits past the value repeat its sign.
			sign := int8(b<<1) >> rest
			if b >= 0x80 || sign != 0 && sign != -1 {
				break
			}
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail(at, ErrMalformed, "a number does not fit in %d bits", bits)
	return 0
}

// count reads the length of a vector whose items take at least size bytes each, and refuses it over the limit.
func (r *reader) count(what string, size, limit int) int {
	at := r.pos
	n := int64(r.u32())
	if r.err != nil {
		return 0
	}
	if n > int64(r.left()/size) {
		r.fail(at, ErrMalformed, "the module claims %d %s but has only %d bytes left for them", n, what, r.left())
		return 0
	}
	if n > int64(limit) {
		r.fail(at, ErrLimit, "the module has %d %s, more than the %d allowed", n, what, limit)
		return 0
	}
	return int(n)
}

// name reads a UTF-8 name of at most limit bytes.
func (r *reader) name(what string, limit int) string { return string(r.nameBytes(what, limit)) }

// nameBytes is name without the copy.
func (r *reader) nameBytes(what string, limit int) []byte {
	at := r.pos
	n := r.count("bytes in the name of "+what, 1, limit)
	if r.err != nil {
		return nil
	}
	s := r.b[r.pos : r.pos+n]
	r.pos += n
	if !utf8.Valid(s) {
		r.fail(at, ErrMalformed, "the name of %s is not valid UTF-8", what)
		return nil
	}
	return s
}
