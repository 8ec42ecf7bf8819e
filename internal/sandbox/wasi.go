package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"github.com/tetratelabs/wazero/sys"
)

// WASI preview 1 as flagbase offers it: standard input, output and error, clocks,
// randomness, arguments, environment, sleeping and exiting. There is no file and
// no socket: those calls answer EBADF, as a system without preopened directories
// does. The format is that of
// https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
//
// It is ours rather than wazero's so that what belongs to a call stays with the
// Instance, a sleep ends with the call, exiting leaves the instance usable, and no
// table can be made to grow by a guest. See RATIONALE.md.

// Error numbers of WASI preview 1.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoIO      = 29
	errnoNosys   = 52
	errnoNotsup  = 58
	errnoSpipe   = 70
)

const wasiModuleName = "wasi_snapshot_preview1"

// wasiCall answers one WASI function with an error number.
type wasiCall func(ctx context.Context, g *Instance, p []uint64) uint32

func wasiModule() HostModule {
	badf := func(context.Context, *Instance, []uint64) uint32 { return errnoBadf }
	nosys := func(context.Context, *Instance, []uint64) uint32 { return errnoNosys }
	m := HostModule{Name: wasiModuleName}
	// A reader may have its bytes written by another thread.
	slow := map[string]bool{"fd_read": true, "poll_oneoff": true}
	add := func(name string, call wasiCall, params ...ValueType) {
		m.Funcs = append(m.Funcs, HostFunc{Name: name, Params: params, Results: []ValueType{I32}, Quick: !slow[name],
			Call: func(ctx context.Context, g *Instance, stack []uint64) { stack[0] = uint64(call(ctx, g, stack)) }})
	}
	add("args_get", argsGet, I32, I32)
	add("args_sizes_get", argsSizesGet, I32, I32)
	add("environ_get", environGet, I32, I32)
	add("environ_sizes_get", environSizesGet, I32, I32)
	add("clock_res_get", clockResGet, I32, I32)
	add("clock_time_get", clockTimeGet, I32, I64, I32)
	add("fd_advise", badf, I32, I64, I64, I32)
	add("fd_allocate", badf, I32, I64, I64)
	add("fd_close", fdStdio(errnoSuccess), I32)
	add("fd_datasync", badf, I32)
	add("fd_fdstat_get", fdFdstatGet, I32, I32)
	add("fd_fdstat_set_flags", fdStdio(errnoSuccess), I32, I32)
	add("fd_fdstat_set_rights", badf, I32, I64, I64)
	add("fd_filestat_get", fdFilestatGet, I32, I32)
	add("fd_filestat_set_size", badf, I32, I64)
	add("fd_filestat_set_times", badf, I32, I64, I64, I32)
	add("fd_pread", badf, I32, I32, I32, I64, I32)
	add("fd_prestat_get", badf, I32, I32)
	add("fd_prestat_dir_name", badf, I32, I32, I32)
	add("fd_pwrite", badf, I32, I32, I32, I64, I32)
	add("fd_read", fdRead, I32, I32, I32, I32)
	add("fd_readdir", badf, I32, I32, I32, I64, I32)
	add("fd_renumber", badf, I32, I32)
	add("fd_seek", fdStdio(errnoSpipe), I32, I64, I32, I32)
	add("fd_sync", badf, I32)
	add("fd_tell", fdStdio(errnoSpipe), I32, I32)
	add("fd_write", fdWrite, I32, I32, I32, I32)
	add("path_create_directory", badf, I32, I32, I32)
	add("path_filestat_get", badf, I32, I32, I32, I32, I32)
	add("path_filestat_set_times", badf, I32, I32, I32, I32, I64, I64, I32)
	add("path_link", badf, I32, I32, I32, I32, I32, I32, I32)
	add("path_open", badf, I32, I32, I32, I32, I32, I64, I64, I32, I32)
	add("path_readlink", badf, I32, I32, I32, I32, I32, I32)
	add("path_remove_directory", badf, I32, I32, I32)
	add("path_rename", badf, I32, I32, I32, I32, I32, I32)
	add("path_symlink", badf, I32, I32, I32, I32, I32)
	add("path_unlink_file", badf, I32, I32, I32)
	add("poll_oneoff", pollOneoff, I32, I32, I32, I32)
	add("proc_raise", nosys, I32)
	add("random_get", randomGet, I32, I32)
	add("sched_yield", func(context.Context, *Instance, []uint64) uint32 { return errnoSuccess })
	add("sock_accept", badf, I32, I32, I32)
	add("sock_recv", badf, I32, I32, I32, I32, I32, I32)
	add("sock_send", badf, I32, I32, I32, I32, I32)
	add("sock_shutdown", badf, I32, I32)
	m.Funcs = append(m.Funcs, HostFunc{Name: "proc_exit", Params: []ValueType{I32}, Quick: true,
		Call: func(_ context.Context, _ *Instance, stack []uint64) { panic(sys.NewExitError(uint32(stack[0]))) }})
	return m
}

// strings writes a list the way args_get and environ_get do: pointers at
// offsets, the NUL-terminated strings themselves from buf on.
func (i *Instance) strings(list []string, offsets, buf uint32) uint32 {
	for n, s := range list {
		if !i.WriteUint32(offsets+uint32(4*n), buf) || !i.Write(buf, append([]byte(s), 0)) {
			return errnoFault
		}
		buf += uint32(len(s)) + 1
	}
	return errnoSuccess
}

func (i *Instance) sizes(list []string, count, size uint32) uint32 {
	total := 0
	for _, s := range list {
		total += len(s) + 1
	}
	if !i.WriteUint32(count, uint32(len(list))) || !i.WriteUint32(size, uint32(total)) {
		return errnoFault
	}
	return errnoSuccess
}

func argsGet(_ context.Context, g *Instance, p []uint64) uint32 {
	return g.strings(g.options.Args, uint32(p[0]), uint32(p[1]))
}

func argsSizesGet(_ context.Context, g *Instance, p []uint64) uint32 {
	return g.sizes(g.options.Args, uint32(p[0]), uint32(p[1]))
}

func environGet(_ context.Context, g *Instance, p []uint64) uint32 {
	return g.strings(g.options.Env, uint32(p[0]), uint32(p[1]))
}

func environSizesGet(_ context.Context, g *Instance, p []uint64) uint32 {
	return g.sizes(g.options.Env, uint32(p[0]), uint32(p[1]))
}

const (
	clockRealtime = 0
	clockLast     = 3 // monotonic, process and thread time all count from the start of the process
)

var processStart = time.Now()

func now(clock uint32) uint64 {
	if clock == clockRealtime {
		return uint64(time.Now().UnixNano())
	}
	return uint64(time.Since(processStart)) + 1
}

func clockResGet(_ context.Context, g *Instance, p []uint64) uint32 {
	if uint32(p[0]) > clockLast {
		return errnoInval
	}
	return g.writeUint64(uint32(p[1]), 1)
}

func clockTimeGet(_ context.Context, g *Instance, p []uint64) uint32 {
	if uint32(p[0]) > clockLast {
		return errnoInval
	}
	g.DrewRandom()
	return g.writeUint64(uint32(p[2]), now(uint32(p[0])))
}

func (i *Instance) writeUint64(ptr uint32, v uint64) uint32 {
	if !i.Write(ptr, binary.LittleEndian.AppendUint64(nil, v)) {
		return errnoFault
	}
	return errnoSuccess
}

func randomGet(_ context.Context, g *Instance, p []uint64) uint32 {
	b, ok := g.Read(uint32(p[0]), uint32(p[1]))
	if !ok {
		return errnoFault
	}
	g.DrewRandom()
	for len(b) > 0 { // in pieces: all of a large memory takes longer than a deadline allows
		n := min(len(b), 1<<20)
		_, _ = rand.Read(b[:n]) // never fails: crypto/rand ends the process instead
		b = b[n:]
		g.checkInterrupt()
	}
	return errnoSuccess
}

// fdStdio gives a call that does nothing to a standard stream but answer errno.
func fdStdio(errno uint32) wasiCall {
	return func(_ context.Context, _ *Instance, p []uint64) uint32 {
		if uint32(p[0]) > 2 {
			return errnoBadf
		}
		return errno
	}
}

const (
	filetypeCharacterDevice = 2
	rightFdRead             = 1 << 1
	rightFdWrite            = 1 << 6
	rightPollFdReadwrite    = 1 << 27
)

func fdFdstatGet(_ context.Context, g *Instance, p []uint64) uint32 {
	fd := uint32(p[0])
	if fd > 2 {
		return errnoBadf
	}
	rights := uint64(rightFdWrite | rightPollFdReadwrite)
	if fd == 0 {
		rights = rightFdRead | rightPollFdReadwrite
	}
	var stat [24]byte
	stat[0] = filetypeCharacterDevice
	binary.LittleEndian.PutUint64(stat[8:], rights)
	if !g.Write(uint32(p[1]), stat[:]) {
		return errnoFault
	}
	return errnoSuccess
}

func fdFilestatGet(_ context.Context, g *Instance, p []uint64) uint32 {
	if uint32(p[0]) > 2 {
		return errnoBadf
	}
	var stat [64]byte
	stat[16] = filetypeCharacterDevice
	binary.LittleEndian.PutUint64(stat[24:], 1) // links
	if !g.Write(uint32(p[1]), stat[:]) {
		return errnoFault
	}
	return errnoSuccess
}

// vectors calls fn for each buffer of an iovec array until fn says stop. The
// buffers are views of memory.
func (i *Instance) vectors(ptr, count uint32, fn func(b []byte) (more bool)) uint32 {
	for n := range count {
		at := uint64(ptr) + 8*uint64(n)
		if at > 0xffffffff {
			return errnoFault
		}
		iovec, ok := i.Read(uint32(at), 8)
		if !ok {
			return errnoFault
		}
		b, ok := i.Read(binary.LittleEndian.Uint32(iovec), binary.LittleEndian.Uint32(iovec[4:]))
		if !ok {
			return errnoFault
		}
		if len(b) > 0 && !fn(b) {
			break
		}
		if n&0xfff == 0xfff {
			i.checkInterrupt() // 2^29 empty vectors are legal
		}
	}
	return errnoSuccess
}

func fdRead(_ context.Context, g *Instance, p []uint64) uint32 {
	if uint32(p[0]) > 2 {
		return errnoBadf
	}
	total, failed := 0, false
	errno := g.vectors(uint32(p[1]), uint32(p[2]), func(b []byte) bool {
		if uint32(p[0]) != 0 || g.options.Stdin == nil {
			return false
		}
		n, err := g.options.Stdin.Read(b)
		total += n
		failed = err != nil && !errors.Is(err, io.EOF)
		return err == nil && n == len(b)
	})
	switch {
	case errno != errnoSuccess:
		return errno
	case failed && total == 0:
		return errnoIO
	case !g.WriteUint32(uint32(p[3]), uint32(total)):
		return errnoFault
	}
	return errnoSuccess
}

func fdWrite(_ context.Context, g *Instance, p []uint64) uint32 {
	var w io.Writer
	switch uint32(p[0]) {
	case 1:
		w = g.options.Stdout
	case 2:
		w = g.options.Stderr
	default:
		return errnoBadf
	}
	total := uint32(0)
	errno := g.vectors(uint32(p[1]), uint32(p[2]), func(b []byte) bool {
		if uint64(total)+uint64(len(b)) > math.MaxUint32 { // a count that would wrap: a short write
			return false
		}
		if w != nil {
			if _, err := w.Write(b); err != nil {
				Fail(err)
			}
		}
		total += uint32(len(b))
		return true
	})
	if errno != errnoSuccess {
		return errno
	}
	if !g.WriteUint32(uint32(p[3]), total) {
		return errnoFault
	}
	return errnoSuccess
}

const (
	subscriptionSize = 48
	eventSize        = 32
	eventClock       = 0
	eventFdRead      = 1
	eventFdWrite     = 2
	clockAbsolute    = 1
	maxSubscriptions = 1024
)

// pollOneoff sleeps until the earliest clock, or not at all when a descriptor is
// among the subscriptions: standard input is always ready. The sleep ends with
// the invocation.
func pollOneoff(ctx context.Context, g *Instance, p []uint64) uint32 {
	in, out, count, result := uint32(p[0]), uint32(p[1]), uint32(p[2]), uint32(p[3])
	if count == 0 || count > maxSubscriptions {
		return errnoInval
	}
	view, ok := g.Read(in, count*subscriptionSize)
	if !ok {
		return errnoFault
	}
	subs := append([]byte(nil), view...)
	events := make([]byte, 0, count*eventSize)
	event := func(sub []byte, kind byte, errno uint16) {
		var e [eventSize]byte
		copy(e[:8], sub)
		binary.LittleEndian.PutUint16(e[8:], errno)
		e[10] = kind
		events = append(events, e[:]...)
	}
	wait := time.Duration(-1)
	var due []byte
	for n := range count {
		sub := subs[n*subscriptionSize : (n+1)*subscriptionSize]
		switch kind := sub[8]; kind {
		case eventClock:
			clock := binary.LittleEndian.Uint32(sub[16:])
			timeout := binary.LittleEndian.Uint64(sub[24:])
			flags := binary.LittleEndian.Uint16(sub[40:])
			if clock > clockLast {
				event(sub, kind, errnoInval)
				continue
			}
			if flags&clockAbsolute != 0 {
				if t := now(clock); timeout > t {
					timeout -= t
				} else {
					timeout = 0
				}
			}
			d := time.Duration(min(timeout, 1<<62))
			if wait < 0 || d < wait {
				wait, due = d, sub
			}
		case eventFdRead, eventFdWrite:
			fd := binary.LittleEndian.Uint32(sub[16:])
			switch {
			case fd > 2:
				event(sub, kind, errnoBadf)
			case kind == eventFdRead && fd != 0, kind == eventFdWrite && fd == 0:
				event(sub, kind, errnoNotsup)
			default:
				event(sub, kind, errnoSuccess)
			}
		default:
			return errnoInval
		}
	}
	if len(events) == 0 && wait >= 0 {
		sleep(ctx, wait)
		event(due, eventClock, errnoSuccess)
	}
	if !g.Write(out, events) || !g.WriteUint32(result, uint32(len(events)/eventSize)) {
		return errnoFault
	}
	return errnoSuccess
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
