package function

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"flagbase.dev/internal/database"
)

// BenchmarkHistoryWriter is what recording one invocation costs, its row included, at as
// many a second as the writer sustains.
func BenchmarkHistoryWriter(b *testing.B) {
	ctx := context.Background()
	sqlDB, err := database.OpenSQLite(ctx, filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sqlDB.Close() }()
	db, err := database.Use(ctx, sqlDB)
	if err != nil {
		b.Fatal(err)
	}
	var ids []string
	for range 10 {
		id := newID(functionPrefix)
		if _, err := sqlDB.Exec(`INSERT INTO flagbase_functions (id, name, description, language, status, error, source, runtime, active_version, created_at, updated_at)
			VALUES (?, ?, '', 'wasm', 'ready', '', '', 'wasm', 1, 0, 0)`, id, id); err != nil {
			b.Fatal(err)
		}
		ids = append(ids, id)
	}
	h := newHistory(db, -1, -1)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r := &record{FunctionInvocation: FunctionInvocation{ID: newID(invocationPrefix), FunctionID: ids[n%len(ids)], StartedAt: time.Now()}, version: 1}
		if err := h.begin(ctx, r); err != nil {
			b.Fatal(err)
		}
		r.TraceID, r.Output, r.Success = "0af7651916cd43dd8448eb211c80319c", `{"hello":"you"}`, true
		r.completedNow(time.Millisecond)
		h.put(r)
		n++
	}
	if err := h.flush(ctx); err != nil {
		b.Fatal(err)
	}
}
