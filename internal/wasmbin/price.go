package wasmbin

import (
	"math"
	"sort"
)

// A small function is not checked where it is entered: whoever calls it pays for it. What a call of it can cost at most,
// with the other such functions it calls but without its loops, which pay for themselves, is known beforehand.
const (
	// prepaidBody is how many bytes such a function has at most.
	prepaidBody = 256
	// prepaidMost is how many units it costs at most, or a thousandth of a quantum if that is less; a call of an unknown function
	// pays as much.
	prepaidMost = 64
	importCost  = 4
)

// prices knows what running code costs.
type prices struct {
	m    *Module
	most int64 // of a prepaid function
	// prepaid is for each function that the module defines what a call of it costs its caller, or one of the following.
	prepaid []int32
}

const (
	priceUnknown = -1
	priceAsked   = -2 // it is being worked out
	priceChecked = -3 // it is checked where it is entered: its caller pays nothing
)

func newPrices(m *Module, quantum int32) *prices {
	p := &prices{m, min(prepaidMost, int64(quantum)/1000), make([]int32, len(m.bodies))}
	for i := range p.prepaid {
		p.prepaid[i] = priceUnknown
	}
	for i := range p.prepaid {
		p.ask(i, 0)
	}
	return p
}

// ask works out what a call of the module's own function i costs its caller. Functions that call each other in a circle are not
// prepaid, nor are those at the end of a long chain.
func (p *prices) ask(i, depth int) int32 {
	switch {
	case p.prepaid[i] == priceAsked:
		return priceAsked
	case p.prepaid[i] != priceUnknown:
		return p.prepaid[i]
	}
	b := p.m.bodies[i]
	total := int64(cost(b.end - b.code))
	if b.end-b.code > prepaidBody || depth > prepaidMost {
		p.prepaid[i] = priceChecked
		return priceChecked
	}
	p.prepaid[i] = priceAsked
	for _, c := range p.m.calls[b.calls:b.callsEnd] {
		if defined, ok := p.defined(c); ok {
			callee := p.ask(defined, depth+1)
			if callee == priceAsked {
				total = p.most + 1
				break
			}
			total += int64(max(callee, 0))
		} else {
			total += int64(p.call(c))
		}
		if total > p.most {
			break
		}
	}
	if p.prepaid[i] = int32(min(total, math.MaxInt32)); total > p.most {
		p.prepaid[i] = priceChecked
	}
	return p.prepaid[i]
}

// defined gives the place of the called function in bodies, if it has one.
func (p *prices) defined(c callSite) (i int, ok bool) {
	imported := len(p.m.functions) - len(p.m.bodies)
	return int(c.function) - imported, c.function != anyFunction && int(c.function) >= imported
}

// call is what a call costs besides its own bytes.
func (p *prices) call(c callSite) uint32 {
	if c.function == anyFunction {
		return uint32(p.most)
	}
	if i, ok := p.defined(c); ok {
		return uint32(max(p.prepaid[i], 0))
	}
	return importCost
}

// code is what running a function's code between two offsets once costs.
func (p *prices) code(b body, from, to uint32) uint32 {
	total := cost(int(to - from))
	calls := p.m.calls[b.calls:b.callsEnd]
	for _, c := range calls[sort.Search(len(calls), func(i int) bool { return calls[i].at >= from }):] {
		if c.at >= to {
			break
		}
		total += p.call(c)
	}
	return total
}
