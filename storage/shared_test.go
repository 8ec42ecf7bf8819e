package storage_test

import (
	"context"
	"database/sql"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"

	"flagbase.dev/storage"
	"flagbase.dev/storage/drivertest"
)

// alternating sends each call to the next of several adapters, which must
// behave as one.
type alternating struct {
	all  []storage.BucketAdapter
	next atomic.Uint32
}

func (a *alternating) one() storage.BucketAdapter {
	return a.all[int(a.next.Add(1))%len(a.all)]
}

func (a *alternating) Put(ctx context.Context, bucket, key string, body io.Reader, opts *storage.PutOptions) (*storage.Object, error) {
	return a.one().Put(ctx, bucket, key, body, opts)
}

func (a *alternating) Get(ctx context.Context, bucket, key string) (io.ReadCloser, *storage.Object, error) {
	return a.one().Get(ctx, bucket, key)
}

func (a *alternating) Head(ctx context.Context, bucket, key string) (*storage.Object, error) {
	return a.one().Head(ctx, bucket, key)
}

func (a *alternating) Delete(ctx context.Context, bucket, key string) error {
	return a.one().Delete(ctx, bucket, key)
}

func (a *alternating) List(ctx context.Context, bucket string, opts *storage.ListOptions) (*storage.Page, error) {
	return a.one().List(ctx, bucket, opts)
}

func (a *alternating) Buckets(ctx context.Context) ([]string, error) { return a.one().Buckets(ctx) }

// Two stores over one directory and one file, each with its own pool and so
// its own write queue, stand for two processes: only SQLite's lock is between
// them.
func TestTwoLocalsOnOneDirectory(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) storage.BucketAdapter {
		dir := fastDir(t)
		var a alternating
		for range 2 {
			db, err := sql.Open("sqlite", filepath.Join(dir, "x.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			a.all = append(a.all, openLocal(t, filepath.Join(dir, "objects"), db))
		}
		return &a
	})
}
