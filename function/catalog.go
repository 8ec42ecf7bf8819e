package function

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"flagbase.dev/internal/hostabi"
)

// live is what an invocation needs to know of a function, read from the database once
// and kept until something about the function changes. It is never modified: who has
// one goes on with the function as it was when the invocation began.
type live struct {
	id, name string
	active   int // version, above 0
	span     string
	services *hostabi.Services
	*resident
}

// resident is what a function has in memory across its changes.
type resident struct {
	queue    queue
	versions atomic.Pointer[map[int]*readyProgram] // by number; replaced, never modified

	// Guarded by catalog.mu.
	names []string // under which the function is in catalog.live
	gone  bool     // deleted
}

// readyProgram is a version that can run. It is in its function's versions and in
// the catalog's ring.
type readyProgram struct {
	program
	owner   *resident
	version int
	bytes   int64
	used    atomic.Bool // since the hand passed
	place   int         // in the ring
}

const (
	// maxReady is how many versions stay ready in memory, and maxReadyBytes about how
	// much code and state they may be together. Beyond it those go that were not invoked
	// for longest, and are made ready again when they are needed.
	maxReady      = 4096
	maxReadyBytes = 2 << 30
)

// catalog is the functions that were invoked lately. It is read without a lock; what
// changes it takes one for a moment. SQL stays the truth: what is not here is loaded.
type catalog struct {
	live sync.Map // id or name -> *live

	mu        sync.Mutex
	changes   uint64 // counts forget: what was read before is not kept
	residents map[string]*resident
	// ring and hand are the clock algorithm: the hand passes over those that were used
	// since it came by last, and takes out the first that was not. What is used but once
	// goes before what is used all the time.
	ring  []*readyProgram
	hand  int
	bytes int64
}

// lookup gives the function with that id or name, as it is in memory.
func (c *catalog) lookup(idOrName string) *live {
	f, _ := c.live.Load(idOrName)
	l, _ := f.(*live)
	return l
}

// epoch is taken before the database is read, and given to keep.
func (c *catalog) epoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// keep remembers f, which was read from the database, unless something changed since
// epoch was taken: then it is to be read again.
func (c *catalog) keep(f *live, epoch uint64, limits queueLimits) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes != epoch {
		return false
	}
	f.resident = c.residents[f.id]
	if f.resident == nil {
		f.resident = &resident{queue: queue{limits: limits}}
		f.versions.Store(&map[int]*readyProgram{})
	}
	c.residents[f.id] = f.resident
	for _, key := range []string{f.id, f.name} {
		c.live.Store(key, f)
		if !slices.Contains(f.names, key) {
			f.names = append(f.names, key)
		}
	}
	return true
}

// forget makes the next invocation read the function anew. It is called after each
// write that may have changed a function, whether it seems to have worked or not.
func (c *catalog) forget(id string, deleted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	r := c.residents[id]
	if r == nil {
		return
	}
	for _, key := range r.names {
		c.live.Delete(key)
	}
	r.names = nil
	if deleted {
		r.gone = true
		delete(c.residents, id)
		for _, p := range *r.versions.Load() {
			c.drop(p)
		}
	}
}

// forgetAll is forget for all functions.
func (c *catalog) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	c.live.Clear()
}

// ready gives a version that is ready to run; nil when it is not.
func (r *resident) ready(version int) program {
	p := (*r.versions.Load())[version]
	if p == nil {
		return nil
	}
	if !p.used.Load() {
		p.used.Store(true)
	}
	return p.program
}

// keepReady remembers that a version is ready, and lets others go when there are too
// many.
func (c *catalog) keepReady(owner *resident, version int, p program) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner.gone {
		return
	}
	if old := (*owner.versions.Load())[version]; old != nil {
		c.drop(old)
	}
	added := &readyProgram{program: p, owner: owner, version: version, bytes: p.size(), place: len(c.ring)}
	c.ring = append(c.ring, added)
	c.bytes += added.bytes
	versions := maps.Clone(*owner.versions.Load())
	versions[version] = added
	owner.versions.Store(&versions)
	for len(c.ring) > 1 && (len(c.ring) > maxReady || c.bytes > maxReadyBytes) {
		c.hand %= len(c.ring)
		if p := c.ring[c.hand]; p == added || p.used.Swap(false) {
			c.hand++
		} else {
			c.drop(p)
		}
	}
}

// drop takes a version out. Invocations that have it finish.
func (c *catalog) drop(p *readyProgram) {
	last := c.ring[len(c.ring)-1]
	c.ring[p.place], last.place = last, p.place
	c.ring[len(c.ring)-1] = nil
	c.ring = c.ring[:len(c.ring)-1]
	c.bytes -= p.bytes
	versions := maps.Clone(*p.owner.versions.Load())
	delete(versions, p.version)
	p.owner.versions.Store(&versions)
}

// function gives the function with that id or name as an invocation needs it: from
// memory, or read now.
func (s *Store) function(ctx context.Context, op, id string) (*live, error) {
	if f := s.catalog.lookup(id); f != nil {
		return f, nil
	}
	o := &s.engine.options
	limits := queueLimits{running: o.MaxConcurrency, waiting: max(o.MaxQueue, 0), timeout: o.QueueTimeout}
	for {
		epoch := s.catalog.epoch()
		f, err := s.find(ctx, op, id)
		if err != nil {
			return nil, err
		}
		if f.active == 0 { // it will be ready in a moment, or never: not worth keeping
			return nil, notReady(op, f)
		}
		l := &live{id: f.ID, name: f.Name, active: f.active, span: "invoke " + f.Name, services: s.servicesOf(f.Name)}
		if s.catalog.keep(l, epoch, limits) {
			return l, nil
		}
	}
}
