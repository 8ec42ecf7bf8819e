package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"flagbase.dev/function"
)

// soakPath is where a soak is written, beside the other results.
func soakPath(out string) string { return filepath.Join(filepath.Dir(out), "soak.json") }

// soaked is what one kind of guest does in the soak.
type soaked struct {
	name, event string
	every       int // of so many invocations one is of this kind
	timeout     time.Duration
	answer      *answerOf
	failure     error // what it has to fail with
	source      string
	wasm        []byte
}

// soak invokes mixed guests, two at a time, and looks at the process after 10,000 of
// them and then ten times more.
func (b *bench) soak(count int, out string) error {
	kinds, err := b.soakGuests()
	if err != nil {
		return err
	}
	s, err := b.newStore(nil)
	if err != nil {
		return err
	}
	defer s.close()
	for _, k := range kinds {
		if k.wasm != nil {
			_, err = s.Upload(b.ctx, k.name, "", k.wasm)
		} else {
			_, err = s.Create(b.ctx, k.name, "", "javascript", k.source)
		}
		if err != nil {
			return err
		}
	}
	warm := min(10_000, count/10)
	marks := []int{warm}
	for i := 1; i <= 10; i++ {
		marks = append(marks, warm+(count-warm)*i/10)
	}
	fmt.Printf("%s, load %s\n%d invocations: %s\n", &b.report.Machine, b.report.Machine.Load, count, describeKinds(kinds))
	var rows []row
	var first, last sample
	begun := 0
	for i, mark := range marks {
		start := time.Now()
		if err := s.soakUntil(b.ctx, kinds, begun, mark); err != nil {
			return err
		}
		took := time.Since(start)
		last = takeSample()
		if i == 0 {
			first = last
		}
		r := row{
			Subject: "after " + showCount(float64(mark)), Isolates: yes, RSS: last.rss, PSS: last.pss, Reference: i == 0,
			PerSecond: float64(mark-begun) / took.Seconds(), Rounds: mark - begun, Ratio: float64(last.rss) / float64(first.rss),
		}
		begun = mark
		rows = append(rows, r)
		fmt.Printf("  %-18s %s RSS (Go heap %s), %d goroutines, %d files, %d mappings, %s invocations a second\n",
			r.Subject, showBytes(last.rss), showBytes(last.heap), last.goroutines, last.files, last.mappings, showCount(r.PerSecond))
	}
	b.got("soak-rss", "", float64(last.rss)/float64(first.rss))
	b.got("soak-leaks", "goroutines", float64(max(0, last.goroutines-first.goroutines)))
	b.got("soak-leaks", "files", float64(max(0, last.files-first.files)))
	b.got("soak-leaks", "mappings", float64(max(0, last.mappings-first.mappings)))
	b.report.Quick = b.report.Quick || count < 1_000_000
	b.show("soak", showCount(float64(count))+" invocations of mixed guests", "Memory of the process after a collection; "+describeKinds(kinds)+".", rows)
	var own []goal
	for _, g := range b.report.Goals {
		if len(g.Got) > 0 {
			own = append(own, g)
		}
	}
	b.report.Goals = own
	printGoals(os.Stdout, own)
	return b.report.write(out)
}

func (b *bench) soakGuests() ([]soaked, error) {
	hello, err := b.helloGo()
	if err != nil {
		return nil, err
	}
	reactor, err := b.goGuest("bench/guests/heavyinit", true)
	if err != nil {
		return nil, err
	}
	var wat [3][]byte
	for i, name := range []string{"small", "trap", "endless"} {
		if wat[i], err = b.watGuest(name); err != nil {
			return nil, err
		}
	}
	// The first whose turn it is; the last takes what is left.
	return []soaked{
		{name: "endless", every: 5000, timeout: 20 * time.Millisecond, failure: function.ErrDeadlineExceeded, wasm: wat[2]},
		{name: "throws", every: 100, failure: function.ErrFunction, source: `export function handle() { throw new Error("no") }`},
		{name: "trap", every: 50, failure: function.ErrFunction, wasm: wat[1]},
		{name: "hello-go", every: 20, answer: wantHello, wasm: hello},
		{name: "reactor", every: 20, answer: wantInit, wasm: reactor},
		{name: "hello", every: 2, event: helloEvent, answer: wantJS, source: script("hello")},
		{name: "small", every: 1, answer: &answerOf{"ok", true}, wasm: wat[0]},
	}, nil
}

func describeKinds(kinds []soaked) string {
	s := ""
	for i, k := range kinds {
		if i > 0 {
			s += ", "
		}
		if k.every == 1 {
			s += "else " + k.name
		} else {
			s += fmt.Sprintf("each %d. %s", k.every, k.name)
		}
	}
	return s
}

// soakUntil does the invocations from one number to another.
func (s *store) soakUntil(ctx context.Context, kinds []soaked, from, to int) error {
	var next atomic.Int64
	next.Store(int64(from))
	var failure atomic.Value
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for n := int(next.Add(1)); n <= to && failure.Load() == nil; n = int(next.Add(1)) {
				for _, k := range kinds {
					if n%k.every == 0 {
						if err := s.soakOne(ctx, &k); err != nil {
							failure.Store(fmt.Errorf("invocation %d, of %s: %w", n, k.name, err))
						}
						break
					}
				}
			}
		})
	}
	group.Wait()
	err, _ := failure.Load().(error)
	return err
}

func (s *store) soakOne(ctx context.Context, k *soaked) error {
	timeout := k.timeout
	if timeout == 0 {
		timeout = deadline
	}
	res, err := s.Do(ctx, k.name, &function.InvokeRequest{Timeout: timeout, Event: []byte(k.event)})
	switch {
	case k.failure != nil && errors.Is(err, k.failure):
		return nil
	case k.failure != nil:
		return fmt.Errorf("gave %v, want %v", err, k.failure)
	case err != nil:
		return err
	}
	return k.answer.check(res.Output, nil)
}

// sample is what the process has.
type sample struct {
	rss, pss, heap              int64
	goroutines, files, mappings int
}

// takeSample looks at the process once its history is written and its garbage gone.
func takeSample() sample {
	pid := os.Getpid()
	s := sample{goroutines: math.MaxInt}
	for range 20 { // what is still being written, or only just ends, is no leak
		time.Sleep(50 * time.Millisecond)
		s.goroutines = min(s.goroutines, runtime.NumGoroutine())
	}
	for range 2 {
		debug.FreeOSMemory()
	}
	s.files, s.mappings = openFiles(pid), mappings(pid)
	s.rss, s.pss = memoryOf(pid)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.heap = int64(m.HeapInuse)
	return s
}
