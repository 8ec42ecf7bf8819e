package wasmbin

import (
	"math"
	"slices"
)

// frame is an open block.
type frame struct {
	carries int32 // values that a branch to it carries
	loops   int32 // siteLoops that are open, this one too
	reached uint8 // how code behind its end is, if it is no loop
	kind    byte  // its opcode, 0 for the function itself
}

func (s *scanner) codeSection() {
	s.m.Code.Bytes = s.left()
	// The vectors are read by now: what a function declares and the bytes that are left bound this one.
	n := s.count("function bodies", 2, s.l.MaxFunctions)
	if s.err == nil && n != s.defined {
		s.fail(s.pos, ErrMalformed, "the module declares %d functions but has %d function bodies", s.defined, n)
	}
	if s.err != nil {
		return
	}
	s.m.Code.Functions = n
	s.m.bodies = make([]body, 0, n)
	s.survey(n)
	sectionEnd := s.end
	for range n {
		at := s.pos
		size := s.count("bytes in a function body", 1, s.left())
		if s.err != nil {
			return
		}
		if size > s.l.MaxBodyBytes {
			s.fail(at, ErrLimit, "a function has a body of %d bytes, more than the %d allowed", size, s.l.MaxBodyBytes)
			return
		}
		s.m.Code.MaxBodyBytes = max(s.m.Code.MaxBodyBytes, size)
		s.end = s.pos + size
		s.body(&s.m.Types[s.m.functions[int(s.m.imported)+len(s.m.bodies)]])
		if s.err != nil {
			return
		}
		s.end = sectionEnd
	}
}

func (s *scanner) body(t *FuncType) {
	b := body{start: s.pos, end: s.end, first: len(s.m.sites)}
	at := s.pos
	locals := int64(len(t.Params))
	for range s.count("groups of locals", 2, s.left()) {
		locals += int64(s.u32())
		s.readValueType("a local")
		if s.err != nil {
			return
		}
		if locals > int64(s.l.MaxLocals) {
			s.fail(at, ErrLimit, "a function has %d parameters and locals, more than the %d allowed", locals, s.l.MaxLocals)
			return
		}
	}
	if s.locals += locals; s.locals > int64(s.l.MaxAllLocals) {
		s.fail(at, ErrLimit, "the functions of the module have more than %d parameters and locals together", s.l.MaxAllLocals)
		return
	}
	s.m.Code.MaxLocals = max(s.m.Code.MaxLocals, int(locals))
	b.code, b.locals = s.pos, uint32(locals)
	s.instructions(t, &b, int(locals))
	b.last = len(s.m.sites)
	s.m.bodies = append(s.m.bodies, b)
}

// instructions walks over a function body. It follows blocks and immediates, not operand types.
func (s *scanner) instructions(t *FuncType, b *body, locals int) {
	stats := &s.m.Code
	targets := 0
	s.effort = effort{locals: locals}
	work := &s.effort
	s.kept = 0
	s.marks, s.calls = s.marks[:0], s.calls[:0]
	s.frames = append(s.frames[:0], frame{carries: int32(len(t.Results))})
	for s.pos < s.end {
		at := s.pos
		op := s.b[s.pos]
		s.pos++
		switch opcodes[op] {
		case plain:
			if op == 0x00 || op == 0x0a { // unreachable, throw_ref
				work.blocks += halvesLeave
				s.mark(siteLeave, at, 0)
			}
			s.keepPlain(at, op)
		case index:
			s.index(at, op, locals)
			s.m.ChangesTables = s.m.ChangesTables || op == 0x26 // table.set
		case const32:
			s.signed(32)
		case memoryAccess:
			s.access(at)
			s.memoryArgument(at)
		case const64:
			s.signed(64)
		case float32:
			s.skip(4)
		case float64:
			s.skip(8)
		case blockStart, tryTable:
			params, results := s.blockType(at)
			work.operands += params + results
			kind, open := siteBlock, frame{carries: int32(results), loops: s.frames[len(s.frames)-1].loops, kind: op}
			if opcodes[op] == tryTable {
				work.blocks += halvesTry
				work.operands += s.catches(at)
			} else if op == 0x03 {
				kind, open.carries = siteLoop, int32(params)
				if params > 0 {
					kind = siteLoopInline
				} else {
					open.loops++
				}
				stats.Loops++
				s.unbounded = true
				work.blocks += halvesLoop
				work.joins++
			} else if op == 0x04 {
				kind = siteIf
				work.blocks += halvesIf
				work.joins++
			} else {
				work.blocks += halvesBlock
			}
			s.mark(kind, at, 0)
			s.frames = append(s.frames, open)
			stats.MaxNesting = max(stats.MaxNesting, len(s.frames)-1)
			if len(s.frames)-1 > s.l.MaxNesting {
				s.fail(at, ErrLimit, "a function has blocks nested deeper than the %d allowed", s.l.MaxNesting)
			}
			if stats.Blocks++; stats.Blocks > s.l.MaxBlocks {
				s.fail(at, ErrLimit, "the module has more than the %d blocks allowed", s.l.MaxBlocks)
			}
		case otherwise:
			top := &s.frames[len(s.frames)-1]
			if top.kind != 0x04 {
				s.fail(at, ErrMalformed, "a function has an else outside of an if")
			}
			top.kind = op
			s.mark(siteElse, at, 0)
		case blockEnd:
			top := s.frames[len(s.frames)-1]
			if s.frames = s.frames[:len(s.frames)-1]; len(s.frames) == 0 {
				if s.pos != s.end {
					s.fail(at, ErrMalformed, "a function goes on after its end")
					return
				}
				s.mark(siteEnd, at, 0)
				if s.account(at); s.err == nil {
					s.work += work.nanoseconds()
					stats.Work = int(s.work / 1_000)
					s.sweep(b)
				}
				return
			}
			switch top.kind {
			case 0x03:
				s.mark(siteLoopEnd, at, 0)
			case 0x04, 0x05:
				s.mark(siteEnd, at, uint32(top.reached|jumps))
			default:
				s.mark(siteEnd, at, uint32(top.reached))
			}
		case branch:
			kind := siteBranchIf
			work.blocks += halvesBranch
			if op == 0x0c {
				kind = siteBranch
				work.blocks += halvesLeave - halvesBranch
			}
			work.operands += s.label(kind, at)
			work.joins++
		case branchTable:
			n := s.count("branch targets", 1, s.left())
			targets += n
			work.blocks += halvesTable + n*halvesTarget
			if targets > s.l.MaxBranchTargets {
				s.fail(at, ErrLimit, "the br_table instructions of a function have %d targets, more than the %d allowed", targets, s.l.MaxBranchTargets)
			}
			stats.BranchTargets += n
			stats.MaxBranchTargets = max(stats.MaxBranchTargets, targets)
			for range n {
				work.operands += s.label(siteBranchIf, at)
			}
			work.operands += s.label(siteBranchIf, at)
			s.mark(siteTargets, s.pos, 0)
		case ret:
			work.operands += len(t.Results)
			work.blocks += halvesLeave
			s.mark(siteLeave, at, 0)
		case call:
			s.keep(at, keptCall)
			if op == 0x12 {
				work.blocks += halvesLeave
			}
			if f := s.u32(); s.err == nil {
				if int64(f) >= int64(len(s.m.functions)) {
					s.fail(at, ErrMalformed, "a function calls function %d, which does not exist", f)
				} else {
					work.operands += s.m.Types[s.m.functions[f]].arity()
					s.called(at, int64(f), op == 0x12)
				}
			}
		case callIndirect, callRef:
			if i := s.typeIndex("an indirect call"); s.err == nil {
				work.operands += s.m.Types[i].arity()
			}
			if opcodes[op] == callIndirect {
				s.u32()
			}
			s.called(at, -1, op&1 != 0 && op > 0x11)
			s.keep(at, keptIndirect)
			if work.indirect++; op&1 != 0 && op > 0x11 { // return_call_indirect, return_call_ref
				work.blocks += halvesLeave
			}
		case throw:
			work.blocks += halvesLeave
			work.operands += s.tag(at)
			s.mark(siteLeave, at, 0)
		case selectType:
			if n := s.byte(); s.err == nil && n != 1 {
				s.fail(at, ErrMalformed, "a select has %d types, one is expected", n)
			}
			s.readValueType("a select")
		case memorySize, memoryGrow:
			s.access(at)
			s.zero(at)
			if op == 0x40 {
				s.mark(siteGrow, at, 0)
				work.blocks += halvesBulk
			}
		case refNull:
			s.heapType()
		case misc:
			n := len(s.marks)
			s.miscInstruction(at)
			work.blocks += (len(s.marks) - n) * halvesBulk
		case vector:
			s.vectorInstruction(at)
		case atomic:
			s.atomicInstruction(at)
		case legacy:
			s.fail(at, ErrUnsupported, "a function uses the old form of exception handling (0x%02x), recompile it for the current one (exnref) or translate it: wasm-opt --translate-to-exnref", op)
		case gc:
			s.fail(at, ErrUnsupported, "a function uses garbage-collected types (0xfb), which flagbase does not run")
		default:
			s.fail(at, ErrMalformed, "a function has an unknown instruction (0x%02x)", op)
		}
		if s.err != nil {
			return
		}
	}
	s.fail(s.pos, ErrMalformed, "a function has no end")
}

// mark notes what stands between at and where the scanner is.
func (s *scanner) mark(kind siteKind, at int, arg uint32) {
	if len(s.marks) == cap(s.marks) {
		s.account(at) // a function that will be refused is not read to its end
		s.marks = slices.Grow(s.marks, max(64, len(s.marks)))
	}
	s.marks = append(s.marks, site{at: uint32(at), size: uint8(min(s.pos-at, math.MaxUint8)), kind: kind, arg: arg})
}

// arity is how many values a call carries beyond one each way.
func (t *FuncType) arity() int { return max(len(t.Params)+len(t.Results)-2, 0) }

// index reads what a local, global, table or function instruction names. Rewriting appends a global, a function, a local, perhaps
// a memory: no code of the module may come to name them, or it could set its own meter.
func (s *scanner) index(at int, op byte, locals int) {
	i := int64(s.u32())
	if s.err != nil {
		return
	}
	what, have := "table", len(s.m.Tables)
	switch {
	case op <= 0x22:
		what, have = "local", locals
	case op <= 0x24:
		what, have = "global", len(s.m.Globals)
	case op == 0xd2:
		what, have = "function", len(s.m.functions)
		s.keep(at, keptCall)
	default:
		s.keep(at, keptAccess)
	}
	if i >= int64(have) {
		s.fail(at, ErrMalformed, "a function names %s %d, which does not exist", what, i)
	}
}

// access counts an instruction that uses memory.
func (s *scanner) access(at int) {
	s.needsMemory(at)
	s.keep(at, keptAccess)
}

func (s *scanner) needsMemory(at int) {
	if s.m.Memory == nil {
		s.fail(at, ErrMalformed, "the module uses memory, but has none")
	}
}

func (s *scanner) zero(at int) {
	if v := s.byte(); s.err == nil && v != 0 {
		s.fail(at, ErrUnsupported, "a function uses memory %d, flagbase runs modules with one memory", v)
	}
}

func (s *scanner) memoryArgument(at int) {
	align := s.u32()
	if s.err == nil && align >= 32 {
		if align&0x40 != 0 {
			s.fail(at, ErrUnsupported, "a function uses a second memory, flagbase runs modules with one memory")
			return
		}
		s.fail(at, ErrMalformed, "a memory access has an alignment of 2^%d bytes", align)
	}
	s.u32()
}

// blockType gives how many values a block takes and gives.
func (s *scanner) blockType(at int) (params, results int) {
	switch v := s.signed(33); {
	case s.err != nil:
	case v >= 0:
		if v >= int64(len(s.m.Types)) {
			s.fail(at, ErrMalformed, "a block has type %d, but there are only %d types", v, len(s.m.Types))
			return 0, 0
		}
		return len(s.m.Types[v].Params), len(s.m.Types[v].Results)
	case v == -64:
	case v >= -5, v == -16, v == -17, v == -23:
		return 0, 1
	case v == -28, v == -29:
		s.heapType()
		return 0, 1
	default:
		s.badType(at, byte(v)&0x7f, "a block")
	}
	return 0, 0
}

// label reads a label and gives how many values a branch to it carries.
func (s *scanner) label(kind siteKind, at int) int {
	start := s.pos
	l := s.u32()
	if s.err != nil {
		return 0
	}
	if int64(l) >= int64(len(s.frames)) {
		s.fail(at, ErrMalformed, "a branch leaves %d blocks, but stands in only %d", l, len(s.frames))
		return 0
	}
	s.mark(kind, start, l)
	to := &s.frames[len(s.frames)-1-int(l)]
	out := s.frames[len(s.frames)-1].loops - to.loops
	s.marks[len(s.marks)-1].cost = loopLabels * uint32(out)
	to.reached |= jumps
	if out > 0 {
		to.reached |= jumpsOut
	}
	return int(to.carries)
}

// tag reads a tag and gives how many values it carries.
func (s *scanner) tag(at int) int {
	i := s.u32()
	if s.err != nil {
		return 0
	}
	if int64(i) >= int64(len(s.m.tags)) {
		s.fail(at, ErrMalformed, "a function names tag %d, which does not exist", i)
		return 0
	}
	return len(s.m.Types[s.m.tags[i]].Params)
}

// catches reads the clauses of a try_table and gives how many values they carry together.
func (s *scanner) catches(at int) int {
	operands := 0
	for range s.count("catch clauses", 2, s.l.MaxNesting) {
		switch kind := s.byte(); kind {
		case 0, 1: // catch, catch_ref
			operands += s.tag(at)
			operands += s.label(siteBranchIf, at)
		case 2, 3: // catch_all, catch_all_ref
			operands += s.label(siteBranchIf, at)
		default:
			s.fail(at, ErrMalformed, "a catch clause has no valid form (0x%02x)", kind)
		}
		operands++
		if s.err != nil {
			return 0
		}
	}
	return operands
}

func (s *scanner) miscInstruction(at int) {
	op := s.u32()
	if s.err != nil || op <= 0x07 { // saturating conversions
		return
	}
	if op == 0x08 || op == 0x0a || op == 0x0b {
		s.access(at)
	}
	// Bulk operations take time in proportion to a size that the guest names, up to seconds each, so each is checked.
	s.keep(at, keptCall)
	if op != 0x09 && op != 0x0d && op != 0x10 {
		shift := uint32(memoryShift)
		if op >= 0x0c {
			shift = tableShift
		}
		s.mark(siteBulk, at, shift)
	}
	if op == 0x09 || op >= 0x0c && op != 0x10 { // data.drop, and all of tables and elements but table.size
		s.m.ChangesTables = true
	}
	switch op {
	case 0x08: // memory.init
		s.u32()
		s.zero(at)
	case 0x09, 0x0d, 0x10, 0x11: // data.drop, elem.drop, table.size, table.fill
		s.u32()
	case 0x0f: // table.grow
		if i := s.u32(); s.err == nil && int64(i) < int64(len(s.m.Tables)) && !s.m.Tables[i].HasMax {
			s.m.GrowsUnboundedTable = true
		}
	case 0x0a: // memory.copy
		s.zero(at)
		s.zero(at)
	case 0x0b: // memory.fill
		s.zero(at)
	case 0x0c, 0x0e: // table.init, table.copy
		s.u32()
		s.u32()
	default:
		s.fail(at, ErrMalformed, "a function has an unknown instruction (0xfc %d)", op)
	}
}

func (s *scanner) vectorInstruction(at int) {
	op := s.byte()
	if op >= 0x80 {
		// The runtime reads one byte and takes the rest of a longer number for an instruction, so there must be one reading only.
		switch rest := s.byte(); {
		case s.err != nil:
			return
		case rest == 0x02:
			s.fail(at, ErrUnsupported, "a function uses relaxed vector instructions (0xfd 0x%x), which flagbase does not run", 0x80+int(op))
			return
		case rest != 0x01:
			s.fail(at, ErrMalformed, "a function has an unknown instruction (0xfd 0x%02x 0x%02x)", op, rest)
			return
		}
	}
	switch vectorOpcodes[op] {
	case vectorMemory:
		s.access(at)
		s.memoryArgument(at)
	case vectorMemLane:
		s.access(at)
		s.memoryArgument(at)
		s.byte()
	case vectorLane:
		s.byte()
	case vectorConstant:
		s.skip(16)
	case vectorInvalid:
		s.fail(at, ErrMalformed, "a function has an unknown instruction (0xfd 0x%02x)", op)
	}
}

func (s *scanner) atomicInstruction(at int) {
	switch op := s.byte(); {
	case s.err != nil:
	case op == 0x03: // atomic.fence
		s.zero(at)
	case op <= 0x02, op >= 0x10 && op <= 0x4e:
		s.access(at)
		s.memoryArgument(at)
	default:
		s.fail(at, ErrMalformed, "a function has an unknown instruction (0xfe 0x%02x)", op)
	}
}
