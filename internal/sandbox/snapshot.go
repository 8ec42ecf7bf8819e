package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"
)

// ErrNoSnapshot says that memory and globals are not all that an instance of the
// module can differ in from a fresh one: its code can change tables, or it has
// mutable globals that are no numbers.
var ErrNoSnapshot = errors.New("the module's state cannot be kept")

// Snapshot is the state of an instance, from which others start. It is safe for
// concurrent use.
//
// What the guest computed before is as it was, also what it drew from randomness and
// clocks: whoever takes snapshots renews that.
type Snapshot struct {
	module  *Module
	image   *image
	globals []globalValue
}

type globalValue struct {
	name  string
	value uint64
}

// Snapshot keeps the state of an instance that no call is running in.
func (i *Instance) Snapshot() (*Snapshot, error) {
	m := i.module
	if !m.restorable {
		return nil, ErrNoSnapshot
	}
	s := &Snapshot{module: m, image: &image{}}
	if mem := i.guest.Memory(); mem != nil {
		view, ok := mem.Read(0, mem.Size())
		if !ok {
			return nil, fmt.Errorf("%w: its memory cannot be read", ErrNoSnapshot)
		}
		s.image = memoryImage(view)
	}
	for _, name := range m.globals {
		s.globals = append(s.globals, globalValue{name, i.guest.ExportedGlobal(name).Get()})
	}
	return s, nil
}

// Acquire gives an instance in the state of the snapshot; otherwise it is as
// Module.Acquire.
func (s *Snapshot) Acquire(ctx context.Context, opts *InstanceOptions) (*Instance, error) {
	return s.module.acquire(ctx, opts, s)
}

// restore brings an instance, whose memory was made from the snapshot's image, to
// the snapshot's state.
func (s *Snapshot) restore(guest api.Module) error {
	if mem := guest.Memory(); mem != nil {
		if more := uint32(s.image.size/pageSize) - mem.Size()/pageSize; more > 0 {
			if _, ok := mem.Grow(more); !ok {
				return fmt.Errorf("%w: the snapshot has %d MiB", ErrOutOfMemory, s.image.size>>20)
			}
		}
	}
	for _, g := range s.globals {
		guest.ExportedGlobal(g.name).(api.MutableGlobal).Set(g.value)
	}
	return nil
}
