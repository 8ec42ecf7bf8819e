package storage_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"flagbase.dev/internal/database"
	"flagbase.dev/storage"
	"flagbase.dev/storage/drivertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("FLAGBASE_TEST_PUTTER"); dir != "" {
		putterProcess(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func openDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func openLocal(t *testing.T, dir string, db *sql.DB) *storage.Local {
	t.Helper()
	l, err := storage.OpenLocal(t.Context(), dir, db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// fastDir is a temporary directory in memory where the system has one. What is
// tested there does not depend on the disk, whose flushes take most of the
// time; TestLocal and the kills run on the real one.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "flagbase-storage-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestMemory(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(*testing.T) storage.BucketAdapter { return storage.NewMemory() })
}

func TestLocal(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) storage.BucketAdapter {
		dir := t.TempDir()
		return openLocal(t, filepath.Join(dir, "objects"), openDB(t, filepath.Join(dir, "x.db")))
	})
}

func TestLocalInMemoryIndex(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) storage.BucketAdapter {
		return openLocal(t, fastDir(t), openDB(t, ":memory:"))
	})
}

func TestReserved(t *testing.T) {
	for bucket, want := range map[string]bool{"flagbase-artifacts": true, "flagbase-": true, "flagbase": false, "files": false} {
		if storage.Reserved(bucket) != want {
			t.Errorf("Reserved(%q) = %v", bucket, !want)
		}
	}
}
