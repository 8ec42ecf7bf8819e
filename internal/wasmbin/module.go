package wasmbin

import "fmt"

// ValueType is the first byte of a value type in the binary format. A typed reference keeps only its prefix, 0x63 or 0x64.
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
	ExnRef    ValueType = 0x69
	RefNull   ValueType = 0x63
	Ref       ValueType = 0x64
)

// String gives the name of the type in the text format.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	case ExnRef:
		return "exnref"
	case RefNull:
		return "(ref null)"
	case Ref:
		return "(ref)"
	}
	return fmt.Sprintf("type 0x%02x", byte(t))
}

// Kind says what an import or export is.
type Kind byte

// The kinds, numbered as in the binary format.
const (
	Function Kind = iota
	Table
	Memory
	Global
	Tag
)

// String gives the word of the text format.
func (k Kind) String() string {
	switch k {
	case Function:
		return "function"
	case Table:
		return "table"
	case Memory:
		return "memory"
	case Global:
		return "global"
	case Tag:
		return "tag"
	}
	return fmt.Sprintf("kind 0x%02x", byte(k))
}

// FuncType is the signature of a function.
type FuncType struct {
	Params, Results []ValueType
}

// MemoryType is the size of a memory, in pages of 64 KiB.
type MemoryType struct {
	Min, Max uint32
	// HasMax says that the module states Max itself.
	HasMax bool
	// Shared says that the memory is shared between threads.
	Shared bool
	// Imported says that the module does not define it but asks for it.
	Imported bool
}

// TableType is the kind and size of a table, in elements.
type TableType struct {
	Type     ValueType
	Min, Max uint32
	// HasMax says that the module states Max itself.
	HasMax   bool
	Imported bool
}

// GlobalType is the type of a global.
type GlobalType struct {
	Type              ValueType
	Mutable, Imported bool
}

// Import is something the module asks for.
type Import struct {
	Module, Name string
	Kind         Kind
	// Index is the import's place among the functions, tables, memories, globals or tags.
	Index uint32
	// Type is the signature of a function or the parameters of a tag; nil for the other kinds.
	Type *FuncType
}

// Export is something the module offers.
type Export struct {
	Name string
	Kind Kind
	// Index is its place among the functions, tables, memories, globals or tags, imports first.
	Index uint32
	// Type is the signature of a function; nil for the other kinds.
	Type *FuncType
}

// Module is what [Scan] read. It keeps the bytes it was read from, which must not change while it is used. It may be used by
// several goroutines at once.
type Module struct {
	Imports []Import
	Exports []Export
	// Types are the function types of the module, by type index.
	Types []FuncType
	// Memory is nil in a module without one.
	Memory *MemoryType
	// Tables are all tables, imported ones first.
	Tables []TableType
	// GrowsUnboundedTable says that the code grows a table that states no maximum. Rewrite gives it one.
	GrowsUnboundedTable bool
	// ChangesTables says that the code can change a table or drop a segment, so that globals and memory are not all that an
	// instance can differ in from a fresh one.
	ChangesTables bool
	// Globals are all globals, imported ones first.
	Globals []GlobalType
	// HasStart says that the module names a function that runs at instantiation; Start is its index.
	HasStart bool
	Start    uint32
	// HasDataCount says that there is a data count section, without which code cannot name data segments.
	HasDataCount bool
	DataSegments int
	// Elements counts the entries of all element segments.
	Elements int
	// Code describes the functions the module defines.
	Code CodeStats

	bytes     []byte
	limits    Limits
	sections  []section
	functions []uint32 // type index of every function, imported ones first
	imported  uint32   // functions that are imported
	tags      []uint32
	tableAt   []span // limits of the tables the module defines
	memoryAt  span   // limits of the memory the module defines
	bodies    []body
	data      []segment
	sites     []site // by offset
}

// CodeStats counts what is in the functions a module defines.
type CodeStats struct {
	// Functions counts the functions with a body.
	Functions int
	// Bytes is the size of the code section.
	Bytes int
	// Blocks counts blocks, loops, ifs and try_tables; Loops the loops among them.
	Blocks, Loops int
	// BranchTargets counts the targets of all br_table instructions; MaxBranchTargets those of the function with most.
	BranchTargets, MaxBranchTargets int
	// MaxBodyBytes, MaxLocals and MaxNesting are the largest found in any function.
	MaxBodyBytes, MaxLocals, MaxNesting int
	// Work estimates how long the compiler needs beyond what the size explains, in microseconds.
	Work int
}

type section struct {
	id         byte
	at         int // its id byte
	start, end int // its content
}

type span struct{ start, end int }

type body struct {
	start, code, end int // size of locals on, first instruction, past the last
	locals           uint32
	entry            uint32 // what is paid where the function is entered; 0 for one that its callers pay for
	first, last      int    // its part of sites
}

// site is a place in the code that matters to the count of work.
type site struct {
	at   uint32
	arg  uint32 // see siteKind
	cost uint32 // in units; of a label: by how much it is raised
	size uint8  // of what stands there, in bytes
	kind siteKind
}

type siteKind byte

const (
	siteBlock      siteKind = iota // the beginning of a block
	siteIf                         // an if
	siteElse                       // an else
	siteEnd                        // an end; arg says how code behind it is reached
	siteLoop                       // the beginning of a loop
	siteLoopInline                 // of one that takes parameters
	siteLoopEnd                    // the end of a loop; arg is the cost of a round
	siteBranch                     // the label of a br; arg is the label
	siteBranchIf                   // any other label
	siteTargets                    // the end of a br_table
	siteLeave                      // an instruction that leaves the function
	siteCall                       // a call; arg is what its caller pays, in bytes
	siteBulk                       // a bulk operation; its length shifted right by arg is its cost
	siteGrow                       // a memory.grow
)

// How code behind an end is reached, other than from what precedes it.
const (
	jumps    = 1 << iota
	jumpsOut // out of a loop
)

func (s *site) end() uint32 { return s.at + uint32(s.size) }

// written says whether something changes there.
func (s *site) written() bool {
	switch s.kind {
	case siteLoop, siteLoopInline, siteLoopEnd, siteBulk, siteGrow:
		return true
	}
	return s.cost > 0
}

// FunctionType gives the signature of the function with that index, imported functions first; nil if there is none.
func (m *Module) FunctionType(index uint32) *FuncType {
	if int64(index) >= int64(len(m.functions)) {
		return nil
	}
	return &m.Types[m.functions[index]]
}

// Export gives the export of that name; nil if there is none.
func (m *Module) Export(name string) *Export {
	for i := range m.Exports {
		if m.Exports[i].Name == name {
			return &m.Exports[i]
		}
	}
	return nil
}

// ExportedFunction gives the signature of the function exported under that name; nil if there is none.
func (m *Module) ExportedFunction(name string) *FuncType {
	if e := m.Export(name); e != nil && e.Kind == Function {
		return e.Type
	}
	return nil
}

// HasImport says whether the module imports anything from a module of that name.
func (m *Module) HasImport(module string) bool {
	for i := range m.Imports {
		if m.Imports[i].Module == module {
			return true
		}
	}
	return false
}
