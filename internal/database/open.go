package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// maxConns bounds the connections to one file: WAL readers do not block each
// other, but each holds a page cache and file descriptors.
const maxConns = 16

// OpenSQLite opens, and creates with mode 0600 when absent, the SQLite
// database at path, which is a file path and not a URI; ":memory:" gives a
// database that lives as long as the *sql.DB. The directory must exist.
//
// Every connection has WAL, synchronous=FULL (a commit survives a power cut),
// a busy timeout of 10 s, foreign keys on, and transactions that begin
// immediate. Its page cache is 512 KiB, a quarter of SQLite's default: any of
// 16 connections may be the one that writes next, and behind all of them is the
// system's cache of the file. The caller closes it. The schema is not touched: that is [Use].
func OpenSQLite(ctx context.Context, path string) (*sql.DB, error) {
	name, err := dataSource(path)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	if path == ":memory:" {
		oneConnection(db)
	} else {
		db.SetMaxOpenConns(maxConns)
		db.SetMaxIdleConns(maxConns)
		db.SetConnMaxIdleTime(5 * time.Minute)
	}
	// Opening is lazy; this finds a file that is no database now, not later.
	err = retryBusy(ctx, func() error {
		var n int
		return db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n)
	})
	if err != nil {
		err = finish(ctx, "open database", err)
		return nil, errors.Join(fmt.Errorf("open database %q: %w", path, err), db.Close())
	}
	return db, nil
}

// dataSource turns a path into a data source name, escaped so that a path with
// '?', '#' or '%' names that file and cannot add parameters.
func dataSource(path string) (string, error) {
	params := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-512)"},
	}.Encode()
	switch {
	case path == ":memory:":
		return "file::memory:?" + params, nil
	case path == "":
		return "", errors.New("the path is empty")
	case strings.ContainsRune(path, 0):
		return "", errors.New("the path contains a NUL byte")
	case strings.HasPrefix(path, "file:"):
		return "", errors.New("give a file path, not a file: URI")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := create(abs); err != nil {
		return "", err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/x is file:///C:/x
	}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: params}).String(), nil
}

// create makes an absent file readable for its owner only, which SQLite would
// not do; its log and shared memory files take over the mode. An existing file
// is never opened here: closing it would drop the POSIX locks that SQLite
// connections of this process hold on it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, os.ErrExist), errors.Is(err, os.ErrPermission):
		return nil // SQLite says what it cannot do
	default:
		return err
	}
}

// oneConnection is for databases that live inside their connection: a second
// connection would see another, empty database, and closing an idle one would
// lose everything.
func oneConnection(db *sql.DB) {
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(0)
	db.SetConnMaxIdleTime(0)
}
