package sandbox_test

import (
	"testing"

	"flagbase.dev/internal/sandbox"
)

// What one instance left in memory that it had grown into, another that grows as far
// does not see, whatever came between and however quietly it was written.
func TestGrownMemoryIsForgotten(t *testing.T) {
	m := prepare(t, `(module
		(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
		(memory (export "memory") 1 40)
		(func (export "grow") (param i32) (drop (memory.grow (local.get 0))))
		(func (export "yield") (drop (call $yield)))
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
		use(func(inst *sandbox.Instance) { call(t, inst, "yield") }) // the page map is asked, of less memory
		use(secret)                                                  // writes a page that is there already: no fault
	}
}
