package wasmbin_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"flagbase.dev/internal/wasmbin"
	"flagbase.dev/internal/wasmbin/hostile"
)

func TestHostileModulesAreRefused(t *testing.T) {
	cases := hostile.Modules()
	if len(cases) < 53 {
		t.Fatalf("the collection has shrunk to %d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			m, err := wasmbin.Scan(c.Bytes, nil)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("accepted: %+v", m.Code)
			}
			var refusal *wasmbin.Error
			if !errors.As(err, &refusal) || refusal.Kind == nil || !errors.Is(err, refusal.Kind) {
				t.Errorf("the error has no kind: %#v", err)
			}
			if !strings.Contains(err.Error(), c.Message) {
				t.Errorf("refused with %q, expected a sentence with %q", err, c.Message)
			}
			if took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(4<<20+4*len(c.Bytes)) {
				t.Errorf("allocated %d bytes to refuse %d", spent, len(c.Bytes))
			}
		})
	}
}

// The known bombs have exactly these sizes in the design; the collection must keep the real ones.
func TestHostileSizes(t *testing.T) {
	for _, c := range hostile.Modules() {
		switch {
		case strings.HasPrefix(c.Name, "15 bytes") && len(c.Bytes) != 15, strings.HasPrefix(c.Name, "29 bytes") && len(c.Bytes) != 29:
			t.Errorf("%s has %d bytes", c.Name, len(c.Bytes))
		}
	}
}

func TestTableGrowthEnds(t *testing.T) {
	m, err := wasmbin.Scan(hostile.TableGrow(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !m.GrowsUnboundedTable {
		t.Error("scan does not say that the module grows a table without a maximum")
	}
	b, err := m.Rewrite(&wasmbin.Rewrite{Meter: true})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))
	defer rt.Close(ctx)
	guest, err := rt.Instantiate((&allocator{}).context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guest.ExportedFunction("run").Call(ctx); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("growing a table without end gave %v", err)
	}
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 32<<20 {
		t.Errorf("allocated %d bytes", spent)
	}
}
