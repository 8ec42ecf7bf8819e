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

// Insert stores a new record and returns it. The table is created when absent;
// opts may be nil. It returns [ErrConflict] when the given id is taken and
// [ErrInvalid] for a name or data that is not allowed.
func (e *Engine) Insert(ctx context.Context, table string, data json.RawMessage, opts *InsertOptions) (*Record, error) {
	r, err := e.insert(ctx, table, data, opts)
	if err != nil {
		return nil, fmt.Errorf("insert into table %s: %w", quote(table), err)
	}
	return r, nil
}

func (e *Engine) insert(ctx context.Context, table string, data json.RawMessage, opts *InsertOptions) (*Record, error) {
	if err := checkTable(table); err != nil {
		return nil, err
	}
	at := time.Now()
	r := &Record{ID: newID(at), CreatedAt: database.FromMicros(database.Micros(at))}
	r.UpdatedAt = r.CreatedAt
	if opts != nil {
		r.FlagTag = opts.FlagTag
		if opts.ID != "" {
			r.ID = opts.ID
		}
	}
	if err := errors.Join(checkID(r.ID), checkTag(r.FlagTag)); err != nil {
		return nil, err
	}
	var err error
	if r.Data, err = normalize(data); err != nil {
		return nil, err
	}
	err = e.db.Write(ctx, func(tx *sql.Tx) error {
		id, err := ensure(ctx, tx, table)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO flagbase_records (table_id, id, data, flag_tag, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
			id, r.ID, string(r.Data), r.FlagTag, database.Micros(r.CreatedAt), database.Micros(r.UpdatedAt))
		return err
	})
	if database.IsUniqueViolation(err) {
		return nil, fmt.Errorf("record %q: %w", r.ID, ErrConflict)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Update replaces a record's data and returns the record. Its id, flag tag and
// creation time stay. It returns [ErrNotFound] when there is no such record.
func (e *Engine) Update(ctx context.Context, table, id string, data json.RawMessage) (*Record, error) {
	r, err := e.update(ctx, table, id, data)
	if err != nil {
		return nil, fmt.Errorf("update in table %s: %w", quote(table), err)
	}
	return r, nil
}

func (e *Engine) update(ctx context.Context, table, id string, data json.RawMessage) (*Record, error) {
	if err := checkRecordName(table, id); err != nil {
		return nil, err
	}
	clean, err := normalize(data)
	if err != nil {
		return nil, err
	}
	var r *Record
	err = e.db.Write(ctx, func(tx *sql.Tx) error {
		r, err = scanRecord(tx.QueryRowContext(ctx, "UPDATE flagbase_records SET data = ?, updated_at = ? WHERE "+byName+" RETURNING "+recordColumns,
			string(clean), database.Micros(time.Now()), table, id))
		return err
	})
	return r, e.orNotFound(ctx, err, table, id)
}

// Get returns a record, or [ErrNotFound].
func (e *Engine) Get(ctx context.Context, table, id string) (*Record, error) {
	r, err := e.get(ctx, table, id)
	if err != nil {
		return nil, fmt.Errorf("get from table %s: %w", quote(table), err)
	}
	return r, nil
}

func (e *Engine) get(ctx context.Context, table, id string) (r *Record, err error) {
	if err := checkRecordName(table, id); err != nil {
		return nil, err
	}
	err = e.db.Read(ctx, func(db *sql.DB) error {
		r, err = scanRecord(db.QueryRowContext(ctx, "SELECT "+recordColumns+" FROM flagbase_records WHERE "+byName, table, id))
		return err
	})
	return r, e.orNotFound(ctx, err, table, id)
}

// Delete removes a record, or returns [ErrNotFound].
func (e *Engine) Delete(ctx context.Context, table, id string) error {
	err := checkRecordName(table, id)
	if err == nil {
		err = e.orNotFound(ctx, e.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := scanRecord(tx.QueryRowContext(ctx, "DELETE FROM flagbase_records WHERE "+byName+" RETURNING "+recordColumns, table, id))
			return err
		}), table, id)
	}
	if err != nil {
		return fmt.Errorf("delete from table %s: %w", quote(table), err)
	}
	return nil
}

const (
	recordColumns = "id, data, flag_tag, created_at, updated_at"
	byName        = "table_id = (SELECT t.id FROM flagbase_tables t WHERE t.name = ?) AND id = ?"
)

func scanRecord(row interface{ Scan(...any) error }) (*Record, error) {
	var r Record
	var data string
	var created, updated int64
	if err := row.Scan(&r.ID, &data, &r.FlagTag, &created, &updated); err != nil {
		return nil, err
	}
	r.Data = json.RawMessage(data)
	r.CreatedAt, r.UpdatedAt = database.FromMicros(created), database.FromMicros(updated)
	return &r, nil
}

func checkRecordName(table, id string) error {
	if err := checkTable(table); err != nil {
		return err
	}
	return checkID(id)
}

// orNotFound turns "no row" into the error that says what is absent, the
// record or its table.
func (e *Engine) orNotFound(ctx context.Context, err error, table, id string) error {
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if _, err := e.find(ctx, table); err != nil {
		return err
	}
	return fmt.Errorf("%w: there is no record %q", ErrNotFound, id)
}
