package sandbox

import "sync/atomic"

// portable makes every system do what those do that have nothing better.
var portable atomic.Bool

// slice is linear memory as a Go slice: what every system has.
type slice struct{ bytes []byte }

// newSlice is memory of no bytes yet, that holds the image as far as it will grow.
func newSlice(im *image) *slice {
	b := make([]byte, im.size)
	im.copyTo(b)
	return &slice{bytes: b[:0]}
}

func (s *slice) resize(size uint64) []byte {
	if size > uint64(cap(s.bytes)) {
		grown := make([]byte, size, max(size, min(2*uint64(cap(s.bytes)), size+32<<20)))
		copy(grown, s.bytes)
		s.bytes = grown
	}
	s.bytes = s.bytes[:size]
	return s.bytes
}

func (s *slice) reserved() uint64 { return maxMemory }

func (s *slice) tracked() bool { return false }

// maxRefilled is the memory that is written anew as a whole; beyond it a new instance
// is as good.
const maxRefilled = 32 << 20

// restore fills all that was used.
func (s *slice) restore(im *image, used uint64, _ bool) (held uint64, ok bool) {
	used = max(used, im.size)
	if uint64(cap(s.bytes)) > max(maxRefilled, im.size+pageSize) || used > uint64(cap(s.bytes)) {
		return 0, false
	}
	all := s.bytes[:cap(s.bytes)]
	im.fill(all, 0)
	return uint64(len(all)), true
}

func (s *slice) free() { s.bytes = nil }
