package wasmbin_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"flagbase.dev/internal/wasmbin"
)

// A blanked module with its data put into memory is what the module itself starts with.
func TestBlankedData(t *testing.T) {
	head := "\x00asm\x01\x00\x00\x00" + sec(5, "\x01\x00\x01")
	export := sec(7, "\x01\x06memory\x02\x00")
	for name, b := range map[string]string{
		"active":        head + export + sec(11, "\x03\x00\x41\x08\x0b\x03abc\x00\x41\x09\x0b\x01X\x02\x00\x41\xff\xff\x03\x0b\x01e"),
		"passive too":   head + export + sec(12, "\x02") + sec(11, "\x02\x01\x03pas\x00\x41\x10\x0b\x02ok"),
		"no data":       head + export,
		"not a number":  head + sec(6, "\x01\x7f\x00\x41\x08\x0b") + export + sec(11, "\x01\x00\x23\x00\x0b\x01a"),
		"past the end":  head + export + sec(11, "\x01\x00\x41\xff\xff\x03\x0b\x02ab"),
		"negative":      head + export + sec(11, "\x01\x00\x41\x7f\x0b\x01a"),
		"empty at size": head + export + sec(11, "\x01\x00\x41\x80\x80\x04\x0b\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := wasmbin.Scan([]byte(b), nil)
			if err != nil {
				t.Fatal(err)
			}
			data, ok := m.ActiveData()
			if want := name != "not a number" && name != "past the end" && name != "negative"; ok != want {
				t.Fatalf("ActiveData says %v", ok)
			}
			if !ok {
				return
			}
			ctx := context.Background()
			rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(allFeatures))
			defer rt.Close(ctx)
			stock, err := rt.InstantiateWithConfig(ctx, []byte(b), wazero.NewModuleConfig().WithName("stock"))
			if err != nil {
				t.Fatal(err)
			}
			blank, err := rt.InstantiateWithConfig(ctx, rewritten(t, []byte(b), &wasmbin.Rewrite{BlankData: true}), wazero.NewModuleConfig().WithName("blank"))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := blank.Memory().Read(0, 65536)
			if !bytes.Equal(got, make([]byte, 65536)) {
				t.Error("a blanked module has data")
			}
			for d := range data {
				blank.Memory().Write(d.Offset, d.Bytes)
			}
			want, _ := stock.Memory().Read(0, 65536)
			if !bytes.Equal(got, want) {
				t.Error("the data put into memory is not what the module puts there")
			}
		})
	}
}
