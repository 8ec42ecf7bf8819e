package tracing_test

import (
	"errors"
	"strings"
	"testing"

	"flagbase.dev/tracing"
)

// Under load a rate of traces is recorded whole, and every failure.
func TestTracesPerSecond(t *testing.T) {
	r := newRecorder(t, &tracing.Options{TracesPerSecond: 1})
	recorded := map[string]bool{}
	for range 200 {
		ctx, root := r.Start(t.Context(), "root", nil)
		_, child := r.Start(ctx, "child", nil)
		if root.Context().Sampled != child.Context().Sampled || !child.Context().IsValid() {
			t.Fatal("a span is not recorded as its parent is, or has no id")
		}
		if strings.HasSuffix(root.Context().Traceparent(), "-01") != root.Context().Sampled {
			t.Fatal(root.Context().Traceparent())
		}
		child.End(nil)
		root.End(nil)
		if root.Context().Sampled {
			recorded[root.Context().TraceIDString()] = true
		}
	}
	// One a second on average over ten: ten, and what the test took.
	if len(recorded) < 10 || len(recorded) > 60 {
		t.Errorf("%d of 200 traces are recorded", len(recorded))
	}
	traces, err := r.Traces(t.Context(), &tracing.ListOptions{Limit: 1000})
	if err != nil || len(traces) != len(recorded) {
		t.Fatalf("%d traces are listed, %d were recorded, %v", len(traces), len(recorded), err)
	}
	for _, s := range traces {
		if !recorded[s.TraceID] || s.Spans != 2 {
			t.Errorf("listed %+v", s)
		}
	}

	_, failing := r.Start(t.Context(), "failing", nil)
	failing.End(errors.New("no"))
	// Whoever is upstream has decided already.
	parent, ok := tracing.ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if !ok {
		t.Fatal("traceparent")
	}
	_, child := r.Start(tracing.ContextWith(t.Context(), parent), "called", nil)
	child.End(nil)
	for _, span := range []*tracing.Span{failing, child} {
		if list, err := r.Trace(t.Context(), span.Context().TraceIDString()); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	}

	all := newRecorder(t, &tracing.Options{TracesPerSecond: -1})
	for range 6000 {
		_, s := all.Start(t.Context(), "s", nil)
		s.End(nil)
		if !s.Context().Sampled {
			t.Fatal("not every trace is recorded")
		}
	}
}
