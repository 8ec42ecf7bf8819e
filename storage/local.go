package storage

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"flagbase.dev/internal/database"
)

// Local keeps objects in a directory: every content once, in a file named by
// its SHA-256, and the keys in SQL. A key never becomes a path. It may be used
// by several goroutines, and by several processes that share the directory and
// the database.
//
// # Why nothing is lost
//
// A Put writes a temporary file while hashing it and flushes it. Then, inside
// one SQL write transaction, it renames the file to its hash, flushes the
// directory and records the key. A content that may no longer be used is
// removed inside a later write transaction that first looks whether any key
// refers to it. Both hold the database's write lock, so a removal never takes
// a file that a Put of the same content has just renamed, in this process or
// another. A crash leaves at worst a file that no key refers to, which
// [OpenLocal] removes.
type Local struct {
	index index
	root  *os.Root
	files files
}

var _ BucketAdapter = (*Local)(nil)

// OpenLocal opens, and creates when absent, an object store whose files are in
// dir and whose index is in db (any SQLite database; its schema is migrated).
// dir must be on a local file system. One directory belongs to one database:
// a pair that does not belong together is refused, because the files that the
// index does not know would look like remains and be removed.
//
// Files left by a crash are removed when they are older than an hour; younger
// ones may belong to a Put another process is busy with.
func OpenLocal(ctx context.Context, dir string, db *sql.DB) (*Local, error) {
	l, err := openLocal(ctx, dir, db)
	if err != nil {
		return nil, fmt.Errorf("open object store %q: %w", dir, err)
	}
	return l, nil
}

func openLocal(ctx context.Context, dir string, db *sql.DB) (*Local, error) {
	d, err := database.Use(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// Makes dir itself durable; a parent we may not read is not ours to flush.
	if err := syncHostDir(filepath.Dir(abs)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	l := &Local{index: index{d}, root: root, files: rootFiles{root}}
	err = l.layOut()
	if err == nil {
		err = l.bind(ctx)
	}
	if err == nil {
		err = l.sweep(ctx, sweepAge)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return l, nil
}

// Close releases the directory. Open readers go on; the database stays open.
func (l *Local) Close() error { return l.root.Close() }

// layOut creates every directory ahead, so that a Put has one to flush.
func (l *Local) layOut() error {
	for _, name := range []string{tempDir, objectsDir} {
		if err := l.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for i := range 256 {
		name := path.Join(objectsDir, hex.EncodeToString([]byte{byte(i)}))
		if err := l.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := l.files.SyncDir(objectsDir); err != nil {
		return err
	}
	return l.files.SyncDir(".")
}

// Put implements [BucketAdapter]. Memory use does not depend on the object's
// size.
func (l *Local) Put(ctx context.Context, bucket, key string, body io.Reader, opts *PutOptions) (*Object, error) {
	if err := checkObject("put", bucket, key); err != nil {
		return nil, err
	}
	kind, err := contentType(opts)
	if err != nil {
		return nil, err
	}
	temp := path.Join(tempDir, rand.Text())
	size, hash, err := l.receive(ctx, temp, body)
	if err != nil {
		return nil, failed("put", bucket, key, err)
	}
	object := &Object{Bucket: bucket, Key: key, Size: size, ETag: hash, ContentType: kind, UpdatedAt: now()}
	replaced, err := l.publish(ctx, temp, object)
	if err != nil {
		_ = l.files.Remove(temp)
		l.release(ctx, hash) // renamed perhaps, and not recorded
		return nil, failed("put", bucket, key, err)
	}
	if replaced != "" && replaced != hash {
		l.release(ctx, replaced)
	}
	return object, nil
}

// receive writes body to temp and flushes it; on failure nothing is left.
func (l *Local) receive(ctx context.Context, temp string, body io.Reader) (size int64, hash string, err error) {
	f, err := l.files.Create(temp)
	if err != nil {
		return 0, "", err
	}
	sum := sha256.New()
	size, err = io.CopyBuffer(io.MultiWriter(f, sum), contextReader{ctx, body}, make([]byte, 128<<10))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = l.files.Remove(temp)
		return 0, "", err
	}
	return size, hex.EncodeToString(sum.Sum(nil)), nil
}

// publish gives the received file its place and records the object.
func (l *Local) publish(ctx context.Context, temp string, o *Object) (replaced string, err error) {
	final := objectPath(o.ETag)
	placed := false
	err = l.index.db.Write(ctx, func(tx *sql.Tx) error {
		// A transaction that is tried again must find the file where the
		// first attempt put it; between the two a removal may have run.
		if placed {
			if _, err := l.root.Stat(final); err != nil {
				return err
			}
		} else if err := l.place(temp, final, o.Size); err != nil {
			return err
		}
		placed = true
		if err := l.files.SyncDir(path.Dir(final)); err != nil {
			return err
		}
		replaced, err = l.index.set(ctx, tx, o)
		return err
	})
	return replaced, err
}

// place renames also over an equal file that exists: it heals one that rotted.
func (l *Local) place(temp, final string, size int64) error {
	err := l.files.Rename(temp, final)
	if err != nil && runtime.GOOS == "windows" {
		// There a file that somebody reads cannot be replaced. It has this
		// content already.
		if info, statErr := l.root.Stat(final); statErr == nil && info.Size() == size {
			return l.files.Remove(temp)
		}
	}
	return err
}

// release removes the file of a content that no key refers to. It goes on
// when the caller has left, and a failure is no failure of the caller's
// operation, which is complete: the file waits for the next OpenLocal.
func (l *Local) release(ctx context.Context, hash string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = l.index.db.Write(ctx, func(tx *sql.Tx) error {
		used, err := l.index.used(ctx, tx, hash)
		if err != nil || used {
			return err
		}
		return l.files.Remove(objectPath(hash))
	})
}

// Get implements [BucketAdapter]. The size is checked at once, the SHA-256
// while reading: when the file is damaged the last part is withheld and Read
// returns an error that matches [ErrCorrupt], so nobody reads a wrong object
// to its end.
func (l *Local) Get(ctx context.Context, bucket, key string) (io.ReadCloser, *Object, error) {
	if err := checkObject("get", bucket, key); err != nil {
		return nil, nil, err
	}
	var before *Object
	for {
		object, err := l.index.find(ctx, bucket, key)
		if err != nil {
			return nil, nil, failed("get", bucket, key, err)
		}
		f, err := l.root.Open(objectPath(object.ETag))
		switch {
		case err == nil:
			r, err := newVerifiedReader(f, object)
			if err != nil {
				return nil, nil, failed("get", bucket, key, errors.Join(err, f.Close()))
			}
			return r, object, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, nil, failed("get", bucket, key, err)
		case before != nil && *before == *object:
			// The record stood the whole time, so nobody may have removed
			// the file.
			return nil, nil, failed("get", bucket, key, fmt.Errorf("%w: its file is missing", ErrCorrupt))
		}
		// Replaced or deleted between the look-up and the open: look again.
		before = object
	}
}

// Head implements [BucketAdapter].
func (l *Local) Head(ctx context.Context, bucket, key string) (*Object, error) {
	if err := checkObject("head", bucket, key); err != nil {
		return nil, err
	}
	object, err := l.index.find(ctx, bucket, key)
	if err != nil {
		return nil, failed("head", bucket, key, err)
	}
	return object, nil
}

// Delete implements [BucketAdapter].
func (l *Local) Delete(ctx context.Context, bucket, key string) error {
	if err := checkObject("delete", bucket, key); err != nil {
		return err
	}
	hash, err := l.index.remove(ctx, bucket, key)
	if err != nil {
		return failed("delete", bucket, key, err)
	}
	if hash != "" {
		l.release(ctx, hash)
	}
	return nil
}

// List implements [BucketAdapter].
func (l *Local) List(ctx context.Context, bucket string, opts *ListOptions) (*Page, error) {
	o, err := page(bucket, opts)
	if err != nil {
		return nil, err
	}
	objects, err := l.index.list(ctx, bucket, o)
	if err != nil {
		return nil, fmt.Errorf("list objects in bucket %q: %w", bucket, err)
	}
	p := &Page{Objects: objects}
	if len(objects) > o.Limit {
		p.Objects = objects[:o.Limit]
		p.Next = objects[o.Limit-1].Key
	}
	return p, nil
}

// Buckets implements [BucketAdapter].
func (l *Local) Buckets(ctx context.Context) ([]string, error) {
	names, err := l.index.buckets(ctx)
	if err != nil {
		return nil, fmt.Errorf("list buckets: %w", err)
	}
	return names, nil
}
