package main

import (
	"fmt"
	"slices"
	"time"

	"flagbase.dev/internal/sandbox"
)

// evicted: an invocation that finds no instance kept.
func evicted(b *bench) error {
	functions, rounds := 50, 40
	if b.quick {
		functions, rounds = 5, 4
	}
	const idle = 20 * time.Millisecond
	var rows []row
	for _, kind := range []struct {
		name   string
		config *sandbox.Config
		pause  time.Duration
	}{
		{"the instance of the call before is kept", &sandbox.Config{}, 0},
		{"all instances were closed, idle for too long", &sandbox.Config{IdleTime: idle}, 5 * idle},
		{"none is ever kept", &sandbox.Config{IdleBytes: -1}, 0},
	} {
		e, err := b.scriptEngine(kind.config)
		if err != nil {
			return err
		}
		defer e.close()
		handlers := make([]func() error, functions)
		for i := range handlers {
			if handlers[i], err = e.handler(fmt.Sprintf("// function %d\n%s", i, script("hello")), helloEvent, wantJS); err != nil {
				return err
			}
		}
		var times []time.Duration
		for round := range rounds {
			time.Sleep(kind.pause)
			for _, run := range handlers {
				start := time.Now()
				if err := run(); err != nil {
					return err
				}
				if round > 0 { // the first has nothing to evict
					times = append(times, time.Since(start))
				}
			}
		}
		r := row{Subject: kind.name, Isolates: yes, Rounds: len(times), Worst: slices.Max(times)}
		r.Median, r.P99 = quantiles(times)
		if len(rows) > 0 {
			b.got("evicted", kind.name, float64(r.P99))
		}
		rows = append(rows, r)
	}
	relate(rows, 0)
	b.show("evicted", fmt.Sprintf("%d JavaScript functions, one call of each in turn", functions), "One call in the sandbox, without the Store around it.", rows)
	return nil
}
