package sandbox

import (
	"context"
	"crypto/sha256"
	"strconv"

	"github.com/tetratelabs/wazero"

	"flagbase.dev/internal/wasmbin"
)

// startExport is the name that rewriting gives the start function, so that it runs
// under the deadline too. A module that uses the name itself is refused.
const startExport = "flagbase:start"

// globalExport begins the names under which rewriting exports mutable globals.
const globalExport = "flagbase:global:"

// Signature is the type of an exported function.
type Signature struct{ Params, Results []ValueType }

// Module is a compiled module, ready to run any number of instances at once.
type Module struct {
	runtime  *Runtime
	sum      [sha256.Size]byte
	compiled wazero.CompiledModule
	exports  map[string]Signature
	imports  map[string]bool
	start    bool
	memory   bool
	minBytes uint64
	maxBytes uint64 // what the module itself allows its memory to become

	base       *Snapshot  // the state at the start, before the start function
	globals    []string   // exports of the mutable globals
	restorable bool       // memory and globals are all its state
	command    *goCommand // nil for other modules
}

func newModule(r *Runtime, sum [sha256.Size]byte, info *wasmbin.Module, compiled wazero.CompiledModule) *Module {
	m := &Module{
		runtime:  r,
		sum:      sum,
		compiled: compiled,
		exports:  make(map[string]Signature),
		imports:  make(map[string]bool),
		start:    info.HasStart,

		restorable: !info.ChangesTables,
	}
	m.base = &Snapshot{module: m, image: &image{}}
	for i, g := range info.Globals {
		switch {
		case !g.Mutable:
		case g.Type <= wasmbin.V128:
			m.restorable = false
		default:
			m.globals = append(m.globals, globalExport+strconv.Itoa(i))
		}
	}
	for _, e := range info.Exports {
		if e.Kind == wasmbin.Function {
			m.exports[e.Name] = Signature{Params: types(e.Type.Params), Results: types(e.Type.Results)}
		}
		if e.Kind == wasmbin.Memory && e.Name == "memory" {
			m.memory = true
		}
	}
	for _, im := range info.Imports {
		m.imports[im.Module] = true
	}
	if info.Memory != nil {
		m.minBytes, m.maxBytes = uint64(info.Memory.Min)*pageSize, maxMemory
		if info.Memory.HasMax {
			m.maxBytes = uint64(info.Memory.Max) * pageSize
		}
		if data, ok := info.ActiveData(); ok {
			m.base.image = dataImage(m.minBytes, data)
		} else {
			m.restorable = false // instantiation writes the data
		}
	}
	if m.restorable && info.GoCommand() {
		m.command = new(goCommand)
	}
	return m
}

func types(in []wasmbin.ValueType) []ValueType {
	out := make([]ValueType, len(in))
	for i, t := range in {
		out[i] = ValueType(t)
	}
	return out
}

// Export gives the signature of the function exported as name.
func (m *Module) Export(name string) (Signature, bool) {
	s, ok := m.exports[name]
	return s, ok
}

// HasImport says whether the module imports from the host module of that name.
func (m *Module) HasImport(module string) bool { return m.imports[module] }

// ExportsMemory says whether the module exports its memory as "memory", without
// which no host function can read its arguments.
func (m *Module) ExportsMemory() bool { return m.memory }

// Acquire gives an instance in the state the module starts from. It is the
// caller's alone until Release. ctx bounds all it does; opts may be nil.
func (m *Module) Acquire(ctx context.Context, opts *InstanceOptions) (*Instance, error) {
	if s := m.ready(opts); s != nil {
		inst, err := s.Acquire(ctx, opts)
		if err == nil {
			inst.resumes = true
		}
		return inst, err
	}
	return m.base.Acquire(ctx, opts)
}
