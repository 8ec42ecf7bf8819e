package storage

import (
	"context"
	"database/sql"
	"errors"

	"flagbase.dev/internal/database"
)

// index is the SQL side of a Local: which key has which content.
type index struct{ db *database.DB }

const objectColumns = "bucket, key, hash, size, content_type, updated_at"

func scanObject(row interface{ Scan(...any) error }) (*Object, error) {
	var o Object
	var updated int64
	if err := row.Scan(&o.Bucket, &o.Key, &o.ETag, &o.Size, &o.ContentType, &updated); err != nil {
		return nil, err
	}
	o.UpdatedAt = database.FromMicros(updated)
	return &o, nil
}

// find returns ErrNotFound when there is no such object.
func (x index) find(ctx context.Context, bucket, key string) (o *Object, err error) {
	err = x.db.Read(ctx, func(db *sql.DB) error {
		o, err = scanObject(db.QueryRowContext(ctx, "SELECT "+objectColumns+" FROM flagbase_objects WHERE bucket = ? AND key = ?", bucket, key))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return o, err
}

// set records o and returns the hash of the content it replaces, or "".
func (index) set(ctx context.Context, tx *sql.Tx, o *Object) (replaced string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT hash FROM flagbase_objects WHERE bucket = ? AND key = ?", o.Bucket, o.Key).Scan(&replaced)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO flagbase_objects (`+objectColumns+`) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (bucket, key) DO UPDATE SET hash = excluded.hash, size = excluded.size,
		content_type = excluded.content_type, updated_at = excluded.updated_at`,
		o.Bucket, o.Key, o.ETag, o.Size, o.ContentType, database.Micros(o.UpdatedAt))
	return replaced, err
}

// remove forgets an object and returns the hash of its content, or "" when
// there was none.
func (x index) remove(ctx context.Context, bucket, key string) (hash string, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		hash = ""
		err := tx.QueryRowContext(ctx, "DELETE FROM flagbase_objects WHERE bucket = ? AND key = ? RETURNING hash", bucket, key).Scan(&hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return hash, err
}

// used reports whether any object has the content.
func (index) used(ctx context.Context, tx *sql.Tx, hash string) (used bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM flagbase_objects WHERE hash = ?)", hash).Scan(&used)
	return used, err
}

// hashes returns the contents in use whose hash begins with prefix, which is
// lower case hex.
func (x index) hashes(ctx context.Context, prefix string) (map[string]bool, error) {
	var set map[string]bool
	err := x.db.Read(ctx, func(db *sql.DB) error {
		set = map[string]bool{}
		return each(db.QueryContext(ctx, "SELECT DISTINCT hash FROM flagbase_objects WHERE hash >= ? AND hash < ?", prefix, prefix+"g"))(func(rows *sql.Rows) error {
			var h string
			err := rows.Scan(&h)
			set[h] = true
			return err
		})
	})
	return set, err
}

// list returns up to o.Limit+1 objects, the last only to show that there are
// more.
func (x index) list(ctx context.Context, bucket string, o ListOptions) ([]Object, error) {
	query := "SELECT " + objectColumns + " FROM flagbase_objects WHERE bucket = ? AND key > ?"
	args := []any{bucket, o.After}
	if o.Prefix != "" {
		query += " AND key >= ? AND key < ?"
		args = append(args, o.Prefix, afterPrefix(o.Prefix))
	}
	query += " ORDER BY key LIMIT ?"
	args = append(args, o.Limit+1)
	var objects []Object
	err := x.db.Read(ctx, func(db *sql.DB) error {
		objects = []Object{}
		return each(db.QueryContext(ctx, query, args...))(func(rows *sql.Rows) error {
			o, err := scanObject(rows)
			if err == nil {
				objects = append(objects, *o)
			}
			return err
		})
	})
	return objects, err
}

// afterPrefix is the smallest byte string greater than every one that begins
// with prefix. No byte of valid UTF-8 is 0xff, so adding one cannot overflow.
func afterPrefix(prefix string) string {
	b := []byte(prefix)
	b[len(b)-1]++
	return string(b)
}

func (x index) buckets(ctx context.Context) ([]string, error) {
	var names []string
	err := x.db.Read(ctx, func(db *sql.DB) error {
		names = []string{}
		return each(db.QueryContext(ctx, "SELECT DISTINCT bucket FROM flagbase_objects ORDER BY bucket"))(func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			names = append(names, name)
			return err
		})
	})
	return names, err
}

// each calls fn for every row and always closes them: an in-memory database
// has one connection, which open rows would keep.
func each(rows *sql.Rows, err error) func(fn func(*sql.Rows) error) error {
	return func(fn func(*sql.Rows) error) error {
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := fn(rows); err != nil {
				return errors.Join(err, rows.Close())
			}
		}
		return errors.Join(rows.Err(), rows.Close())
	}
}
