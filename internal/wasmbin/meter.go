package wasmbin

import "encoding/binary"

// What a unit of work is: 16 bytes of code that ran, 64 bytes of memory or 8 elements of a table that a bulk operation
// handled. So the work between two checks is bounded whatever the code looks like: straight code, however long, is charged
// where it is entered.
const (
	unitBytes   = 16
	memoryShift = 6
	tableShift  = 3
	growCost    = 16

	// defaultQuantum is how many units a guest works before it pauses: tens of microseconds of ordinary code, and
	// at most a few tens of milliseconds of the slowest there is.
	defaultQuantum = 100_000
)

func cost(codeBytes uint32) uint32 { return 1 + codeBytes/unitBytes }

// pausePages is what a metered guest asks for when it pauses: with what it has, all a memory can have.
const pausePages = 1 << 16

// meter is what Rewrite adds to a module so that it can be stopped.
//
//	(global $fuel (mut i32) (i32.const quantum))
//	(func $pause (param $more i32)
//	  (global.set $fuel (i32.add (i32.const quantum) (local.get $more)))
//	  (drop (memory.grow (i32.sub (i32.const 65536) (memory.size)))))
//
// A check lowers $fuel, and calls $pause if it is negative. What the compiler makes of a check in the middle of code is bad: where
// the ways meet again everything comes from the stack, where the call put it, also if there was no call. So the way with the call never
// comes back to the middle. Where a function is entered, it begins anew:
//
//	(global.set $fuel (local.tee $spare (i32.sub (global.get $fuel) (i32.const cost))))
//	(if (i32.eqz (i32.lt_s (local.get $spare) (i32.const 0)))
//	  (then ...)
//	  (else (call $pause (i32.const cost)) (return_call $function (local.get 0) ...)))
//
// and a loop is entered anew from one around it:
//
//	(block $done
//	  (loop $again
//	    (block $out
//	      (loop
//	        (global.set $fuel (local.tee $spare (i32.sub (global.get $fuel) (i32.const cost))))
//	        (br_if $out (i32.lt_s (local.get $spare) (i32.const 0)))
//	        ...)
//	      (br $done))
//	    (call $pause (i32.const cost))
//	    (br $again)))
type meter struct {
	fuel    uint32 // global
	pause   uint32 // function
	typeOf  uint32 // of pause
	quantum int32
}

func newMeter(m *Module, quantum int32) *meter {
	if quantum == 0 {
		quantum = defaultQuantum
	}
	return &meter{
		fuel: uint32(len(m.Globals)), pause: uint32(len(m.functions)), typeOf: uint32(len(m.Types)),
		quantum: quantum,
	}
}

// op appends an instruction with an index.
func op(out []byte, code byte, index uint32) []byte {
	return binary.AppendUvarint(append(out, code), uint64(index))
}

func constant(out []byte, v int32) []byte {
	out = append(out, 0x41)
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// lower appends the lowering of the fuel by an amount.
func (k *meter) lower(out []byte, cost uint32) []byte {
	out = constant(op(out, 0x23, k.fuel), int32(cost)) // global.get
	return op(append(out, 0x6b), 0x24, k.fuel)         // i32.sub, global.set
}

// charge appends the lowering of the fuel, and whether it is negative then. local is one whose value is not needed.
func (k *meter) charge(out []byte, cost, local uint32) []byte {
	out = constant(op(out, 0x23, k.fuel), int32(cost)) // global.get
	out = op(append(out, 0x6b), 0x22, local)           // i32.sub, local.tee
	out = op(out, 0x24, k.fuel)                        // global.set
	return append(op(out, 0x20, local), 0x41, 0, 0x48) // local.get, i32.const 0, i32.lt_s
}

// pauseIf appends a pause if what charge appended says so.
func (k *meter) pauseIf(out []byte) []byte {
	return append(op(append(out, 0x04, 0x40, 0x41, 0), 0x10, k.pause), 0x0b) // if, i32.const 0, call, end
}

// chargeLength appends a check whose cost is the i32 on top of the stack, shifted right; the stack stays as it is.
func (k *meter) chargeLength(out []byte, scratch, shift uint32) []byte {
	out = op(out, 0x22, scratch) // local.tee
	out = op(out, 0x23, k.fuel)
	out = op(out, 0x20, scratch) // local.get
	out = constant(out, int32(shift))
	out = append(out, 0x76, 0x6b) // i32.shr_u, i32.sub
	out = op(out, 0x24, k.fuel)
	out = append(op(out, 0x23, k.fuel), 0x41, 0, 0x48) // global.get, i32.const 0, i32.lt_s
	return k.pauseIf(out)
}

// metered is a function that gets its checks.
type metered struct {
	*meter
	m     *Module
	out   []byte
	spare uint32 // local whose value is not needed
}

// body appends the body of the module's own function i with its checks.
func (k *meter) body(out []byte, m *Module, i int) []byte {
	b := m.bodies[i]
	sites := m.sites[b.first:b.last]
	spare := byte(0)
	if b.entry > 0 || len(sites) > 0 {
		spare = 1
	}
	f := metered{meter: k, m: m, out: out, spare: b.locals}
	r := reader{b: m.bytes, pos: b.start, end: b.code}
	groups := r.u32()
	f.out = append(binary.AppendUvarint(f.out, uint64(groups)+uint64(spare)), m.bytes[r.pos:b.code]...)
	if spare > 0 {
		f.out = append(f.out, spare, byte(I32))
	}
	function := uint32(len(m.functions) - len(m.bodies) + i)
	if b.entry > 0 {
		f.enter(b.entry, function)
	}
	from := uint32(b.code)
	for j := range sites {
		from = f.site(&sites[j], from)
	}
	f.copy(from, uint32(b.end))
	if b.entry > 0 {
		f.leave(b.entry, function)
	}
	return f.out
}

// blockTypeOf gives the type of a block with the results of a function, if it can be written without a type of its own.
func blockTypeOf(results []ValueType) (byte, bool) {
	switch {
	case len(results) == 0:
		return 0x40, true
	case len(results) == 1 && results[0] >= V128: // a number
		return byte(results[0]), true
	}
	return 0, false
}

// enter appends the check of a function. Where it can, it puts all of the function's code into the if, whose end takes the place of the
// function's: then the other way is behind it.
func (f *metered) enter(cost, function uint32) {
	f.out = f.charge(f.out, cost, f.spare)
	if t, ok := blockTypeOf(f.m.Types[f.m.functions[function]].Results); ok {
		f.out = append(f.out, 0x45, 0x04, t) // i32.eqz, if
		return
	}
	f.again(append(f.out, 0x04, 0x40), cost, function) // if
}

// leave appends what enter left over, behind the function's code.
func (f *metered) leave(cost, function uint32) {
	if _, ok := blockTypeOf(f.m.Types[f.m.functions[function]].Results); ok {
		f.again(append(f.out[:len(f.out)-1], 0x05), cost, function) // else instead of end
		f.out = append(f.out, 0x0b)
	}
}

// again appends a pause after which the function begins anew.
func (f *metered) again(out []byte, cost, function uint32) {
	out = op(constant(out, int32(cost)), 0x10, f.pause) // call
	for i := range f.m.Types[f.m.functions[function]].Params {
		out = op(out, 0x20, uint32(i)) // local.get
	}
	f.out = append(op(out, 0x12, function), 0x0b) // return_call, end
}

// loopLabels is how many labels a loop gets around it.
const loopLabels = 3

// site appends the module's code up to a site and what takes its place, and gives where to go on.
func (f *metered) site(s *site, from uint32) uint32 {
	f.copy(from, s.at)
	switch s.kind {
	case siteLoop:
		f.loop(s)
	case siteLoopEnd:
		f.copy(s.at, s.end())
		f.loopEnd(s)
	case siteLoopInline:
		f.copy(s.at, s.end())
		f.out = f.pauseIf(f.charge(f.out, s.cost, f.spare))
	case siteIf, siteElse, siteEnd:
		f.copy(s.at, s.end())
		f.out = f.lower(f.out, s.cost)
	case siteBulk:
		f.out = f.chargeLength(f.out, f.spare, s.arg)
		return s.at
	case siteGrow:
		f.out = f.pauseIf(f.charge(f.out, growCost, f.spare))
		return s.at
	default: // labels
		f.out = binary.AppendUvarint(f.out, uint64(s.arg+s.cost))
	}
	return s.end()
}

func (f *metered) copy(from, to uint32) { f.out = append(f.out, f.m.bytes[from:to]...) }

// loop appends the beginning of a loop and what comes around it.
func (f *metered) loop(s *site) {
	blockType := f.m.bytes[s.at+1 : s.end()]
	f.out = append(append(f.out, 0x02), blockType...)             // block
	f.out = append(append(f.out, 0x03), blockType...)             // loop
	f.out = append(append(f.out, 0x02, 0x40, 0x03), blockType...) // block, loop
	f.out = f.charge(f.out, s.cost, f.spare)
	f.out = append(f.out, 0x0d, 1) // br_if
}

// loopEnd appends what comes behind a loop.
func (f *metered) loopEnd(s *site) {
	f.out = append(f.out, 0x0c, 2, 0x0b)                     // br, end
	f.out = op(constant(f.out, int32(s.arg)), 0x10, f.pause) // call
	f.out = append(f.out, 0x0c, 0, 0x0b, 0x0b)               // br, end, end
	if s.cost > 0 {
		f.out = f.lower(f.out, s.cost)
	}
}

// global is the item of the global section.
func (k *meter) global() []byte {
	return append(constant([]byte{byte(I32), 1}, k.quantum), 0x0b)
}

// pauseBody is the body of the function that leaves to the host.
func (k *meter) pauseBody() []byte {
	out := constant([]byte{0}, k.quantum) // no locals
	out = append(out, 0x20, 0, 0x6a)      // local.get, i32.add
	out = constant(op(out, 0x24, k.fuel), pausePages)
	return append(out, 0x3f, 0, 0x6b, 0x40, 0, 0x1a, 0x0b) // memory.size, i32.sub, memory.grow, drop, end
}
