package sandbox

import "github.com/tetratelabs/wazero/experimental"

// pageSize is the size of a WebAssembly page in bytes.
const pageSize = 1 << 16

// maxMemory is all that a 32-bit memory can be. A guest that asks for it pauses:
// see Rewrite.Meter in package wasmbin.
const maxMemory = 1 << 32

// linearMemory is the memory of one instance.
type linearMemory struct {
	limit   uint64 // bytes the invocation may use
	own     uint64 // bytes the module itself allows
	refused bool   // growth beyond limit was asked for
	pause   func()
	image   *image // what it begins with
	pages   memoryPages
}

// memoryPages is where the bytes live: reserved address space on Linux
// (memory_linux.go), a Go slice elsewhere (memory_portable.go).
type memoryPages interface {
	resize(size uint64) []byte
	free()
}

// Allocate implements experimental.MemoryAllocator.
func (m *linearMemory) Allocate(_, _ uint64) experimental.LinearMemory {
	m.pages = newMemoryPages(min(m.own, m.limit), m.image)
	return m
}

// Reallocate implements experimental.LinearMemory. A nil result makes the
// guest's memory.grow return -1.
func (m *linearMemory) Reallocate(size uint64) []byte {
	switch {
	case size == maxMemory:
		m.pause()
		return nil
	case size > m.own:
		return nil
	case size > m.limit:
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
