package database

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
)

// versionTable records which migrations were applied.
const versionTable = "flagbase_schema_version"

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// migrate brings the schema to current. path is the database's file, "" when
// it lives in memory.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	source, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return migrateFrom(ctx, db, path, source)
}

func migrateFrom(ctx context.Context, db *sql.DB, path string, source fs.FS) error {
	known, err := versions(source)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	// Most starts find nothing to do: then no lock is taken and nothing
	// written, so that a current database also opens read-only.
	if done, err := current(ctx, db, known); err != nil || done {
		return err
	}
	if path != "" {
		lock := flock.New(path+"-migrate.lock", flock.SetPermissions(0o600))
		if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("migrate: lock %s: %w", lock.Path(), err)
		}
		defer func() { _ = lock.Close() }() // closing releases; nothing was written to it
	}
	err = retryBusy(ctx, func() error {
		// A provider remembers a failed start, so every attempt has its own.
		provider, err := goose.NewProvider(goose.DialectSQLite3, db, source,
			goose.WithTableName(versionTable),
			goose.WithAllowOutofOrder(true),
			goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return err
		}
		_, err = provider.Up(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// versions lists the numbers of the migrations in source, ascending.
func versions(source fs.FS) ([]int64, error) {
	names, err := fs.Glob(source, "*.sql")
	if err != nil {
		return nil, err
	}
	var list []int64
	for _, name := range names {
		v, err := goose.NumericComponent(path.Base(name))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		list = append(list, v)
	}
	slices.Sort(list)
	return list, nil
}

// current reports whether every known migration was applied. A database that
// has seen later ones is refused: this program would not understand it.
func current(ctx context.Context, db *sql.DB, known []int64) (bool, error) {
	var applied []int64
	err := retryBusy(ctx, func() error {
		applied = applied[:0]
		var n int
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?", versionTable).Scan(&n)
		if err != nil || n == 0 {
			return err
		}
		rows, err := db.QueryContext(ctx, "SELECT version_id FROM "+versionTable+" WHERE is_applied AND version_id > 0 ORDER BY version_id")
		if err != nil {
			return err
		}
		for rows.Next() {
			var v int64
			if err := rows.Scan(&v); err != nil {
				return errors.Join(err, rows.Close())
			}
			applied = append(applied, v)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	if err != nil {
		return false, fmt.Errorf("read the schema's version: %w", err)
	}
	if len(known) > 0 && len(applied) > 0 {
		newest, mine := applied[len(applied)-1], known[len(known)-1]
		if newest > mine {
			return false, fmt.Errorf("the database was written by a newer flagbase (schema %d, this one knows %d): update flagbase", newest, mine)
		}
	}
	for _, v := range known {
		if _, found := slices.BinarySearch(applied, v); !found {
			return false, nil
		}
	}
	return true, nil
}
