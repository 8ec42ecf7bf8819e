package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"flagbase.dev/internal/sandbox"
)

// vandal is a guest that does to its state whatever it is told, and ends however it is
// told.
type vandal struct {
	wat        string
	large      bool
	restorable bool
}

// vandals have scattered data, one has no memory, some more than is mapped; one has a
// start function, and one changes tables and drops segments.
var vandals = map[string]vandal{
	"small":  {vandalWAT("2 60", `(data (i32.const 100) "data") (data (i32.const 65000) "end") (data (i32.const 70000) "next")`, ""), false, true},
	"blank":  {vandalWAT("1 60", ``, ""), false, true},
	"none":   {vandalWAT("0 9", ``, ""), false, true},
	"far":    {vandalWAT("200 260", `(data (i32.const 8) "far") (data (i32.const 6000000) "x") (data (i32.const 13000000) "y")`, ""), true, true},
	"copied": {vandalWAT("200 260", `(data (i32.const 8) "many")`+manyData(40), ""), true, true},
	"start": {vandalWAT("1 60", `(data (i32.const 9) "before")`, `(start $start) (func $start
		(memory.fill (i32.const 4000) (i32.const 9) (i32.const 9000)) (global.set $a (i32.add (global.get $a) (i32.const 1)))
		(drop (memory.grow (i32.add (memory.size) (i32.const 1)))))`), false, true},
	"tables": {vandalWAT("1 60", `(data (i32.const 9) "data")`, `(func (export "tables") (param i32)
		(table.set $t (i32.const 0) (ref.func $two)) (drop (table.grow $t (ref.func $two) (local.get 0)))
		(table.fill $t (i32.const 1) (ref.null func) (i32.const 1)) (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 2))
		(if (i32.and (local.get 0) (i32.const 1)) (then
			(table.init $t $unused (i32.const 2) (i32.const 0) (i32.const 1)) (elem.drop $unused) (data.drop $passive))))`), false, false},
}

func vandalWAT(pages, data, more string) string {
	return `(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
	(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
	(import "vandal" "write" (func $write (param i32 i32)))
	(import "vandal" "nested" (func $nested (param i32 i32 i32)))
	(import "vandal" "fail" (func $fail))
	(import "vandal" "wait" (func $wait (param i32)))
	(memory (export "memory") ` + pages + `)
	(global $a (mut i32) (i32.const 7)) (global $b (mut i64) (i64.const -9)) (global $c (mut f64) (f64.const 0.5)) (global $d (mut f32) (f32.const 1.5))
	(type $number (func (result i32)))
	(table $t 3 20 funcref) (elem (table $t) (i32.const 0) func $one $two)
	(elem $unused func $one) (data $passive "passive")
	(func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
	` + data + `
	(func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
	(func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
	(func (export "init") (param i32) (memory.init $passive (local.get 0) (i32.const 0) (i32.const 7)))
	(func (export "random") (param i32 i32) (drop (call $random (local.get 0) (local.get 1))))
	(func (export "write") (param i32 i32) (call $write (local.get 0) (local.get 1)))
	(func (export "nested") (param i32 i32 i32) (call $nested (local.get 0) (local.get 1) (local.get 2)))
	(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
	(func (export "size") (result i32) (memory.size))
	(func (export "set") (param i32 i64 f64 f32) (global.set $a (local.get 0)) (global.set $b (local.get 1)) (global.set $c (local.get 2)) (global.set $d (local.get 3)))
	(func (export "globals") (result i32 i64 f64 f32 i32 i32 i32 i32)
		(global.get $a) (global.get $b) (global.get $c) (global.get $d)
		(table.size $t) (call_indirect $t (type $number) (i32.const 0)) (call_indirect $t (type $number) (i32.const 1))
		(ref.is_null (table.get $t (i32.const 2))))
	(func (export "third") (drop (call_indirect $t (type $number) (i32.const 2))))
	(func (export "trap") (unreachable))
	(func (export "exit") (param i32) (call $exit (local.get 0)))
	(func (export "fail") (call $fail))
	(func (export "wait") (param i32) (call $wait (local.get 0)))
	(func (export "spin") (loop $l (i32.store8 (global.get $a) (i32.const 1)) (br $l)))
	(func $deep (export "deep") (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
	` + more + `)`
}

func manyData(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `(data (i32.const %d) "piece")`, 300_000*(i+1))
	}
	return b.String()
}

var errVandal = errors.New("a host function failed")

// vandalHost is host functions that write to the guest, call it, fail and wait until it
// has to end.
var vandalHost = sandbox.HostModule{Name: "vandal", Funcs: []sandbox.HostFunc{
	{Name: "write", Params: []sandbox.ValueType{sandbox.I32, sandbox.I32}, Call: func(_ context.Context, g *sandbox.Instance, stack []uint64) {
		g.Write(uint32(stack[0]), bytes.Repeat([]byte{0xC7}, int(uint32(stack[1]))))
	}},
	{Name: "nested", Params: []sandbox.ValueType{sandbox.I32, sandbox.I32, sandbox.I32}, Call: func(_ context.Context, g *sandbox.Instance, stack []uint64) {
		what, at, n := uint32(stack[0]), stack[1], stack[2]
		_, _ = g.Call([]string{"trap", "exit", "deep", "nested", "fail"}[what%5], [][]uint64{{}, {1}, {50}, {stack[0] + 1, at, n}, {}}[what%5]...)
		_, _ = g.Call("fill", at, 0x5A, n)
		_, _ = g.Call("grow", 1)
		g.WriteUint32(uint32(at), 0xA5A5A5A5)
	}},
	{Name: "fail", Call: func(context.Context, *sandbox.Instance, []uint64) { sandbox.Fail(errVandal) }},
	{Name: "wait", Params: []sandbox.ValueType{sandbox.I32}, Call: func(ctx context.Context, g *sandbox.Instance, stack []uint64) {
		g.WriteUint32(uint32(stack[0]), 1)
		time.AfterFunc(50*time.Microsecond, g.Host().(context.CancelFunc))
		<-ctx.Done()
		g.WriteUint32(uint32(stack[0])+8192, 1)
	}},
}}

// vandalise does things at random with an instance.
func (v vandal) vandalise(t *rapid.T, inst *sandbox.Instance) {
	for range rapid.IntRange(0, 5).Draw(t, "steps") {
		all := call(t, inst, "size")[0] * 65536
		at := rapid.Uint64Range(0, max(all, 1)-1).Draw(t, "at")
		n := min(rapid.SampledFrom([]uint64{0, 1, 5, 4096, 70_000, 5_000_000}).Draw(t, "n"), all-min(at, all))
		switch rapid.IntRange(0, 9).Draw(t, "step") {
		case 0:
			call(t, inst, "fill", at, rapid.Uint64Range(0, 255).Draw(t, "byte"), n)
		case 1:
			call(t, inst, "copy", at, rapid.Uint64Range(0, max(all, n)-n).Draw(t, "from"), n)
		case 2:
			call(t, inst, "grow", rapid.Uint64Range(0, 20).Draw(t, "pages"))
		case 3:
			call(t, inst, "set", uint64(rapid.Uint32().Draw(t, "a")), rapid.Uint64().Draw(t, "b"), rapid.Uint64().Draw(t, "c"), uint64(rapid.Uint32().Draw(t, "d")))
		case 4:
			call(t, inst, "random", at, n)
		case 5:
			call(t, inst, "deep", rapid.SampledFrom([]uint64{1, 1000, 100_000}).Draw(t, "deep"))
		case 6:
			call(t, inst, "write", at, n)
		case 7:
			call(t, inst, "nested", rapid.Uint64Range(0, 4).Draw(t, "what"), at, n)
		case 8:
			_, _ = inst.Call("third") // its element is null: a trap, and the guest goes on
		case 9:
			switch {
			case !v.restorable:
				_, _ = inst.Call("tables", rapid.Uint64Range(0, 5).Draw(t, "elements"))
			case all-at >= 7 && all > 0:
				call(t, inst, "init", at)
			}
		}
	}
}

// finish ends it: by a trap, an exit, a failure of the host, its time being over in its own code or in a
// host call, or just so.
func (v vandal) finish(t *rapid.T, inst *sandbox.Instance) {
	var err, want error
	switch rapid.IntRange(0, 8).Draw(t, "end") {
	case 0:
		if _, err := inst.Call("trap"); err == nil {
			t.Fatal("no trap")
		}
	case 1:
		_, _ = inst.Call("exit", rapid.Uint64Range(0, 1).Draw(t, "code"))
	case 2:
		if call(t, inst, "size")[0] > 0 {
			call(t, inst, "set", 5, 0, 0, 0)
			timer := time.AfterFunc(50*time.Microsecond, inst.Host().(context.CancelFunc))
			defer timer.Stop()
			_, err = inst.Call("spin")
			want = sandbox.ErrInterrupted
		}
	case 3:
		_, err = inst.Call("fail")
		want = errVandal
	case 4:
		_, err = inst.Call("wait", rapid.Uint64Range(0, 50_000).Draw(t, "at"))
		want = sandbox.ErrInterrupted
	}
	if !errors.Is(err, want) {
		t.Fatalf("ended with %v, not %v", err, want)
	}
}

// state is what a guest has: memory, and globals and tables as far as its code tells.
type state struct {
	memory  []byte
	globals []uint64
}

func stateOf(t rapid.TB, inst *sandbox.Instance) state {
	return state{memoryOf(t, inst), slices.Clone(call(t, inst, "globals"))}
}

// check compares an instance with s, and up to so many pages beyond its end with zeros.
func (s state) check(t rapid.TB, what string, inst *sandbox.Instance, beyond int) {
	t.Helper()
	now, ok := inst.Read(0, uint32(call(t, inst, "size")[0]*65536))
	if !ok || !bytes.Equal(now, s.memory) {
		t.Fatalf("%s: memory differs: %d bytes at first, now %d", what, len(s.memory), len(now))
	}
	if got := call(t, inst, "globals"); !slices.Equal(got, s.globals) {
		t.Fatalf("%s: globals and tables are %x, were %x", what, got, s.globals)
	}
	grown := 0
	for grown < beyond && uint32(call(t, inst, "grow", 1)[0]) != 0xFFFFFFFF {
		grown++
	}
	if more, ok := inst.Read(uint32(len(s.memory)), uint32(grown)*65536); !ok || !bytes.Equal(more, make([]byte, grown*65536)) {
		t.Fatalf("%s: what lies beyond the end is not zero", what)
	}
}
