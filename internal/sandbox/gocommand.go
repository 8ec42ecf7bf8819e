package sandbox

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"flagbase.dev/internal/wasmbin"
)

// resumeExport is the name that rewriting gives the function with which a command of
// Go's goes on.
const resumeExport = "flagbase:resume"

// goCommand is of a module that Go made and that runs from _start to its end. Half of a
// short run is the Go runtime setting itself up, before the first goroutine and so before
// any code of the program's or of a package's. When the module is used for the second
// time, that is done once in an instance of its own, whose state is kept; who comes later
// starts from there, with random numbers of its own.
//
// By then the runtime has read the arguments and the environment, so the state is good for
// those only.
type goCommand struct {
	uses atomic.Int64
	made atomic.Pointer[readyCommand]
}

type readyCommand struct {
	state     *Snapshot // nil: it cannot be kept
	args, env []string
}

// makingReady is how long that may take. It takes some milliseconds.
const makingReady = time.Second

// ready gives the state in which a command is ready to go on; nil when it has to start
// from the beginning.
func (m *Module) ready(opts *InstanceOptions) *Snapshot {
	c := m.command
	if c == nil || opts == nil || !opts.Command {
		return nil
	}
	r := c.made.Load()
	if r == nil && c.uses.Add(1) == 2 {
		go m.makeReady(InstanceOptions{Args: slices.Clone(opts.Args), Env: slices.Clone(opts.Env), MemoryPages: opts.MemoryPages, Compute: opts.Compute})
	}
	if r == nil || r.state == nil || !slices.Equal(r.args, opts.Args) || !slices.Equal(r.env, opts.Env) {
		return nil
	}
	if opts.MemoryPages != 0 && uint64(opts.MemoryPages)*pageSize < r.state.image.size {
		return nil
	}
	return r.state
}

// makeReady is tried once: a module that it fails for always starts from the beginning.
func (m *Module) makeReady(opts InstanceOptions) {
	ctx, cancel := context.WithTimeout(context.Background(), makingReady)
	defer cancel()
	inst, err := m.base.Acquire(ctx, &opts)
	if err != nil {
		return
	}
	defer inst.Release()
	pause := inst.guest.globals[wasmbin.GoPause]
	pause.Set(1)
	r := &readyCommand{args: opts.Args, env: opts.Env}
	if _, err := inst.Call("_start"); err == nil && pause.Get() == 0 { // else it exited
		r.state, _ = inst.Snapshot(nil)
	}
	m.command.made.Store(r)
}
