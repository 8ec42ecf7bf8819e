package sandbox

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

func (s *slice) free() { s.bytes = nil }
