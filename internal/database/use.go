package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"weak"
)

// state is what must be one per *sql.DB. It never refers to the *sql.DB, so
// that the registry keeps no database alive.
type state struct {
	writer  chan struct{} // holds one token while a writer runs; FIFO
	gate    chan struct{} // one Use at a time prepares
	ready   bool          // guarded by gate
	dialect Dialect       // written before ready
	handle  weak.Pointer[DB]
}

// registry finds the state of a *sql.DB that several rooms were handed, so
// that their writers share one queue. Keys are weak: an entry goes when its
// *sql.DB is collected.
var registry = struct {
	sync.Mutex
	states map[weak.Pointer[sql.DB]]*state
}{states: map[weak.Pointer[sql.DB]]*state{}}

func stateOf(db *sql.DB) *state {
	key := weak.Make(db)
	registry.Lock()
	defer registry.Unlock()
	s := registry.states[key]
	if s == nil {
		s = &state{writer: make(chan struct{}, 1), gate: make(chan struct{}, 1)}
		registry.states[key] = s
		runtime.AddCleanup(db, forget, key)
	}
	return s
}

func forget(key weak.Pointer[sql.DB]) {
	registry.Lock()
	defer registry.Unlock()
	delete(registry.states, key)
}

// Use returns the *DB of db, and the same one for as long as anybody holds it.
// The first call for a *sql.DB detects the dialect and migrates the schema to
// current; calls at the same time wait for it, and after a failure the next
// call tries again. It is safe for concurrent use.
//
// db may be any SQLite database, also one opened with plain
// sql.Open("sqlite", path): Use switches a file to WAL, which SQLite records
// in the file, because readers and writers then never block each other. Where
// that is not possible (a file system without shared memory, a reader that
// does not end within 5 s) it stays as it is and busy moments are retried.
// The durability of an acknowledged write is that of the connection's
// synchronous setting, by default FULL. An in-memory database gets
// SetMaxOpenConns(1), because each connection would be a database of its own.
//
// A database written by a newer flagbase, and Postgres, are refused with an
// error that says so.
func Use(ctx context.Context, db *sql.DB) (*DB, error) {
	if db == nil {
		return nil, errors.New("use database: no database was given (nil *sql.DB)")
	}
	s := stateOf(db)
	select {
	case s.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("use database: waiting for the migration: %w", ctx.Err())
	}
	defer func() { <-s.gate }()
	if !s.ready {
		dialect, err := prepare(ctx, db)
		if err != nil {
			return nil, finish(ctx, "use database", fmt.Errorf("use database: %w", err))
		}
		s.dialect, s.ready = dialect, true
	}
	d := s.handle.Value()
	if d == nil {
		d = &DB{sql: db, state: s}
		s.handle = weak.Make(d)
	}
	return d, nil
}

func prepare(ctx context.Context, db *sql.DB) (Dialect, error) {
	dialect, err := detect(ctx, db)
	if err != nil {
		return "", err
	}
	if dialect != SQLite {
		return "", fmt.Errorf("%s is not supported yet; use SQLite", dialect)
	}
	var path string
	err = retryBusy(ctx, func() error {
		return db.QueryRowContext(ctx, "SELECT coalesce(file, '') FROM pragma_database_list WHERE name = 'main'").Scan(&path)
	})
	if err != nil {
		return "", fmt.Errorf("find the database's file: %w", err)
	}
	if path == "" {
		oneConnection(db)
	} else {
		preferWAL(ctx, db)
	}
	return dialect, migrate(ctx, db, path)
}

// detect asks the engine rather than looking at the driver's type, so that
// drivers wrapped for tracing are recognised too.
func detect(ctx context.Context, db *sql.DB) (Dialect, error) {
	var version string
	err := retryBusy(ctx, func() error {
		return db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version)
	})
	if err == nil {
		return SQLite, nil
	}
	if ctx.Err() != nil || resultCode(err) != 0 {
		return "", fmt.Errorf("connect: %w", err)
	}
	if db.QueryRowContext(ctx, "SELECT version()").Scan(&version) == nil && strings.HasPrefix(version, "PostgreSQL") {
		return Postgres, nil
	}
	return "", fmt.Errorf("connect, or not a SQLite database: %w", err)
}

// preferWAL does what it can: see Use for why a failure is not an error.
func preferWAL(ctx context.Context, db *sql.DB) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = retryBusy(ctx, func() error {
		var mode string
		if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
			return err
		}
		if mode == "wal" {
			return nil
		}
		return db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
	})
}
