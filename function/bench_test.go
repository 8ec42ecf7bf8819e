package function_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

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
func newBenchStore(b *testing.B) (*function.Store, *sql.DB) {
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
	return s, db
}

func BenchmarkStoreDo(b *testing.B) {
	ctx := context.Background()
	s, _ := newBenchStore(b)
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

// fillHistory gives each of n new functions rows/n invocations.
func fillHistory(b *testing.B, db *sql.DB, rows, n int) {
	for i := range n {
		_, err := db.Exec(`INSERT INTO flagbase_functions (id, name, description, language, status, error, source, runtime, active_version, created_at, updated_at)
			VALUES (?, ?, '', 'wasm', 'ready', '', '', 'wasm', 1, 0, 0)`, fmt.Sprintf("fn_%032x", i), fmt.Sprintf("old-%d", i))
		must(b, err)
	}
	// Their ids are of an hour ago and rise; the functions take turns.
	began := time.Now().Add(-time.Hour).UnixMilli()
	_, err := db.Exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
		INSERT INTO flagbase_invocations (id, function_id, version, started_at, completed_at, success, code, output, error, execution_ms,
			peak_memory_bytes, host_calls, output_size_bytes, trace_id, log, cpu_us)
		SELECT printf('inv_%012x7%019x', ? + i / 1000, i), printf('fn_%032x', i % ?), 1, 0, 0, 1, '', '{"hello":"you"}', '', 1, 65536, 0, 15,
			printf('%032x', i), x'', 100 FROM n`, rows, began, n)
	must(b, err)
	_, err = db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	must(b, err)
}

// BenchmarkHistory is an invocation, with the writing of its record, and a page of the
// history, on an empty history and on one of a million.
func BenchmarkHistory(b *testing.B) {
	ctx := context.Background()
	for _, rows := range []int{0, 1_000_000} {
		s, db := newBenchStore(b)
		if rows > 0 {
			fillHistory(b, db, rows, 20)
		}
		_, err := s.Upload(ctx, "constant", "", constant(b))
		must(b, err)
		b.Run(fmt.Sprintf("rows=%d/invoke", rows), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Do(ctx, "constant", nil); err != nil {
					b.Fatal(err)
				}
			}
			must(b, s.Close(ctx))
		})
		b.Run(fmt.Sprintf("rows=%d/list", rows), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.ListInvocations(ctx, "constant"); err != nil {
					b.Fatal(err)
				}
			}
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
