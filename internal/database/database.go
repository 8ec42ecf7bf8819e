// Package database is the floor the domain packages stand on: it opens
// SQLite, keeps the schema current and gives every room one safe way to write.
//
// # Rules for the SQL of the rooms
//
//   - Read through [DB.Read] or [DB.SQL]; write only through [DB.Write].
//   - Never hold open rows or a transaction while asking the pool for another
//     connection: an in-memory database has exactly one.
//   - An embedder may hand in a database opened with plain
//     sql.Open("sqlite", path). Then foreign keys are not enforced, so no room
//     relies on ON DELETE CASCADE.
//   - Times are INTEGER Unix microseconds, see [Micros].
//   - Every table's name starts with "flagbase_".
//
// # Migrations
//
// The schema lives in migrations/sqlite/NNNNN_name.sql, applied by goose and
// recorded in the table flagbase_schema_version. Numbers are assigned, gaps
// are fine, and a lower number that arrives later is still applied. While
// migrating, a lock file beside the database ("<path>-migrate.lock") keeps
// other processes out; it is left in place.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Dialect names the SQL engine behind a database.
type Dialect string

const (
	// SQLite is the embedded engine and the default.
	SQLite Dialect = "sqlite"
	// Postgres is recognised and refused with a clear error for now.
	Postgres Dialect = "postgres"
)

// DB is a *sql.DB whose schema is current. Get one from [Use]. It is safe for
// concurrent use.
type DB struct {
	sql   *sql.DB
	state *state
}

// SQL returns the underlying pool, for reads. On a database the embedder
// opened without busy_timeout a read can, rarely, fail with SQLITE_BUSY while
// another process recovers the log; [DB.Read] retries that.
func (d *DB) SQL() *sql.DB { return d.sql }

// Dialect returns the engine behind the database.
func (d *DB) Dialect() Dialect { return d.state.dialect }

// Read runs fn and runs it again while it fails because the database is busy,
// for at most 30 s or until ctx ends. fn must close its rows before it returns
// and must start from nothing each time.
func (d *DB) Read(ctx context.Context, fn func(db *sql.DB) error) error {
	return finish(ctx, "database read", retryBusy(ctx, func() error { return fn(d.sql) }))
}

// takeWriteLock changes nothing but makes a deferred transaction a writer.
// Embedders' connections begin deferred; a transaction that reads first and
// writes later fails with SQLITE_BUSY_SNAPSHOT when somebody wrote in between,
// which no busy_timeout cures. Asking for the lock first avoids that.
const takeWriteLock = "DELETE FROM " + versionTable + " WHERE 0"

// Write runs fn inside one transaction and commits it. Writers of this process
// queue in order of arrival, one at a time for each *sql.DB; waiting ends with
// ctx. The write lock is taken before fn runs, so what fn reads cannot change
// until the commit. When another connection or process keeps the database busy
// the whole transaction is tried again for at most 30 s, so fn may run more
// than once: it must not have effects outside tx that cannot be repeated.
//
// An error or a panic of fn rolls back; the error is returned, the panic goes
// on. fn must use only tx: calling Write or the pool inside it can deadlock.
// Errors match [ErrBusy], [ErrReadOnly], [ErrFull] or [ErrCorrupt] where that
// is the cause.
func (d *DB) Write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("database write: %w", err)
	}
	select {
	case d.state.writer <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("database write: waiting for other writers: %w", ctx.Err())
	}
	defer func() { <-d.state.writer }()
	return finish(ctx, "database write", retryBusy(ctx, func() error { return d.transaction(ctx, fn) }))
}

func (d *DB) transaction(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// Runs on error, on panic and on runtime.Goexit; after a commit it does
	// nothing.
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, takeWriteLock); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// finish makes an error say what the engine means and, when ctx is over, that
// this is the reason: an interrupted statement says only "interrupted".
func finish(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	err = explain(op, err)
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%s: %w: %w", op, ended, err)
	}
	return err
}

// Micros is t as the schema stores it: Unix microseconds, UTC. Finer parts of
// t are cut off.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros is the reverse of [Micros]; the result is in UTC.
func FromMicros(v int64) time.Time { return time.UnixMicro(v).UTC() }
