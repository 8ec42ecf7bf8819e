package function_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"flagbase.dev/function"
	"flagbase.dev/internal/sandbox"
)

// An engine that finds the code of the one before compiles nothing, neither modules nor
// what runs scripts.
func TestCodeCache(t *testing.T) {
	var compiled atomic.Int32
	options := &function.EngineOptions{
		CodeCacheDir: filepath.Join(t.TempDir(), "cache"),
		Compiler: func(ctx context.Context, module []byte, dir string) error {
			compiled.Add(1)
			return sandbox.CompileTo(ctx, module, dir)
		},
	}
	wasm := helloWASM(t)
	for round, want := range []int32{2, 0, 0} {
		compiled.Store(0)
		w, ctx := newWorld(t, options), t.Context()
		module, err := w.Upload(ctx, "module", "", wasm)
		must(t, err)
		script, err := w.Create(ctx, "script", "", "javascript", "export const handle = () => 'from a script'")
		must(t, err)
		_, err = w.Invoke(ctx, module.ID, 0)
		must(t, err)
		out, err := w.Invoke(ctx, script.ID, 0)
		must(t, err)
		if n := compiled.Load(); n != want || string(out) != "from a script" {
			t.Errorf("round %d: compiled %d modules, want %d; the script says %q", round, n, want, out)
		}
	}
}

// A compiler that cannot run is not the artifact's fault; one that gives a module up is.
func TestCompilerFails(t *testing.T) {
	for _, c := range []struct{ fails, want error }{
		{sandbox.ErrCompiler, function.ErrInternal},
		{sandbox.ErrInvalidModule, function.ErrInvalidArtifact},
	} {
		w := newWorld(t, &function.EngineOptions{Compiler: func(context.Context, []byte, string) error { return c.fails }})
		if _, err := w.Upload(t.Context(), "module", "", helloWASM(t)); !errors.Is(err, c.want) {
			t.Errorf("%v", err)
		}
	}
}
