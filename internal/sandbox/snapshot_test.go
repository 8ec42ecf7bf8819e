package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"flagbase.dev/internal/sandbox"
)

const statefulWAT = `(module (memory (export "memory") 1 40)
	(global $a (mut i32) (i32.const 7)) (global $b (mut i64) (i64.const 9)) (global $c (mut f64) (f64.const 0.5))
	(data (i32.const 100) "data") (data (i32.const 65000) "end")
	(func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
	(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
	(func (export "size") (result i32) (memory.size))
	(func (export "set") (param i32 i64 f64) (global.set $a (local.get 0)) (global.set $b (local.get 1)) (global.set $c (local.get 2)))
	(func (export "globals") (result i32 i64 f64) (global.get $a) (global.get $b) (global.get $c)))`

func call(t rapid.TB, inst *sandbox.Instance, name string, args ...uint64) []uint64 {
	t.Helper()
	res, err := inst.Call(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func memoryOf(t rapid.TB, inst *sandbox.Instance) []byte {
	t.Helper()
	b, ok := inst.Read(0, uint32(call(t, inst, "size")[0])*65536)
	if !ok {
		t.Fatal("memory cannot be read")
	}
	return bytes.Clone(b)
}

// Whatever was done before a snapshot is there in each instance made from it, bit for
// bit; whatever is done in one of them is in no other.
func TestSnapshotProperty(t *testing.T) {
	m := prepare(t, statefulWAT)
	scramble := func(t *rapid.T, inst *sandbox.Instance) {
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				call(t, inst, "grow", uint64(rapid.IntRange(0, 3).Draw(t, "pages")))
			case 1:
				at := rapid.Uint64Range(0, call(t, inst, "size")[0]*65536-1).Draw(t, "at")
				call(t, inst, "poke", at, rapid.Uint64Range(0, 255).Draw(t, "byte"))
			case 2:
				call(t, inst, "set", uint64(rapid.Uint32().Draw(t, "a")), rapid.Uint64().Draw(t, "b"), rapid.Uint64().Draw(t, "c"))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		first, err := m.Acquire(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Release()
		scramble(t, first)
		memory, globals := memoryOf(t, first), call(t, first, "globals")
		snapshot, err := first.Snapshot(nil)
		if err != nil {
			t.Fatal(err)
		}
		scramble(t, first) // what comes later is not in it
		for range 3 {
			inst, err := snapshot.Acquire(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(memoryOf(t, inst), memory) {
				t.Error("memory differs")
			}
			for i, g := range call(t, inst, "globals") {
				if g != globals[i] {
					t.Errorf("global %d is %x, was %x", i, g, globals[i])
				}
			}
			// Memory beyond the snapshot comes as zeros.
			if old := len(memory); uint32(call(t, inst, "grow", 1)[0]) != 0xFFFFFFFF {
				if grown := memoryOf(t, inst); !bytes.Equal(grown[old:], make([]byte, 65536)) {
					t.Error("new memory is not zero")
				}
			}
			scramble(t, inst)
			inst.Release()
		}
	})
}

func TestSnapshotsAtOnce(t *testing.T) {
	m := prepare(t, statefulWAT)
	inst := acquire(t, t.Context(), m, nil)
	call(t, inst, "poke", 500, 1)
	snapshot, err := inst.Snapshot(nil)
	must(t, err)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for range 50 {
				inst, err := snapshot.Acquire(context.Background(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				before, _ := inst.Read(500, 2)
				if before[0] != 1 || before[1] != 0 {
					t.Errorf("another's write is seen: %v", before)
				}
				call(t, inst, "poke", 501, uint64(worker+1))
				inst.Release()
			}
		})
	}
	group.Wait()
}

// Tables are not kept, so a module that can change them has no snapshots; neither has
// one with mutable references.
func TestNoSnapshot(t *testing.T) {
	for _, wat := range []string{
		`(module (table 2 10 funcref) (func (export "f") (table.set (i32.const 0) (ref.null func))))`,
		`(module (memory 1) (data $d "x") (func (export "f") (data.drop $d)))`,
		`(module (global (mut externref) (ref.null extern)) (func (export "f")))`,
	} {
		inst := acquire(t, t.Context(), prepare(t, wat), nil)
		if _, err := inst.Snapshot(nil); !errors.Is(err, sandbox.ErrNoSnapshot) {
			t.Errorf("%s: %v", wat, err)
		}
	}
}

// Data with offsets that are no plain numbers, or past the end, is left to
// instantiation; large and scattered data is copied rather than mapped.
func TestData(t *testing.T) {
	for wat, want := range map[string]string{
		`(module (memory (export "memory") 1) (data (i32.const 8) "one") (data (i32.const 9) "xyz") (func (export "size") (result i32) (memory.size)))`:                                        "oxyz",
		`(module (memory (export "memory") 1) (data (offset (i32.add (i32.const 3) (i32.const 5))) "late") (func (export "size") (result i32) (memory.size)))`:                                 "late",
		`(module (memory (export "memory") 900) (data (i32.const 8) "far") (data (i32.const 30000000) "x") (data (i32.const 58000000) "y") (func (export "size") (result i32) (memory.size)))`: "far",
	} {
		inst := acquire(t, t.Context(), prepare(t, wat), nil)
		if b, ok := inst.Read(8, uint32(len(want))); !ok || string(b) != want {
			t.Errorf("%s: memory holds %q", wat, b)
		}
	}
	m := prepare(t, `(module (memory 1) (data (i32.const 65535) "ab"))`)
	var trap *sandbox.TrapError
	if _, err := m.Acquire(t.Context(), nil); !errors.As(err, &trap) {
		t.Errorf("data past the end: %v", err)
	}
}
