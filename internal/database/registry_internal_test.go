package database

import (
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
	"time"
)

func entries() int {
	registry.Lock()
	defer registry.Unlock()
	return len(registry.states)
}

func TestRegistryForgetsClosedDatabases(t *testing.T) {
	before := entries()
	func() {
		for range 20 {
			db, err := OpenSQLite(t.Context(), ":memory:")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Use(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}()
	for deadline := time.Now().Add(5 * time.Second); entries() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d entries stay for 20 collected databases", entries()-before)
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

func TestWriteQueueOutlivesTheHandle(t *testing.T) {
	db, err := OpenSQLite(t.Context(), ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	first, err := Use(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	s := first.state
	first = nil
	runtime.GC()
	second, err := Use(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if second.state != s {
		t.Error("a new handle for the same database has another queue")
	}
}

func TestLateMigrationIsStillApplied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	source := fstest.MapFS{
		"00001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (x);")},
		"00003_c.sql": {Data: []byte("-- +goose Up\nCREATE TABLE c (x);")},
	}
	if err := migrateFrom(t.Context(), db, path, source); err != nil {
		t.Fatal(err)
	}
	source["00002_b.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE b (x);")}
	if err := migrateFrom(t.Context(), db, path, source); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_master WHERE name IN ('a', 'b', 'c')").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d of 3 tables, %v", n, err)
	}
	source["00004_bad.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE d (x);\nCREATE TABLE a (x);")}
	if err := migrateFrom(t.Context(), db, path, source); err == nil {
		t.Error("a failing migration passed")
	}
	if err := db.QueryRow("SELECT count(*) FROM sqlite_master WHERE name = 'd'").Scan(&n); err != nil || n != 0 {
		t.Errorf("a failed migration left %d tables, %v", n, err)
	}
}
