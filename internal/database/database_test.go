package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flagbase.dev/internal/database"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("FLAGBASE_TEST_WRITER"); path != "" {
		writerProcess(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// plain opens path as an embedder would who knows nothing about SQLite.
func plain(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func open(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func use(t *testing.T, db *sql.DB) *database.DB {
	t.Helper()
	d, err := database.Use(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func run(t *testing.T, d *database.DB, query string, args ...any) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func count(t *testing.T, d *database.DB, query string) (n int) {
	t.Helper()
	err := d.Read(t.Context(), func(db *sql.DB) error {
		return db.QueryRowContext(t.Context(), query).Scan(&n)
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestOpenSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "we?ird #%20 näme.db")
	db := open(t, path)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000", "foreign_keys": "1"} {
		var got string
		if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", pragma, got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatalf("the database is not at its path: %v", err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	for _, bad := range []string{"", "a\x00b", "file:x.db", filepath.Join(t.TempDir(), "absent", "x.db"), t.TempDir()} {
		if db, err := database.OpenSQLite(t.Context(), bad); err == nil {
			_ = db.Close()
			t.Errorf("OpenSQLite(%q) succeeded", bad)
		}
	}
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := database.OpenSQLite(t.Context(), garbage); !errors.Is(err, database.ErrCorrupt) {
		t.Errorf("garbage file: %v, want ErrCorrupt", err)
	}
}

func TestUseGivesOneDBPerPool(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	var all sync.Map
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			d, err := database.Use(t.Context(), db)
			if err != nil {
				t.Error(err)
				return
			}
			all.Store(d, true)
		})
	}
	wg.Wait()
	n := 0
	all.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d different *DB for one *sql.DB", n)
	}
	if other := use(t, open(t, filepath.Join(t.TempDir(), "y.db"))); other == use(t, db) {
		t.Error("two databases share a *DB")
	}
	if use(t, db).Dialect() != database.SQLite || use(t, db).SQL() != db {
		t.Error("wrong dialect or pool")
	}
}

func TestUseInMemory(t *testing.T) {
	for _, name := range []string{":memory:", "file::memory:"} {
		db := plain(t, name)
		d := use(t, db)
		run(t, d, "CREATE TABLE x (a INTEGER)")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := d.Write(t.Context(), func(tx *sql.Tx) error {
					_, err := tx.ExecContext(t.Context(), "INSERT INTO x VALUES (1)")
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := count(t, d, "SELECT count(*) FROM x"); n != 8 {
			t.Errorf("%s: %d rows, want 8", name, n)
		}
	}
}

func TestUseRefuses(t *testing.T) {
	if _, err := database.Use(t.Context(), nil); err == nil {
		t.Error("nil accepted")
	}
	db := open(t, ":memory:")
	run(t, use(t, db), "INSERT INTO flagbase_schema_version (version_id, is_applied) VALUES (99999, 1)")
	path := filepath.Join(t.TempDir(), "new.db")
	run(t, use(t, open(t, path)), "INSERT INTO flagbase_schema_version (version_id, is_applied) VALUES (99999, 1)")
	if _, err := database.Use(t.Context(), open(t, path)); err == nil || !strings.Contains(err.Error(), "newer flagbase") {
		t.Errorf("newer schema: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := open(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := database.Use(ctx, fresh); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	use(t, fresh) // a failure is not remembered
}

func TestUseOpensACurrentDatabaseReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	use(t, open(t, path))
	d := use(t, plain(t, "file:"+path+"?mode=ro"))
	err := d.Write(t.Context(), func(tx *sql.Tx) error { return nil })
	if !errors.Is(err, database.ErrReadOnly) {
		t.Errorf("write: %v, want ErrReadOnly", err)
	}
	if _, err := database.Use(t.Context(), plain(t, "file:"+filepath.Join(t.TempDir(), "absent.db")+"?mode=ro")); err == nil {
		t.Error("an absent read-only database was used")
	}
}

func TestManyPoolsMigrateOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var wg sync.WaitGroup
	for range 6 {
		db := plain(t, path)
		wg.Go(func() {
			if _, err := database.Use(t.Context(), db); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, use(t, open(t, path)), "SELECT count(*) - count(DISTINCT version_id) FROM flagbase_schema_version"); n != 0 {
		t.Errorf("%d migrations applied twice", n)
	}
}

func TestWriteRollsBack(t *testing.T) {
	d := use(t, open(t, ":memory:"))
	run(t, d, "CREATE TABLE x (a INTEGER)")
	insert := func(tx *sql.Tx) {
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO x VALUES (1)"); err != nil {
			t.Error(err)
		}
	}
	mine := errors.New("mine")
	if err := d.Write(t.Context(), func(tx *sql.Tx) error { insert(tx); return mine }); !errors.Is(err, mine) {
		t.Errorf("%v, want the function's own error", err)
	}
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = d.Write(t.Context(), func(tx *sql.Tx) error { insert(tx); panic("boom") })
	}()
	ctx, cancel := context.WithCancel(t.Context())
	if err := d.Write(ctx, func(tx *sql.Tx) error { insert(tx); cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
	if n := count(t, d, "SELECT count(*) FROM x"); n != 0 {
		t.Errorf("%d rows survived", n)
	}
	run(t, d, "INSERT INTO x VALUES (1)") // neither queue nor connection was lost
}

func TestWriteQueueEndsWithContext(t *testing.T) {
	d := use(t, open(t, filepath.Join(t.TempDir(), "x.db")))
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- d.Write(t.Context(), func(*sql.Tx) error { close(entered); <-leave; return nil })
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := d.Write(ctx, func(*sql.Tx) error { t.Error("ran beside another writer"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want DeadlineExceeded", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A stranger's transaction on the same file: Write waits, and obeys ctx.
func TestWriteWaitsForStrangers(t *testing.T) {
	for name, opener := range map[string]func(*testing.T, string) *sql.DB{"plain": plain, "ours": open} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			d := use(t, opener(t, path))
			run(t, d, "CREATE TABLE x (a INTEGER)")
			stranger, err := plain(t, path).Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stranger.Exec("INSERT INTO x VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			if err := d.Write(ctx, func(*sql.Tx) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want DeadlineExceeded", err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("gave up after %v", took)
			}
			time.AfterFunc(100*time.Millisecond, func() { _ = stranger.Commit() })
			run(t, d, "INSERT INTO x VALUES (2)")
			if n := count(t, d, "SELECT count(*) FROM x"); n != 2 {
				t.Errorf("%d rows, want 2", n)
			}
		})
	}
}

// Eight writers over four pools of one plainly opened file, each reading
// before it writes: the classic way to SQLITE_BUSY_SNAPSHOT and lost updates.
func TestHammer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	dbs := []*database.DB{use(t, plain(t, path)), use(t, plain(t, path)), use(t, open(t, path)), use(t, plain(t, path+"?_txlock=deferred"))}
	run(t, dbs[0], "CREATE TABLE x (a INTEGER)")
	run(t, dbs[0], "INSERT INTO x VALUES (0)")
	const writers, rounds = 8, 25
	var wg sync.WaitGroup
	var running atomic.Int32
	for w := range writers {
		d := dbs[w%len(dbs)]
		wg.Go(func() {
			for range rounds {
				if err := increment(t.Context(), d, &running); err != nil {
					t.Error(err)
					return
				}
				var n int
				if err := d.SQL().QueryRowContext(t.Context(), "SELECT a FROM x").Scan(&n); err != nil {
					t.Errorf("read: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, dbs[0], "SELECT a FROM x"); n != writers*rounds {
		t.Errorf("counted %d, want %d", n, writers*rounds)
	}
}

func increment(ctx context.Context, d *database.DB, running *atomic.Int32) error {
	return d.Write(ctx, func(tx *sql.Tx) error {
		defer running.Add(-1)
		if running.Add(1) != 1 {
			return errors.New("two writers inside at once")
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT a FROM x").Scan(&n); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE x SET a = ?", n+1)
		return err
	})
}

func TestDiskFull(t *testing.T) {
	db := open(t, ":memory:")
	d := use(t, db)
	run(t, d, "CREATE TABLE x (a BLOB)")
	if _, err := db.Exec("PRAGMA max_page_count = 100"); err != nil {
		t.Fatal(err)
	}
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO x VALUES (zeroblob(10000000))")
		return err
	})
	if !errors.Is(err, database.ErrFull) || !strings.Contains(err.Error(), "full") {
		t.Errorf("%v, want ErrFull", err)
	}
}

func TestUniqueViolation(t *testing.T) {
	d := use(t, open(t, ":memory:"))
	run(t, d, "CREATE TABLE x (a TEXT PRIMARY KEY)")
	run(t, d, "INSERT INTO x VALUES ('a')")
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO x VALUES ('a')")
		return err
	})
	if !database.IsUniqueViolation(err) || database.IsUniqueViolation(errors.New("x")) || database.IsUniqueViolation(nil) {
		t.Errorf("IsUniqueViolation is wrong about %v", err)
	}
}

func TestMicros(t *testing.T) {
	at := time.Date(2026, 11, 22, 1, 2, 3, 456789123, time.FixedZone("x", 3600))
	got := database.FromMicros(database.Micros(at))
	if !got.Equal(at.Truncate(time.Microsecond)) || got.Location() != time.UTC {
		t.Errorf("%v became %v", at, got)
	}
}

func writerProcess(path string) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", path)
	if err == nil {
		var d *database.DB
		if d, err = database.Use(ctx, db); err == nil {
			for range 50 {
				if err = increment(ctx, d, new(atomic.Int32)); err != nil {
					break
				}
			}
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
