package wasmbin

// readValueType reads a value type; what says where it stands.
func (s *scanner) readValueType(what string) ValueType {
	at := s.pos
	switch t := ValueType(s.byte()); t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef, ExnRef:
		return t
	case RefNull, Ref:
		s.heapType()
		return t
	default:
		s.badType(at, byte(t), what)
		return 0
	}
}

// readRefType reads a reference type; what says where it stands.
func (s *scanner) readRefType(what string) ValueType {
	at := s.pos
	switch t := ValueType(s.byte()); t {
	case FuncRef, ExternRef, ExnRef:
		return t
	case RefNull, Ref:
		s.heapType()
		return t
	default:
		s.badType(at, byte(t), what)
		return 0
	}
}

func (s *scanner) badType(at int, t byte, what string) {
	if t >= 0x63 && t <= 0x74 {
		s.fail(at, ErrUnsupported, "%s uses a garbage-collected type (0x%02x), which flagbase does not run", what, t)
		return
	}
	s.fail(at, ErrMalformed, "%s has no valid type (0x%02x)", what, t)
}

// heapType reads what a typed reference refers to. Recursive types name later ones, so the index is checked at the end.
func (s *scanner) heapType() {
	at := s.pos
	switch h := s.signed(33); {
	case h >= 0:
		if h >= s.heapTypes {
			s.heapTypes, s.heapTypeAt = h+1, at
		}
	case h == -16, h == -17, h == -23: // func, extern, exn
	default:
		s.fail(at, ErrUnsupported, "a reference names a garbage-collected type, which flagbase does not run")
	}
}

func (s *scanner) typeSection() {
	n := s.count("types", 1, s.l.MaxTypes)
	s.m.Types = make([]FuncType, 0, min(n, s.left()/3))
	for range n {
		if s.err != nil {
			return
		}
		if s.pos < s.end && s.b[s.pos] == 0x4e { // a group of types that may name each other
			s.pos++
			for range s.count("types in a group", 3, s.l.MaxTypes-len(s.m.Types)) {
				s.funcType()
			}
			continue
		}
		s.funcType()
	}
	if len(s.m.Types) > s.l.MaxTypes {
		s.fail(s.pos, ErrLimit, "the module has %d types, more than the %d allowed", len(s.m.Types), s.l.MaxTypes)
	}
}

func (s *scanner) funcType() {
	at := s.pos
	switch form := s.byte(); {
	case s.err != nil:
		return
	case form == 0x5e, form == 0x5f, form == 0x4f, form == 0x50:
		s.fail(at, ErrUnsupported, "the module defines a garbage-collected type (0x%02x), which flagbase does not run", form)
		return
	case form != 0x60:
		s.fail(at, ErrMalformed, "a type begins with 0x%02x, a function type with 0x60 is expected", form)
		return
	}
	s.m.Types = append(s.m.Types, FuncType{Params: s.valueTypes("parameters"), Results: s.valueTypes("results")})
}

func (s *scanner) valueTypes(what string) []ValueType {
	at := s.pos
	n := s.count(what, 1, s.l.MaxTypeValues)
	if n == 0 {
		return nil
	}
	// The runtime keeps eight bytes and a name for each of them, for as long as it lives.
	if s.typeValues += n; s.typeValues > 100*s.l.MaxTypeValues {
		s.fail(at, ErrLimit, "the function types of the module have more than %d parameters and results together", 100*s.l.MaxTypeValues)
		return nil
	}
	types := make([]ValueType, n)
	for i := range types {
		types[i] = s.readValueType("a function type")
	}
	return types
}

// limits reads the limits of a memory or table. allowed are the flag bits it may have: 1 for a maximum, 2 for shared.
func (s *scanner) limits(what string, allowed byte) (lo, hi uint32, flags byte) {
	at := s.pos
	flags = s.byte()
	if s.err != nil {
		return 0, 0, 0
	}
	if flags&^allowed != 0 {
		switch {
		case flags&4 != 0 && flags < 8:
			s.fail(at, ErrUnsupported, "the module has a 64-bit %s, flagbase runs 32-bit ones", what)
		default:
			s.fail(at, ErrMalformed, "the size of a %s has no valid form (0x%02x)", what, flags)
		}
		return 0, 0, 0
	}
	lo = s.u32()
	if flags&1 != 0 {
		hi = s.u32()
		if s.err == nil && hi < lo {
			s.fail(at, ErrMalformed, "the maximum of a %s, %d, is below its minimum, %d", what, hi, lo)
		}
	}
	return lo, hi, flags
}

func (s *scanner) tableType(imported bool) {
	at := s.pos
	t := TableType{Imported: imported}
	initial := false
	if s.pos < s.end && s.b[s.pos] == 0x40 {
		if s.pos++; s.byte() != 0 {
			s.fail(at, ErrMalformed, "a table with an initial value has no valid form")
		}
		if imported {
			s.fail(at, ErrMalformed, "an imported table has an initial value")
		}
		initial = true
	}
	t.Type = s.readRefType("a table")
	limitsAt := s.pos
	lo, hi, flags := s.limits("table", 1)
	t.Min, t.Max, t.HasMax = lo, hi, flags&1 != 0
	limitsEnd := s.pos
	if initial {
		s.constant("the initial value of a table")
	}
	if s.err != nil {
		return
	}
	if s.tableElements += int64(lo); s.tableElements > int64(s.l.MaxTable) {
		s.fail(at, ErrLimit, "the tables of the module begin with %d elements, more than the %d allowed", s.tableElements, s.l.MaxTable)
		return
	}
	s.m.Tables = append(s.m.Tables, t)
	if len(s.m.Tables) > s.l.MaxTables {
		s.fail(at, ErrLimit, "the module has more than the %d tables allowed", s.l.MaxTables)
		return
	}
	if !imported {
		s.m.tableAt = append(s.m.tableAt, span{limitsAt, limitsEnd})
	}
}

func (s *scanner) memoryType(imported bool) {
	at := s.pos
	lo, hi, flags := s.limits("memory", 3)
	switch {
	case s.err != nil:
		return
	case s.m.Memory != nil:
		s.fail(at, ErrUnsupported, "the module has several memories, flagbase runs modules with one")
	case lo > 65_536 || hi > 65_536:
		s.fail(at, ErrMalformed, "the memory has more than 65536 pages (4 GiB)")
	case flags == 2:
		s.fail(at, ErrMalformed, "a shared memory needs a maximum")
	case lo > s.l.MaxMemoryPages:
		s.fail(at, ErrLimit, "the module asks for %d pages of memory (%d MiB) at its start, more than the %d pages (%d MiB) allowed",
			lo, lo/16, s.l.MaxMemoryPages, s.l.MaxMemoryPages/16)
	default:
		s.m.Memory = &MemoryType{Min: lo, Max: hi, HasMax: flags&1 != 0, Shared: flags&2 != 0, Imported: imported}
		if !imported {
			s.m.memoryAt = span{at, s.pos}
		}
	}
}

func (s *scanner) globalType(imported bool) {
	at := s.pos
	g := GlobalType{Type: s.readValueType("a global"), Imported: imported}
	mutable := s.byte()
	if s.err == nil && mutable > 1 {
		s.fail(at, ErrMalformed, "a global is neither mutable nor immutable (0x%02x)", mutable)
		return
	}
	g.Mutable = mutable == 1
	s.m.Globals = append(s.m.Globals, g)
	if len(s.m.Globals) > s.l.MaxGlobals {
		s.fail(at, ErrLimit, "the module has more than the %d globals allowed", s.l.MaxGlobals)
	}
}

func (s *scanner) tagType() *FuncType {
	at := s.pos
	if attribute := s.byte(); attribute != 0 {
		s.fail(at, ErrMalformed, "a tag has an unknown attribute (0x%02x)", attribute)
	}
	index := s.typeIndex("a tag")
	if s.err != nil {
		return nil
	}
	s.m.tags = append(s.m.tags, index)
	if len(s.m.tags) > s.l.MaxTags {
		s.fail(at, ErrLimit, "the module has more than the %d tags allowed", s.l.MaxTags)
	}
	return &s.m.Types[index]
}

// typeIndex reads the index of an existing function type.
func (s *scanner) typeIndex(what string) uint32 {
	at := s.pos
	i := s.u32()
	if s.err == nil && int64(i) >= int64(len(s.m.Types)) {
		s.fail(at, ErrMalformed, "%s has type %d, but there are only %d types", what, i, len(s.m.Types))
		return 0
	}
	return i
}
