package wasmbin

import (
	"encoding/binary"
	"strconv"
)

// Rewrite says what [Module.Rewrite] changes. The zero value changes nothing but sizes: every memory and table the module
// defines gets a maximum.
type Rewrite struct {
	// Meter makes the guest pause: at function entries, loop heads and bulk operations its work is counted down, and after each
	// Quantum it leaves to the host. There it can be stopped, and there Go can do what it cannot while guest code runs: schedule
	// other goroutines on this core, and collect garbage. (A guest that only looks at a flag would block both, and with them
	// whoever is to set the flag.)
	//
	// To leave without a function of the host's own, which would renumber all others, a guest that pauses asks for all the
	// memory there can be, 65,536 pages. The host's experimental.MemoryAllocator sees that as Reallocate(1 << 32), which it must
	// answer with nil, or with a panic to stop the guest. So that the question gets there, every memory is given the maximum of
	// 65,536 pages; the allocator has to enforce the limits, also the one that Module.Memory states. An imported memory has the
	// maximum of the module that defines it: a guest whose memory may not be 65,536 pages does not pause.
	//
	// The checks use tail calls, so the runtime must have them on.
	Meter bool
	// Quantum is how many units of work a guest does between two pauses. A unit is 16 bytes of code, or 64 bytes
	// of memory or 8 elements of a table handled by a bulk operation. Defaults to 100,000.
	Quantum int32
	// StartExport is the name under which the start function is exported; the module then no longer starts by itself.
	// Empty leaves the start function alone. It has no effect on a module without one.
	StartExport string
	// ResumeExport is the name under which a command that Go made exports the function that runs its goroutines: see goResume.
	// Empty, or where it is no such command, exports nothing.
	ResumeExport string
	// ExportGlobals, when not empty, exports every mutable global that the module defines and that holds a number, under
	// this prefix followed by its index.
	ExportGlobals string
	// BlankData leaves the active data segments out: memory begins with zeros, and it is for the host to put there what
	// Module.ActiveData gives.
	BlankData bool
	// MaxMemoryPages is the most a memory may grow to, in pages of 64 KiB: a memory that allows more, or states nothing, gets
	// this maximum. Defaults to Limits.MaxMemoryPages.
	MaxMemoryPages uint32
}

// Rewrite gives a binary that behaves as m does, but for what r says. All functions, globals and other things keep their
// indices; custom sections are kept as they are. Offsets into the code, as debug information has them, are off by what was
// inserted. A name that r adds and the module already exports is refused with an [*Error]; so is a memory whose minimum is
// larger than MaxMemoryPages.
//
// Tables share out Limits.MaxTable: none may grow past its share, or its minimum if that is more.
func (m *Module) Rewrite(r *Rewrite) ([]byte, error) {
	if r == nil {
		r = &Rewrite{}
	}
	w := &rewriter{m: m, r: r, pages: r.MaxMemoryPages}
	if w.pages == 0 {
		w.pages = m.limits.MaxMemoryPages
	}
	if m.Memory != nil && m.Memory.Min > w.pages {
		return nil, &Error{Offset: m.memoryAt.start, Kind: ErrLimit, Message: sprintf(
			"the module asks for %d pages of memory (%d MiB) at its start, more than the %d pages (%d MiB) allowed",
			m.Memory.Min, m.Memory.Min/16, w.pages, w.pages/16)}
	}
	if r.Meter && m.Memory != nil && m.Memory.Min >= pausePages {
		return nil, &Error{Offset: m.memoryAt.start, Kind: ErrLimit, Message: "the module asks for 4 GiB of memory at its start, all there can be"}
	}
	if err := w.plan(); err != nil {
		return nil, err
	}
	return w.write(), nil
}

type rewriter struct {
	m       *Module
	r       *Rewrite
	pages   uint32
	meter   *meter // nil: no checks
	exports []byte // the added exports
	added   int    // how many they are
	out     []byte
}

// plan decides on the added exports and the check.
func (w *rewriter) plan() error {
	m := w.m
	names := map[string]bool{}
	export := func(name string, kind Kind, index uint32) error {
		if names[name] || m.Export(name) != nil {
			return &Error{Kind: ErrUnsupported, Message: sprintf("the module exports %q, a name that flagbase uses itself", name)}
		}
		names[name] = true
		w.exports = binary.AppendUvarint(w.exports, uint64(len(name)))
		w.exports = append(append(w.exports, name...), byte(kind))
		w.exports = binary.AppendUvarint(w.exports, uint64(index))
		w.added++
		return nil
	}
	if w.r.Meter {
		w.meter = newMeter(m, w.r.Quantum)
	}
	if w.r.StartExport != "" && m.HasStart {
		if err := export(w.r.StartExport, Function, m.Start); err != nil {
			return err
		}
	}
	if function, ok := m.goResume(); ok && w.r.ResumeExport != "" {
		if err := export(w.r.ResumeExport, Function, function); err != nil {
			return err
		}
	}
	if w.r.ExportGlobals != "" {
		for i, g := range m.Globals {
			if g.Imported || !g.Mutable || g.Type <= V128 {
				continue
			}
			if err := export(w.r.ExportGlobals+strconv.Itoa(i), Global, uint32(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *rewriter) write() []byte {
	m := w.m
	size := len(m.bytes) + 32*(len(m.bodies)+len(m.sites)) + len(w.exports) + 10*len(m.Tables) + 3*len(m.bodies) + 128
	w.out = append(make([]byte, 0, size), m.bytes[:8]...)
	missing := []addition{}
	need := func(id byte, write func([]byte)) {
		for _, s := range m.sections {
			if s.id == id {
				return
			}
		}
		missing = append(missing, addition{sectionRank[id], write})
	}
	if w.meter != nil {
		need(sectionType, w.typeSection)
		need(sectionFunction, w.functionSection)
		if m.Memory == nil { // memory.grow needs one; the section may be there and empty
			need(sectionMemory, func([]byte) { w.plain(sectionMemory, noMemory) })
		}
		need(sectionGlobal, w.globalSection)
	}
	if w.added > 0 {
		need(sectionExport, w.exportSection)
	}
	if w.meter != nil {
		need(sectionCode, func([]byte) { w.codeSection() })
	}
	// A section that the module lacks goes right behind the last one that must precede it.
	add := func(from int) {
		next := 1 << 8
		for _, s := range m.sections[from:] {
			if s.id != sectionCustom {
				next = sectionRank[s.id]
				break
			}
		}
		for len(missing) > 0 && next > missing[0].rank {
			missing[0].write(nil)
			missing = missing[1:]
		}
	}
	add(0)
	for i, s := range m.sections {
		w.section(s)
		if s.id != sectionCustom {
			add(i + 1)
		}
	}
	return w.out
}

// addition is a section that the module lacks.
type addition struct {
	rank  int
	write func(content []byte)
}

func (w *rewriter) section(s section) {
	switch content := w.m.bytes[s.start:s.end]; s.id {
	case sectionType:
		w.typeSection(content)
	case sectionFunction:
		w.functionSection(content)
	case sectionTable:
		w.tableSection(content, s.start)
	case sectionMemory:
		w.memorySection(content, s.start)
	case sectionGlobal:
		w.globalSection(content)
	case sectionExport:
		w.exportSection(content)
	case sectionStart:
		if w.r.StartExport == "" {
			w.plain(s.id, content)
		}
	case sectionCode:
		w.codeSection()
	case sectionData:
		w.dataSection(content)
	default:
		w.out = append(w.out, w.m.bytes[s.at:s.end]...)
	}
}

// plain writes a section of that content.
func (w *rewriter) plain(id byte, content ...[]byte) {
	size := 0
	for _, c := range content {
		size += len(c)
	}
	w.out = binary.AppendUvarint(append(w.out, id), uint64(size))
	for _, c := range content {
		w.out = append(w.out, c...)
	}
}

// extend writes a section that is a vector with items appended to it.
func (w *rewriter) extend(id byte, content []byte, added int, items []byte) {
	old := reader{b: content, end: len(content)}
	count := uint64(0)
	if len(content) > 0 {
		count = uint64(old.u32())
	}
	w.plain(id, binary.AppendUvarint(nil, count+uint64(added)), content[old.pos:], items)
}

func (w *rewriter) typeSection(content []byte) {
	if w.meter == nil {
		w.plain(sectionType, content)
		return
	}
	w.extend(sectionType, content, 1, []byte{0x60, 1, byte(I32), 0}) // (i32) -> ()
}

func (w *rewriter) functionSection(content []byte) {
	if w.meter == nil {
		w.plain(sectionFunction, content)
		return
	}
	typeOf := binary.AppendUvarint(nil, uint64(w.meter.typeOf))
	w.extend(sectionFunction, content, 1, typeOf)
}

func (w *rewriter) globalSection(content []byte) {
	if w.meter == nil {
		w.plain(sectionGlobal, content)
		return
	}
	w.extend(sectionGlobal, content, 1, w.meter.global())
}

func (w *rewriter) exportSection(content []byte) {
	if w.added == 0 {
		w.plain(sectionExport, content)
		return
	}
	w.extend(sectionExport, content, w.added, w.exports)
}

func (w *rewriter) tableSection(content []byte, offset int) {
	share := uint32(w.m.limits.MaxTable / max(len(w.m.Tables), 1))
	var out []byte
	done := 0
	imported := len(w.m.Tables) - len(w.m.tableAt)
	for i, at := range w.m.tableAt {
		t := w.m.Tables[imported+i]
		out = append(out, content[done:at.start-offset]...)
		out = appendLimits(out, 1, t.Min, bound(t.Min, t.Max, t.HasMax, share))
		done = at.end - offset
	}
	w.plain(sectionTable, out, content[done:])
}

// noMemory is the memory section of a metered module without a memory: one of 0 pages, that is allowed all.
var noMemory = append([]byte{1}, appendLimits(nil, 1, 0, pausePages)...)

func (w *rewriter) memorySection(content []byte, offset int) {
	at := w.m.memoryAt
	if at.end == 0 { // a section without a memory
		if w.meter != nil && w.m.Memory == nil {
			content = noMemory
		}
		w.plain(sectionMemory, content)
		return
	}
	memory := w.m.Memory
	flags := byte(1)
	if memory.Shared {
		flags = 3
	}
	out := append([]byte{}, content[:at.start-offset]...)
	most := bound(memory.Min, memory.Max, memory.HasMax, w.pages)
	if w.meter != nil {
		most = pausePages
	}
	out = appendLimits(out, flags, memory.Min, most)
	w.plain(sectionMemory, out, content[at.end-offset:])
}

// bound gives the maximum of something with those limits that may not pass most, unless it begins there.
func bound(lo, hi uint32, hasMax bool, most uint32) uint32 {
	if hasMax {
		most = min(most, hi)
	}
	return max(lo, most)
}

func appendLimits(out []byte, flags byte, lo, hi uint32) []byte {
	out = binary.AppendUvarint(append(out, flags), uint64(lo))
	return binary.AppendUvarint(out, uint64(hi))
}

func (w *rewriter) codeSection() {
	m := w.m
	if w.meter == nil {
		for _, s := range m.sections {
			if s.id == sectionCode {
				w.plain(s.id, m.bytes[s.start:s.end])
			}
		}
		return
	}
	code := make([]byte, 0, m.Code.Bytes+32*(len(m.bodies)+len(m.sites))+64)
	var buffer []byte
	add := func(body []byte) {
		code = append(binary.AppendUvarint(code, uint64(len(body))), body...)
	}
	for i := range m.bodies {
		buffer = w.meter.body(buffer[:0], m, i)
		add(buffer)
	}
	add(w.meter.pauseBody())
	w.plain(sectionCode, binary.AppendUvarint(nil, uint64(len(m.bodies))+1), code)
}
