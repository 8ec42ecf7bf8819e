package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrNoSnapshot says that an instance's state cannot be kept for others: memory and
// globals are not all it can differ in from a fresh one (its code can change tables, or
// it has mutable globals that are no numbers), or what it drew from randomness and
// clocks would be the same in all of them.
var ErrNoSnapshot = errors.New("the module's state cannot be kept")

// Snapshot is the state of an instance, from which others start. It is safe for
// concurrent use.
//
// What the guest computed before is as it was, but for the random state of the Go
// runtime, which is new in each instance.
type Snapshot struct {
	module  *Module
	image   *image
	once    sync.Once // of keepGlobals
	globals []uint64  // by Module.globals
	random  []uint32  // addresses of the Go runtime's random state
	pool    pool
}

// SnapshotOptions is what Instance.Snapshot may be told.
type SnapshotOptions struct {
	// Renews says that the caller gives each instance a random state of its own.
	// Without it, a guest that asked WASI for random bytes or the time and is not a Go
	// program gives ErrNoSnapshot: its instances would all draw the same.
	Renews bool
}

// Snapshot keeps the state of an instance that no call is running in. opts may be nil.
func (i *Instance) Snapshot(opts *SnapshotOptions) (*Snapshot, error) {
	m := i.module
	if !m.restorable {
		return nil, ErrNoSnapshot
	}
	s := &Snapshot{module: m, image: &image{}}
	if mem := i.guest.wasm.Memory(); mem != nil {
		view, ok := mem.Read(0, mem.Size())
		if !ok {
			return nil, fmt.Errorf("%w: its memory cannot be read", ErrNoSnapshot)
		}
		if i.drew && (opts == nil || !opts.Renews) {
			if s.random = findGoRandom(view); len(s.random) == 0 {
				return nil, fmt.Errorf("%w: it asked for random bytes or the time", ErrNoSnapshot)
			}
		}
		s.image = memoryImage(view)
	}
	s.keepGlobals(i.guest)
	return s, nil
}

func (s *Snapshot) keepGlobals(g *guest) {
	s.once.Do(func() {
		for _, global := range g.globals {
			s.globals = append(s.globals, global.Get())
		}
	})
}

// Acquire gives an instance in the state of the snapshot; otherwise it is as
// Module.Acquire.
func (s *Snapshot) Acquire(ctx context.Context, opts *InstanceOptions) (*Instance, error) {
	m := s.module
	inst := newInstance(ctx, m, opts)
	limit := uint64(inst.options.MemoryPages) * pageSize
	if size := max(m.minBytes, s.image.size); size > limit {
		return nil, fmt.Errorf("%w: the module starts with %d MiB of memory, the limit is %d MiB", ErrOutOfMemory, size>>20, limit>>20)
	}
	if inst.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, inst.ctx.Err())
	}
	if !m.runtime.live.TryRLock() {
		return nil, ErrClosed
	}
	inst.live = true
	if err := inst.begin(s, limit); err != nil {
		inst.Release()
		return nil, err
	}
	return inst, nil
}

// begin gives the instance a guest in the state of s.
func (i *Instance) begin(s *Snapshot, limit uint64) (err error) {
	i.turn = ticks()
	if i.guest = s.pool.take(&i.module.runtime.pools, limit); i.guest != nil {
		i.guest.mem.inst, i.guest.mem.limit = i, limit
		i.pin()
	} else if i.guest, err = newGuest(s, i, limit); err != nil {
		return err
	}
	reseedGo(i.guest, s.random)
	if i.module.start && s == i.module.base {
		_, err = i.Call(startExport)
	}
	return err
}
