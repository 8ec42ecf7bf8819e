package tracing_test

import (
	"context"
	"strings"
	"testing"

	"flagbase.dev/tracing"
	"pgregory.net/rapid"
)

const (
	traceHex = "0af7651916cd43dd8448eb211c80319c"
	spanHex  = "b7ad6b7169203331"
	good     = "00-" + traceHex + "-" + spanHex + "-01"
)

func TestParseTraceparent(t *testing.T) {
	tests := []struct {
		name, header string
		ok, sampled  bool
	}{
		{"sampled", good, true, true},
		{"not sampled", "00-" + traceHex + "-" + spanHex + "-00", true, false},
		{"random flag", "00-" + traceHex + "-" + spanHex + "-02", true, false},
		{"unknown flags", "00-" + traceHex + "-" + spanHex + "-ff", true, true},
		{"version 01", "01-" + traceHex + "-" + spanHex + "-01", true, true},
		{"version cc with more", "cc-" + traceHex + "-" + spanHex + "-01-what-the-future-will-be-like", true, true},
		{"version cc with an empty field", "cc-" + traceHex + "-" + spanHex + "-01-", true, true},
		{"version cc with more, no dash", "cc-" + traceHex + "-" + spanHex + "-01.what", false, false},
		{"version 00 with more", good + "-what", false, false},
		{"version 00 with a dash", good + "-", false, false},
		{"version ff", "ff-" + traceHex + "-" + spanHex + "-01", false, false},
		{"version in capitals", "CC-" + traceHex + "-" + spanHex + "-01", false, false},
		{"version not hex", "0g-" + traceHex + "-" + spanHex + "-01", false, false},
		{"no trace", "00-" + strings.Repeat("0", 32) + "-" + spanHex + "-01", false, false},
		{"no span", "00-" + traceHex + "-" + strings.Repeat("0", 16) + "-01", false, false},
		{"capitals", "00-" + strings.ToUpper(traceHex) + "-" + spanHex + "-01", false, false},
		{"capitals in span", "00-" + traceHex + "-" + strings.ToUpper(spanHex) + "-01", false, false},
		{"not hex", "00-" + traceHex[:31] + "x-" + spanHex + "-01", false, false},
		{"flags not hex", "00-" + traceHex + "-" + spanHex + "-0x", false, false},
		{"short", good[:54], false, false},
		{"empty", "", false, false},
		{"underscores", strings.ReplaceAll(good, "-", "_"), false, false},
		{"space before", " " + good, false, false},
		{"shifted", "00" + traceHex + "--" + spanHex + "-01", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, ok := tracing.ParseTraceparent(tt.header)
			if ok != tt.ok || c.Sampled != tt.sampled {
				t.Fatalf("ParseTraceparent(%q) = %+v, %v", tt.header, c, ok)
			}
			if ok && c.TraceIDString() != traceHex {
				t.Errorf("trace id %s", c.TraceIDString())
			}
			if !ok && c != (tracing.SpanContext{}) {
				t.Errorf("a refused header gives %+v", c)
			}
		})
	}
}

func TestTraceparentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c tracing.SpanContext
		copy(c.TraceID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace"))
		copy(c.SpanID[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "span"))
		c.Sampled = rapid.Bool().Draw(t, "sampled")
		if !c.IsValid() {
			if c.Traceparent() != "" {
				t.Fatal("a header for no place")
			}
			return
		}
		got, ok := tracing.ParseTraceparent(c.Traceparent())
		if !ok || got != c {
			t.Fatalf("%+v becomes %q, which becomes %+v, %v", c, c.Traceparent(), got, ok)
		}
	})
}

func FuzzParseTraceparent(f *testing.F) {
	for _, seed := range []string{good, "ff" + good[2:], "cc" + good[2:] + "-x", good + "-", good[:54], strings.ToUpper(good), ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := tracing.ParseTraceparent(s)
		if !ok {
			if c != (tracing.SpanContext{}) {
				t.Fatalf("%q is refused and gives %+v", s, c)
			}
			return
		}
		// An accepted header says, up to its flags, what we would write.
		if !c.IsValid() || s[2:53] != c.Traceparent()[2:53] {
			t.Fatalf("%q is read as %q", s, c.Traceparent())
		}
		if again, ok := tracing.ParseTraceparent(c.Traceparent()); !ok || again != c {
			t.Fatalf("%q is not stable", s)
		}
	})
}

func TestContext(t *testing.T) {
	if c := tracing.FromContext(t.Context()); c != (tracing.SpanContext{}) {
		t.Errorf("a fresh context is at %+v", c)
	}
	parent, _ := tracing.ParseTraceparent(good)
	ctx := tracing.ContextWith(t.Context(), parent)
	if c := tracing.FromContext(ctx); c != parent {
		t.Errorf("FromContext = %+v, want %+v", c, parent)
	}
	var nobody *tracing.Recorder
	ctx, span := nobody.Start(ctx, "x", nil)
	if c := tracing.FromContext(ctx); c != span.Context() || c.TraceID != parent.TraceID || c.SpanID == parent.SpanID {
		t.Errorf("FromContext = %+v, the span is %+v", c, span.Context())
	}
	type key struct{}
	derived, cancel := context.WithCancel(context.WithValue(ctx, key{}, 1))
	cancel()
	if tracing.FromContext(derived) != span.Context() || ctx.Err() != nil || derived.Err() == nil || derived.Value(key{}) != 1 {
		t.Error("a context derived from a span's does not work as contexts do")
	}
}
