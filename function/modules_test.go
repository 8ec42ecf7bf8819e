package function_test

import (
	"bytes"
	"testing"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
)

// The bytes say what runs, wherever they lie: a buffer may hold another module, which
// differs in one byte, and the same module may come in another buffer.
func TestInvokeWASIBuffers(t *testing.T) {
	e, err := function.NewEngine(t.Context(), nil)
	must(t, err)
	defer e.Close(t.Context())
	text := string(bytes.Repeat([]byte("a"), 4000))
	buffer := testguest.WAT(t, `(module (memory (export "memory") 1) (data (i32.const 8) "`+text+`")
		(func (export "handle") (result i32 i32) (i32.const 8) (i32.const 4000)))`)
	buffer = bytes.Clone(buffer)
	at := bytes.Index(buffer, []byte(text))
	for i := range 300 {
		buffer[at+i*13%4000]++
		want := bytes.Clone(buffer[at : at+4000])
		for _, wasm := range [][]byte{buffer, bytes.Clone(buffer), buffer} {
			out, err := e.InvokeWASI(t.Context(), wasm, second, nil, nil)
			must(t, err)
			if !bytes.Equal(out, want) {
				t.Fatalf("change %d of the module was not seen", i)
			}
		}
	}
}
