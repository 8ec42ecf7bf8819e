package sandbox

import (
	"context"
	"fmt"
	"reflect"
	"time"
	"unsafe"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"flagbase.dev/internal/wasmbin"
)

// guest is what an Instance runs in: a module's memory, globals and tables. When the
// instance is released, a guest that can be restored exactly is, and is kept for the
// next (pool.go).
type guest struct {
	module  *Module
	origin  *Snapshot // the state it begins in and is restored to
	mem     linearMemory
	wasm    api.Module
	globals []api.MutableGlobal // those of Module.globals
	exports map[string]*exported

	// Of a guest that is kept.
	bytes uint64    // about what it holds of the machine's memory
	since time.Time // it is idle
}

// exported is an exported function, with as many ways to call it as it was called within
// itself: one stack of wazero's serves one call.
type exported struct {
	free    []*entry
	slots   int
	params  int
	results int
}

type entry struct {
	fn    api.Function
	slots []uint64 // parameters, then results
	stack *[]byte  // wazero's; nil where it is not known
}

func newEntry(fn api.Function, slots int) *entry {
	return &entry{fn, make([]uint64, slots), stackOf(fn)}
}

var moduleConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions()

// newGuest instantiates the module in the state of origin, for inst, whose limits
// hold.
func newGuest(origin *Snapshot, inst *Instance, limit uint64) (*guest, error) {
	m := origin.module
	g := &guest{module: m, origin: origin, exports: make(map[string]*exported)}
	g.mem = linearMemory{image: origin.image, own: m.maxBytes, limit: limit, inst: inst, ledger: m.runtime.config.Memory}
	if !m.runtime.reserve(&g.mem, max(m.minBytes, origin.image.size)) {
		return nil, ErrExhausted
	}
	// Background: what bounds the guest is its own check, not wazero's.
	ctx := experimental.WithMemoryAllocator(context.Background(), &g.mem)
	wasm, err := m.runtime.wazero.InstantiateModule(ctx, m.compiled, moduleConfig)
	if err != nil {
		g.mem.Free()
		return nil, &TrapError{Message: err.Error()}
	}
	g.wasm = wasm
	for _, name := range m.globals {
		g.globals = append(g.globals, wasm.ExportedGlobal(name).(api.MutableGlobal))
	}
	if origin == m.base {
		origin.keepGlobals(g)
	} else if err := g.grown(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// grown brings a new guest, whose memory was made from a snapshot's image, to the rest
// of the snapshot's state.
func (g *guest) grown() error {
	if mem := g.wasm.Memory(); mem != nil {
		if more := uint32(g.origin.image.size/pageSize) - mem.Size()/pageSize; more > 0 {
			if _, ok := mem.Grow(more); !ok {
				return fmt.Errorf("%w: the snapshot has %d MiB", ErrOutOfMemory, g.origin.image.size>>20)
			}
		}
	}
	g.setGlobals()
	return nil
}

func (g *guest) setGlobals() {
	for i, v := range g.origin.globals {
		g.globals[i].Set(v)
	}
}

// restore brings a guest that ran back to its origin's state, exactly. It says false
// when that is not possible or dearer than a new guest. faulted is false when its memory
// cannot have had a page fault since the last time.
func (g *guest) restore(faulted bool) bool {
	if !g.module.restorable || g.wasm.IsClosed() {
		return false
	}
	if g.mem.pages != nil {
		held, ok := g.mem.pages.restore(g.origin.image, g.mem.size, faulted)
		if !ok || !g.shrink() {
			return false
		}
		// What it maps of the image counts too, although all instances share it: as
		// resident memory it shows for each.
		g.bytes = held + g.origin.image.content() + keptBytes
	}
	g.setGlobals()
	for _, e := range g.exports {
		g.bytes += e.trim()
	}
	g.mem.inst, g.mem.refused, g.mem.exhausted = nil, false, false
	return true
}

// keptBytes is about what a guest holds beside its memory and stacks.
const keptBytes = 16 << 10

// shrink takes memory back to the size it began with. WebAssembly can only grow memory;
// but what wazero has after a growth is whatever its allocator answers.
func (g *guest) shrink() bool {
	mem := g.wasm.Memory()
	if mem == nil || uint64(mem.Size()) == g.origin.image.size {
		return true
	}
	g.mem.shrinking = true
	_, ok := mem.Grow(1)
	g.mem.shrinking = false
	g.mem.ledger.give(g.mem.size - g.origin.image.size)
	g.mem.size = g.origin.image.size
	return ok && uint64(mem.Size()) == g.origin.image.size
}

func (g *guest) close() {
	_ = g.wasm.Close(context.Background())
	g.mem.Free()
}

// export gives the exported function of that name, or nil.
func (g *guest) export(name string) *exported {
	if e := g.exports[name]; e != nil {
		return e
	}
	fn := g.wasm.ExportedFunction(name)
	if fn == nil {
		return nil
	}
	def := fn.Definition()
	e := &exported{params: words(def.ParamTypes()), results: words(def.ResultTypes())}
	e.slots = max(e.params, e.results)
	e.free = append(e.free, newEntry(fn, e.slots))
	g.exports[name] = e
	return e
}

// words is how many slots values of these types take: a vector has two.
func words(types []api.ValueType) int {
	n := len(types)
	for _, t := range types {
		if wasmbin.ValueType(t) == wasmbin.V128 {
			n++
		}
	}
	return n
}

// take gives a way to call e that no call is using.
func (e *exported) take(g *guest, name string) *entry {
	if n := len(e.free); n > 0 {
		entry := e.free[n-1]
		e.free = e.free[:n-1]
		return entry
	}
	return newEntry(g.wasm.ExportedFunction(name), e.slots)
}

// give returns what take gave, after a call that ended well.
func (e *exported) give(entry *entry) { e.free = append(e.free, entry) }

// maxStack is the largest stack that is kept: a guest that recursed deeply must not hold
// on to it. wazero's begin with 10 KiB.
const maxStack = 512 << 10

// trim drops the ways to call e whose stacks have grown much or are not known, and says how many bytes
// the others have.
func (e *exported) trim() (bytes uint64) {
	kept := e.free[:0]
	for _, entry := range e.free {
		if entry.stack != nil && len(*entry.stack) <= maxStack {
			kept = append(kept, entry)
			bytes += uint64(len(*entry.stack))
		}
	}
	clear(e.free[len(kept):])
	e.free = kept
	return bytes
}

// stackOf gives the stack of wazero's call engine, which is what an api.Function of a
// guest is; nil when it is another than is known here.
func stackOf(fn api.Function) *[]byte {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	field, ok := v.Type().Elem().FieldByName("stack")
	if !ok || field.Type != reflect.TypeFor[[]byte]() {
		return nil
	}
	return (*[]byte)(unsafe.Add(v.UnsafePointer(), field.Offset))
}
