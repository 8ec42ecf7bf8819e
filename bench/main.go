package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// bench is one run.
type bench struct {
	ctx    context.Context
	root   string        // folder of the repository
	dir    string        // for what the run needs; removed at its end
	each   time.Duration // how long each subject is measured
	quick  bool
	js     *quickJS // once it was asked for
	report report
}

// groups in the order they run in. The first are the ones that need a quiet process.
var groups = []struct {
	name string
	run  func(b *bench) error
}{
	{"cpu", cpuGuests},
	{"hello", goHello},
	{"reactor", goReactor},
	{"js", jsHandler},
	{"workers", workers},
	{"evicted", evicted},
	{"history", longHistory},
	{"http", overHTTP},
	{"restart", restart},
	{"many", manyFunctions},
}

func main() {
	var b bench
	root := flag.String("root", "..", "folder of the repository")
	out := flag.String("out", "out/bench.json", "where to write the results as JSON")
	only := flag.String("only", "", "run only the groups whose names match this regular expression: cpu, hello, reactor, js, workers, evicted, history, http, restart, many")
	soakCount := flag.Int("soak", 0, "instead of all groups, invoke mixed guests this often and see what grows; written to soak.json beside -out")
	document := flag.Bool("doc", false, "instead of measuring, write docs/performance.md and its picture from the results")
	flag.DurationVar(&b.each, "each", 3*time.Second, "how long each subject is measured")
	flag.BoolVar(&b.quick, "quick", false, "a smoke run, in a minute: does it work? Its numbers mean nothing")
	flag.Parse()
	err := func() (err error) {
		if b.root, err = filepath.Abs(*root); err != nil {
			return err
		}
		if *document {
			return writeDocument(b.root, *out)
		}
		if b.quick {
			b.each = min(b.each, 50*time.Millisecond)
		}
		if b.dir, err = os.MkdirTemp("", "flagbase-bench"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(b.dir) }()
		b.ctx = context.Background()
		b.report = report{When: time.Now().UTC(), Quick: b.quick, Machine: describeMachine(b.root), Goals: goals()}
		if *soakCount > 0 {
			return b.soak(*soakCount, soakPath(*out))
		}
		return b.all(*only, *out)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) all(only, out string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	fmt.Printf("%s, load %s\nmedians; a ratio is to the row marked as reference, measured in the same run\n", &b.report.Machine, b.report.Machine.Load)
	ran := 0
	for _, g := range groups {
		if !match.MatchString(g.name) {
			continue
		}
		ran++
		if err := g.run(b); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	if ran == 0 {
		return fmt.Errorf("no group matches %q", only)
	}
	for _, n := range b.report.Notes {
		fmt.Println("NOTE:", n)
	}
	printGoals(os.Stdout, b.report.Goals)
	if err := b.report.write(out); err != nil {
		return err
	}
	fmt.Println("\nwritten to", out)
	return nil
}

// show keeps a table and prints it.
func (b *bench) show(group, title, compares string, rows []row) {
	t := table{Group: group, Title: title, Compares: compares, Rows: rows}
	b.report.Tables = append(b.report.Tables, t)
	t.print(os.Stdout)
}

// got enters what was measured for a goal.
func (b *bench) got(key, what string, value float64) {
	for i := range b.report.Goals {
		if g := &b.report.Goals[i]; g.Key == key {
			g.Got = append(g.Got, got{what, value})
			return
		}
	}
	panic("no goal has the key " + key)
}

// note says something about the run that its tables do not.
func (b *bench) note(format string, args ...any) {
	b.report.Notes = append(b.report.Notes, fmt.Sprintf(format, args...))
}

// ratioOf gives the ratio of the row with that subject.
func ratioOf(rows []row, subject string) float64 {
	for _, r := range rows {
		if r.Subject == subject {
			return r.Ratio
		}
	}
	panic("no row is called " + subject)
}
