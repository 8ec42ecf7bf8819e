package tracing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flagbase.dev/tracing"
)

func TestTraces(t *testing.T) {
	r := newRecorder(t, nil)
	for i := range 5 {
		ctx, root := r.Start(t.Context(), fmt.Sprintf("t%d", i), &tracing.StartOptions{FunctionID: fmt.Sprintf("f%d", i%2)})
		for range i {
			_, s := r.Start(ctx, "child", &tracing.StartOptions{FunctionID: "called"})
			s.End(nil)
		}
		var err error
		if i == 3 {
			err = errors.New("broken")
		}
		root.End(err)
		time.Sleep(20 * time.Microsecond) // a microsecond of its own
	}
	_, open := r.Start(t.Context(), "open", nil)
	defer open.End(nil)
	names := func(opts *tracing.ListOptions) string {
		t.Helper()
		list, err := r.Traces(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, s := range list {
			fmt.Fprintf(&b, "%s/%d%s ", s.Name, s.Spans, s.Error)
		}
		return strings.TrimSpace(b.String())
	}
	all, err := r.Traces(t.Context(), nil)
	if err != nil || len(all) != 5 || all[0].FunctionID != "f0" || all[0].Duration <= 0 || len(all[0].TraceID) != 32 {
		t.Fatalf("Traces = %+v, %v", all, err)
	}
	for _, tt := range []struct {
		opts *tracing.ListOptions
		want string
	}{
		{nil, "t4/5 t3/4broken t2/3 t1/2 t0/1"},
		{&tracing.ListOptions{Limit: 2}, "t4/5 t3/4broken"},
		{&tracing.ListOptions{FunctionID: "f1"}, "t3/4broken t1/2"},
		{&tracing.ListOptions{FunctionID: "called", Limit: 3}, "t4/5 t3/4broken t2/3"},
		{&tracing.ListOptions{FunctionID: "nobody"}, ""},
		{&tracing.ListOptions{Before: all[2].StartedAt}, "t1/2 t0/1"},
		{&tracing.ListOptions{Before: all[2].StartedAt, FunctionID: "f1"}, "t1/2"},
		{&tracing.ListOptions{FunctionID: "' OR 1=1 --"}, ""},
	} {
		if got := names(tt.opts); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.opts, got, tt.want)
		}
	}
}

// A caller may send several requests with one traceparent.
func TestATraceWithTwoRootsIsListedOnce(t *testing.T) {
	r := newRecorder(t, nil)
	for _, name := range []string{"first", "second"} {
		_, s := r.Start(t.Context(), name, &tracing.StartOptions{TraceID: traceHex})
		time.Sleep(10 * time.Microsecond)
		s.End(nil)
	}
	list, err := r.Traces(t.Context(), nil)
	if err != nil || len(list) != 1 || list[0].Name != "first" || list[0].Spans != 2 {
		t.Errorf("Traces = %+v, %v", list, err)
	}
}

func TestUnknownTrace(t *testing.T) {
	r := newRecorder(t, nil)
	for _, id := range []string{traceHex, "", "x'", strings.Repeat("x", 100_000)} {
		if _, err := r.Trace(t.Context(), id); !errors.Is(err, tracing.ErrNotFound) || len(err.Error()) > 1000 {
			t.Errorf("Trace: %v, want a short ErrNotFound", err)
		}
	}
}

func TestLongAndStrangeTextIsCut(t *testing.T) {
	r := newRecorder(t, nil)
	long := strings.Repeat("\u00e9", 100_000)
	_, s := r.Start(t.Context(), long, &tracing.StartOptions{Kind: long, FunctionID: long, InvocationID: "a\xffb", Attributes: map[string]string{"long": long}})
	for i := range 200 {
		s.SetAttribute(fmt.Sprintf("k%d", i), "bad\xffutf8\x00")
	}
	s.End(errors.New(long))
	spans, err := r.Trace(t.Context(), s.Context().TraceIDString())
	if err != nil {
		t.Fatal(err)
	}
	got := spans[0]
	if len(got.Name) != tracing.MaxText || len(got.Kind) > tracing.MaxText || len(got.FunctionID) > tracing.MaxText || len(got.Error) != tracing.MaxValue {
		t.Errorf("name %d, kind %d, function %d, error %d bytes", len(got.Name), len(got.Kind), len(got.FunctionID), len(got.Error))
	}
	if got.InvocationID != "a\uFFFDb" || len(got.Attributes) != tracing.MaxAttributes || len(got.Attributes["long"]) != tracing.MaxValue || got.Attributes["k0"] != "bad\uFFFDutf8\x00" {
		t.Errorf("%q, %d attributes", got.InvocationID, len(got.Attributes))
	}
}

func TestOldSpansAreTrimmed(t *testing.T) {
	r := newRecorder(t, &tracing.Options{MaxSpans: 100})
	var ids []string
	for range 1500 {
		_, s := r.Start(t.Context(), "x", nil)
		s.End(nil)
		ids = append(ids, s.Context().TraceIDString())
	}
	list, err := r.Traces(t.Context(), &tracing.ListOptions{Limit: 1000})
	if err != nil || len(list) != 100 {
		t.Fatalf("%d traces are kept, %v; want 100", len(list), err)
	}
	_, s := r.Start(t.Context(), "newest", nil)
	s.End(nil)
	if _, err := r.Trace(t.Context(), s.Context().TraceIDString()); err != nil {
		t.Errorf("the newest: %v", err)
	}
	if _, err := r.Trace(t.Context(), ids[0]); !errors.Is(err, tracing.ErrNotFound) {
		t.Errorf("the oldest: %v, want ErrNotFound", err)
	}
}
