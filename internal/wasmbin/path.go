package wasmbin

// A check pays in advance for what can run before the next one: for the longest way through the code from where it stands. Ways
// end at the heads of loops, which have checks of their own, and where the function is left.
//
// One long way among short ones, say the case of an interpreter that few programs use, would make all of them dear. So where
// code is entered by a jump and what follows is long, it pays for itself: by lowering the count and no more, the next check will see it.
const (
	// longWay is from how many bytes on what follows a jump pays for itself; longExit is it where the jump left a loop, whose
	// rounds should not pay for what comes after them.
	longWay  = 512
	longExit = 32
)

// way is a block that the sweep is in.
type way struct {
	end       int    // its end's place in marks
	after     uint32 // bytes on the longest way from behind its end
	otherwise uint32 // the same from behind its else
	hasElse   bool
	loop      bool
}

// sweep goes backward over what instructions noted of a function in s.marks and gives each check its cost. What is to be written
// goes to the module's sites. The function is the next of the module's.
func (s *scanner) sweep(b *body) {
	s.ways = s.ways[:0]
	var d uint32 // bytes on the longest way from here to the next check
	at := uint32(b.end)
	pay := func(m *site, limit uint32) {
		if d > limit {
			m.cost, d = cost(d), 0
		}
	}
	target := func(m *site) uint32 {
		if w := &s.ways[len(s.ways)-1-int(m.arg)]; !w.loop {
			return w.after
		}
		return 0
	}
	for i := len(s.marks) - 1; i >= 0; i-- {
		m := &s.marks[i]
		d += at - m.end()
		switch m.kind {
		case siteEnd, siteLoopEnd:
			switch {
			case m.kind == siteLoopEnd || m.arg&jumpsOut != 0:
				pay(m, longExit)
			case m.arg&jumps != 0:
				pay(m, longWay)
			}
			s.ways = append(s.ways, way{end: i, after: d, loop: m.kind == siteLoopEnd})
		case siteElse:
			pay(m, longWay)
			w := &s.ways[len(s.ways)-1]
			w.otherwise, w.hasElse = d, true
			d = w.after
		case siteIf:
			pay(m, longWay)
			w := s.pop()
			if w.hasElse {
				d = max(d, w.otherwise)
			} else {
				d = max(d, w.after)
			}
		case siteBlock:
			s.pop()
		case siteLoop, siteLoopInline:
			m.cost = cost(d)
			end := &s.marks[s.pop().end]
			end.arg = m.cost
			if m.kind == siteLoopInline {
				end.kind = siteEnd
			}
			d = 0
		case siteBranch:
			d = target(m)
		case siteBranchIf:
			d = max(d, target(m))
		case siteTargets, siteLeave:
			d = 0
		case siteCall:
			d += m.arg
		}
		d += m.end() - m.at
		at = m.at
	}
	d += at - uint32(b.code)
	if i := len(s.m.bodies); i < len(s.prices.of) && s.prices.of[i] == priceChecked {
		b.entry = cost(d)
	}
	for _, m := range s.marks {
		if m.written() {
			s.m.sites = append(s.m.sites, m)
		}
	}
}

func (s *scanner) pop() way {
	w := s.ways[len(s.ways)-1]
	s.ways = s.ways[:len(s.ways)-1]
	return w
}
