// Package table keeps JSON records in named tables and answers queries over
// them.
//
// A [Record] is a JSON object with an id and two times. A table needs no
// schema and exists from its first [Engine.Insert] or [Engine.Create] until
// [Engine.Drop]. A [Query] filters by paths into the objects, compares by JSON
// type (the string "1" is not the number 1), orders and pages. Values and
// paths reach the database as bound parameters only: no part of a query is
// ever SQL text.
//
// # Limits
//
// A table's name is 1-63 characters of letters, digits, '_' and '-', beginning
// with a letter or '_', and is case-sensitive. A record's data is a JSON
// object of at most 1 MiB, nested at most 128 deep, without duplicate keys and
// with numbers that fit a double. Whitespace and needless escapes are not
// kept; the order of keys and the spelling of numbers are. A query has at most
// 64 filters and 16 orders and returns at most 1,000 records and 64 MiB.
package table

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"flagbase.dev/internal/database"
)

var (
	// ErrNotFound: there is no such table or record.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: a name, record or query that is not allowed; the message
	// says what to change.
	ErrInvalid = errors.New("invalid")
	// ErrConflict: a record with that id exists.
	ErrConflict = errors.New("already exists")
)

// Record is one record of a table.
type Record struct {
	ID        string          `json:"_id"`             // unique in its table
	Data      json.RawMessage `json:"data"`            // a JSON object, compact
	FlagTag   string          `json:"_flag,omitempty"` // "flagKey:variantKey" when written under a flag context
	CreatedAt time.Time       `json:"_created_at"`     // UTC, to the microsecond
	UpdatedAt time.Time       `json:"_updated_at"`     // UTC, to the microsecond
}

// InsertOptions are the optional parts of an Insert.
type InsertOptions struct {
	// ID is the record's id, 1-255 bytes of UTF-8 without control characters.
	// Defaults to a new random id; later ids sort after earlier ones.
	ID string
	// FlagTag marks the record as written under a flag's variant; at most 255
	// bytes. Defaults to none.
	FlagTag string
}

// Info describes a table.
type Info struct {
	Name      string    `json:"name"`
	Records   int64     `json:"records"`
	CreatedAt time.Time `json:"created_at"`
}

// Engine is the tables of one database. It is safe for concurrent use.
type Engine struct{ db *database.DB }

// NewEngine returns the tables in db, any SQLite database; its schema is
// migrated.
func NewEngine(ctx context.Context, db *sql.DB) (*Engine, error) {
	d, err := database.Use(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("open tables: %w", err)
	}
	return &Engine{d}, nil
}

// Create makes an empty table. One that exists is left as it is.
func (e *Engine) Create(ctx context.Context, table string) error {
	err := checkTable(table)
	if err == nil {
		err = e.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := ensure(ctx, tx, table)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("create table %s: %w", quote(table), err)
	}
	return nil
}

// Drop removes a table and all its records. Without such a table it returns
// [ErrNotFound].
func (e *Engine) Drop(ctx context.Context, table string) error {
	err := checkTable(table)
	if err == nil {
		err = e.db.Write(ctx, func(tx *sql.Tx) error {
			var id int64
			if err := tx.QueryRowContext(ctx, "DELETE FROM flagbase_tables WHERE name = ? RETURNING id", table).Scan(&id); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, "DELETE FROM flagbase_records WHERE table_id = ?", id)
			return err
		})
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = unknownTable(table)
	}
	if err != nil {
		return fmt.Errorf("drop table %s: %w", quote(table), err)
	}
	return nil
}

// Tables lists the tables by name. Counting reads an index, so the time it
// takes grows with the number of records.
func (e *Engine) Tables(ctx context.Context) ([]Info, error) {
	var list []Info
	err := e.db.Read(ctx, func(db *sql.DB) error {
		list = []Info{}
		rows, err := db.QueryContext(ctx, `SELECT name, created_at, (SELECT count(*) FROM flagbase_records r WHERE r.table_id = t.id)
			FROM flagbase_tables t ORDER BY name`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var i Info
			var created int64
			if err := rows.Scan(&i.Name, &created, &i.Records); err != nil {
				return errors.Join(err, rows.Close())
			}
			i.CreatedAt = database.FromMicros(created)
			list = append(list, i)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return list, nil
}

// ensure returns the number of the table, which it creates when absent.
func ensure(ctx context.Context, tx *sql.Tx, table string) (id int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id FROM flagbase_tables WHERE name = ?", table).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, "INSERT INTO flagbase_tables (name, created_at) VALUES (?, ?) RETURNING id", table, database.Micros(time.Now())).Scan(&id)
	}
	return id, err
}

// find returns the number of the table or ErrNotFound.
func (e *Engine) find(ctx context.Context, table string) (id int64, err error) {
	err = e.db.Read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT id FROM flagbase_tables WHERE name = ?", table).Scan(&id)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, unknownTable(table)
	}
	return id, err
}

func unknownTable(table string) error {
	return fmt.Errorf("%w: there is no table %q; it is created by inserting its first record or by creating it empty", ErrNotFound, table)
}
