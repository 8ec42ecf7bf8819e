package wasmbin_test

import (
	"encoding/binary"
	"strings"
)

// guestFunctions is how many functions, all (i32, i32) -> i32, a made-up guest has. Each calls only later ones, so that it ends.
const guestFunctions = 4

// guestLocals are the locals of each: two parameters, two i32 of the guest's own, and a counter for each loop in a loop.
const guestLocals, guestDepth = 4, 3

// guest writes a module that is valid and ends, and takes its choices from a tape of bytes; past its end all choices are 0.
type guest struct {
	tape     []byte
	function int // that is being written
	loops    int // that are open
	room     int // statements that may still be written
}

// newGuest is a module with a memory of 1 to 3 pages, a table of 8 to 10 functions, globals and passive segments. It exports f, which
// is the first function, peek, which says whether an element of the table is null, size, which is that of the table, and memory
// and the globals g0 (i32) and g1 (i64).
func newGuest(tape []byte) []byte {
	g := &guest{tape: tape}
	var code strings.Builder
	add := func(body string) {
		code.Write(binary.AppendUvarint(nil, uint64(len(body))))
		code.WriteString(body)
	}
	for g.function = range guestFunctions {
		g.room = 40
		add("\x01\x05\x7f" + g.statements(20) + g.value(2) + "\x0b")
	}
	add("\x00\x20\x00\x25\x00\xd1\x0b") // peek
	add("\x00\xfc\x10\x00\x0b")         // size
	return []byte("\x00asm\x01\x00\x00\x00" +
		sec(1, "\x03\x60\x02\x7f\x7f\x01\x7f\x60\x01\x7f\x01\x7f\x60\x00\x01\x7f") +
		sec(3, "\x06\x00\x00\x00\x00\x01\x02") +
		sec(4, "\x01\x70\x01\x08\x0a") +
		sec(5, "\x01\x01\x01\x03") +
		sec(6, "\x02\x7f\x01\x41\x07\x0b\x7e\x01\x42\x09\x0b") +
		sec(7, "\x06\x01f\x00\x00\x04peek\x00\x04\x04size\x00\x05\x06memory\x02\x00\x02g0\x03\x00\x02g1\x03\x01") +
		// The last function calls none, so that a call through the table ends too.
		sec(9, "\x02\x00\x41\x02\x0b\x03\x03\x03\x03\x01\x00\x02\x03\x03") +
		sec(12, "\x02") +
		sec(10, "\x06"+code.String()) +
		sec(11, "\x02\x00\x41\x20\x0b\x05hello\x01\x0cpassive data"))
}

func (g *guest) pick(n int) int {
	if len(g.tape) == 0 {
		return 0
	}
	b := g.tape[0]
	g.tape = g.tape[1:]
	return int(b) % n
}

// statements gives up to most of them, fewer where the tape or the room ends.
func (g *guest) statements(most int) string {
	var out strings.Builder
	for range most - g.pick(most+1) {
		if len(g.tape) == 0 {
			break
		}
		if g.room--; g.room < 0 {
			break
		}
		out.WriteString(g.statement())
	}
	return out.String()
}

func (g *guest) local() string { return string(rune(g.pick(guestLocals))) }

func (g *guest) leaf() bool { return g.function == guestFunctions-1 }

// later is a function that this one may call.
func (g *guest) later() string {
	return string(rune(g.function + 1 + g.pick(guestFunctions-1-g.function)))
}

// masked is a value below the power of two that mask ends; addresses and lengths that are usually in bounds.
func (g *guest) masked(mask string) string { return g.value(1) + "\x41" + mask + "\x71" }

const (
	page  = "\xff\xff\x03" // 65,535
	short = "\xff\x01"     // 255
	few   = "\x0f"         // 15
)

func (g *guest) statement() string {
	switch g.pick(22) {
	case 1:
		return g.value(2) + "\x24\x00" // g0
	case 2:
		return g.value(2) + "\xac\x23\x01\x7c\x24\x01" // g1 += extended
	case 3:
		return g.masked(page) + g.value(2) + "\x36\x02\x00" // store
	case 4:
		return g.masked(page) + g.value(1) + g.masked(short) + "\xfc\x0b\x00" // fill
	case 5:
		return g.masked(page) + g.masked(page) + g.masked(short) + "\xfc\x0a\x00\x00" // copy
	case 6:
		return g.masked(page) + g.masked("\x03") + g.masked("\x07") + "\xfc\x08\x01\x00" // init
	case 7:
		return g.value(1) + "\x41\x01\x71\x40\x00\x21" + g.local() // grow
	case 8:
		return g.masked("\x07") + "\xd2\x03\x26\x00" // table.set
	case 9:
		return g.masked("\x07") + "\xd0\x70" + g.masked("\x03") + "\xfc\x11\x00" // table.fill
	case 10:
		return g.masked("\x07") + g.masked("\x07") + g.masked("\x03") + "\xfc\x0e\x00\x00" // table.copy
	case 11:
		return g.masked("\x07") + "\x41\x00" + g.masked("\x03") + "\xfc\x0c\x01\x00" // table.init
	case 12:
		return "\xd2\x03" + g.masked("\x01") + "\xfc\x0f\x00\x21" + g.local() // table.grow
	case 13:
		return []string{"\xfc\x09\x01", "\xfc\x0d\x01"}[g.pick(2)] // data.drop, elem.drop
	case 14, 15:
		return g.loop()
	case 16:
		return g.value(1) + "\x04\x40" + g.statements(3) + "\x05" + g.statements(3) + "\x0b" // if
	case 17: // switch
		return "\x02\x40\x02\x40\x02\x40" + g.masked("\x03") + "\x0e\x02\x00\x01\x02\x0b" + g.statements(2) + "\x0c\x01\x0b" + g.statements(2) + "\x0b"
	case 18, 19:
		if g.leaf() || g.loops > 1 {
			return "\x01"
		}
		return g.value(1) + g.value(1) + "\x10" + g.later() + "\x21" + g.local()
	case 20: // through the table, which holds nulls
		if g.leaf() {
			return "\x01"
		}
		return g.value(1) + g.value(1) + g.masked(few) + "\x11\x00\x00\x21" + g.local()
	case 21: // a tail call, sometimes
		if g.leaf() {
			return g.value(1) + "\x04\x40" + g.value(1) + "\x0f\x0b" // return
		}
		return g.value(1) + "\x04\x40" + g.value(1) + g.value(1) + "\x12" + g.later() + "\x0b"
	}
	return g.value(3) + "\x21" + g.local()
}

// loop goes round 1 to 4 times, or leaves earlier.
func (g *guest) loop() string {
	if g.loops == guestDepth {
		return "\x01"
	}
	counter := string(rune(guestLocals + g.loops))
	g.loops++
	defer func() { g.loops-- }()
	rounds := string(rune(g.pick(4)))
	return "\x41\x00\x21" + counter + "\x02\x40\x03\x40" + g.statements(4) + g.masked("\x0f") + "\x45\x0d\x01" + g.statements(2) +
		"\x20" + counter + "\x41\x01\x6a\x22" + counter + "\x41" + rounds + "\x4d\x0d\x00\x0b\x0b"
}

// value is an expression that gives an i32.
func (g *guest) value(depth int) string {
	if depth == 0 {
		if g.pick(2) == 0 {
			return "\x20" + g.local()
		}
		return "\x41" + string(rune(g.pick(64)))
	}
	switch depth--; g.pick(9) {
	case 1, 2:
		operators := "\x6a\x6b\x6c\x73\x71\x72\x74\x76\x46\x48\x6e" // add sub mul xor and or shl shr_u eq lt_s div_u
		i := g.pick(len(operators))
		return g.value(depth) + g.value(depth) + operators[i:i+1]
	case 3:
		return g.masked(page) + "\x28\x02\x00" // load
	case 4:
		return []string{"\x23\x00", "\x23\x01\xa7", "\x3f\x00", "\xfc\x10\x00"}[g.pick(4)] // globals and sizes
	case 5:
		return g.value(depth) + "\x04\x7f" + g.value(depth) + "\x05" + g.value(depth) + "\x0b" // if
	case 6: // a loop that takes its operands from the stack
		return g.value(depth) + g.value(depth) + "\x03\x00\x6a\x0b"
	case 7:
		return g.value(depth) + g.value(depth) + g.value(depth) + "\x1b" // select
	case 8: // a branch that carries
		return "\x02\x7f" + g.value(depth) + g.value(depth) + "\x0d\x00" + "\x1a" + g.value(depth) + "\x0b"
	}
	return g.value(0)
}
