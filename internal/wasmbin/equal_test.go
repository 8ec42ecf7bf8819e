package wasmbin_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"pgregory.net/rapid"

	"flagbase.dev/internal/wasmbin"
)

// outcome is all that can be seen of a guest after some calls.
type outcome struct {
	calls   string // results and traps
	table   string // which elements are null
	globals [2]uint64
	memory  []byte
	pauses  int64
}

// observe runs a guest of newGuest under that configuration; quantum 0 is without metering.
func observe(t testing.TB, b []byte, config wazero.RuntimeConfig, quantum int32) *outcome {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(allFeatures))
	defer rt.Close(ctx)
	m, err := wasmbin.Scan(b, nil)
	if err != nil {
		t.Fatalf("scan of a generated guest: %v", err)
	}
	var pauses atomic.Int64
	within := ctx
	if quantum != 0 {
		if b, err = m.Rewrite(&wasmbin.Rewrite{Meter: true, Quantum: quantum}); err != nil {
			t.Fatal(err)
		}
		within = experimental.WithMemoryAllocator(ctx, &specMemory{own: ownMemory(m), pauses: &pauses})
	}
	guest, err := rt.Instantiate(within, b)
	if err != nil {
		t.Fatalf("quantum %d: %v", quantum, err)
	}
	o := &outcome{}
	var calls, table strings.Builder
	for i := range uint64(4) {
		got, err := guest.ExportedFunction("f").Call(ctx, i, 1000*i)
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Fprintln(&calls, first)
			continue
		}
		fmt.Fprintln(&calls, uint32(got[0]))
	}
	for i := range uint64(11) {
		got, err := guest.ExportedFunction("peek").Call(ctx, i)
		fmt.Fprint(&table, got, err != nil)
	}
	size, err := guest.ExportedFunction("size").Call(ctx)
	fmt.Fprint(&table, size, err)
	o.calls, o.table, o.pauses = calls.String(), table.String(), pauses.Load()
	o.globals = [2]uint64{guest.ExportedGlobal("g0").Get(), guest.ExportedGlobal("g1").Get()}
	view, _ := guest.Memory().Read(0, guest.Memory().Size())
	o.memory = bytes.Clone(view)
	return o
}

func (o *outcome) difference(other *outcome) string {
	switch {
	case o.calls != other.calls:
		return fmt.Sprintf("calls gave\n%sinstead of\n%s", other.calls, o.calls)
	case o.globals != other.globals:
		return fmt.Sprintf("globals are %v instead of %v", other.globals, o.globals)
	case o.table != other.table:
		return fmt.Sprintf("the table is %s instead of %s", other.table, o.table)
	case !bytes.Equal(o.memory, other.memory):
		return fmt.Sprintf("memory of %d and %d bytes differs", len(other.memory), len(o.memory))
	}
	return ""
}

// TestMeteredGuestsDoTheSame: however often a guest pauses, and on either of wazero's engines, its results, traps, memory, globals and
// table are those of the module as it is.
func TestMeteredGuestsDoTheSame(t *testing.T) {
	var pauses, calls, traps int64
	rapid.Check(t, func(rt *rapid.T) {
		b := newGuest(rapid.SliceOfN(rapid.Byte(), 400, 1500).Draw(rt, "tape"))
		want := observe(t, b, wazero.NewRuntimeConfigCompiler(), 0)
		for _, quantum := range []int32{0, 1, 7, 100_000} {
			if quantum != 0 {
				got := observe(t, b, wazero.NewRuntimeConfigCompiler(), quantum)
				if d := want.difference(got); d != "" {
					rt.Fatalf("compiled, quantum %d: %s\n%x", quantum, d, b)
				}
				pauses += got.pauses
			}
			if quantum == 7 {
				continue
			}
			if d := want.difference(observe(t, b, wazero.NewRuntimeConfigInterpreter(), quantum)); d != "" {
				rt.Fatalf("interpreted, quantum %d: %s\n%x", quantum, d, b)
			}
		}
		calls += 4
		traps += int64(strings.Count(want.calls, "wasm error"))
	})
	t.Logf("%d calls, %d trapped; %d pauses", calls, traps, pauses)
	if traps == calls || pauses < calls {
		t.Errorf("the guests do nothing that tests anything")
	}
}
