package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// report is what is written as JSON.
type report struct {
	When    time.Time `json:"when"`
	Quick   bool      `json:"quick,omitempty"` // a smoke run: its numbers mean nothing
	Machine machine   `json:"machine"`
	Tables  []table   `json:"tables"`
	Goals   []goal    `json:"goals"`
	Notes   []string  `json:"notes,omitempty"`
}

type table struct {
	Group    string `json:"group"`
	Title    string `json:"title"`
	Compares string `json:"compares"` // what one row is
	Rows     []row  `json:"rows"`
}

// row is one subject. What was not measured is zero.
type row struct {
	Case      string        `json:"case,omitempty"` // rows of one case are compared
	Subject   string        `json:"subject"`
	Isolates  answer        `json:"isolates"`
	Reference bool          `json:"reference,omitempty"` // what Ratio is to
	Ratio     float64       `json:"ratio,omitempty"`     // of times, or of operations a second where they were counted
	Median    time.Duration `json:"median_ns,omitempty"`
	P99       time.Duration `json:"p99_ns,omitempty"`
	Worst     time.Duration `json:"worst_ns,omitempty"`
	PerSecond float64       `json:"per_second,omitempty"`
	Workers   int           `json:"workers,omitempty"`       // at once
	CPU       time.Duration `json:"cpu_ns,omitempty"`        // of the server, an operation
	ClientCPU time.Duration `json:"client_cpu_ns,omitempty"` // of whoever asks, an operation
	RSS       int64         `json:"rss_bytes,omitempty"`
	PSS       int64         `json:"pss_bytes,omitempty"`
	Rounds    int           `json:"rounds,omitempty"`
	Failed    int           `json:"failed,omitempty"`
}

// relate names the reference of rows and fills in the ratios to it.
func relate(rows []row, reference int) {
	ref := rows[reference]
	rows[reference].Reference = true
	for i := range rows {
		switch {
		case ref.PerSecond > 0:
			rows[i].Ratio = rows[i].PerSecond / ref.PerSecond
		case ref.Median > 0:
			rows[i].Ratio = float64(rows[i].Median) / float64(ref.Median)
		}
	}
}

// columns are what a table may show; one that no row has is left out.
var columns = []struct {
	head string
	cell func(r *row) string
}{
	{"median", func(r *row) string { return showTime(r.Median) }},
	{"p99", func(r *row) string { return showTime(r.P99) }},
	{"worst", func(r *row) string { return showTime(r.Worst) }},
	{"a second", func(r *row) string { return showCount(r.PerSecond) }},
	{"ratio", func(r *row) string {
		switch {
		case r.Reference:
			return "reference"
		case r.Ratio == 0:
			return ""
		}
		return showRatio(r.Ratio)
	}},
	{"isolates", func(r *row) string { return string(r.Isolates) }},
	{"server CPU", func(r *row) string { return showTime(r.CPU) }},
	{"client CPU", func(r *row) string { return showTime(r.ClientCPU) }},
	{"RSS", func(r *row) string { return showBytes(r.RSS) }},
	{"PSS", func(r *row) string { return showBytes(r.PSS) }},
	{"runs", func(r *row) string { return showCount(float64(r.Rounds)) }},
	{"failed", func(r *row) string { return showCount(float64(r.Failed)) }},
}

// cells gives the heads and, for each row, the cells of the columns that say anything.
func (t *table) cells() (heads []string, cells [][]string) {
	cells = make([][]string, len(t.Rows))
	for _, c := range columns {
		any := false
		for i := range t.Rows {
			any = any || c.cell(&t.Rows[i]) != ""
		}
		if !any {
			continue
		}
		heads = append(heads, c.head)
		for i := range t.Rows {
			cells[i] = append(cells[i], c.cell(&t.Rows[i]))
		}
	}
	return heads, cells
}

func (t *table) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s: %s\n%s\n", t.Group, t.Title, t.Compares)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	heads, cells := t.cells()
	line := func(first string, rest []string) {
		fmt.Fprint(w, "  ", first)
		for _, c := range rest {
			fmt.Fprint(w, "\t", c)
		}
		fmt.Fprintln(w)
	}
	line("", heads)
	last := ""
	for i, r := range t.Rows {
		if r.Case != last {
			last = r.Case
			line(r.Case, nil)
		}
		name := r.Subject
		if r.Case != "" {
			name = "  " + name
		}
		line(name, cells[i])
	}
	_ = w.Flush()
}

func (r *report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
