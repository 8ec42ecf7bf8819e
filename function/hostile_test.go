package function_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/wasmbin/hostile"
)

// Every hostile module is refused in a sentence, in under 2 s, and leaves neither
// memory nor a trace in the store.
func TestHostileModules(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	cases := append(hostile.Modules(), hostile.Case{Name: "52 bytes that grow a table", Bytes: hostile.TableGrow()})
	if len(cases) < 53 {
		t.Fatalf("only %d hostile modules", len(cases))
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for _, c := range cases {
		start := time.Now()
		fn, err := w.Upload(ctx, "hostile", "", c.Bytes)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %v", c.Name, took)
		}
		if !errors.Is(err, function.ErrInvalidArtifact) && !errors.Is(err, function.ErrTooLarge) || fn != nil {
			t.Errorf("%s: %+v, %v", c.Name, fn, err)
			if fn != nil {
				must(t, w.Delete(ctx, fn.ID))
			}
			continue
		}
		if len(err.Error()) < 20 || len(err.Error()) > 2000 {
			t.Errorf("%s: no sentence: %q", c.Name, err)
		}
	}
	if after := heap(); after > before+16<<20 {
		t.Errorf("the heap grew from %d to %d MiB", before>>20, after>>20)
	}
	list, err := w.List(ctx)
	must(t, err)
	if len(list) != 0 {
		t.Errorf("the store holds %+v", list)
	}
}
