package main

import (
	"errors"
	"runtime"
	"time"
)

// collect adds subjects until one cannot be made.
type collect struct {
	subjects []*subject
	err      error
}

func (c *collect) add(s *subject, err error) {
	if c.err == nil {
		c.err = err
	}
	if s != nil {
		c.subjects = append(c.subjects, s)
	}
}

// measure runs what was collected and relates it to the first.
func (b *bench) measure(c *collect, each time.Duration) ([]row, error) {
	defer closeAll(c.subjects)
	if c.err != nil {
		return nil, c.err
	}
	rows, err := measureLatency(c.subjects, each)
	if err == nil {
		relate(rows, 0)
	}
	return rows, err
}

const (
	flagbaseStoreName  = "flagbase, Store.Do with history"
	flagbaseEngineName = "flagbase, Engine.InvokeWASI"
	flagbaseFreshName  = "flagbase's sandbox, fresh per call"
)

// cpuGuests: what a deadline costs guests that compute.
func cpuGuests(b *bench) error {
	q, err := b.quickJS()
	if err != nil {
		return err
	}
	var rows []row
	add := func(name, ours string, c *collect) error {
		measured, err := b.measure(c, b.each)
		if err != nil {
			return err
		}
		for i := range measured {
			measured[i].Case = name
		}
		rows = append(rows, measured...)
		b.got("cpu", name, ratioOf(measured, ours))
		return nil
	}
	for _, g := range []struct{ title, wat, dir string }{
		{"wasm loop, 50 M rounds", "loop", ""},
		{"recursion, fib(32)", "recursion", ""},
		{"SIMD kernel", "simd", ""},
		{"Go sort", "", "bench/guests/sort"},
	} {
		var wasm []byte
		if g.wat != "" {
			wasm, err = b.watGuest(g.wat)
		} else {
			wasm, err = b.goGuest(g.dir, false)
		}
		if err != nil {
			return err
		}
		answer := &answerOf{}
		var c collect
		c.add(b.stockWazero(wasm, false, answer))
		c.add(b.stockWazero(wasm, true, answer))
		c.add(b.wasmtimeModule(wasm, answer))
		c.add(b.flagbaseEngine(wasm, answer))
		if err := add(g.title, flagbaseEngineName, &c); err != nil {
			return err
		}
	}
	for _, name := range []string{"fib", "sort", "json", "regex", "map"} {
		code, err := q.compile(script(name))
		if err != nil {
			return err
		}
		answer := &answerOf{}
		var c collect
		c.add(b.stockQuickJS(q, code, false, "null", answer))
		c.add(b.stockQuickJS(q, code, true, "null", answer))
		c.add(b.wasmtimeQuickJS(q, code, true, "null", answer))
		c.add(b.keptQuickJS(q, code, "null", answer))
		c.add(b.flagbaseStore(b.deployScript(script(name)), "null", answer))
		if err := add("JS "+name, flagbaseStoreName, &c); err != nil {
			return err
		}
	}
	b.show("cpu", "guests that compute, under a deadline", "One whole call. JavaScript runs on the same quickjs.wasm everywhere; on stock wazero it is one instance that all calls share.", rows)
	return nil
}

// goHello: what a fresh start of a small Go program costs.
func goHello(b *bench) error {
	wasm, err := b.helloGo()
	if err != nil {
		return err
	}
	var c collect
	c.add(b.stockWazero(wasm, true, wantHello))
	c.add(b.stockWazero(wasm, false, wantHello))
	c.add(b.wasmtimeModule(wasm, wantHello))
	c.add(b.flagbaseEngine(wasm, wantHello))
	c.add(b.flagbaseStore(b.deployModule(wasm), "", wantHello))
	rows, err := b.measure(&c, b.each)
	if err != nil {
		return err
	}
	b.got("hello", "", ratioOf(rows, flagbaseEngineName))
	b.show("hello", "a Go command that prints a line, "+showBytes(int64(len(wasm))), "One call, each from a fresh state; compiled beforehand.", rows)
	return nil
}

// goReactor: what it saves not to initialise again.
func goReactor(b *bench) error {
	wasm, err := b.goGuest("bench/guests/heavyinit", true)
	if err != nil {
		return err
	}
	var c collect
	c.add(b.stockWazero(wasm, true, wantInit))
	c.add(b.stockWazero(wasm, false, wantInit))
	c.add(b.wasmtimeModule(wasm, wantInit))
	c.add(b.flagbaseStore(b.deployModule(wasm), "", wantInit))
	rows, err := b.measure(&c, b.each)
	if err != nil {
		return err
	}
	b.got("reactor", "", ratioOf(rows, flagbaseStoreName))
	b.show("reactor", "a Go reactor whose init fills a map of 2,000 entries", "One call, each from the state after init; the peers run _initialize for it each time.", rows)
	return nil
}

// jsHandler: what a fresh state costs JavaScript.
func jsHandler(b *bench) error {
	q, err := b.quickJS()
	if err != nil {
		return err
	}
	source := script("hello")
	code, err := q.compile(source)
	if err != nil {
		return err
	}
	var c collect
	c.add(b.unresetScript(source, helloEvent, wantJS))
	c.add(b.flagbaseScript(source, helloEvent, wantJS))
	c.add(b.flagbaseStore(b.deployScript(source), helloEvent, wantJS))
	c.add(b.wasmtimeQuickJS(q, code, false, helloEvent, wantJS))
	c.add(b.wasmtimeQuickJS(q, code, true, helloEvent, wantJS))
	c.add(b.stockQuickJS(q, code, true, helloEvent, wantJS))
	c.add(b.keptQuickJS(q, code, helloEvent, wantJS))
	c.add(gojaFresh(), nil)
	c.add(gojaReused())
	rows, err := b.measure(&c, b.each)
	if err != nil {
		return err
	}
	fresh := ratioOf(rows, flagbaseFreshName)
	b.got("js-kept", "", fresh)
	b.got("js-wasmtime", "", fresh/ratioOf(rows, wasmtimeName+", instance initialised per call"))
	b.got("js-snapshot", "", fresh/ratioOf(rows, wasmtimeName+", instance per call from a snapshot"))
	b.show("js", "a JavaScript handler that answers JSON", "One call. The first three rows have flagbase's Web APIs and host around the handler, the others nothing but JSON. goja is another engine, written in Go, without a deadline here.", rows)
	return nil
}

// workers: does a second core double what is done?
func workers(b *bench) error {
	wasm, err := b.helloGo()
	if err != nil {
		return err
	}
	source := script("hello")
	var c collect
	c.add(&subject{Name: "nothing but arithmetic, in Go: what the machine gives", Isolates: irrelevant, run: arithmetic}, nil)
	c.add(b.flagbaseEngine(wasm, wantHello))
	c.add(b.flagbaseScript(source, helloEvent, wantJS))
	c.add(b.flagbaseStore(b.deployModule(wasm), "", wantHello))
	c.add(b.flagbaseStore(b.deployScript(source), helloEvent, wantJS))
	defer closeAll(c.subjects)
	if c.err != nil {
		return c.err
	}
	cases := []string{"arithmetic", "Go hello, Engine", "JS hello, sandbox", "Go hello, Store with history", "JS hello, Store with history"}
	const rounds = 5
	var rows []row
	for i, s := range c.subjects {
		var rates [2][]float64
		for range rounds {
			for w := range rates {
				n, err := perSecond(s, w+1, b.each/rounds)
				if err != nil {
					return err
				}
				rates[w] = append(rates[w], n)
			}
		}
		pair := []row{
			{Case: cases[i], Subject: "one worker", Workers: 1, PerSecond: median(rates[0]), Isolates: s.Isolates},
			{Case: cases[i], Subject: "two workers", Workers: 2, PerSecond: median(rates[1]), Isolates: s.Isolates},
		}
		relate(pair, 0)
		rows = append(rows, pair...)
		if i > 0 {
			b.got("workers", cases[i], pair[1].Ratio)
		}
	}
	if runtime.NumCPU() < 2 {
		b.note("the machine has one CPU: two workers cannot be faster than one")
	}
	b.show("workers", "throughput of two workers against one", "Calls a second, in one process.", rows)
	return nil
}

// arithmetic computes for about 100 us.
func arithmetic() error {
	x := uint64(88172645463325252)
	for range 50_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 {
		return errors.New("a xorshift generator is never 0")
	}
	return nil
}
