package feature

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"flagbase.dev/internal/database"
)

// store keeps flags in SQL, in the table flagbase_flags.
type store struct{ db *database.DB }

func openStore(ctx context.Context, db *sql.DB) (*store, error) {
	d, err := database.Use(ctx, db)
	if err != nil {
		return nil, err
	}
	return &store{db: d}, nil
}

func (s *store) load(ctx context.Context) (flags []Flag, err error) {
	err = s.db.Read(ctx, func(db *sql.DB) error {
		flags = nil // Read may run this again
		rows, err := db.QueryContext(ctx, "SELECT key, definition, created_at, updated_at FROM flagbase_flags")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				f                *Flag
				key              string
				definition       []byte
				created, updated int64
			)
			if err := rows.Scan(&key, &definition, &created, &updated); err != nil {
				return err
			}
			if err := json.Unmarshal(definition, &f); err != nil || f == nil {
				return fmt.Errorf("flag %q: the stored definition cannot be read: %v", key, err)
			}
			f.Key, f.CreatedAt, f.UpdatedAt = key, database.FromMicros(created), database.FromMicros(updated)
			flags = append(flags, *f)
		}
		return rows.Err()
	})
	return flags, err
}

func (s *store) put(ctx context.Context, f *Flag) error {
	timeless := *f // the times have columns of their own
	timeless.CreatedAt, timeless.UpdatedAt = time.Time{}, time.Time{}
	var definition bytes.Buffer
	enc := json.NewEncoder(&definition)
	enc.SetEscapeHTML(false) // variants come back byte for byte
	if err := enc.Encode(&timeless); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO flagbase_flags (key, definition, created_at, updated_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at`,
			f.Key, definition.String(), database.Micros(f.CreatedAt), database.Micros(f.UpdatedAt))
		return err
	})
}

func (s *store) delete(ctx context.Context, key string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM flagbase_flags WHERE key = ?", key)
		return err
	})
}
