package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/sandbox"
)

// wasiGuest is a module that exports the WASI functions it imports, so that a test
// plays the guest.
func wasiGuest(t *testing.T) *sandbox.Module {
	t.Helper()
	var b strings.Builder
	funcs := map[string]string{
		"args_get": "i32 i32", "args_sizes_get": "i32 i32", "environ_get": "i32 i32", "environ_sizes_get": "i32 i32",
		"clock_time_get": "i32 i64 i32", "clock_res_get": "i32 i32", "random_get": "i32 i32", "fd_write": "i32 i32 i32 i32", "fd_read": "i32 i32 i32 i32",
		"fd_close": "i32", "fd_fdstat_get": "i32 i32", "fd_filestat_get": "i32 i32", "fd_seek": "i32 i64 i32 i32", "fd_prestat_get": "i32 i32",
		"fd_renumber": "i32 i32", "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32", "poll_oneoff": "i32 i32 i32 i32", "sock_accept": "i32 i32 i32", "sched_yield": "",
	}
	var imports, exports strings.Builder
	for name, params := range funcs {
		param := ""
		if params != "" {
			param = "(param " + params + ")"
		}
		fmt.Fprintf(&imports, "(import \"wasi_snapshot_preview1\" %q (func $%s %s (result i32)))", name, name, param)
		fmt.Fprintf(&exports, "(func (export %q) %s (result i32)", name, param)
		for i := range strings.Fields(params) {
			fmt.Fprintf(&exports, "(local.get %d)", i)
		}
		fmt.Fprintf(&exports, "(call $%s))", name)
	}
	b.WriteString("(module " + imports.String() + `(memory (export "memory") 2)` + exports.String() + ")")
	return prepare(t, b.String())
}

func TestWASI(t *testing.T) {
	var out, log bytes.Buffer
	inst := acquire(t, t.Context(), wasiGuest(t), &sandbox.InstanceOptions{
		Stdin: strings.NewReader("input"), Stdout: &out, Stderr: &log, Args: []string{"prog", "x y"}, Env: []string{"A=1"}})
	call := func(name string, args ...uint64) uint64 {
		t.Helper()
		res, err := inst.Call(name, args...)
		must(t, err)
		return res[0]
	}
	u32 := func(ptr uint32) uint32 {
		b, _ := inst.Read(ptr, 4)
		return binary.LittleEndian.Uint32(b)
	}
	text := func(ptr, n uint32) string { b, _ := inst.Read(ptr, n); return string(b) }
	const ok, badf, fault, inval, spipe = 0, 8, 21, 28, 70
	want := func(got, want uint64) {
		t.Helper()
		if got != want {
			t.Errorf("errno %d, want %d", got, want)
		}
	}
	want(call("args_sizes_get", 0, 4), ok)
	if u32(0) != 2 || u32(4) != 9 {
		t.Errorf("args sizes %d %d", u32(0), u32(4))
	}
	want(call("args_get", 16, 64), ok)
	if text(u32(16), 5) != "prog\x00" || text(u32(20), 4) != "x y\x00" {
		t.Error("args are wrong")
	}
	want(call("environ_sizes_get", 0, 4), ok)
	want(call("environ_get", 16, 64), ok)
	if text(u32(16), 4) != "A=1\x00" {
		t.Error("environment is wrong")
	}
	want(call("args_get", 0xFFFFFFFE, 64), fault)

	// Reading: one vector of 16 bytes at 256.
	inst.WriteUint32(128, 256)
	inst.WriteUint32(132, 16)
	want(call("fd_read", 0, 128, 1, 0), ok)
	if u32(0) != 5 || text(256, 5) != "input" {
		t.Errorf("read %d bytes", u32(0))
	}
	want(call("fd_read", 0, 128, 1, 0), ok)
	if u32(0) != 0 {
		t.Error("input does not end")
	}
	want(call("fd_read", 3, 128, 1, 0), badf)
	inst.WriteUint32(132, 5)
	want(call("fd_write", 1, 128, 1, 0), ok)
	want(call("fd_write", 2, 128, 1, 0), ok)
	if out.String() != "input" || log.String() != "input" {
		t.Errorf("wrote %q and %q", out.String(), log.String())
	}
	want(call("fd_write", 5, 128, 1, 0), badf)
	want(call("fd_write", 1, 0x1FFFC, 1, 0), fault) // the vector ends outside
	inst.WriteUint32(128, 0xFFFFFFF0)
	want(call("fd_write", 1, 128, 1, 0), fault)
	want(call("fd_write", 1, 128, 0, 0xFFFFFFFF), fault)

	want(call("clock_time_get", 0, 0, 512), ok)
	b, _ := inst.Read(512, 8)
	if d := time.Since(time.Unix(0, int64(binary.LittleEndian.Uint64(b)))); d < 0 || d > time.Minute {
		t.Errorf("the clock is off by %v", d)
	}
	want(call("clock_time_get", 1, 0, 512), ok)
	want(call("clock_time_get", 9, 0, 512), inval)
	want(call("clock_res_get", 0, 512), ok)
	want(call("random_get", 1024, 32), ok)
	one := text(1024, 32)
	want(call("random_get", 1024, 32), ok)
	if one == text(1024, 32) || one == strings.Repeat("\x00", 32) {
		t.Error("randomness is not random")
	}
	want(call("random_get", 0, 0xFFFFFFFF), fault)
	want(call("fd_fdstat_get", 1, 0), ok)
	want(call("fd_fdstat_get", 3, 0), badf)
	want(call("fd_filestat_get", 0, 0), ok)
	want(call("fd_seek", 0, 0, 0, 0), spipe)
	want(call("fd_prestat_get", 3, 0), badf)
	want(call("fd_renumber", 1, 0x7FFFFFFF), badf)
	want(call("path_open", 3, 0, 0, 0, 0, 0, 0, 0, 0), badf)
	want(call("sock_accept", 0, 0, 0), badf)
	want(call("sched_yield"), ok)
	want(call("fd_close", 1), ok)
	want(call("fd_close", 99), badf)
	want(call("poll_oneoff", 0, 0, 0, 0), inval)
	want(call("poll_oneoff", 0, 0, 0x5555556, 0), inval)
}

// poll writes one clock subscription and polls it.
func poll(inst *sandbox.Instance, nanos uint64, absolute bool) ([]uint64, error) {
	sub := make([]byte, 48)
	binary.LittleEndian.PutUint64(sub, 42)
	binary.LittleEndian.PutUint32(sub[16:], 1) // monotonic
	binary.LittleEndian.PutUint64(sub[24:], nanos)
	if absolute {
		sub[40] = 1
	}
	inst.Write(0, sub)
	return inst.Call("poll_oneoff", 0, 256, 1, 512)
}

func TestSleep(t *testing.T) {
	m := wasiGuest(t)
	inst := acquire(t, t.Context(), m, nil)
	start := time.Now()
	res, err := poll(inst, uint64(50*time.Millisecond), false)
	must(t, err)
	event, _ := inst.Read(256, 32)
	if took := time.Since(start); res[0] != 0 || took < 50*time.Millisecond || took > time.Second || event[0] != 42 {
		t.Errorf("slept %v, errno %d", took, res[0])
	}
	start = time.Now()
	_, err = poll(inst, 1, true) // long past
	must(t, err)
	if time.Since(start) > 20*time.Millisecond {
		t.Error("slept for a time in the past")
	}
	for _, forever := range []uint64{1 << 62, 1<<64 - 1} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		inst := acquire(t, ctx, m, nil)
		start = time.Now()
		if _, err := poll(inst, forever, false); !errors.Is(err, sandbox.ErrInterrupted) || time.Since(start) > 200*time.Millisecond {
			t.Errorf("an endless sleep ended with %v after %v", err, time.Since(start))
		}
		cancel()
	}
}
