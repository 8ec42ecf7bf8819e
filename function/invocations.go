package function

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"flagbase.dev/internal/database"
)

// invocationPage is how many invocations ListInvocations gives, and a page by
// default.
const invocationPage = 100

// InvocationsOptions chooses a page of invocations.
type InvocationsOptions struct {
	Limit  int    // 1 to 1000. Defaults to 100
	Cursor string // Next of the page before; "" for the newest
}

// InvocationPage is a page of invocations, newest first.
type InvocationPage struct {
	Invocations []Invocation `json:"invocations"`
	Next        string       `json:"next,omitempty"` // cursor of the next page; "" at the end
}

// ListInvocations returns the 100 most recent invocations for a function, newest
// first. The failed ones and the ones that still run are among them.
func (s *Store) ListInvocations(ctx context.Context, fnID string) ([]FunctionInvocation, error) {
	page, err := s.Invocations(ctx, fnID, nil)
	if err != nil {
		return nil, err
	}
	list := make([]FunctionInvocation, len(page.Invocations))
	for i := range page.Invocations {
		list[i] = page.Invocations[i].FunctionInvocation
	}
	return list, nil
}

// Invocations is ListInvocations in pages. opts may be nil.
func (s *Store) Invocations(ctx context.Context, fnID string, opts *InvocationsOptions) (*InvocationPage, error) {
	const op = "list invocations"
	limit, cursor := invocationPage, ""
	if opts != nil {
		cursor = opts.Cursor
		if opts.Limit != 0 {
			limit = opts.Limit
		}
	}
	if limit < 1 || limit > 1000 {
		return nil, fail(ErrInvalid, "%s: a limit of %d is not between 1 and 1000", op, limit)
	}
	if cursor != "" && !isID(invocationPrefix, cursor) {
		return nil, fail(ErrInvalid, "%s: %q is not a cursor; use the next of the page before", op, cursor)
	}
	f, err := s.find(ctx, op, fnID)
	if err != nil {
		return nil, err
	}
	if err := s.history.flush(ctx); err != nil {
		return nil, s.broken(ctx, op, err)
	}
	if cursor == "" {
		cursor = afterInvocations
	}
	rows, err := s.db.SQL().QueryContext(ctx, `SELECT `+invocationColumns+` FROM flagbase_invocations
		WHERE function_id = ? AND id < ? ORDER BY id DESC LIMIT ?`, f.ID, cursor, limit+1)
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	defer func() { _ = rows.Close() }()
	page := &InvocationPage{Invocations: []Invocation{}}
	for rows.Next() {
		inv, err := scanInvocation(rows)
		if err != nil {
			return nil, s.broken(ctx, op, err)
		}
		if len(page.Invocations) == limit {
			page.Next = page.Invocations[limit-1].ID
			break
		}
		page.Invocations = append(page.Invocations, *inv)
	}
	if err := rows.Err(); err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return page, nil
}

// GetInvocation returns one invocation, or ErrNotFound.
func (s *Store) GetInvocation(ctx context.Context, id string) (*Invocation, error) {
	const op = "get invocation"
	if err := s.history.flush(ctx); err != nil {
		return nil, s.broken(ctx, op, err)
	}
	inv, err := scanInvocation(s.db.SQL().QueryRowContext(ctx, `SELECT `+invocationColumns+` FROM flagbase_invocations WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fail(ErrNotFound, "%s: there is no invocation %q", op, id)
	}
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return inv, nil
}

// Logs returns the log of an invocation: standard error, console and log_write,
// with secrets the function read replaced. It is empty while the invocation runs.
func (s *Store) Logs(ctx context.Context, invocationID string) ([]byte, error) {
	const op = "get logs"
	if err := s.history.flush(ctx); err != nil {
		return nil, s.broken(ctx, op, err)
	}
	var log []byte
	err := s.db.SQL().QueryRowContext(ctx, `SELECT log FROM flagbase_invocations WHERE id = ?`, invocationID).Scan(&log)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fail(ErrNotFound, "%s: there is no invocation %q", op, invocationID)
	}
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return log, nil
}

// afterInvocations sorts after the id of every invocation, whose digits end with f.
const afterInvocations = invocationPrefix + "g"

const invocationColumns = `id, function_id, started_at, completed_at, success, output, error, execution_ms, peak_memory_bytes, host_calls, output_size_bytes, trace_id, version, cpu_us`

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

func scanInvocation(row scanner) (*Invocation, error) {
	var (
		inv       Invocation
		started   int64
		completed sql.NullInt64
		took      sql.NullInt64
		compute   sql.NullInt64
	)
	if err := row.Scan(&inv.ID, &inv.FunctionID, &started, &completed, &inv.Success, &inv.Output, &inv.Error, &took,
		&inv.PeakMemoryBytes, &inv.HostCalls, &inv.OutputSizeBytes, &inv.TraceID, &inv.Version, &compute); err != nil {
		return nil, err
	}
	inv.StartedAt = database.FromMicros(started)
	if completed.Valid {
		t := database.FromMicros(completed.Int64)
		inv.CompletedAt = &t
	}
	if took.Valid {
		inv.ExecutionMs = &took.Int64
	}
	if compute.Valid {
		ms := compute.Int64 / 1000
		inv.ComputeMs = &ms
	}
	return &inv, nil
}

// completedNow ends a record.
func (r *record) completedNow(took time.Duration) {
	end := r.StartedAt.Add(took)
	ms := took.Milliseconds()
	r.CompletedAt, r.ExecutionMs = &end, &ms
}
