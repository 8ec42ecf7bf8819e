package sandbox

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pool keeps the restored guests of one snapshot for the next instances.
type pool struct {
	mu    sync.Mutex
	idle  []*guest // used latest last
	known bool     // to the runtime's pools
}

// pools is all pools that may hold a guest, and what bounds them together: memory and
// time.
type pools struct {
	maxBytes uint64
	maxAge   time.Duration
	bytes    atomic.Int64 // of all idle guests

	trimming sync.Mutex // held by whoever evicts

	mu      sync.Mutex
	members map[*pool]struct{}
	closed  bool
	sweeper *time.Timer // runs while there are members
}

// take gives an idle guest whose memory may grow to limit bytes, or nil.
func (p *pool) take(all *pools, limit uint64) *guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if g := p.idle[i]; g.mem.reserved() >= min(g.mem.own, limit) {
			p.idle = slices.Delete(p.idle, i, i+1)
			all.bytes.Add(-int64(g.bytes))
			return g
		}
	}
	return nil
}

// put keeps g.
func (p *pool) put(all *pools, g *guest) {
	g.since = time.Now()
	p.mu.Lock()
	p.idle = append(p.idle, g)
	all.bytes.Add(int64(g.bytes))
	if !p.known {
		p.known = all.join(p)
	}
	p.mu.Unlock()
	if all.over() && all.trimming.TryLock() {
		// Beside the invocation that put one too many: closing takes as long as a short
		// invocation.
		go all.trim()
	}
}

// trim closes the guests that were idle longest until a tenth of the room is free. It
// holds trimming when it is called. Who puts a guest meanwhile leaves it to trim to look
// again.
func (all *pools) trim() {
	for {
		all.evictOldest(func(uint64) bool { return uint64(max(all.bytes.Load(), 0)) <= all.maxBytes/10*9 })
		all.trimming.Unlock()
		if !all.over() || !all.trimming.TryLock() {
			return
		}
	}
}

func (all *pools) over() bool { return uint64(max(all.bytes.Load(), 0)) > all.maxBytes }

// join enters a pool; false when all are closed, and then its guests go with the next
// eviction of their owner.
func (all *pools) join(p *pool) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed {
		return false
	}
	if all.members == nil {
		all.members = make(map[*pool]struct{})
	}
	all.members[p] = struct{}{}
	if all.sweeper == nil {
		all.sweeper = time.AfterFunc(all.maxAge/2, all.sweep)
	}
	return true
}

func (all *pools) list() []*pool {
	all.mu.Lock()
	defer all.mu.Unlock()
	list := make([]*pool, 0, len(all.members))
	for p := range all.members {
		list = append(list, p)
	}
	return list
}

// sweep closes guests that were idle for too long and forgets empty pools.
func (all *pools) sweep() {
	before := time.Now().Add(-all.maxAge)
	for _, p := range all.list() {
		p.evict(all, func(g *guest) bool { return g.since.Before(before) })
		p.leave(all)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	switch {
	case all.closed || len(all.members) == 0:
		all.sweeper = nil
	default:
		all.sweeper = time.AfterFunc(all.maxAge/2, all.sweep)
	}
}

// leave forgets p if it holds nothing, so that its module can go.
func (p *pool) leave(all *pools) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) > 0 || !p.known {
		return
	}
	p.known = false
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.members, p)
}

// evict closes the guests that match and says how much linear memory that gave back.
func (p *pool) evict(all *pools, match func(*guest) bool) (freed uint64) {
	p.mu.Lock()
	var gone []*guest
	p.idle = slices.DeleteFunc(p.idle, func(g *guest) bool {
		if match(g) {
			gone = append(gone, g)
			all.bytes.Add(-int64(g.bytes))
			return true
		}
		return false
	})
	p.mu.Unlock()
	for _, g := range gone {
		freed += g.mem.size
		g.close()
	}
	return freed
}

// free closes idle guests until n bytes of linear memory are given back, and says how many were.
func (all *pools) free(n uint64) (freed uint64) {
	all.trimming.Lock()
	defer all.trimming.Unlock()
	return all.evictOldest(func(freed uint64) bool { return freed >= n })
}

func (all *pools) evictOldest(enough func(freed uint64) bool) (freed uint64) {
	type aged struct {
		g  *guest
		at time.Time
		p  *pool
	}
	var oldest []aged
	for _, p := range all.list() {
		p.mu.Lock()
		for _, g := range p.idle {
			oldest = append(oldest, aged{g, g.since, p})
		}
		p.mu.Unlock()
	}
	slices.SortFunc(oldest, func(a, b aged) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	for _, o := range oldest {
		if enough(freed) {
			return freed
		}
		freed += o.p.evict(all, func(g *guest) bool { return g == o.g })
	}
	return freed
}

// close closes all idle guests, for good.
func (all *pools) close() {
	all.trimming.Lock()
	defer all.trimming.Unlock()
	all.mu.Lock()
	all.closed = true
	if all.sweeper != nil {
		all.sweeper.Stop()
		all.sweeper = nil
	}
	all.mu.Unlock()
	for _, p := range all.list() {
		p.evict(all, func(*guest) bool { return true })
	}
}
