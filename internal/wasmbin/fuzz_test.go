package wasmbin_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"

	"flagbase.dev/internal/wasmbin"
	"flagbase.dev/internal/wasmbin/hostile"
)

func seed(f *testing.F) {
	for _, c := range hostile.Modules() {
		if len(c.Bytes) < 4096 {
			f.Add(c.Bytes)
		}
	}
	f.Add(hostile.TableGrow())
	f.Add(fibonacci(0))
	f.Add(program("\x03\x40\x0c\x00\x0b", "\x10\x00"))
}

// FuzzScan: no input makes Scan panic; a refusal always has a kind; a rewritten module is again acceptable in form.
func FuzzScan(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wasmbin.Scan(b, nil)
		if err != nil {
			var refusal *wasmbin.Error
			if !errors.As(err, &refusal) || refusal.Kind == nil || refusal.Message == "" {
				t.Fatalf("refusal without kind or sentence: %#v", err)
			}
			return
		}
		out, err := m.Rewrite(&wasmbin.Rewrite{Meter: true, StartExport: "start!", ExportGlobals: "global!"})
		if err != nil {
			return
		}
		if _, err := wasmbin.Scan(out, nil); err != nil && !errors.Is(err, wasmbin.ErrLimit) {
			t.Fatalf("the rewritten module is refused: %v", err)
		}
	})
}

// FuzzRewrite: what wazero compiles, it compiles rewritten.
func FuzzRewrite(f *testing.F) {
	seed(f)
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wasmbin.Scan(b, nil)
		if err != nil {
			return
		}
		rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))
		defer rt.Close(ctx)
		if _, err := rt.CompileModule(ctx, b); err != nil {
			return
		}
		out, err := m.Rewrite(&wasmbin.Rewrite{Meter: true, StartExport: "start!"})
		if err != nil {
			return
		}
		if _, err := rt.CompileModule(ctx, out); err != nil {
			t.Fatalf("compiles as it is, but not rewritten: %v", err)
		}
	})
}
