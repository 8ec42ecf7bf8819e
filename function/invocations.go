package function

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"
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
	list, err := s.newestBelow(ctx, f.ID, cursor, limit+1)
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	page := &InvocationPage{Invocations: list}
	if len(list) > limit {
		page.Invocations, page.Next = list[:limit], list[limit-1].ID
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
		inv, _, err = s.findInBlocks(ctx, id)
	}
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
		_, log, err = s.findInBlocks(ctx, invocationID)
	}
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

// newestBelow gives the limit newest invocations of a function whose ids are below the
// cursor, newest first: of rows and blocks. "" is above all ids.
func (s *Store) newestBelow(ctx context.Context, functionID, cursor string, limit int) ([]Invocation, error) {
	list, err := s.rowsBelow(ctx, functionID, cmp.Or(cursor, afterInvocations), limit)
	if err != nil {
		return nil, err
	}
	// Blocks come after rows: what ends in between is in both, not in none.
	below, bounded := idBytes(cursor)
	last := int64(math.MaxInt64)
	if bounded {
		last = idTime(below) + 2*blockSpan
	}
	rows, err := s.db.SQL().QueryContext(ctx, `SELECT newest, records FROM flagbase_invocation_blocks
		WHERE function_id = ? AND newest <= ? ORDER BY newest DESC`, functionID, last)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		b := block{functionID: functionID}
		if err := rows.Scan(&b.newest, (*sql.RawBytes)(&b.records)); err != nil {
			return nil, err
		}
		if len(list) == limit {
			if oldest, _ := idBytes(list[limit-1].ID); idTime(oldest) > b.newest {
				break
			}
		}
		err := b.unpack(func(id []byte) bool { return !bounded || bytes.Compare(id, below[:]) < 0 },
			func(inv *Invocation, _ []byte) { list = append(list, *inv) })
		if err != nil {
			return nil, err
		}
		list = newestFirst(list, limit)
	}
	return list, rows.Err()
}

// newestFirst sorts the list, keeps one of each invocation, the one that ended, and
// limit of them.
func newestFirst(list []Invocation, limit int) []Invocation {
	slices.SortStableFunc(list, func(a, b Invocation) int {
		if c := strings.Compare(b.ID, a.ID); c != 0 || (a.CompletedAt == nil) == (b.CompletedAt == nil) {
			return c
		}
		if b.CompletedAt == nil {
			return -1
		}
		return 1
	})
	list = slices.CompactFunc(list, func(a, b Invocation) bool { return a.ID == b.ID })
	return list[:min(limit, len(list))]
}

// rowsBelow is newestBelow of the invocations that have a row of their own.
func (s *Store) rowsBelow(ctx context.Context, functionID, cursor string, limit int) ([]Invocation, error) {
	rows, err := s.db.SQL().QueryContext(ctx, `SELECT `+invocationColumns+` FROM flagbase_invocations
		WHERE function_id = ? AND id < ? ORDER BY id DESC LIMIT ?`, functionID, cursor, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []Invocation{}
	for rows.Next() {
		inv, err := scanInvocation(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, *inv)
	}
	return list, rows.Err()
}

// findInBlocks gives an invocation that ended, and its log, or sql.ErrNoRows.
func (s *Store) findInBlocks(ctx context.Context, id string) (found *Invocation, log []byte, err error) {
	wanted, ok := idBytes(id)
	if !ok {
		return nil, nil, sql.ErrNoRows
	}
	at := idTime(wanted)
	rows, err := s.db.SQL().QueryContext(ctx, `SELECT function_id, records FROM flagbase_invocation_blocks
		WHERE newest BETWEEN ? AND ? ORDER BY newest`, at, at+2*blockSpan)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	for found == nil && rows.Next() {
		var b block
		if err := rows.Scan(&b.functionID, (*sql.RawBytes)(&b.records)); err != nil {
			return nil, nil, err
		}
		err := b.unpack(func(id []byte) bool { return bytes.Equal(id, wanted[:]) },
			func(inv *Invocation, text []byte) { found, log = inv, bytes.Clone(text) })
		if err != nil {
			return nil, nil, err
		}
	}
	if err := rows.Err(); err != nil || found != nil {
		return found, log, err
	}
	return nil, nil, sql.ErrNoRows
}

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
