package tracing_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"flagbase.dev/internal/database"
	"flagbase.dev/tracing"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openDB(t testing.TB) *sql.DB {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newRecorder(t testing.TB, opts *tracing.Options) *tracing.Recorder {
	t.Helper()
	r, err := tracing.NewRecorder(t.Context(), openDB(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

func TestTreeOfSpans(t *testing.T) {
	r := newRecorder(t, nil)
	before := time.Now().Add(-time.Microsecond)
	ctx, root := r.Start(t.Context(), "root", &tracing.StartOptions{
		Kind: tracing.KindServer, FunctionID: "f1", InvocationID: "i1", Attributes: map[string]string{"a": "1"},
	})
	childCtx, child := r.Start(ctx, "child", nil)
	_, grandchild := r.Start(childCtx, "grandchild", &tracing.StartOptions{Kind: tracing.KindClient, FunctionID: "f2", InvocationID: "i2"})
	_, sibling := r.Start(ctx, "sibling", nil)
	root.SetAttribute("b", "2")
	root.SetAttribute("a", "3")
	time.Sleep(2 * time.Millisecond)
	grandchild.End(nil)
	child.End(errors.New("broken"))
	child.End(nil)
	child.SetAttribute("late", "x")
	sibling.End(errors.New(""))
	root.End(nil)

	id := root.Context().TraceIDString()
	spans, err := r.Trace(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]tracing.SpanRecord{}
	var order []string
	for _, s := range spans {
		if s.TraceID != id || s.Duration < 2*time.Millisecond || s.Duration > time.Minute || s.StartedAt.Before(before) || s.StartedAt.After(time.Now()) {
			t.Errorf("%+v", s)
		}
		byName[s.Name] = s
		order = append(order, s.Name)
		s.StartedAt, s.Duration = time.Time{}, 0
	}
	if want := []string{"root", "child", "grandchild", "sibling"}; len(order) != 4 || order[0] != "root" || byName["grandchild"].StartedAt.Before(byName["child"].StartedAt) {
		t.Errorf("order %v, want %v", order, want)
	}
	rootID, childID := byName["root"].SpanID, byName["child"].SpanID
	want := map[string]tracing.SpanRecord{
		"root":       {SpanID: rootID, Name: "root", Kind: "server", FunctionID: "f1", InvocationID: "i1", Attributes: map[string]string{"a": "3", "b": "2"}},
		"child":      {SpanID: childID, ParentID: rootID, Name: "child", Kind: "internal", FunctionID: "f1", InvocationID: "i1", Error: "broken"},
		"grandchild": {ParentID: childID, Name: "grandchild", Kind: "client", FunctionID: "f2", InvocationID: "i2"},
		"sibling":    {ParentID: rootID, Name: "sibling", Kind: "internal", FunctionID: "f1", InvocationID: "i1", Error: "error"},
	}
	for name, w := range want {
		got := byName[name]
		w.TraceID, w.StartedAt, w.Duration = id, got.StartedAt, got.Duration
		if w.SpanID == "" {
			w.SpanID = got.SpanID
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestRemoteParent(t *testing.T) {
	r := newRecorder(t, nil)
	parent, _ := tracing.ParseTraceparent("00-" + traceHex + "-" + spanHex + "-00")
	_, span := r.Start(tracing.ContextWith(t.Context(), parent), "x", nil)
	span.End(nil)
	if !span.Context().Sampled {
		t.Error("a recorded span says it is not")
	}
	spans, err := r.Trace(t.Context(), traceHex)
	if err != nil || len(spans) != 1 || spans[0].ParentID != spanHex {
		t.Fatalf("Trace = %+v, %v", spans, err)
	}
	list, err := r.Traces(t.Context(), nil)
	if err != nil || len(list) != 1 || list[0].TraceID != traceHex || list[0].Name != "x" {
		t.Errorf("Traces = %+v, %v", list, err)
	}
}

func TestForcedTraceID(t *testing.T) {
	r := newRecorder(t, nil)
	outer, parent := r.Start(t.Context(), "outer", nil)
	defer parent.End(nil)
	force := func(id string) (*tracing.Span, tracing.SpanRecord) {
		_, s := r.Start(outer, "x", &tracing.StartOptions{TraceID: id})
		s.End(nil)
		spans, err := r.Trace(t.Context(), s.Context().TraceIDString())
		if err != nil {
			t.Fatal(err)
		}
		return s, spans[len(spans)-1]
	}
	if s, rec := force(traceHex); s.Context().TraceIDString() != traceHex || rec.ParentID != "" {
		t.Errorf("another trace: %+v", rec)
	}
	if s, rec := force(parent.Context().TraceIDString()); s.Context().TraceID != parent.Context().TraceID || rec.ParentID == "" {
		t.Errorf("the same trace: %+v", rec)
	}
	for _, bad := range []string{"", "x", strings.Repeat("0", 32), strings.ToUpper(traceHex), traceHex + "00"} {
		if s, _ := force(bad); s.Context().TraceID != parent.Context().TraceID {
			t.Errorf("%q made the span leave its trace", bad)
		}
	}
}

func TestNilRecorder(t *testing.T) {
	var r *tracing.Recorder
	parent, _ := tracing.ParseTraceparent("00-" + traceHex + "-" + spanHex + "-01")
	ctx, s := r.Start(tracing.ContextWith(t.Context(), parent), "x", &tracing.StartOptions{Attributes: map[string]string{"a": "b"}})
	s.SetAttribute("k", "v")
	s.End(errors.New("x"))
	if c := s.Context(); c.TraceIDString() != traceHex || !c.Sampled || tracing.FromContext(ctx) != c {
		t.Errorf("the span is at %+v", c)
	}
	if _, s := r.Start(t.Context(), "x", nil); !s.Context().IsValid() || s.Context().Sampled {
		t.Errorf("a span without a parent is at %+v", s.Context())
	}
	if _, err := r.Trace(t.Context(), traceHex); !errors.Is(err, tracing.ErrNotFound) {
		t.Errorf("Trace: %v", err)
	}
	list, err := r.Traces(t.Context(), nil)
	if len(list) != 0 || err != nil || r.Flush(t.Context()) != nil || r.Close(t.Context()) != nil || r.Dropped() != 0 {
		t.Errorf("Traces = %v, %v", list, err)
	}
	var none *tracing.Span
	none.SetAttribute("k", "v")
	none.End(nil)
	if none.Context().IsValid() {
		t.Error("no span has a place")
	}
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	db := openDB(t)
	r, err := tracing.NewRecorder(t.Context(), db, &tracing.Options{QueueSize: 10, FlushInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	d, err := database.Use(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	// While somebody else writes, nothing leaves the queue.
	err = d.Write(t.Context(), func(*sql.Tx) error {
		began := time.Now()
		for range 100 {
			_, s := r.Start(t.Context(), "x", nil)
			s.End(nil)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("100 spans took %v while the database was busy", took)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Dropped(); n != 90 {
		t.Errorf("%d spans dropped, want 90", n)
	}
	list, err := r.Traces(t.Context(), nil)
	if err != nil || len(list) != 10 {
		t.Errorf("%d traces, %v; want 10", len(list), err)
	}
	_, s := r.Start(t.Context(), "x", nil)
	s.End(nil)
	if list, _ := r.Traces(t.Context(), nil); len(list) != 11 {
		t.Errorf("after the queue was emptied there are %d traces, want 11", len(list))
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSpansReachSQLByThemselves(t *testing.T) {
	db := openDB(t)
	r, err := tracing.NewRecorder(t.Context(), db, &tracing.Options{FlushInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	before := runtime.NumGoroutine()
	for round := range 3 {
		_, s := r.Start(t.Context(), "x", nil)
		s.End(nil)
		eventually(t, func() bool {
			var n int
			return db.QueryRow("SELECT count(*) FROM flagbase_spans").Scan(&n) == nil && n == round+1
		}, "the span is not written")
		eventually(t, func() bool { return runtime.NumGoroutine() <= before }, "the goroutine does not end")
	}
}

func eventually(t *testing.T, ok func() bool, otherwise string) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal(otherwise)
}

func TestClose(t *testing.T) {
	db := openDB(t)
	r, err := tracing.NewRecorder(t.Context(), db, &tracing.Options{FlushInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	_, early := r.Start(t.Context(), "early", nil)
	_, late := r.Start(t.Context(), "late", nil)
	early.End(nil)
	for range 2 {
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	late.End(nil)
	var n int
	if err := db.QueryRow("SELECT count(*) FROM flagbase_spans").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d spans written, %v; want the one that ended before Close", n, err)
	}
	if r.Dropped() != 1 {
		t.Errorf("%d dropped, want the late one", r.Dropped())
	}
}

func TestFlushEndsWithItsContext(t *testing.T) {
	db := openDB(t)
	r, err := tracing.NewRecorder(t.Context(), db, &tracing.Options{FlushInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := database.Use(t.Context(), db)
	_, s := r.Start(t.Context(), "x", nil)
	_ = d.Write(t.Context(), func(*sql.Tx) error {
		s.End(nil)
		time.Sleep(20 * time.Millisecond) // the goroutine waits for the database now
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := r.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush: %v, want DeadlineExceeded", err)
		}
		return nil
	})
	if _, err := r.Trace(t.Context(), s.Context().TraceIDString()); err != nil {
		t.Errorf("the span is lost: %v", err)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestABrokenDatabaseIsReportedAndDoesNotFillMemory(t *testing.T) {
	db := openDB(t)
	r, err := tracing.NewRecorder(t.Context(), db, &tracing.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	for range 1000 {
		_, s := r.Start(t.Context(), "x", nil)
		s.End(nil)
	}
	if err := r.Flush(t.Context()); err == nil && r.Dropped() != 1000 {
		t.Error("Flush succeeded without a database")
	}
	_ = r.Close(t.Context())
	if r.Dropped() != 1000 {
		t.Errorf("%d dropped, want all", r.Dropped())
	}
}

// 32 goroutines trace at once; every trace comes back whole and unmixed.
func TestConcurrentTraces(t *testing.T) {
	r := newRecorder(t, &tracing.Options{FlushInterval: time.Millisecond})
	const workers, rounds = 32, 40
	ids := make([][]string, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				who := fmt.Sprintf("%d-%d", w, i)
				ctx, root := r.Start(t.Context(), who, &tracing.StartOptions{InvocationID: who})
				for range 3 {
					_, s := r.Start(ctx, who, nil)
					s.SetAttribute("who", who)
					s.End(nil)
				}
				root.End(nil)
				ids[w] = append(ids[w], root.Context().TraceIDString())
				if i%10 == 0 {
					spans, err := r.Trace(t.Context(), ids[w][i])
					if err != nil || len(spans) != 4 {
						t.Errorf("%s: %d spans, %v", who, len(spans), err)
					}
				}
			}
		})
	}
	wg.Wait()
	if r.Dropped() != 0 {
		t.Fatalf("%d dropped", r.Dropped())
	}
	seen := map[string]bool{}
	for w := range workers {
		for i, id := range ids[w] {
			who := fmt.Sprintf("%d-%d", w, i)
			spans, err := r.Trace(t.Context(), id)
			if err != nil || len(spans) != 4 {
				t.Fatalf("%s: %d spans, %v", who, len(spans), err)
			}
			for _, s := range spans {
				if s.Name != who || s.InvocationID != who || seen[s.SpanID] {
					t.Fatalf("%s: %+v", who, s)
				}
				seen[s.SpanID] = true
			}
		}
	}
}

func TestStartAllocatesOnce(t *testing.T) {
	r := newRecorder(t, nil)
	ctx, root := r.Start(t.Context(), "root", nil)
	defer root.End(nil)
	opts := &tracing.StartOptions{Kind: tracing.KindClient, FunctionID: "f"}
	if n := testing.AllocsPerRun(1000, func() { _, _ = r.Start(ctx, "bucket_get", opts) }); n > 1 {
		t.Errorf("Start allocates %v times", n)
	}
}

func BenchmarkStartEnd(b *testing.B) {
	r := newRecorder(b, nil)
	ctx, root := r.Start(b.Context(), "root", nil)
	defer root.End(nil)
	b.ReportAllocs()
	for b.Loop() {
		_, s := r.Start(ctx, "bucket_get", nil)
		s.End(nil)
	}
}
