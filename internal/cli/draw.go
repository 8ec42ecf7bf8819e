package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"flagbase.dev/client"
)

// barWidth is how many characters the whole time of a trace takes.
const barWidth = 40

// eighths are the left parts of a character cell, one eighth to all of it.
var eighths = []rune("▏▎▍▌▋▊▉█")

// drawTrace writes spans as a tree with a bar each: where it lies in the trace's time and how long it is.
//
//	invoke checkout      ████████████████████████████████████████  12.4 ms
//	├─ table_query         ████████                                2.51 ms
//	└─ fn_invoke                     ████████████████████          6.20 ms
//	   └─ invoke price                ███████████████████          6.01 ms
func drawTrace(w io.Writer, spans []client.Span) {
	if len(spans) == 0 {
		return
	}
	start, end := spans[0].StartedAt, spans[0].StartedAt
	for _, s := range spans {
		if s.StartedAt.Before(start) {
			start = s.StartedAt
		}
		if e := s.StartedAt.Add(s.Duration); e.After(end) {
			end = e
		}
	}
	lines := treeLines(spans)
	widest := 0
	for _, l := range lines {
		widest = max(widest, utf8.RuneCountInString(l.text))
	}
	fmt.Fprintf(w, "Trace %s, %s, %s\n\n", spans[0].TraceID, start.Local().Format("2006-01-02 15:04:05.000"), took(end.Sub(start)))
	for _, l := range lines {
		pad := strings.Repeat(" ", widest-utf8.RuneCountInString(l.text))
		fmt.Fprintf(w, "%s%s  %s  %s", l.text, pad, bar(l.span.StartedAt.Sub(start), l.span.Duration, end.Sub(start)), took(l.span.Duration))
		if l.span.Error != "" {
			fmt.Fprintf(w, "  ✗ %s", oneLine(l.span.Error, 80))
		}
		fmt.Fprintln(w)
	}
}

// bar is a piece of a line of barWidth characters, never empty.
func bar(offset, length, total time.Duration) string {
	if total <= 0 {
		return strings.Repeat("█", barWidth)
	}
	const cells = barWidth * 8
	from := min(int(int64(offset)*cells/int64(total)), cells-1)
	upTo := min(max(int(int64(offset+length)*cells/int64(total)), from+1), cells)
	// A cell can only be filled from its left, so the bar begins with a whole cell.
	first := from / 8
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", first))
	whole := upTo/8 - first
	used := first
	if whole > 0 {
		b.WriteString(strings.Repeat("█", whole))
		used += whole
	}
	if rest := upTo % 8; rest > 0 && used < barWidth {
		b.WriteRune(eighths[rest-1])
		used++
	}
	return b.String() + strings.Repeat(" ", barWidth-used)
}

type treeLine struct {
	text string
	span *client.Span
}

// treeLines orders spans as a tree; those whose parent is not among them are roots.
func treeLines(spans []client.Span) []treeLine {
	known := map[string]bool{}
	for _, s := range spans {
		known[s.SpanID] = true
	}
	children := map[string][]*client.Span{}
	for i := range spans {
		parent := spans[i].ParentID
		if !known[parent] || parent == spans[i].SpanID {
			parent = ""
		}
		children[parent] = append(children[parent], &spans[i])
	}
	var lines []treeLine
	seen := map[string]bool{} // a damaged trace may hold a circle
	var walk func(s *client.Span, lead, branch string, depth int)
	walk = func(s *client.Span, lead, branch string, depth int) {
		if seen[s.SpanID] || depth > 100 {
			return
		}
		seen[s.SpanID] = true
		lines = append(lines, treeLine{text: lead + branch + oneLine(s.Name, 60), span: s})
		switch branch {
		case "├─ ":
			lead += "│  "
		case "└─ ":
			lead += "   "
		}
		for i, child := range children[s.SpanID] {
			next := "├─ "
			if i == len(children[s.SpanID])-1 {
				next = "└─ "
			}
			walk(child, lead, next, depth+1)
		}
	}
	for _, root := range children[""] {
		walk(root, "", "", 0)
	}
	return lines
}
