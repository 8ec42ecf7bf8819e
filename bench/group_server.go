package main

import (
	"fmt"
	"slices"
	"time"
)

// restart: the first invocation after the server was started again.
func restart(b *bench) error {
	wasm, err := b.helloGo()
	if err != nil {
		return err
	}
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer func() { s.stop() }()
	if err := s.deployModule(b.ctx, "hello-go", wasm); err != nil {
		return err
	}
	if err := s.deployScript(b.ctx, "hello", script("hello")); err != nil {
		return err
	}
	rounds := 7
	if b.quick {
		rounds = 2
	}
	subjects := []struct {
		name, function, event string
		answer                *answerOf
	}{
		{"a Go module of " + showBytes(int64(len(wasm))), "hello-go", "", wantHello},
		{"a JavaScript function", "hello", helloEvent, wantJS},
	}
	rows := make([]row, 0, 2*len(subjects))
	for _, x := range subjects {
		var first, second []time.Duration
		for range rounds {
			s.stop()
			if err := s.start(); err != nil {
				return err
			}
			for _, list := range []*[]time.Duration{&first, &second} {
				took, err := s.invoke(b.ctx, x.function, x.event, x.answer)
				if err != nil {
					return err
				}
				*list = append(*list, took)
			}
		}
		rows = append(rows,
			row{Case: x.name, Subject: "the first invocation", Isolates: yes, Median: median(first), Worst: slices.Max(first), Rounds: rounds},
			row{Case: x.name, Subject: "the second", Isolates: yes, Median: median(second), Worst: slices.Max(second), Rounds: rounds})
		if x.function == "hello-go" {
			b.got("restart", "", float64(median(first)))
		}
	}
	b.show("restart", "after a restart of the server", "One invocation over HTTP, as soon as /readyz says so; the server is stopped and started for each.", rows)
	return nil
}

// manyFunctions: a server with a thousand functions.
func manyFunctions(b *bench) error {
	functions, rounds := 1000, 10
	if b.quick {
		functions, rounds = 30, 2
	}
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.stop()
	emptyRSS, emptyPSS := memoryOf(s.pid())
	requests := make([][]byte, functions)
	start := time.Now()
	for i := range requests {
		name := fmt.Sprintf("hello-%d", i)
		// Each has a source of its own, so that nothing can be shared by its hash.
		if err := s.deployScript(b.ctx, name, fmt.Sprintf("// function %d\n%s", i, script("hello"))); err != nil {
			return fmt.Errorf("deploy %s: %w", name, err)
		}
		requests[i] = postRequest(s.addr, invokePath(name), token, helloEvent)
	}
	deploying := time.Since(start)
	rss, pss := memoryOf(s.pid())
	rows := []row{
		{Subject: "the server without functions", Isolates: irrelevant, RSS: emptyRSS, PSS: emptyPSS},
		{Subject: "after the deployments", Isolates: irrelevant, RSS: rss, PSS: pss, Rounds: functions, Median: deploying / time.Duration(functions)},
	}
	l := load{addr: s.addr, connections: 2, answer: wantJS, request: func(n int) []byte { return requests[n%functions] }}
	failed := 0
	var all []time.Duration
	for _, part := range []struct {
		name   string
		rounds int
	}{{"the first round", 1}, {"the rounds after it", rounds}} {
		got, err := l.run(time.Hour, part.rounds*functions/l.connections)
		if err != nil {
			return err
		}
		failed += got.failed
		all = append(all, got.times...)
		r := row{Subject: part.name, Isolates: yes, Rounds: len(got.times), PerSecond: got.perSecond(), Failed: got.failed, Worst: slices.Max(got.times)}
		r.Median, r.P99 = quantiles(got.times)
		r.RSS, r.PSS = memoryOf(s.pid())
		rows = append(rows, r)
		if got.failure != nil {
			b.note("many: %d invocations failed, one with: %v", got.failed, got.failure)
		}
		b.got("many-rss", part.name, float64(r.RSS))
	}
	_, p99 := quantiles(all)
	b.got("many-failed", "", float64(failed))
	b.got("many-p99", "", float64(p99))
	b.show("many", fmt.Sprintf("%s JavaScript functions called round robin", showCount(float64(functions))),
		"One invocation over HTTP, two connections; each function has its own source. Of the deployments the median is the mean.", rows)
	return nil
}
