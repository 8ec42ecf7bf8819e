package function_test

import (
	"context"
	"path/filepath"
	"testing"

	"flagbase.dev/function"
	"flagbase.dev/internal/database"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/storage"
	"flagbase.dev/tracing"
)

// constant is a module whose handle returns {"ok":true}: what its invocation costs is
// what lies around the guest.
func constant(t testing.TB) []byte {
	return testguest.WAT(t, `(module (memory (export "memory") 1) (data (i32.const 8) "{\"ok\":true}")
		(func (export "handle") (result i32 i32) (i32.const 8) (i32.const 11)))`)
}

const helloJS = `export function handle(event) { return { hello: event.name ?? "world" } }`

// newBenchStore is a store as the server composes it: history and spans on, in a file.
func newBenchStore(b *testing.B) *function.Store {
	ctx := context.Background()
	db, err := database.OpenSQLite(ctx, filepath.Join(b.TempDir(), "bench.db"))
	must(b, err)
	tracer, err := tracing.NewRecorder(ctx, db, nil)
	must(b, err)
	s, err := function.NewStore(db, storage.NewMemory(), shared, nil)
	must(b, err)
	s.WithTracer(tracer)
	b.Cleanup(func() {
		must(b, s.Close(ctx))
		must(b, tracer.Close(ctx))
		must(b, db.Close())
	})
	return s
}

func BenchmarkStoreDo(b *testing.B) {
	ctx := context.Background()
	s := newBenchStore(b)
	_, err := s.Upload(ctx, "constant", "", constant(b))
	must(b, err)
	_, err = s.Create(ctx, "hello", "", "javascript", helloJS)
	must(b, err)
	for _, c := range []struct{ name, function, event string }{
		{"wat", "constant", ""},
		{"js", "hello", `{"name":"you"}`},
	} {
		req := &function.InvokeRequest{Event: []byte(c.event)}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Do(ctx, c.function, req); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Do(ctx, c.function, req); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkInvokeWASI is a Go program of 2.6 MB that the caller brings every time.
func BenchmarkInvokeWASI(b *testing.B) {
	wasm, ctx := helloWASM(b), context.Background()
	_, err := shared.InvokeWASI(ctx, wasm, 0, nil, nil)
	must(b, err)
	b.ReportAllocs()
	b.ReportMetric(float64(len(wasm)), "wasm-bytes")
	for b.Loop() {
		if _, err := shared.InvokeWASI(ctx, wasm, 0, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
