package sandbox

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// InstanceOptions is what one use of an instance gets. The zero value is a guest
// without input whose output is thrown away.
type InstanceOptions struct {
	Stdin          io.Reader // read until its end, then empty
	Stdout, Stderr io.Writer // an error of Write ends the guest and is what Call returns
	Host           any       // what host functions find in Instance.Host
	MemoryPages    uint32    // limit in pages of 64 KiB. Defaults to 2048 (128 MiB)
	Args, Env      []string  // Env as "NAME=value"
}

const defaultMemoryPages = 2048

// Instance is one use of a module: its memory, globals and tables. It serves one
// goroutine.
type Instance struct {
	module   *Module
	options  InstanceOptions
	ctx      context.Context
	call     callContext
	deadline time.Time
	mem      linearMemory
	guest    api.Module
	peak     uint32
	live     bool // holds Runtime.live
}

func newInstance(ctx context.Context, m *Module, opts *InstanceOptions) *Instance {
	i := &Instance{module: m, ctx: ctx}
	if opts != nil {
		i.options = *opts
	}
	if i.options.MemoryPages == 0 {
		i.options.MemoryPages = defaultMemoryPages
	}
	i.options.MemoryPages = min(i.options.MemoryPages, m.runtime.config.MaxMemoryPages)
	i.mem.ledger = m.runtime.config.Memory
	i.mem.limit, i.mem.own, i.mem.pause = uint64(i.options.MemoryPages)*pageSize, m.maxBytes, i.pause
	i.deadline, _ = ctx.Deadline()
	i.call = callContext{Context: ctx, inst: i}
	return i
}

var moduleConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions()

func (i *Instance) instantiate(from *Snapshot) error {
	if i.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrInterrupted, i.ctx.Err())
	}
	// Background: what bounds the guest is its own check, not wazero's.
	ctx := experimental.WithMemoryAllocator(context.Background(), &i.mem)
	guest, err := i.module.runtime.wazero.InstantiateModule(ctx, i.module.compiled, moduleConfig)
	if err != nil {
		return &TrapError{Message: err.Error()}
	}
	i.guest = guest
	if from != nil {
		return from.restore(guest)
	}
	if i.module.start {
		_, err = i.Call(startExport)
	}
	return err
}

// Call calls an exported function and gives its results. The error is one of the
// package's, or what a host function or writer failed with. A guest that exits
// with code 0 is no error.
func (i *Instance) Call(name string, args ...uint64) ([]uint64, error) {
	if i.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, i.ctx.Err())
	}
	fn := i.guest.ExportedFunction(name)
	if fn == nil {
		return nil, fmt.Errorf("%w: it exports no function %q", ErrInvalidModule, name)
	}
	results, err := fn.Call(&i.call, args...)
	if err != nil {
		return nil, i.translate(err)
	}
	return results, nil
}

// Host is what InstanceOptions.Host was.
func (i *Instance) Host() any { return i.options.Host }

// Read gives a view of n bytes of memory at ptr; false when they are not all in
// memory. The view is valid until the guest runs again: copy what must last.
func (i *Instance) Read(ptr, n uint32) ([]byte, bool) {
	mem := i.guest.Memory()
	if mem == nil {
		return nil, n == 0 && ptr == 0
	}
	return mem.Read(ptr, n)
}

// Write copies b into memory at ptr; false when it does not all fit, and then
// nothing is written.
func (i *Instance) Write(ptr uint32, b []byte) bool {
	mem := i.guest.Memory()
	if mem == nil {
		return len(b) == 0
	}
	return mem.Write(ptr, b)
}

// WriteUint32 writes v in little-endian order.
func (i *Instance) WriteUint32(ptr, v uint32) bool {
	mem := i.guest.Memory()
	return mem != nil && mem.WriteUint32Le(ptr, v)
}

// PeakMemory is the most memory the instance had, in bytes. Linear memory never
// shrinks, so it is its size.
func (i *Instance) PeakMemory() uint32 {
	if i.guest != nil {
		if mem := i.guest.Memory(); mem != nil {
			i.peak = max(i.peak, mem.Size())
		}
	}
	return i.peak
}

// OutOfMemory says whether the guest was refused memory beyond its limit.
func (i *Instance) OutOfMemory() bool { return i.mem.refused }

// Release gives the instance back. Views of its memory are invalid from here on.
func (i *Instance) Release() {
	i.PeakMemory()
	if i.guest != nil {
		_ = i.guest.Close(context.Background())
		i.guest = nil
	}
	i.mem.Free()
	if i.live {
		i.live = false
		i.module.runtime.live.RUnlock()
	}
}

// pause is where a guest comes after each quantum of work: others get their turn on
// this core, and the guest ends here when its time is over.
func (i *Instance) pause() {
	runtime.Gosched()
	i.checkInterrupt()
}

// checkInterrupt unwinds the guest when its time is over. The deadline is
// compared with the clock as well, because a context's timer may be late on a
// machine whose cores are all busy with guests.
func (i *Instance) checkInterrupt() {
	err := i.ctx.Err()
	if err == nil && !i.deadline.IsZero() && !time.Now().Before(i.deadline) {
		err = context.DeadlineExceeded
	}
	if err == nil && i.module.runtime.stopping.Load() {
		err = ErrClosed
	}
	if err != nil {
		panic(&hostFailure{fmt.Errorf("%w: %w", ErrInterrupted, err)})
	}
}
