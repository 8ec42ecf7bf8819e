package function

import (
	"bytes"
	"container/list"
	"encoding/binary"
	"hash/maphash"
	"runtime"
	"sync"
)

const (
	// maxKnownBytes is how much the copies of the modules that callers of InvokeWASI
	// bring may be together, and maxKnown how many they may be. The one not used for
	// longest goes.
	maxKnownBytes = 256 << 20
	maxKnown      = 64
)

// modules knows the modules that callers bring with every invocation, so that they are
// not hashed each time, which takes 1.5 ms for 2.6 MB. A sample of the bytes finds
// the candidate, and comparing all of them with a copy of its own (0.1 ms) proves it:
// where the bytes lie says nothing, because a caller may use a buffer again.
type modules struct {
	seed maphash.Seed

	mu     sync.Mutex
	byKey  map[moduleKey]*list.Element // of *knownModule
	recent list.List                   // most recently used first
	bytes  int
}

type moduleKey struct {
	entry  entry
	size   int
	sample uint64
}

type knownModule struct {
	key     moduleKey
	wasm    []byte // a copy
	program *moduleProgram
}

func newModules() *modules {
	return &modules{seed: maphash.MakeSeed(), byKey: make(map[moduleKey]*list.Element)}
}

// key samples 64 words of wasm, evenly spread, the last bytes among them.
func (m *modules) key(wasm []byte, e entry) moduleKey {
	const words, word = 64, 8
	var sample [words * word]byte
	if len(wasm) <= len(sample) {
		copy(sample[:], wasm)
	} else {
		for i := range words {
			at := (len(wasm) - word) / (words - 1) * i
			if i == words-1 {
				at = len(wasm) - word
			}
			binary.NativeEndian.PutUint64(sample[i*word:], binary.NativeEndian.Uint64(wasm[at:]))
		}
	}
	return moduleKey{entry: e, size: len(wasm), sample: maphash.Bytes(m.seed, sample[:])}
}

// find gives the program of a module with exactly these bytes; nil when it is not known.
func (m *modules) find(key moduleKey, wasm []byte) *moduleProgram {
	m.mu.Lock()
	at := m.byKey[key]
	if at == nil {
		m.mu.Unlock()
		return nil
	}
	m.recent.MoveToFront(at)
	known := at.Value.(*knownModule)
	m.mu.Unlock()
	if !sameBytes(known.wasm, wasm) {
		return nil
	}
	return known.program
}

// sameBytes is bytes.Equal, on two cores where it is worth it: comparing 2.6 MB takes a
// fifth of what a small Go program takes to run.
func sameBytes(a, b []byte) bool {
	const large = 1 << 20
	if len(a) != len(b) || len(a) < large || runtime.GOMAXPROCS(0) == 1 {
		return bytes.Equal(a, b)
	}
	half := make(chan bool, 1)
	go func() { half <- bytes.Equal(a[len(a)/2:], b[len(b)/2:]) }()
	first := bytes.Equal(a[:len(a)/2], b[:len(b)/2])
	return <-half && first
}

// keep remembers a program and copies the bytes it was made from.
func (m *modules) keep(key moduleKey, wasm []byte, p *moduleProgram) {
	if len(wasm) > maxKnownBytes {
		return
	}
	known := &knownModule{key: key, wasm: bytes.Clone(wasm), program: p}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.byKey[key]; old != nil {
		m.drop(old)
	}
	m.byKey[key] = m.recent.PushFront(known)
	m.bytes += len(wasm)
	for m.bytes > maxKnownBytes || m.recent.Len() > maxKnown {
		m.drop(m.recent.Back())
	}
}

func (m *modules) drop(at *list.Element) {
	known := m.recent.Remove(at).(*knownModule)
	delete(m.byKey, known.key)
	m.bytes -= len(known.wasm)
}

// clear forgets all.
func (m *modules) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.byKey)
	m.recent.Init()
	m.bytes = 0
}
