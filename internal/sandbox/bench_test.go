package sandbox_test

import (
	"testing"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
)

// One use of an instance, from Acquire to Release.
func BenchmarkInvoke(b *testing.B) {
	for _, guest := range []struct {
		name, export string
		wasm         []byte
	}{
		{"wat", "handle", testguest.WAT(b, `(module (memory (export "memory") 1) (func (export "handle") (i32.store (i32.const 0) (i32.const 1))))`)},
		{"go", "_start", testguest.Go(b, "function/testdata/hello", false)},
	} {
		for _, kept := range []bool{true, false} {
			name := guest.name + "/kept"
			config := &sandbox.Config{}
			if !kept {
				name = guest.name + "/fresh"
				config.IdleBytes = -1
			}
			b.Run(name, func(b *testing.B) {
				rt, err := sandbox.NewRuntime(b.Context(), config)
				must(b, err)
				defer func() { must(b, rt.Close(b.Context())) }()
				m, err := rt.Prepare(b.Context(), guest.wasm)
				must(b, err)
				b.ReportAllocs()
				for b.Loop() {
					inst, err := m.Acquire(b.Context(), nil)
					must(b, err)
					_, err = inst.Call(guest.export)
					inst.Release()
					must(b, err)
				}
			})
		}
	}
}
