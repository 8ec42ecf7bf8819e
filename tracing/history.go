package tracing

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"flagbase.dev/internal/database"
)

// MaxTraceSpans is the most spans that [Recorder.Trace] returns, the earliest.
const MaxTraceSpans = 10_000

// Summary is a trace in one line: its root, the earliest span of the trace that
// was not started inside another span of this process.
type Summary struct {
	// TraceID is 32 lower-case hexadecimal digits.
	TraceID string `json:"trace_id"`
	// Name, FunctionID, StartedAt, Duration and Error are the root's.
	Name       string        `json:"name"`
	FunctionID string        `json:"function_id,omitempty"`
	StartedAt  time.Time     `json:"started_at"`
	Duration   time.Duration `json:"duration_ns"`
	// Spans is how many spans of the trace are kept.
	Spans int `json:"spans"`
	// Error is why the root failed, "" if it did not.
	Error string `json:"error,omitempty"`
}

// SpanRecord is a span that has ended.
type SpanRecord struct {
	TraceID string `json:"trace_id"`
	// SpanID is 16 lower-case hexadecimal digits.
	SpanID string `json:"span_id"`
	// ParentID is the parent's SpanID, "" for the first span of a trace. The
	// parent may be of another process and not among the trace's records.
	ParentID     string `json:"parent_id,omitempty"`
	Name         string `json:"name"`
	Kind         string `json:"kind"`
	FunctionID   string `json:"function_id,omitempty"`
	InvocationID string `json:"invocation_id,omitempty"`
	// StartedAt is in UTC, in whole microseconds.
	StartedAt  time.Time         `json:"started_at"`
	Duration   time.Duration     `json:"duration_ns"`
	Error      string            `json:"error,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// ListOptions choose traces.
type ListOptions struct {
	// FunctionID chooses the traces with a span of that function. Defaults to all.
	FunctionID string
	// Limit is the most traces returned. Defaults to 100, at most 1000.
	Limit int
	// Before chooses the traces that started earlier: the StartedAt of a page's
	// last trace gives the next page. Defaults to now.
	Before time.Time
}

const (
	defaultTraces = 100
	maxTraces     = 1000
)

// Traces returns the newest traces first. A trace is listed once its root has
// ended. Spans that have ended are written first. opts may be nil.
func (r *Recorder) Traces(ctx context.Context, opts *ListOptions) ([]Summary, error) {
	if r == nil {
		return nil, nil
	}
	if err := r.Flush(ctx); err != nil {
		return nil, fmt.Errorf("list traces: %w", err)
	}
	var o ListOptions
	if opts != nil {
		o = *opts
	}
	if o.Limit <= 0 {
		o.Limit = defaultTraces
	}
	var where strings.Builder
	var args []any
	if o.FunctionID != "" {
		where.WriteString(" AND EXISTS (SELECT 1 FROM flagbase_spans f WHERE f.trace_id = s.trace_id AND f.function_id = ?)")
		args = append(args, o.FunctionID)
	}
	if !o.Before.IsZero() {
		where.WriteString(" AND s.started_at < ?")
		args = append(args, database.Micros(o.Before))
	}
	args = append(args, min(o.Limit, maxTraces))
	// A trace can have several roots, as when a caller sends two requests with
	// one traceparent: the earliest stands for it.
	query := `SELECT s.trace_id, s.name, s.function_id, s.started_at, s.duration_ns, s.error,
			(SELECT count(*) FROM flagbase_spans n WHERE n.trace_id = s.trace_id)
		FROM flagbase_spans s
		WHERE s.root = 1 AND NOT EXISTS (
			SELECT 1 FROM flagbase_spans e WHERE e.trace_id = s.trace_id AND e.root = 1
				AND (e.started_at < s.started_at OR e.started_at = s.started_at AND e.id < s.id))` +
		where.String() + `
		ORDER BY s.started_at DESC, s.id DESC LIMIT ?`

	var list []Summary
	err := r.db.Read(ctx, func(db *sql.DB) error {
		list = nil // Read may run this again
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s Summary
			var started int64
			if err := rows.Scan(&s.TraceID, &s.Name, &s.FunctionID, &started, &s.Duration, &s.Error, &s.Spans); err != nil {
				return err
			}
			s.StartedAt = database.FromMicros(started)
			list = append(list, s)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list traces: %w", err)
	}
	return list, nil
}

// Trace returns the spans of a trace in the order they started, a parent before
// its children, or ErrNotFound. Spans that have ended are written first.
func (r *Recorder) Trace(ctx context.Context, traceID string) ([]SpanRecord, error) {
	notFound := fmt.Errorf("trace %q: %w", cut(traceID, MaxText), ErrNotFound)
	if r == nil {
		return nil, notFound
	}
	if err := r.Flush(ctx); err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	var list []SpanRecord
	err := r.db.Read(ctx, func(db *sql.DB) error {
		list = nil
		rows, err := db.QueryContext(ctx, `SELECT span_id, parent_id, name, kind, function_id, invocation_id,
				started_at, duration_ns, error, attributes
			FROM flagbase_spans WHERE trace_id = ? ORDER BY started_at, id LIMIT ?`, traceID, MaxTraceSpans)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			s := SpanRecord{TraceID: traceID}
			var started int64
			var attributes string
			if err := rows.Scan(&s.SpanID, &s.ParentID, &s.Name, &s.Kind, &s.FunctionID, &s.InvocationID,
				&started, &s.Duration, &s.Error, &attributes); err != nil {
				return err
			}
			s.StartedAt = database.FromMicros(started)
			if attributes != "" {
				if err := json.Unmarshal([]byte(attributes), &s.Attributes); err != nil {
					return fmt.Errorf("attributes of span %s: %w", s.SpanID, err)
				}
			}
			list = append(list, s)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	if len(list) == 0 {
		return nil, notFound
	}
	parentsFirst(list)
	return list, nil
}

// parentsFirst orders spans that began in the same microsecond by their depth:
// they were written as they ended, children before parents.
func parentsFirst(list []SpanRecord) {
	parents := make(map[string]string, len(list))
	for _, s := range list {
		parents[s.SpanID] = s.ParentID
	}
	depths := make(map[string]int, len(list))
	for _, s := range list {
		depth := 0
		// The bound is for a circle, which only a forged database can hold.
		for id := s.ParentID; id != "" && depth < 1000; id = parents[id] {
			depth++
		}
		depths[s.SpanID] = depth
	}
	slices.SortStableFunc(list, func(a, b SpanRecord) int {
		if c := a.StartedAt.Compare(b.StartedAt); c != 0 {
			return c
		}
		return depths[a.SpanID] - depths[b.SpanID]
	})
}

// insert writes a batch and removes the oldest spans above MaxSpans.
func (r *Recorder) insert(ctx context.Context, batch []ended) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		stmt, err := tx.PrepareContext(ctx, `INSERT INTO flagbase_spans (trace_id, span_id, parent_id, root, name, kind,
				function_id, invocation_id, started_at, duration_ns, error, attributes)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for i := range batch {
			e := &batch[i]
			parent := ""
			if e.parentID != [8]byte{} {
				parent = hex.EncodeToString(e.parentID[:])
			}
			attributes, err := encodeAttributes(e.attributes)
			if err != nil {
				return err
			}
			root := 0
			if e.root {
				root = 1
			}
			// Without ctx: the driver would start a goroutine to watch it for each span.
			_, err = stmt.Exec(e.TraceIDString(), hex.EncodeToString(e.SpanID[:]), parent, root, e.name, e.kind,
				e.functionID, e.invocationID, database.Micros(e.started), int64(e.duration), e.failure, attributes)
			if err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// Ids rise one by one and only the oldest are ever removed.
		_, err = tx.ExecContext(ctx,
			"DELETE FROM flagbase_spans WHERE id <= (SELECT max(id) FROM flagbase_spans) - ?", r.opts.MaxSpans)
		return err
	})
}

func encodeAttributes(list []attribute) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	m := make(map[string]string, len(list))
	for _, a := range list {
		m[a.key] = a.value
	}
	b, err := json.Marshal(m)
	return string(b), err
}
