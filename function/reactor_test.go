package function_test

import (
	"strings"
	"testing"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
)

// A reactor is initialised once, at deploy: each invocation starts from the state that
// left, and sees nothing of another invocation.
func TestReactorIsInitialisedOnce(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Upload(ctx, "reactor", "", testguest.WAT(t, `(module
		(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1)
		(data (i32.const 0) "\10\00\00\00\05\00\00\00") (data (i32.const 16) "init\n")
		(global $count (mut i32) (i32.const 47))
		(func (export "_initialize")
			(drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
			(global.set $count (i32.add (global.get $count) (i32.const 1)))
			(memory.fill (i32.const 4096) (global.get $count) (i32.const 40000)))
		(func (export "handle") (result i32 i32)
			(global.set $count (i32.add (global.get $count) (i32.const 1)))
			(i32.store8 (i32.const 100) (global.get $count))
			(i32.store8 (i32.const 101) (i32.load8_u (i32.const 44000)))
			(i32.store8 (i32.const 44000) (i32.const 57))
			(i32.const 100) (i32.const 2)))`))
	must(t, err)
	for range 5 {
		res, err := w.Do(ctx, "reactor", &function.InvokeRequest{})
		must(t, err)
		if got := string(res.Output); got != "10" {
			t.Errorf("the handler saw %q, want what _initialize left, 10", got)
		}
		if strings.Contains(string(res.Log), "init") {
			t.Error("_initialize ran in an invocation")
		}
	}
}
