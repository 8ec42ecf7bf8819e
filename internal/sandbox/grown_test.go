package sandbox_test

import (
	"context"
	"testing"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

// What one instance left in memory that it had grown into, another that grows as far
// does not see, whatever came between and however quietly it was written.
func TestGrownMemoryIsForgotten(t *testing.T) {
	m := prepare(t, `(module
		(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1 40)
		(func (export "grow") (param i32) (drop (memory.grow (local.get 0))))
		(func (export "wait") (drop (call $poll (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
		(func (export "poke") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
		(func (export "peek") (param i32) (result i32) (i32.load (local.get 0))))`)
	const far = 20 * 65536
	use := func(do func(inst *sandbox.Instance)) {
		inst, err := m.Acquire(t.Context(), nil)
		must(t, err)
		defer inst.Release()
		do(inst)
	}
	secret := func(inst *sandbox.Instance) {
		call(t, inst, "grow", 30)
		if got := call(t, inst, "peek", far)[0]; got != 0 {
			t.Errorf("another's %x is seen", got)
		}
		call(t, inst, "poke", far, 0x5ec2e7)
	}
	for range 50 {
		use(secret)
		use(func(inst *sandbox.Instance) { call(t, inst, "wait") }) // the page map is asked, of less memory
		use(secret)                                                 // writes a page that is there already: no fault
	}
}

// What a host call wrote is forgotten as well, also where nobody had written before, and
// whether or not it kept the guest's thread.
func TestHostWritesAreForgotten(t *testing.T) {
	rt := newRuntime(t)
	write := func(_ context.Context, g *sandbox.Instance, stack []uint64) {
		if stack[1] != 0 {
			g.Waits()
		}
		g.WriteUint32(uint32(stack[0]), 0x5ec2e7)
	}
	must(t, rt.Register(t.Context(), sandbox.HostModule{Name: "host", Funcs: []sandbox.HostFunc{
		{Name: "quick", Params: []sandbox.ValueType{sandbox.I32, sandbox.I32}, Quick: true, Call: write},
		{Name: "slow", Params: []sandbox.ValueType{sandbox.I32, sandbox.I32}, Call: write},
	}}))
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module
		(import "host" "quick" (func $quick (param i32 i32)))
		(import "host" "slow" (func $slow (param i32 i32)))
		(memory (export "memory") 40)
		(func (export "quick") (param i32 i32) (call $quick (local.get 0) (local.get 1)))
		(func (export "slow") (param i32 i32) (call $slow (local.get 0) (local.get 1)))
		(func (export "peek") (param i32) (result i32) (i32.load (local.get 0))))`))
	must(t, err)
	for at := uint64(0); at < 40<<16; at += 4096 {
		for _, how := range []string{"quick", "slow"} {
			inst := acquire(t, t.Context(), m, nil)
			if got := call(t, inst, "peek", at)[0]; got != 0 {
				t.Fatalf("at %#x another's %x is seen", at, got)
			}
			call(t, inst, how, at, at>>12&1)
			inst.Release()
		}
	}
}
