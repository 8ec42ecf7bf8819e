package wasmbin

func (s *scanner) importSection() {
	n := s.count("imports", 4, s.l.MaxImports)
	s.m.Imports = make([]Import, 0, n)
	for range n {
		if s.err != nil {
			return
		}
		i := Import{Module: s.name("an import's module", s.l.MaxNameBytes), Name: s.name("an import", s.l.MaxNameBytes)}
		at := s.pos
		i.Kind = Kind(s.byte())
		switch i.Kind {
		case Function:
			t := s.typeIndex("an imported function")
			if s.err != nil {
				return
			}
			i.Index, i.Type = uint32(len(s.m.functions)), &s.m.Types[t]
			s.m.functions = append(s.m.functions, t)
		case Table:
			i.Index = uint32(len(s.m.Tables))
			s.tableType(true)
		case Memory:
			s.memoryType(true)
		case Global:
			i.Index = uint32(len(s.m.Globals))
			s.globalType(true)
		case Tag:
			i.Index = uint32(len(s.m.tags))
			i.Type = s.tagType()
		default:
			s.fail(at, ErrMalformed, "the import %q.%q is of no known kind (0x%02x)", i.Module, i.Name, byte(i.Kind))
		}
		s.m.Imports = append(s.m.Imports, i)
	}
	s.m.imported = uint32(len(s.m.functions))
}

func (s *scanner) functionSection() {
	n := s.count("functions", 1, s.l.MaxFunctions-len(s.m.functions))
	functions := make([]uint32, len(s.m.functions), len(s.m.functions)+n)
	copy(functions, s.m.functions)
	for range n {
		functions = append(functions, s.typeIndex("a function"))
	}
	s.m.functions, s.defined = functions, n
}

func (s *scanner) tableSection() {
	for range s.count("tables", 3, s.l.MaxTables) {
		if s.err != nil {
			return
		}
		s.tableType(false)
	}
}

func (s *scanner) memorySection() {
	for range s.count("memories", 2, s.left()) {
		if s.err != nil {
			return
		}
		s.memoryType(false)
	}
}

func (s *scanner) tagSection() {
	for range s.count("tags", 2, s.l.MaxTags) {
		if s.err != nil {
			return
		}
		s.tagType()
	}
}

func (s *scanner) globalSection() {
	for range s.count("globals", 4, s.l.MaxGlobals) {
		if s.err != nil {
			return
		}
		s.globalType(false)
		s.constant("the initial value of a global")
	}
}

func (s *scanner) exportSection() {
	n := s.count("exports", 3, s.l.MaxExports)
	s.m.Exports = make([]Export, 0, n)
	s.exports = make(map[string]struct{}, n)
	for range n {
		if s.err != nil {
			return
		}
		at := s.pos
		e := Export{Name: s.name("an export", s.l.MaxNameBytes), Kind: Kind(s.byte()), Index: s.u32()}
		var have int
		switch e.Kind {
		case Function:
			have = len(s.m.functions)
			e.Type = s.m.FunctionType(e.Index)
		case Table:
			have = len(s.m.Tables)
		case Memory:
			if s.m.Memory != nil {
				have = 1
			}
		case Global:
			have = len(s.m.Globals)
		case Tag:
			have = len(s.m.tags)
		default:
			s.fail(at, ErrMalformed, "the export %q is of no known kind (0x%02x)", e.Name, byte(e.Kind))
		}
		if s.err == nil && int64(e.Index) >= int64(have) {
			s.fail(at, ErrMalformed, "the export %q is %s %d, which does not exist", e.Name, e.Kind, e.Index)
		}
		if _, twice := s.exports[e.Name]; twice {
			s.fail(at, ErrMalformed, "the module exports two things under the name %q", e.Name)
		}
		s.exports[e.Name] = struct{}{}
		s.m.Exports = append(s.m.Exports, e)
	}
}

func (s *scanner) startSection() {
	at := s.pos
	i := s.u32()
	if s.err != nil {
		return
	}
	t := s.m.FunctionType(i)
	switch {
	case t == nil:
		s.fail(at, ErrMalformed, "the start function is function %d, which does not exist", i)
	case len(t.Params)+len(t.Results) > 0:
		s.fail(at, ErrMalformed, "the start function has parameters or results")
	}
	s.m.HasStart, s.m.Start = true, i
}

func (s *scanner) elementSection() {
	n := s.count("element segments", 3, s.l.MaxElements)
	for range n {
		if s.err != nil {
			return
		}
		at := s.pos
		form := s.u32()
		if form > 7 {
			s.fail(at, ErrMalformed, "an element segment has no valid form (%d)", form)
			return
		}
		// The bits of the form: 1 passive or declared, 2 names a table or is declared, 4 holds expressions.
		if form&1 == 0 {
			if form&2 != 0 {
				s.u32()
			}
			s.constant("the offset of an element segment")
		}
		if form&3 != 0 {
			if form&4 != 0 {
				s.readRefType("an element segment")
			} else if kind := s.byte(); kind != 0 {
				s.fail(at, ErrMalformed, "an element segment holds things of an unknown kind (0x%02x)", kind)
			}
		}
		items := s.count("elements", 1, s.l.MaxElements-s.m.Elements)
		s.m.Elements += items
		for range items {
			if s.err != nil {
				return
			}
			if form&4 != 0 {
				s.constant("an element")
			} else if i := s.u32(); int64(i) >= int64(len(s.m.functions)) {
				s.fail(at, ErrMalformed, "an element segment names function %d, which does not exist", i)
			}
		}
	}
	// An empty segment costs the runtime as much as an element.
	if s.m.Elements += n; s.m.Elements > 2*s.l.MaxElements {
		s.fail(s.pos, ErrLimit, "the module has more than the %d elements allowed", s.l.MaxElements)
	}
}

func (s *scanner) dataCountSection() {
	at := s.pos
	n := s.u32()
	if int64(n) > int64(s.l.MaxDataSegments) {
		s.fail(at, ErrLimit, "the module announces %d data segments, more than the %d allowed", n, s.l.MaxDataSegments)
		return
	}
	s.m.HasDataCount, s.dataCount = true, int(n)
}

func (s *scanner) dataSection() {
	n := s.count("data segments", 2, s.l.MaxDataSegments)
	s.m.data = make([]segment, 0, n)
	for range n {
		if s.err != nil {
			return
		}
		at := s.pos
		d := segment{form: s.u32()}
		switch d.form {
		case 0:
			s.needsMemory(at)
		case 1:
		case 2:
			if memory := s.u32(); memory != 0 {
				s.fail(at, ErrUnsupported, "a data segment is for memory %d, flagbase runs modules with one memory", memory)
			}
			s.needsMemory(at)
		default:
			s.fail(at, ErrMalformed, "a data segment has no valid form (%d)", d.form)
		}
		if d.form != 1 {
			d.offset.start = s.pos
			s.constant("the offset of a data segment")
			d.offset.end = s.pos
		}
		size := s.count("bytes in a data segment", 1, s.left())
		d.bytes = span{s.pos, s.pos + size}
		s.skip(size)
		s.m.data = append(s.m.data, d)
	}
	s.m.DataSegments = n
}

// constant reads a constant expression up to and with its end.
func (s *scanner) constant(what string) {
	start := s.pos
	for s.err == nil {
		at := s.pos
		switch op := s.byte(); op {
		case 0x0b:
			if s.pos == start+1 {
				s.fail(at, ErrMalformed, "%s is empty", what)
			}
			return
		case 0x41:
			s.signed(32)
		case 0x42:
			s.signed(64)
		case 0x43:
			s.skip(4)
		case 0x44:
			s.skip(8)
		case 0x23:
			if i := s.u32(); s.err == nil && int64(i) >= int64(len(s.m.Globals)) {
				s.fail(at, ErrMalformed, "%s is that of global %d, which does not exist", what, i)
			}
		case 0xd2:
			if i := s.u32(); s.err == nil && int64(i) >= int64(len(s.m.functions)) {
				s.fail(at, ErrMalformed, "%s refers to function %d, which does not exist", what, i)
			}
		case 0xd0:
			s.heapType()
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul
		case 0xfd:
			if v := s.byte(); v != 0x0c {
				s.fail(at, ErrMalformed, "%s is not constant (instruction 0xfd 0x%02x)", what, v)
			}
			s.skip(16)
		case 0xfb:
			s.fail(at, ErrUnsupported, "%s is garbage-collected, which flagbase does not run", what)
		default:
			s.fail(at, ErrMalformed, "%s is not constant (instruction 0x%02x)", what, op)
		}
	}
}
