package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"
)

// goal is one line of the table of goals.
type goal struct {
	Key     string  `json:"key"`
	Measure string  `json:"measure"`
	Most    bool    `json:"most"` // at most Limit; else at least
	Limit   float64 `json:"limit"`
	Unit    unit    `json:"unit"`
	Got     []got   `json:"measured"` // all have to meet it
}

// got is what was measured for a goal.
type got struct {
	What  string  `json:"what,omitempty"`
	Value float64 `json:"value"`
}

type unit string

const (
	times  unit = "x"
	nanos  unit = "ns"
	bytes_ unit = "bytes"
	count  unit = "" // of things that should not be
)

// goals are those of the issue "The fast sandbox".
func goals() []goal {
	ms := func(n float64) float64 { return n * float64(time.Millisecond) }
	return []goal{
		{Key: "cpu", Measure: "CPU-bound guests with a deadline, against stock wazero without any deadline", Most: true, Limit: 1.10, Unit: times},
		{Key: "hello", Measure: "Go WASI hello, fresh state, through Engine.InvokeWASI, against stock wazero with a deadline", Most: true, Limit: 0.10, Unit: times},
		{Key: "reactor", Measure: "Go reactor with a heavy init, against stock `_initialize` + `handle`", Most: true, Limit: 0.01, Unit: times},
		{Key: "js-kept", Measure: "JS handler, fresh state, against the same handler on one instance never reset", Most: true, Limit: 1.15, Unit: times},
		{Key: "js-wasmtime", Measure: "JS handler, fresh state, against wasmtime with an instance per call, initialised per call", Most: true, Limit: 0.5, Unit: times},
		{Key: "js-snapshot", Measure: "the same, from a snapshot", Most: true, Limit: 0.5, Unit: times},
		{Key: "workers", Measure: "throughput of two workers against one", Limit: 1.8, Unit: times},
		{Key: "http-rate", Measure: "JSON hello over HTTP with auth and history on: requests a second against workerd's", Limit: 1.0, Unit: times},
		{Key: "http-p99", Measure: "the same: p99 against workerd's", Most: true, Limit: 1.0, Unit: times},
		{Key: "fetch-rate", Measure: "the same with the very script that workerd runs, fetch(request): requests a second", Limit: 1.0, Unit: times},
		{Key: "fetch-p99", Measure: "the same: p99 against workerd's", Most: true, Limit: 1.0, Unit: times},
		{Key: "restart", Measure: "first invocation of a Go module after a restart", Most: true, Limit: ms(60), Unit: nanos},
		{Key: "evicted", Measure: "first invocation of a JS function whose instances were all evicted: p99", Most: true, Limit: ms(5), Unit: nanos},
		{Key: "many-rss", Measure: "1,000 deployed JS functions called round robin: RSS", Most: true, Limit: 1 << 30, Unit: bytes_},
		{Key: "many-failed", Measure: "the same: errors", Most: true, Limit: 0, Unit: count},
		{Key: "many-p99", Measure: "the same: p99", Most: true, Limit: ms(5), Unit: nanos},
		{Key: "history", Measure: "invocation cost with 1 M rows of history against none", Most: true, Limit: 1.05, Unit: times},
		{Key: "soak-rss", Measure: "1 M invocations of mixed guests: RSS at the end against after 10 k", Most: true, Limit: 1.05, Unit: times},
		{Key: "soak-leaks", Measure: "the same: goroutines, open files and mappings more than after 10 k", Most: true, Limit: 16, Unit: count},
	}
}

// worst is the value that is furthest from the limit on the wrong side.
func (g *goal) worst() (got, bool) {
	if len(g.Got) == 0 {
		return got{}, false
	}
	w := g.Got[0]
	for _, x := range g.Got[1:] {
		if g.Most == (x.Value > w.Value) {
			w = x
		}
	}
	return w, true
}

// met says whether all that was measured meets the goal.
func (g *goal) met() bool {
	w, ok := g.worst()
	return ok && (w.Value == g.Limit || g.Most == (w.Value < g.Limit))
}

func (u unit) show(v float64) string {
	switch u {
	case times:
		return showRatio(v)
	case nanos:
		return showTime(time.Duration(v))
	case bytes_:
		return showBytes(int64(v))
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// cells are the goal's line: measure, goal, measured, verdict.
func (g *goal) cells() [4]string {
	sign := ">= "
	if g.Most {
		sign = "<= "
	}
	line := [4]string{g.Measure, sign + g.Unit.show(g.Limit), "not in this run", "-"}
	if g.Limit == 0 {
		line[1] = "none"
	}
	if w, ok := g.worst(); ok {
		line[2] = g.Unit.show(w.Value)
		if w.What != "" {
			line[2] += " (" + w.What
			if len(g.Got) > 1 {
				line[2] += fmt.Sprintf(", the worst of %d", len(g.Got))
			}
			line[2] += ")"
		}
		line[3] = "missed"
		if g.met() {
			line[3] = "met"
		}
	}
	return line
}

func printGoals(out io.Writer, list []goal) {
	fmt.Fprintln(out, "\ngoals")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  measure\tgoal\tmeasured\t")
	for i := range list {
		c := list[i].cells()
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", c[0], c[1], c[2], c[3])
	}
	_ = w.Flush()
}
