package sandbox

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

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
	// exhausted says that growth was refused because all instances together have
	// what the runtime may use.
	exhausted bool
	shrinking bool      // growth is answered with the size of the image
	inst      *Instance // that uses it
	image     *image    // what it begins with
	pages     memoryPages
	ledger    *Ledger
	size      uint64 // bytes in the ledger
}

// memoryPages is where the bytes live: reserved address space on Linux
// (memory_linux.go), a Go slice elsewhere (memory_portable.go).
type memoryPages interface {
	resize(size uint64) []byte
	reserved() uint64 // bytes it can be resized to
	// restore makes memory, of which the first used bytes were the guest's, what it
	// was at first: the image, then zeros. faulted is false when no page fault can have
	// happened since the last time. It says how much of the machine's memory is still
	// held; not ok when that is not possible or not worth it.
	restore(im *image, used uint64, faulted bool) (held uint64, ok bool)
	tracked() bool // restore is faster when nothing faulted
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
	case m.shrinking:
		return m.pages.resize(m.image.size)
	case size == maxMemory:
		m.inst.pause()
		return nil
	case size > m.own:
		return nil
	case size > m.limit:
		m.refused = true
		return nil
	}
	if size > m.size && !m.inst.module.runtime.reserve(m, size) {
		m.exhausted = true
		return nil
	}
	return m.pages.resize(size)
}

// reserve enters size bytes in all into the ledger.
func (m *linearMemory) reserve(size uint64) bool {
	if !m.ledger.take(size - m.size) {
		return false
	}
	m.size = size
	return true
}

func (m *linearMemory) reserved() uint64 {
	if m.pages == nil {
		return m.own
	}
	return m.pages.reserved()
}

// reserve enters size bytes of m into the ledger, at the cost of idle guests if need
// be.
func (r *Runtime) reserve(m *linearMemory, size uint64) bool {
	for !m.reserve(size) {
		// What an idle guest gave back, another may have taken meanwhile.
		if r.pools.free(size-m.size) == 0 {
			return m.reserve(size)
		}
	}
	return true
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() {
	if m.pages != nil {
		m.pages.free()
		m.pages = nil
	}
	m.ledger.give(m.size)
	m.size = 0
}

// Ledger counts the memory of all instances of the runtimes that share it against a
// limit.
type Ledger struct {
	limit uint64
	used  atomic.Uint64
}

// NewLedger makes a Ledger of that many bytes; 0 is half of the machine's memory, or
// 4 GiB where that is not known.
func NewLedger(limit uint64) *Ledger {
	if limit == 0 {
		limit = machineMemory() / 2
	}
	return &Ledger{limit: limit}
}

func (l *Ledger) take(n uint64) bool {
	for {
		used := l.used.Load()
		if n > l.limit || used > l.limit-n {
			return false
		}
		if l.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (l *Ledger) give(n uint64) { l.used.Add(-n) }
