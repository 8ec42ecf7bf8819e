package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/sys"
)

// InstanceOptions is what one use of an instance gets. The zero value is a guest
// without input whose output is thrown away.
type InstanceOptions struct {
	Stdin          io.Reader // read until its end, then empty
	Stdout, Stderr io.Writer // an error of Write ends the guest and is what Call returns
	Host           any       // what host functions find in Instance.Host
	MemoryPages    uint32    // limit in pages of 64 KiB. Defaults to 2048 (128 MiB)

	// Compute is how long the guest may compute, host calls not counted; beyond it the
	// call ends with ErrComputeExceeded. Defaults to no limit but ctx's deadline.
	Compute time.Duration

	Args, Env []string // Env as "NAME=value"

	// Command says that the first thing done with the instance is to call _start, so that it
	// need not be in the module's first state: see goCommand.
	Command bool
}

const defaultMemoryPages = 2048

// Instance is one use of a module: its memory, globals and tables. It serves one
// goroutine.
type Instance struct {
	module   *Module
	options  InstanceOptions
	ctx      context.Context
	call     callContext
	deadline int64 // by ticks; math.MaxInt64 when there is none
	guest    *guest
	live     bool // holds Runtime.live
	failed   bool // a call ended in an error
	drew     bool // randomness, or the time
	resumes  bool // _start is resumeExport
	peak     uint32

	// Guest compute time: see lap.
	computing bool
	mark      int64
	compute   int64
	turn      int64 // when the guest last let others run

	// While pinned, all that touches the guest's memory runs on one thread, whose page
	// faults are counted: where there was none, no page was written that was not before.
	// A host call that may wait, which would keep the thread from others, and a turn for
	// others end that.
	pinned bool
	faults int64
}

func newInstance(ctx context.Context, m *Module, opts *InstanceOptions) *Instance {
	i := &Instance{module: m, ctx: ctx, deadline: math.MaxInt64}
	if opts != nil {
		i.options = *opts
	}
	if i.options.MemoryPages == 0 {
		i.options.MemoryPages = defaultMemoryPages
	}
	i.options.MemoryPages = min(i.options.MemoryPages, m.runtime.config.MaxMemoryPages)
	if deadline, ok := ctx.Deadline(); ok {
		i.deadline = int64(deadline.Sub(processStart))
	}
	i.call = callContext{Context: ctx, inst: i}
	return i
}

// Call calls an exported function and gives its results, which are valid until the next
// Call. The error is one of the package's, or what a host function or writer failed
// with. A guest that exits with code 0 is no error.
func (i *Instance) Call(name string, args ...uint64) ([]uint64, error) {
	if i.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, i.ctx.Err())
	}
	if i.guest == nil {
		return nil, ErrClosed
	}
	if i.resumes && name == "_start" {
		name = resumeExport
	}
	i.resumes = false
	e := i.guest.export(name)
	if e == nil {
		return nil, fmt.Errorf("%w: it exports no function %q", ErrInvalidModule, name)
	}
	if len(args) != e.params {
		return nil, fmt.Errorf("%w: %q takes %d arguments, not %d", ErrInvalidModule, name, e.params, len(args))
	}
	way := e.take(i.guest, name)
	copy(way.slots, args)
	was := i.lap(true)
	err := way.fn.CallWithStack(&i.call, way.slots)
	i.lap(was)
	if err != nil {
		if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
			e.give(way) // how commands end
		} else {
			i.failed = true
		}
		return nil, i.translate(err)
	}
	e.give(way)
	return way.slots[:e.results], nil
}

// ticks is a monotonic clock in nanoseconds.
func ticks() int64 { return int64(time.Since(processStart)) }

// lap is called when the guest is entered or left, and gives what was before. The time
// in between counts as the guest's when it was the guest that ran.
func (i *Instance) lap(computing bool) (was bool) {
	now := ticks()
	was = i.computing
	if was {
		i.compute += now - i.mark
	}
	i.computing, i.mark = computing, now
	return was
}

// Compute is how long the guest has computed: wall time in its own code, without what
// host functions took.
func (i *Instance) Compute() time.Duration {
	if i.computing {
		return time.Duration(i.compute + ticks() - i.mark)
	}
	return time.Duration(i.compute)
}

// DrewRandom is for host functions that give the guest what it may make random numbers
// of: randomness, or the time. A Snapshot would give all its instances the same.
func (i *Instance) DrewRandom() { i.drew = true }

// Host is what InstanceOptions.Host was.
func (i *Instance) Host() any { return i.options.Host }

// Read gives a view of n bytes of memory at ptr; false when they are not all in
// memory. The view is valid until the guest runs again: copy what must last.
func (i *Instance) Read(ptr, n uint32) ([]byte, bool) {
	mem := i.guest.wasm.Memory()
	if mem == nil {
		return nil, n == 0 && ptr == 0
	}
	return mem.Read(ptr, n)
}

// Write copies b into memory at ptr; false when it does not all fit, and then
// nothing is written.
func (i *Instance) Write(ptr uint32, b []byte) bool {
	mem := i.guest.wasm.Memory()
	if mem == nil {
		return len(b) == 0
	}
	return mem.Write(ptr, b)
}

// WriteUint32 writes v in little-endian order.
func (i *Instance) WriteUint32(ptr, v uint32) bool {
	mem := i.guest.wasm.Memory()
	return mem != nil && mem.WriteUint32Le(ptr, v)
}

// PeakMemory is the most memory the instance had, in bytes. Linear memory never
// shrinks, so it is its size.
func (i *Instance) PeakMemory() uint32 {
	if i.guest != nil {
		if mem := i.guest.wasm.Memory(); mem != nil {
			i.peak = max(i.peak, mem.Size())
		}
	}
	return i.peak
}

// OutOfMemory says whether the guest was refused memory beyond its limit.
func (i *Instance) OutOfMemory() bool { return i.guest != nil && i.guest.mem.refused }

// pin keeps the goroutine on its thread.
func (i *Instance) pin() {
	if p := i.guest.mem.pages; p == nil || !p.tracked() {
		return
	}
	runtime.LockOSThread()
	if i.faults, i.pinned = threadFaults(); !i.pinned {
		runtime.UnlockOSThread()
	}
}

func (i *Instance) unpin() {
	if i.pinned {
		i.pinned = false
		runtime.UnlockOSThread()
	}
}

// Waits is for a host function that is HostFunc.Quick and now may wait for long.
func (i *Instance) Waits() { i.unpin() }

// faulted ends the pinning and says whether a page fault may have happened since pin.
func (i *Instance) faulted() bool {
	if !i.pinned {
		return true
	}
	n, ok := threadFaults()
	i.unpin()
	return !ok || n != i.faults
}

// Release gives the instance back, on the goroutine that acquired it. Views of its memory are invalid from here on.
func (i *Instance) Release() {
	if g := i.guest; g != nil {
		i.PeakMemory()
		i.guest = nil
		if i.failed {
			clear(g.exports) // whatever an unwound call left on its stack goes
		}
		if i.module.runtime.pools.maxBytes > 0 && g.restore(i.faulted()) {
			g.origin.pool.put(&i.module.runtime.pools, g)
		} else {
			g.close()
		}
		i.unpin()
	}
	if i.live {
		i.live = false
		i.module.runtime.live.RUnlock()
	}
}

// turn is how long a guest computes before others get their turn on its core.
const turn = int64(time.Millisecond)

// pause is where a guest comes after each quantum of work: it ends here when its time is
// over, and others get their turn on this core now and then. It is short, because
// quantums are.
func (i *Instance) pause() {
	now := ticks()
	if now-i.turn < turn && now < i.deadline {
		return
	}
	i.unpin()
	runtime.Gosched()
	i.turn = ticks()
	i.checkInterrupt()
}

// checkInterrupt unwinds the guest when its time is over. The deadline is
// compared with the clock as well, because a context's timer may be late on a
// machine whose cores are all busy with guests.
func (i *Instance) checkInterrupt() {
	err := i.ctx.Err()
	if err == nil && i.deadline != math.MaxInt64 && ticks() >= i.deadline {
		err = context.DeadlineExceeded
	}
	if err == nil && i.module.runtime.stopping.Load() {
		err = ErrClosed
	}
	if err != nil {
		panic(&hostFailure{fmt.Errorf("%w: %w", ErrInterrupted, err)})
	}
	if limit := i.options.Compute; limit > 0 && i.Compute() > limit {
		panic(&hostFailure{fmt.Errorf("%w of %s", ErrComputeExceeded, limit)})
	}
}
