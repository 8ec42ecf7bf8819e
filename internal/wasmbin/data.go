package wasmbin

import (
	"encoding/binary"
	"iter"
)

// segment is a data segment: where it stands in the module.
type segment struct {
	form   uint32 // 0 and 2 are active, 1 is passive
	offset span   // the expression that says where an active one goes
	bytes  span
}

// Data is an active data segment: what memory holds at an offset when the module is instantiated.
type Data struct {
	Offset uint32
	Bytes  []byte // of the module; do not change them
}

// ActiveData gives the active data segments in their order; later ones overwrite earlier ones. ok is false when one of them has
// an offset that is not a plain number, or does not fit into the memory the module starts with: then only instantiation can tell
// what becomes of it.
func (m *Module) ActiveData() (segments iter.Seq[Data], ok bool) {
	for _, d := range m.data {
		if d.form == 1 {
			continue
		}
		offset, plain := m.constantOf(d.offset)
		if !plain || m.Memory == nil || uint64(offset)+uint64(d.bytes.end-d.bytes.start) > uint64(m.Memory.Min)<<16 {
			return nil, false
		}
	}
	return func(yield func(Data) bool) {
		for _, d := range m.data {
			if d.form == 1 {
				continue
			}
			offset, _ := m.constantOf(d.offset)
			if !yield(Data{Offset: offset, Bytes: m.bytes[d.bytes.start:d.bytes.end]}) {
				return
			}
		}
	}, true
}

// constantOf gives the value of an expression that is i32.const and nothing else.
func (m *Module) constantOf(at span) (v uint32, ok bool) {
	r := reader{b: m.bytes, pos: at.start, end: at.end}
	if r.byte() != 0x41 {
		return 0, false
	}
	n := r.signed(32)
	return uint32(n), r.byte() == 0x0b && r.pos == at.end && r.err == nil
}

// dataSection writes the data section. Without a data count no code can name a segment, so nobody misses the blanked ones;
// with one, each keeps its place, as long as an active segment is once it has been applied.
func (w *rewriter) dataSection(content []byte) {
	if !w.r.BlankData {
		w.plain(sectionData, content)
		return
	}
	if !w.m.HasDataCount {
		return
	}
	out := binary.AppendUvarint(nil, uint64(len(w.m.data)))
	for _, d := range w.m.data {
		out = append(out, 1)
		bytes := w.m.bytes[d.bytes.start:d.bytes.end]
		if d.form != 1 {
			bytes = nil
		}
		out = append(binary.AppendUvarint(out, uint64(len(bytes))), bytes...)
	}
	w.plain(sectionData, out)
}
