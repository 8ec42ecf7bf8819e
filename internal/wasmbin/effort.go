package wasmbin

// effort counts what makes one function dear to compile. wazero's compiler is quadratic in the basic blocks of a function (it
// takes 20 s for 900 kB of empty blocks, and 10 s for 66 kB of ifs around a return), and makes a phi of every local at every
// place where ways meet: 11 kB with 1,000 locals and 1,000 loops take 3 s.
//
// The weights were fitted to wazero 1.12.0, with checks compiled in, on functions of 2,000 to 20,000 equal instructions: a weight
// of w halves stands for 5/4 w*w nanoseconds times the square of their number, and is the larger of what was measured at both
// ends. On modules that Go, TinyGo, Rust, Zig and C compilers make, the sum is 0.2 to 2 us a byte, 3.2 at most; the worst megabyte
// that is let through takes 8 s.
type effort struct {
	locals   int // parameters and locals
	joins    int // loops, ifs and branches
	blocks   int // basic blocks, by weight, in halves
	operands int // values that calls, blocks and branches carry, beyond one each way
	indirect int // calls through tables and references
}

// Basic blocks that an instruction makes, in halves. A check is part of a loop's and of a bulk operation's. Ways that lead out
// of the middle of a function, not to what follows, cost the pass that orders blocks more than others.
const (
	halvesBlock  = 2
	halvesIf     = 4
	halvesBranch = 4
	halvesLeave  = 6
	halvesTable  = 4
	halvesTarget = 1
	halvesTry    = 6
	halvesLoop   = 20
	halvesBulk   = 12
)

// nanoseconds estimates what the function takes to compile beyond what its size explains.
func (e *effort) nanoseconds() int64 {
	blocks := int64(e.blocks) / 2
	return 5*blocks*blocks + 3_000*(int64(e.locals)*int64(e.joins)+int64(e.operands)) + 40_000*int64(e.indirect)
}

// What the compiler keeps for an instruction until its function is done, in bytes. Most keep some hundred; these are the ones that
// make it take gigabytes for a megabyte of them. Blocks and bulk operations are few enough for the sake of time.
const (
	keptAccess   = 5_000 // a memory or table access
	keptDivision = 5_000
	keptTruncate = 8_000
	keptCall     = 2_000 // also ref.func and dropping segments
	keptIndirect = 14_000
)

// keep counts the memory that an instruction takes.
func (s *scanner) keep(at, bytes int) {
	if s.kept += int64(bytes); s.kept > int64(s.l.MaxBodyMemory) {
		s.fail(at, ErrLimit, "a function takes more than %d MiB of memory to compile; split it", s.l.MaxBodyMemory>>20)
	}
}

// keepPlain is keep for an instruction without operands in the code.
func (s *scanner) keepPlain(at int, op byte) {
	switch {
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82:
		s.keep(at, keptDivision)
	case op >= 0xa8 && op <= 0xab, op >= 0xae && op <= 0xb1:
		s.keep(at, keptTruncate)
	}
}

// budget is what all functions together may take to compile, in nanoseconds.
func (s *scanner) budget() int64 { return 1_000*int64(s.l.MaxWork) + 4_000*int64(len(s.b)) }

// account refuses a function that, as far as it was read, is too complex with those before it.
func (s *scanner) account(at int) {
	if s.work+s.effort.nanoseconds() > s.budget() {
		s.fail(at, ErrLimit, "the functions of the module are too complex to compile: too many blocks, branches, locals or wide calls"+
			" in one function; split its largest functions")
	}
}
