package wasmbin

// A small function is not checked where it is entered: whoever calls it pays for it. What a call of it costs at most, with the
// other such functions it calls, is worked out before the code that calls it is read.
const (
	// callBytes is what a call costs besides.
	callBytes = 16
	// smallBody is how many bytes a small function has at most, smallTotal how many with all that it calls.
	smallBody  = 320
	smallTotal = 2048
)

const (
	priceUnknown = -1
	priceAsked   = -2 // it is being worked out
	priceChecked = -3 // it is checked where it is entered: its caller pays nothing
)

// prices knows what calling a function costs its caller.
type prices struct {
	of    []int32          // in bytes or one of the above, for each function the module defines
	size  []int32          // of small functions
	calls map[int][]uint32 // the functions of the module's own that small ones call
}

// survey reads the small ones of n functions ahead of the scan.
func (s *scanner) survey(n int) {
	p := prices{make([]int32, n), make([]int32, n), map[int][]uint32{}}
	m := *s.m
	ahead := *s // what is wrong with a function is found again when it is its turn
	ahead.m = &m
	for i := range p.of {
		p.of[i] = priceChecked
	}
	for i := range n {
		size := ahead.u32()
		if ahead.err != nil || int64(size) > int64(ahead.left()) || i >= s.defined {
			break
		}
		next, end := ahead.pos+int(size), ahead.end
		if size <= smallBody {
			ahead.calls, ahead.unbounded, ahead.end = nil, false, next
			ahead.body(&m.Types[m.functions[int(m.imported)+i]])
			if ahead.err == nil && !ahead.unbounded {
				p.of[i], p.size[i] = priceUnknown, int32(size)
				if len(ahead.calls) > 0 {
					p.calls[i] = ahead.calls
				}
			}
			m.sites, m.bodies, ahead.err = m.sites[:0], m.bodies[:0], nil
		}
		ahead.pos, ahead.end = next, end
	}
	for i := range p.of {
		p.ask(i, 0)
	}
	p.calls = nil
	s.prices = p
}

// ask works out the price of a function. Those that call each other in a circle are checked, and those at the end of a long chain.
func (p *prices) ask(i, depth int) int32 {
	if p.of[i] != priceUnknown {
		return p.of[i]
	}
	if depth > smallTotal/callBytes {
		p.of[i] = priceChecked
		return priceChecked
	}
	p.of[i] = priceAsked
	total := p.size[i]
	for _, callee := range p.calls[i] {
		price := p.ask(int(callee), depth+1)
		if price == priceAsked {
			total = smallTotal
		}
		if total += callBytes + max(price, 0); total > smallTotal {
			p.of[i] = priceChecked
			return priceChecked
		}
	}
	p.of[i] = total
	return total
}

// price is what a call of a function costs its caller in bytes.
func (s *scanner) price(function int64) uint32 {
	i := function - int64(s.m.imported)
	if i < 0 || i >= int64(len(s.prices.of)) {
		return callBytes
	}
	return callBytes + uint32(max(s.prices.of[i], 0))
}

// called notes a call of a function, or of one that is not known.
func (s *scanner) called(at int, function int64, leaves bool) {
	if i := function - int64(s.m.imported); i >= 0 {
		s.calls = append(s.calls, uint32(i))
	} else if function < 0 {
		s.unbounded = true
	}
	s.mark(siteCall, at, s.price(function))
	if leaves { // in the place of its caller
		s.mark(siteLeave, s.pos, 0)
	}
}
