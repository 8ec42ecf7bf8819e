package wasmbin

// customSection reads a custom section. The runtime reads one of them, the names for stack traces, and refuses a module whose
// names are damaged, after having allocated what they claim: so they are read here with the same care.
func (s *scanner) customSection() {
	at := s.pos
	if s.custom++; s.custom > s.l.MaxCustomSections {
		s.fail(at, ErrLimit, "the module has more than the %d custom sections allowed", s.l.MaxCustomSections)
		return
	}
	name := s.name("a custom section", s.l.MaxNameBytes)
	if s.err != nil || name != "name" {
		s.pos = s.end
		return
	}
	if s.nameSection {
		s.fail(at, ErrMalformed, "the module has two name sections")
		return
	}
	s.nameSection = true
	sectionEnd := s.end
	for s.err == nil && s.pos < sectionEnd {
		at := s.pos
		id := s.byte()
		size := s.count("bytes in a part of the name section", 1, s.left())
		if s.err != nil {
			return
		}
		s.end = s.pos + size
		switch id {
		case 0:
			s.nameBytes("the module", s.left())
		case 1:
			s.nameMap("function names")
		case 2:
			for range s.count("functions with local names", 2, s.l.MaxFunctions) {
				s.u32()
				s.nameMap("local names")
				if s.err != nil {
					return
				}
			}
		default:
			s.pos = s.end
		}
		if s.err == nil && s.pos != s.end {
			s.fail(at, ErrMalformed, "part %d of the name section has a wrong size", id)
		}
		if s.err != nil {
			return
		}
		s.end = sectionEnd
	}
}

func (s *scanner) nameMap(what string) {
	n := s.count(what, 2, s.l.MaxNames-s.names)
	s.names += n
	for range n {
		s.u32()
		s.nameBytes("a function or local", s.left())
		if s.err != nil {
			return
		}
	}
}
