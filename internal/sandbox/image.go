package sandbox

import (
	"iter"
	"maps"
	"math"
	"runtime"
	"slices"
	"sort"

	"flagbase.dev/internal/wasmbin"
)

// image is what the memory of new instances holds: the module's data, or the state of
// a snapshot. It is made once. An instance gets it as a private mapping that copies a
// page when the guest first writes to it (image_linux.go), or as a plain copy.
type image struct {
	size   uint64     // bytes of memory, a multiple of pageSize
	chunks []chunk    // what is not zero, by offset; a view of file where there is one
	file   *imageFile // nil where it is copied
}

// chunk is a stretch of memory that is not all zero.
type chunk struct {
	offset uint64
	bytes  []byte
}

// grain is how finely zeros are told from the rest: the page of most systems.
const grain = 4 << 10

// A mapped image costs a guest that writes all over it several times what memory of
// its own costs, and a bulk operation is not interrupted on the way. So only small
// images are mapped; of others what is not zero is copied.
const (
	maxMapped = 16 << 20 // bytes
	maxRanges = 16
	maxGap    = 256 << 10 // zeros between two chunks that are mapped together
)

func newImage(size uint64, chunks []chunk) *image {
	im := &image{size: size, chunks: chunks}
	if ranges, ok := mappable(chunks); ok {
		if im.file = newImageFile(ranges, chunks); im.file != nil {
			im.chunks = im.file.chunks()
		}
	}
	return im
}

// dataImage is memory of size bytes after the segments were written to it.
func dataImage(size uint64, segments iter.Seq[wasmbin.Data]) *image {
	grains := map[uint64]*[grain]byte{}
	var last *[grain]byte // segments are many, small and in order
	lastAt := uint64(math.MaxUint64)
	for d := range segments {
		for at, b := uint64(d.Offset), d.Bytes; len(b) > 0; {
			if at/grain != lastAt {
				lastAt = at / grain
				if last = grains[lastAt]; last == nil {
					last = new([grain]byte)
					grains[lastAt] = last
				}
			}
			n := copy(last[at%grain:], b)
			at, b = at+uint64(n), b[n:]
		}
	}
	var chunks []chunk
	at := slices.Sorted(maps.Keys(grains))
	for i, g := range at {
		if *grains[g] == zeros {
			continue
		}
		if n := len(chunks); n > 0 && chunks[n-1].end() == g*grain {
			chunks[n-1].bytes = append(chunks[n-1].bytes, grains[g][:]...)
			continue
		}
		run := 1
		for i+run < len(at) && at[i+run] == g+uint64(run) {
			run++
		}
		chunks = append(chunks, chunk{g * grain, append(make([]byte, 0, run*grain), grains[g][:]...)})
	}
	return newImage(size, chunks)
}

// memoryImage is a copy of memory.
func memoryImage(memory []byte) *image {
	var chunks []chunk
	for at := 0; at < len(memory); at += grain {
		chunks = appendChunk(chunks, uint64(at), memory[at:min(at+grain, len(memory))])
	}
	return newImage(uint64(len(memory)), chunks)
}

var zeros [grain]byte

// appendChunk adds a copy of a grain, unless it is zero.
func appendChunk(chunks []chunk, offset uint64, b []byte) []chunk {
	if string(b) == string(zeros[:len(b)]) {
		return chunks
	}
	if n := len(chunks); n > 0 && chunks[n-1].end() == offset {
		chunks[n-1].bytes = append(chunks[n-1].bytes, b...)
		return chunks
	}
	return append(chunks, chunk{offset, slices.Clone(b)})
}

func (c chunk) end() uint64 { return c.offset + uint64(len(c.bytes)) }

// span is a range of memory.
type span struct{ start, end uint64 }

// mappable gives the ranges to map for the chunks; not ok when they are too many or
// too much.
func mappable(chunks []chunk) (ranges []span, ok bool) {
	total := uint64(0)
	for _, c := range chunks {
		if n := len(ranges); n > 0 && c.offset-ranges[n-1].end < maxGap {
			total += c.end() - ranges[n-1].end
			ranges[n-1].end = c.end()
		} else {
			ranges = append(ranges, span{c.offset, c.end()})
			total += uint64(len(c.bytes))
		}
	}
	return ranges, len(ranges) > 0 && len(ranges) <= maxRanges && total <= maxMapped
}

// copyTo puts the image into memory that is zero.
func (im *image) copyTo(memory []byte) {
	for _, c := range im.chunks {
		copy(memory[c.offset:], c.bytes)
	}
	runtime.KeepAlive(im.file)
}

// content is how many bytes of the image are not zero, about.
func (im *image) content() (n uint64) {
	for _, c := range im.chunks {
		n += uint64(len(c.bytes))
	}
	return n
}

// fill makes b, which is memory from offset on, what the image says: its bytes, and
// zeros where it has none.
func (im *image) fill(b []byte, offset uint64) {
	end := offset + uint64(len(b))
	first := sort.Search(len(im.chunks), func(i int) bool { return im.chunks[i].end() > offset })
	done := offset
	for _, c := range im.chunks[first:] {
		if c.offset >= end {
			break
		}
		if c.offset > done {
			clear(b[done-offset : c.offset-offset])
			done = c.offset
		}
		done += uint64(copy(b[done-offset:], c.bytes[done-c.offset:]))
	}
	clear(b[done-offset:])
	runtime.KeepAlive(im.file)
}
