package main

import (
	"fmt"
	"runtime"
	"time"
)

// longHistory: what a million rows of history cost an invocation.
func longHistory(b *bench) error {
	count := 1_000_000
	if b.quick {
		count = 10_000
	}
	var stores [2]*store
	for i := range stores {
		s, err := b.newStore(nil)
		if err != nil {
			return err
		}
		defer s.close()
		if err := b.deployScript(script("hello"))(s); err != nil {
			return err
		}
		stores[i] = s
	}
	if err := fillHistory(b, stores[1], count); err != nil {
		return err
	}
	names := [2]string{"no history yet", showCount(float64(count)) + " rows of history"}
	subjects := make([]*subject, len(stores))
	for i, s := range stores {
		subjects[i] = &subject{Name: names[i], Isolates: yes, run: func() error { return s.invoke(b.ctx, guestName, helloEvent, wantJS) }}
	}
	rows, err := measureLatency(subjects, b.each)
	if err != nil {
		return err
	}
	relate(rows, 0)
	for i := range rows {
		rows[i].Case = "one invocation after another"
	}
	b.got("history", rows[0].Case, rows[1].Ratio)

	const rounds = 5
	var rates [2][]float64
	for range rounds {
		for i, s := range subjects {
			n, err := perSecond(s, runtime.NumCPU(), b.each/rounds)
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], n)
		}
	}
	busy := make([]row, len(subjects))
	for i, s := range subjects {
		busy[i] = row{Case: "as many at once as there are CPUs", Subject: s.Name, Isolates: yes, PerSecond: median(rates[i]), Workers: runtime.NumCPU()}
	}
	relate(busy, 0)
	b.got("history", busy[0].Case, 1/busy[1].Ratio)
	b.show("history", "a JavaScript handler with a long history behind it", "One invocation through Store.Do, which writes its own history meanwhile.", append(rows, busy...))
	return nil
}

// fillHistory writes rows as old invocations of the function would have left them,
// one a second, the last an hour ago.
func fillHistory(b *bench, s *store, count int) error {
	f, err := s.Get(b.ctx, guestName)
	if err != nil {
		return err
	}
	last := time.Now().Add(-time.Hour)
	const fill = `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO flagbase_invocations (id, function_id, version, started_at, completed_at, success, code, output, error, execution_ms,
			peak_memory_bytes, host_calls, output_size_bytes, trace_id, log)
		SELECT 'inv_' || printf('%012x7%019x', (?2 - (?1 - i) * 1000000) / 1000, i), ?3, 1, ?2 - (?1 - i) * 1000000, ?2 - (?1 - i) * 1000000 + 900, 1, '',
			?4, '', 1, 1310720, 0, length(?4), printf('%032x', i), CAST('a line of log' AS BLOB)
		FROM n`
	if _, err := s.db.SQL().ExecContext(b.ctx, fill, count, last.UnixMicro(), f.ID, wantJS.text); err != nil {
		return fmt.Errorf("fill the history: %w", err)
	}
	return nil
}
