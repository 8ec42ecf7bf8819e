package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

// A command of Go's that starts with its runtime set up finds what one that starts from
// the beginning finds: its own arguments and environment, the time, random numbers
// nobody else has, and no trace of another.
func TestGoCommandStartsReady(t *testing.T) {
	m, err := newRuntime(t).Prepare(t.Context(), testguest.Go(t, "internal/sandbox/testdata/command", false))
	must(t, err)
	drawn := map[uint64]bool{}
	run := func(args ...string) {
		t.Helper()
		var out bytes.Buffer
		env := []string{"PLACE=here"}
		before := time.Now().UnixNano()
		inst, err := m.Acquire(t.Context(), &sandbox.InstanceOptions{Command: true, Stdout: &out, Args: args, Env: env})
		must(t, err)
		defer inst.Release()
		_, err = inst.Call("_start")
		var exit *sandbox.ExitError
		if fails := len(args) > 1; fails != (errors.As(err, &exit) && exit.Code == 3) || !fails && err != nil {
			t.Fatalf("with %q: %v", args, err)
		}
		rest, ok := strings.CutPrefix(out.String(), fmt.Sprintf("1 4950 %v %v ", args, env))
		var now int64
		var draws [3]uint64
		var keys int
		if _, err := fmt.Sscan(rest, &now, &draws[0], &draws[1], &draws[2], &keys); !ok || err != nil || keys != 8 {
			t.Fatalf("with %q it tells %q", args, out.String())
		}
		if now < before || now > time.Now().UnixNano() {
			t.Errorf("it is %d, not %d", now, before)
		}
		for _, n := range draws {
			if drawn[n] {
				t.Errorf("%x was drawn before", n)
			}
			drawn[n] = true
		}
	}
	run("one")
	for deadline := time.Now().Add(10 * time.Second); !m.StartsReady(); run("one") {
		if time.Now().After(deadline) {
			t.Fatal("it starts from the beginning each time")
		}
	}
	for range 20 {
		run("one")
	}
	run("two")
	run("one", "fails")
	run("one")
}

// What only looks like a command of Go's runs as it is.
func TestGoCommandImitated(t *testing.T) {
	wasm := testguest.WAT(t, `(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
		(memory (export "memory") 1)
		(global (mut i32) (i32.const 0)) (global (mut i64) (i64.const 0)) (global (mut i64) (i64.const 0)) (global (mut i64) (i64.const 0))
		(global (mut i64) (i64.const 0)) (global (mut i64) (i64.const 0)) (global (mut i64) (i64.const 0)) (global (mut i32) (i32.const 0))
		(func $set_up (param i32) (result i32) (call $exit (i32.const 5)) (i32.const 0))
		(func $loop)
		(func (export "_start") (global.set 0 (i32.wrap_i64 (i64.const 9))) (drop (call $set_up (i32.const 0))) (call $loop) (return) (unreachable)))`)
	named := append([]byte("\x00asm\x01\x00\x00\x00\x00\x0b\x0ago:buildid"), wasm[8:]...)
	m, err := newRuntime(t).Prepare(t.Context(), named)
	must(t, err)
	for uses := 0; uses < 3 || !m.TriedReady(); uses++ {
		inst, err := m.Acquire(t.Context(), &sandbox.InstanceOptions{Command: true})
		must(t, err)
		_, err = inst.Call("_start")
		var exit *sandbox.ExitError
		if !errors.As(err, &exit) || exit.Code != 5 {
			t.Error(err)
		}
		inst.Release()
	}
	if m.StartsReady() {
		t.Error("its state was kept")
	}
}
