package wasmbin

// Limits bounds what [Scan] accepts. Zero fields take their defaults, so that the zero value is the default policy.
//
// Where the WebAssembly JavaScript interface names a limit that all browsers share
// (https://webassembly.github.io/spec/js-api/#limits), the default is that limit or a smaller one.
type Limits struct {
	// MaxBytes bounds the whole binary. Defaults to 64 MiB.
	MaxBytes int
	// MaxBodyBytes bounds the body of one function. Defaults to 1 MiB.
	MaxBodyBytes int
	// MaxLocals bounds the parameters and locals of one function. Defaults to 50,000.
	MaxLocals int
	// MaxAllLocals bounds the parameters and locals of all functions together: a few bytes declare 50,000 of them, and the
	// compiler keeps eight bytes for each. Defaults to 5,000,000.
	MaxAllLocals int
	// MaxNesting bounds how deep blocks of one function stand in each other. Defaults to 1,000.
	MaxNesting int
	// MaxBlocks bounds the blocks, loops and ifs of all functions together. Defaults to 4,000,000.
	MaxBlocks int
	// MaxWork bounds what the compiler needs, by estimate and beyond 4 microseconds a byte, in microseconds. Defaults to
	// 3,000,000. What compilers emit stays far below 4 microseconds a byte.
	MaxWork int
	// MaxBodyMemory bounds what the compiler needs for one function, by estimate and in bytes. Defaults to 1 GiB, which some 200,000
	// accesses to memory or 70,000 indirect calls take.
	MaxBodyMemory int
	// MaxBranchTargets bounds the targets of all br_table instructions of one function. Defaults to 65,520.
	MaxBranchTargets int
	// MaxTypes bounds the function types. Defaults to 10,000.
	MaxTypes int
	// MaxTypeValues bounds the parameters of one function type, and its results. Defaults to 1,000.
	MaxTypeValues int
	// MaxImports bounds the imports. Defaults to 1,000: the runtime searches them one by one.
	MaxImports int
	// MaxFunctions bounds the functions, imported ones included. Defaults to 100,000.
	MaxFunctions int
	// MaxGlobals bounds the globals, imported ones included. Defaults to 10,000.
	MaxGlobals int
	// MaxExports bounds the exports. Defaults to 20,000.
	MaxExports int
	// MaxTables bounds the tables, imported ones included. Defaults to 100.
	MaxTables int
	// MaxTable bounds the elements that all tables of a module hold together. Defaults to 100,000.
	MaxTable int
	// MaxElements bounds the entries of all element segments together. Defaults to 250,000.
	MaxElements int
	// MaxDataSegments bounds the data segments. Defaults to 250,000: Go programs have tens of thousands.
	MaxDataSegments int
	// MaxTags bounds the exception tags, imported ones included. Defaults to 1,000.
	MaxTags int
	// MaxNameBytes bounds the name of one import, export or custom section. Defaults to 10,000.
	MaxNameBytes int
	// MaxNames bounds the names of functions and locals in the name section. Defaults to 1,000,000.
	MaxNames int
	// MaxCustomSections bounds the custom sections. Defaults to 1,000.
	MaxCustomSections int
	// MaxMemoryPages bounds the memory a module may ask for at its start, in pages of 64 KiB. Defaults to 65,536, which is 4 GiB
	// and bounds nothing.
	MaxMemoryPages uint32
}

// withDefaults gives l with every zero field replaced; nil is the zero value.
func (l *Limits) withDefaults() Limits {
	var v Limits
	if l != nil {
		v = *l
	}
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	def(&v.MaxBytes, 64<<20)
	def(&v.MaxBodyBytes, 1<<20)
	def(&v.MaxLocals, 50_000)
	def(&v.MaxAllLocals, 5_000_000)
	def(&v.MaxNesting, 1_000)
	def(&v.MaxBlocks, 4_000_000)
	def(&v.MaxWork, 3_000_000)
	def(&v.MaxBodyMemory, 1<<30)
	def(&v.MaxBranchTargets, 65_520)
	def(&v.MaxTypes, 10_000)
	def(&v.MaxTypeValues, 1_000)
	def(&v.MaxImports, 1_000)
	def(&v.MaxFunctions, 100_000)
	def(&v.MaxGlobals, 10_000)
	def(&v.MaxExports, 20_000)
	def(&v.MaxTables, 100)
	def(&v.MaxTable, 100_000)
	def(&v.MaxElements, 250_000)
	def(&v.MaxDataSegments, 250_000)
	def(&v.MaxTags, 1_000)
	def(&v.MaxNameBytes, 10_000)
	def(&v.MaxNames, 1_000_000)
	def(&v.MaxCustomSections, 1_000)
	if v.MaxMemoryPages == 0 {
		v.MaxMemoryPages = 65_536
	}
	return v
}
