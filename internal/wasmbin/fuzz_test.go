package wasmbin_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

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
		out, err := m.Rewrite(&wasmbin.Rewrite{Meter: true, BlankData: true, StartExport: "start!", ExportGlobals: "global!"})
		if err != nil {
			return
		}
		if _, err := wasmbin.Scan(out, nil); err != nil && !errors.Is(err, wasmbin.ErrLimit) {
			t.Fatalf("the rewritten module is refused: %v", err)
		}
	})
}

// FuzzRewrite: what wazero compiles, it compiles rewritten; and what it refuses, it refuses rewritten too. Metering adds a type, a
// function, a global, locals and perhaps a memory: nothing of the guest's may become valid, and get at the meter, by naming them.
func FuzzRewrite(f *testing.F) {
	seed(f)
	f.Add(newGuest(nil))
	f.Add(newGuest([]byte("a guest of some statements, with \x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15 in them")))
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wasmbin.Scan(b, nil)
		if err != nil {
			return
		}
		out, err := m.Rewrite(&wasmbin.Rewrite{Meter: true, BlankData: true, StartExport: "start!", ExportGlobals: "global!"})
		if err != nil {
			return
		}
		for features, isolated := range map[api.CoreFeatures]bool{allFeatures: false, sandboxFeatures: true} {
			rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features))
			_, stock := rt.CompileModule(ctx, b)
			_, metered := rt.CompileModule(ctx, out)
			rt.Close(ctx)
			switch {
			case stock == nil && metered != nil:
				t.Fatalf("compiles as it is, but not rewritten: %v", metered)
			case stock != nil && metered == nil && isolated:
				t.Fatalf("compiles rewritten, but not as it is: %v", stock)
			}
		}
	})
}

// sandboxFeatures are those that flagbase turns on. With typed references on, wazero 1.12.0 takes ref.null for a reference to function
// 0 where a module has one, so that some invalid modules compile as soon as a function is added to them.
const sandboxFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesTailCall
