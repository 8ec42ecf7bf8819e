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

	// allowance is how many units a function with loops takes at once.
	allowance = 128

	// defaultQuantum is how many units a guest works before it pauses: tens of microseconds of ordinary code, and
	// at most a few tens of milliseconds of the slowest there is.
	defaultQuantum = 100_000
)

func cost(codeBytes int) uint32 { return uint32(1 + codeBytes/unitBytes) }

// pausePages is what a metered guest asks for when it pauses: with what it has, all a memory can have.
const pausePages = 1 << 16

// meter is what Rewrite adds to a module so that it can be stopped.
//
//	(global $fuel (mut i32) (i32.const quantum))
//	(func $pause
//	  (global.set $fuel (i32.const quantum))
//	  (drop (memory.grow (i32.sub (i32.const 65536) (memory.size)))))
//
// A check is
//
//	(global.set $fuel (local.tee $left (i32.sub (global.get $fuel) (i32.const cost))))
//	(if (i32.lt_s (local.get $left) (i32.const 0)) (then (call $pause)))
//
// which loads and stores a global: in a loop of a few instructions each round would wait for the store of the one before. So a
// function with loops takes an allowance from $fuel, in advance, when it is entered, and its loops count that down in a local:
//
//	(local.set $left (i32.sub (local.get $left) (i32.const cost)))
//	(if (i32.lt_s (local.get $left) (i32.const 0))
//	  (then (local.set $left (i32.add (local.get $left) (i32.const allowance))) (call $take)))
//	(func $take
//	  (global.set $fuel (i32.sub (global.get $fuel) (i32.const allowance)))
//	  (if (i32.lt_s (global.get $fuel) (i32.const 0)) (then (call $pause))))
//
// What of it is left when the function returns is lost: the count is never too low, and too high by the allowance for each call.
type meter struct {
	fuel      uint32 // global
	pause     uint32 // function
	take      uint32 // function
	voidType  uint32 // of both
	quantum   int32
	allowance uint32
	prices    *prices
}

func newMeter(m *Module, quantum int32) *meter {
	if quantum == 0 {
		quantum = defaultQuantum
	}
	return &meter{
		fuel: uint32(len(m.Globals)), pause: uint32(len(m.functions)), take: uint32(len(m.functions)) + 1, voidType: uint32(len(m.Types)),
		quantum: quantum, allowance: uint32(min(allowance, quantum)), prices: newPrices(m, quantum),
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

// charge appends a check of a fixed cost. local is one whose value is not needed.
func (k *meter) charge(out []byte, cost, local uint32) []byte {
	out = op(out, 0x23, k.fuel)
	out = constant(out, int32(cost))
	out = append(out, 0x6b)                // i32.sub
	out = op(out, 0x22, local)             // local.tee
	out = op(out, 0x24, k.fuel)            // global.set
	return k.pauseIf(op(out, 0x20, local)) // local.get
}

// pauseIf appends the end of a check: a pause if the i32 on the stack is negative.
func (k *meter) pauseIf(out []byte) []byte {
	out = append(out, 0x41, 0, 0x48, 0x04, 0x40) // i32.const 0, i32.lt_s, if
	return append(op(out, 0x10, k.pause), 0x0b)  // call, end
}

// chargeLeft appends a check of a fixed cost that counts down the local left.
func (k *meter) chargeLeft(out []byte, cost, left uint32) []byte {
	out = op(out, 0x20, left) // local.get
	out = constant(out, int32(cost))
	out = append(out, 0x6b)                                 // i32.sub
	out = op(out, 0x22, left)                               // local.tee
	out = append(out, 0x41, 0, 0x48, 0x04, 0x40)            // i32.const 0, i32.lt_s, if
	out = constant(op(out, 0x20, left), int32(k.allowance)) // local.get
	out = op(append(out, 0x6a), 0x21, left)                 // i32.add, local.set
	return append(op(out, 0x10, k.take), 0x0b)              // call, end
}

// chargeLength appends a check whose cost is the i32 on top of the stack, shifted right; the stack stays as it is. scratch is
// a local of the function's.
func (k *meter) chargeLength(out []byte, scratch, shift uint32) []byte {
	out = op(out, 0x22, scratch) // local.tee
	out = op(out, 0x23, k.fuel)
	out = op(out, 0x20, scratch) // local.get
	out = constant(out, int32(shift))
	out = append(out, 0x76, 0x6b) // i32.shr_u, i32.sub
	out = op(out, 0x24, k.fuel)
	return k.pauseIf(op(out, 0x23, k.fuel))
}

// cost is what a site pays; 0 for one whose cost is a length.
func (k *meter) cost(b body, s site) uint32 {
	if s.kind == siteOther {
		return s.cost
	}
	return k.prices.code(b, s.at, s.end)
}

// body appends the body of the module's own function i with its checks. Each function gets a local more, and two where there are
// bulk operations.
func (k *meter) body(out []byte, m *Module, i int) []byte {
	b := m.bodies[i]
	left, scratch, locals := b.locals, b.locals+1, byte(1)
	counted := false // some sites are paid for from an allowance
	sites := m.sites[b.first:b.last]
	for _, s := range sites {
		if s.shift != 0 {
			locals = 2
		} else {
			counted = counted || k.cost(b, s) <= k.allowance
		}
	}
	r := reader{b: m.bytes, pos: b.start, end: b.code}
	groups := r.u32()
	out = binary.AppendUvarint(out, uint64(groups)+1)
	out = append(append(out, m.bytes[r.pos:b.code]...), locals, byte(I32))
	charge := func(cost uint32) {
		if counted {
			out = k.charge(out, cost+k.allowance, left)
			out = op(constant(out, int32(k.allowance)), 0x21, left) // local.set
		} else {
			out = k.charge(out, cost, left)
		}
	}
	if k.prices.prepaid[i] == priceChecked {
		charge(k.prices.code(b, uint32(b.code), b.entryEnd))
	}
	from := b.code
	for _, s := range sites {
		out = append(out, m.bytes[from:s.at]...)
		if s.shift != 0 {
			out = k.chargeLength(out, scratch, s.shift)
		} else if cost := k.cost(b, s); cost <= k.allowance {
			out = k.chargeLeft(out, cost, left)
		} else {
			charge(cost)
		}
		from = int(s.at)
	}
	return append(out, m.bytes[from:b.end]...)
}

// global is the item of the global section.
func (k *meter) global() []byte {
	return append(constant([]byte{byte(I32), 1}, k.quantum), 0x0b)
}

// pauseBody is the body of the function that leaves to the host.
func (k *meter) pauseBody() []byte {
	out := constant([]byte{0}, k.quantum) // no locals
	out = op(out, 0x24, k.fuel)
	out = constant(out, pausePages)
	return append(out, 0x3f, 0, 0x6b, 0x40, 0, 0x1a, 0x0b) // memory.size, i32.sub, memory.grow, drop, end
}

// takeBody is the body of the function that takes an allowance.
func (k *meter) takeBody() []byte {
	return append(k.charge([]byte{1, 1, byte(I32)}, k.allowance, 0), 0x0b)
}
