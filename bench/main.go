package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"flagbase.dev/function"
)

// report is what is written as JSON.
type report struct {
	When    time.Time `json:"when"`
	Machine string    `json:"machine"`
	Tables  []table   `json:"tables"`
}

type table struct {
	Title      string       `json:"title"`
	Latency    []latency    `json:"latency,omitempty"`
	Throughput []throughput `json:"throughput,omitempty"`
}

func main() {
	out := flag.String("out", "out/bench.json", "where to write the result as JSON")
	each := flag.Duration("each", 3*time.Second, "how long each subject is measured")
	root := flag.String("root", "..", "folder of the repository")
	flag.Parse()
	if err := run(*out, *root, *each); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out, root string, each time.Duration) error {
	ctx := context.Background()
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	wasm, err := buildHello(root)
	if err != nil {
		return err
	}
	r := &report{When: time.Now().UTC(), Machine: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	fmt.Printf("%s\nmedians; ratio is to the first row of each table, measured in the same run\n", r.Machine)

	var subjects []*subject
	add := func(s *subject, err error) error {
		if err == nil {
			subjects = append(subjects, s)
		}
		return err
	}
	if err := errorsOf(
		add(stockWazero(ctx, wasm, true)),
		add(stockWazero(ctx, wasm, false)),
		add(flagbaseEngine(ctx, wasm)),
		add(flagbaseStore(ctx, "flagbase Store, with history", func(s *function.Store) error {
			_, err := s.Upload(ctx, "hello", "", wasm)
			return err
		}, "", wantHello)),
	); err != nil {
		return err
	}
	if err := r.latency("Go WASI hello, in process", subjects, each); err != nil {
		return err
	}
	wasmPeer := subjects[0]

	subjects = []*subject{gojaFresh(), gojaReused()}
	if err := add(flagbaseStore(ctx, "flagbase Store, with history", func(s *function.Store) error {
		_, err := s.Create(ctx, "hello", "", "javascript", helloJS)
		return err
	}, helloEvent, wantJS)); err != nil {
		return err
	}
	if err := r.latency("JavaScript hello, in process", subjects, each); err != nil {
		return err
	}
	subjects[2].close()

	server, err := startServer(root)
	if err != nil {
		return err
	}
	defer server.stop()
	if err := server.deploy(ctx, root, "hello-go", "hello.wasm", wasm); err != nil {
		return err
	}
	if err := server.deploy(ctx, root, "hello-js", "hello.js", []byte(helloJS)); err != nil {
		return err
	}
	for _, t := range []struct {
		title, name, event, answer string
		peer                       *subject
	}{
		{"Go WASI hello over HTTP, requests a second", "hello-go", "", wantHello, wasmPeer},
		{"JavaScript hello over HTTP, requests a second", "hello-js", helloEvent, wantJS, gojaFresh()},
	} {
		peer, err := overHTTP(t.peer, t.answer)
		if err != nil {
			return err
		}
		err = r.throughput(t.title, []*subject{peer, server.subject(t.name, t.event, t.answer)}, each)
		peer.close()
		if err != nil {
			return err
		}
	}

	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	fmt.Println("\nwritten to", out)
	return os.WriteFile(out, append(b, '\n'), 0o644)
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (r *report) latency(title string, subjects []*subject, each time.Duration) error {
	rows, err := measureLatency(subjects, each)
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, table{Title: title, Latency: rows})
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\tmedian us\tp99 us\tratio\tisolates\n", title)
	for _, row := range rows {
		fmt.Fprintf(w, "  %s\t%.1f\t%.1f\t%.2f x\t%s\n", row.Subject, micros(row.Median), micros(row.P99),
			float64(row.Median)/float64(rows[0].Median), yes(row.Isolates))
	}
	return w.Flush()
}

func (r *report) throughput(title string, subjects []*subject, each time.Duration) error {
	rows, err := measureThroughput(subjects, 2*runtime.NumCPU(), each)
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, table{Title: title, Throughput: rows})
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\trequests/s\tratio\tisolates\n", title)
	for _, row := range rows {
		fmt.Fprintf(w, "  %s\t%.0f\t%.2f x\t%s\n", row.Subject, row.PerSecond, row.PerSecond/rows[0].PerSecond, yes(row.Isolates))
	}
	return w.Flush()
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
