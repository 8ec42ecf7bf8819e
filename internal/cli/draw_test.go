package cli

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"flagbase.dev/client"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDrawTrace(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.Local)
	span := func(id, parent, name string, from, d time.Duration, failure string) client.Span {
		return client.Span{TraceID: "t1", SpanID: id, ParentID: parent, Name: name, StartedAt: start.Add(from), Duration: d, Error: failure}
	}
	const ms = time.Millisecond
	var b strings.Builder
	drawTrace(&b, []client.Span{
		span("1", "remote", "invoke shop", 0, 40*ms, ""),
		span("2", "1", "table_query", 0, 10*ms, ""),
		span("3", "1", "fn_invoke", 10*ms, 30*ms, "no luck\x1b[31m"),
		span("4", "3", "invoke price", 20*ms, 20*ms, ""),
		span("5", "1", "log_write", 40*ms, 0, ""),
	})
	want := `Trace t1, 2026-11-22 10:00:00.000, 40 ms

invoke shop         ████████████████████████████████████████  40 ms
├─ table_query      ██████████                                10 ms
├─ fn_invoke                  ██████████████████████████████  30 ms  ✗ no luck�[31m
│  └─ invoke price                      ████████████████████  20 ms
└─ log_write                                               █  0 µs
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestDrawTraceTakesAnything: a damaged trace (circles, times before the start) is drawn or left out, never a
// crash, and every bar has its width.
func TestDrawTraceTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SampledFrom([]string{"", "a", "b", "c", "d"})
		spans := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) client.Span {
			return client.Span{SpanID: id.Draw(t, "id"), ParentID: id.Draw(t, "parent"), Name: rapid.String().Draw(t, "name"),
				StartedAt: time.UnixMicro(rapid.Int64Range(0, 1<<40).Draw(t, "start")), Duration: time.Duration(rapid.Int64Range(0, 1<<45).Draw(t, "took"))}
		}), 0, 8).Draw(t, "spans")
		var b strings.Builder
		drawTrace(&b, spans)
		total := time.Duration(rapid.Int64Range(0, 1<<45).Draw(t, "total"))
		offset := time.Duration(rapid.Int64Range(0, int64(total)).Draw(t, "offset"))
		length := time.Duration(rapid.Int64Range(0, int64(total-offset)).Draw(t, "length"))
		if got := bar(offset, length, total); utf8.RuneCountInString(got) != barWidth || strings.TrimSpace(got) == "" {
			t.Fatalf("bar(%v, %v, %v) = %q", offset, length, total, got)
		}
	})
}

func TestTextForPeople(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]string{0: "just now", 30 * time.Second: "30s ago", 5 * time.Minute: "5m ago", 3 * time.Hour: "3h ago", 50 * time.Hour: "2d ago"} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	if got := plain("a\x1b[2Jb\u202ec\r\nd"); strings.ContainsAny(got, "\x1b\r\n\u202e") {
		t.Errorf("a terminal would act on %q", got)
	}
}
