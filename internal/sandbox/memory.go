package sandbox

import "github.com/tetratelabs/wazero/experimental"

// pageSize is the size of a WebAssembly page in bytes.
const pageSize = 1 << 16

// linearMemory is the memory of one instance, bounded by limit bytes.
type linearMemory struct {
	limit   uint64
	refused bool // growth beyond limit was asked for
	pages   memoryPages
}

// memoryPages is where the bytes live: reserved address space on Linux
// (memory_linux.go), a Go slice elsewhere (memory_portable.go).
type memoryPages interface {
	resize(size uint64) []byte
	free()
}

// Allocate implements experimental.MemoryAllocator.
func (m *linearMemory) Allocate(_, max uint64) experimental.LinearMemory {
	reserve := min(max, m.limit)
	m.pages = newMemoryPages(reserve)
	return m
}

// Reallocate implements experimental.LinearMemory. A nil result makes the
// guest's memory.grow return -1.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	return m.pages.resize(size)
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() {
	if m.pages != nil {
		m.pages.free()
		m.pages = nil
	}
}
