package wasmbin

// What follows an opcode in the binary.
const (
	plain        = iota // nothing
	invalid             // no such instruction
	legacy              // an instruction of the old exception handling proposal
	blockStart          // block type; opens a block
	tryTable            // block type, catch clauses; opens a block
	otherwise           // else
	blockEnd            // end
	branch              // label
	branchTable         // labels
	ret                 // return
	call                // function
	callIndirect        // type, table
	callRef             // type
	throw               // tag
	selectType          // types
	index               // one index
	memoryAccess        // alignment, offset
	memorySize          // 0
	memoryGrow          // 0
	const32             // i32 constant
	const64             // i64 constant
	float32             // f32 constant
	float64             // f64 constant
	refNull             // heap type
	misc                // 0xfc: a second opcode
	vector              // 0xfd: a second opcode
	atomic              // 0xfe: a second opcode
	gc                  // 0xfb: garbage-collected types
)

// opcodes says what follows each opcode.
var opcodes = func() (t [256]uint8) {
	for i := range t {
		t[i] = invalid
	}
	fill := func(first, last int, form uint8) {
		for i := first; i <= last; i++ {
			t[i] = form
		}
	}
	fill(0x00, 0x01, plain)      // unreachable, nop
	fill(0x02, 0x04, blockStart) // block, loop, if
	t[0x05] = otherwise
	fill(0x06, 0x07, legacy) // try, catch
	t[0x08] = throw
	t[0x09] = legacy // rethrow
	t[0x0a] = plain  // throw_ref
	t[0x0b] = blockEnd
	fill(0x0c, 0x0d, branch) // br, br_if
	t[0x0e] = branchTable
	t[0x0f] = ret
	t[0x10], t[0x12] = call, call                 // call, return_call
	t[0x11], t[0x13] = callIndirect, callIndirect // call_indirect, return_call_indirect
	t[0x14], t[0x15] = callRef, callRef           // call_ref, return_call_ref
	fill(0x18, 0x19, legacy)                      // delegate, catch_all
	fill(0x1a, 0x1b, plain)                       // drop, select
	t[0x1c] = selectType
	t[0x1f] = tryTable
	fill(0x20, 0x26, index) // local.get to table.set
	fill(0x28, 0x3e, memoryAccess)
	t[0x3f] = memorySize
	t[0x40] = memoryGrow
	t[0x41], t[0x42], t[0x43], t[0x44] = const32, const64, float32, float64
	fill(0x45, 0xc4, plain) // numeric instructions
	t[0xd0] = refNull
	t[0xd1] = plain                   // ref.is_null
	t[0xd2] = index                   // ref.func
	t[0xd4] = plain                   // ref.as_non_null
	t[0xd5], t[0xd6] = branch, branch // br_on_null, br_on_non_null
	t[0xfb], t[0xfc], t[0xfd], t[0xfe] = gc, misc, vector, atomic
	return t
}()

// What follows a vector opcode, beyond nothing.
const (
	vectorInvalid  = iota + 1
	vectorMemory   // alignment, offset
	vectorLane     // lane
	vectorMemLane  // alignment, offset, lane
	vectorConstant // 16 bytes
)

// vectorOpcodes says what follows each vector opcode.
var vectorOpcodes = func() (t [256]uint8) {
	fill := func(first, last int, form uint8) {
		for i := first; i <= last; i++ {
			t[i] = form
		}
	}
	fill(0x00, 0x0b, vectorMemory)
	fill(0x0c, 0x0d, vectorConstant) // v128.const, i8x16.shuffle
	fill(0x15, 0x22, vectorLane)
	fill(0x54, 0x5b, vectorMemLane)
	fill(0x5c, 0x5d, vectorMemory)
	for _, i := range []int{0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee} {
		t[i] = vectorInvalid
	}
	return t
}()
