package storage

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"
)

// bind makes sure that directory and index belong together: both carry the
// same id. While neither has any object they may be paired freely. It runs
// under the write lock, so that two processes that start on a new pair agree.
func (l *Local) bind(ctx context.Context) error {
	return l.index.db.Write(ctx, func(tx *sql.Tx) error {
		var indexed string
		err := tx.QueryRowContext(ctx, "SELECT id FROM flagbase_object_directory").Scan(&indexed)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		b, err := l.root.ReadFile(idFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		found := string(b)
		if indexed != "" && indexed == found {
			return nil
		}
		if err := l.checkUnused(ctx, tx); err != nil {
			return err
		}
		id := indexed
		if id == "" {
			id = found
		}
		if id == "" {
			id = rand.Text()
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO flagbase_object_directory (one, id) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET id = excluded.id", id); err != nil {
			return err
		}
		if id == found {
			return nil
		}
		return writeWhole(l.files, path.Join(tempDir, rand.Text()), idFile, []byte(id))
	})
}

// checkUnused refuses to pair a directory and an index of which one has
// objects the other cannot have.
func (l *Local) checkUnused(ctx context.Context, tx *sql.Tx) error {
	var n int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM flagbase_objects").Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("the database lists %d objects that are in another directory: open the directory they were put in", n)
	}
	for i := range 256 {
		entries, err := l.entries(fanOut(i))
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return errors.New("the directory holds objects of another database: open it with that database, or use an empty directory")
		}
	}
	return nil
}

// sweepAge is how old a file must be to be taken for the remains of a crash.
// A Put that stalls longer fails cleanly.
const sweepAge = time.Hour

// sweep removes temporary files and contents without a key that have not been
// written to for age.
func (l *Local) sweep(ctx context.Context, age time.Duration) error {
	limit := time.Now().Add(-age)
	temps, err := l.entries(tempDir)
	if err != nil {
		return err
	}
	for _, e := range temps {
		if old(e, limit) {
			_ = l.files.Remove(path.Join(tempDir, e.Name())) // the next open tries again
		}
	}
	for i := range 256 {
		if err := l.sweepOrphans(ctx, fanOut(i), limit); err != nil {
			return err
		}
	}
	return nil
}

func (l *Local) sweepOrphans(ctx context.Context, dir string, limit time.Time) error {
	entries, err := l.entries(dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	used, err := l.index.hashes(ctx, path.Base(dir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isHash(e.Name()) && !used[e.Name()] && old(e, limit) {
			l.release(ctx, e.Name()) // looks again, under the write lock
		}
	}
	return ctx.Err()
}

func (l *Local) entries(dir string) ([]fs.DirEntry, error) {
	return fs.ReadDir(l.root.FS(), dir)
}

func fanOut(i int) string { return path.Join(objectsDir, fmt.Sprintf("%02x", i)) }

// old reports whether e is a file last written before limit; one that
// vanished meanwhile is not.
func old(e fs.DirEntry, limit time.Time) bool {
	info, err := e.Info()
	return err == nil && info.Mode().IsRegular() && info.ModTime().Before(limit)
}

func isHash(name string) bool {
	if len(name) != 64 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
