package table

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	defaultLimit   = 100
	maxLimit       = 1000
	maxFilters     = 64
	maxOrders      = 16
	maxInValues    = 1000
	maxQueryBytes  = 1 << 20
	maxResultBytes = 64 << 20
)

// Query selects records. The zero value selects the oldest 100.
type Query struct {
	// Filters must all hold. At most 64.
	Filters []Filter `json:"filters"`
	// OrderBy sorts by the first, equal ones by the next, and at last by _id.
	// Defaults to _created_at. At most 16. Values of different JSON types sort
	// as: absent and null, false, true, numbers, strings, arrays and objects.
	OrderBy []Order `json:"order_by"`
	// Limit is the most records to return. Defaults to 100; at most 1,000.
	Limit int `json:"limit"`
	// Offset is how many records to skip first.
	Offset int `json:"offset"`
	// FlagTag, when set, keeps only records written under it.
	FlagTag string `json:"flag,omitempty"`
}

// Filter is one condition.
type Filter struct {
	// Column is a path of object keys, joined by dots ("address.city"), or one
	// of _id, _flag, _created_at and _updated_at.
	Column string `json:"column"`
	// Operator is one of:
	//
	//	eq (=)  ne (!=)           equal, not equal: a string, number, boolean or null.
	//	                          ne is also true where the column is absent
	//	lt (<) lte (<=) gt (>) gte (>=)  numbers with numbers, strings with
	//	                          strings, byte by byte
	//	in                        equal to one of an array of at most 1,000
	//	contains                  a string that has the value as a part, or an
	//	                          array with an element equal to the value
	//	starts_with               a string that begins with the value
	//	exists                    value true, which is the default: the column is
	//	                          there, even if null; false: it is not
	//
	// Where the column holds a value of another JSON type, or nothing, no
	// operator but ne and exists is true.
	Operator string `json:"operator"`
	// Value is any JSON value the operator takes. For _created_at and
	// _updated_at it is a time in RFC 3339.
	Value json.RawMessage `json:"value,omitempty"`
}

// Order is one key to sort by.
type Order struct {
	Column string `json:"column"` // as in Filter
	Desc   bool   `json:"desc"`   // greatest first
}

// DecodeQuery reads a query from JSON, {} and nothing included. What it does
// not know it refuses, because a filter that is silently dropped would show
// records that were not asked for. Errors match [ErrInvalid].
func DecodeQuery(b []byte) (*Query, error) {
	var q Query
	if len(bytes.TrimSpace(b)) == 0 {
		return &q, nil
	}
	if len(b) > maxQueryBytes {
		return nil, fmt.Errorf("%w query: it has %d bytes, the limit is %d", ErrInvalid, len(b), maxQueryBytes)
	}
	if err := checkJSON(b); err != nil {
		return nil, fmt.Errorf("%w query: %w", ErrInvalid, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&q)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%w query: %w", ErrInvalid, err)
	}
	if _, err := compile(&q); err != nil {
		return nil, err
	}
	return &q, nil
}

// Query returns the records that match q, which may be nil. It returns
// [ErrNotFound] for an unknown table and [ErrInvalid] for a query that is not
// allowed or whose result is larger than 64 MiB.
func (e *Engine) Query(ctx context.Context, table string, q *Query) ([]Record, error) {
	records, err := e.query(ctx, table, q)
	if err != nil {
		return nil, fmt.Errorf("query table %s: %w", quote(table), err)
	}
	return records, nil
}

func (e *Engine) query(ctx context.Context, table string, q *Query) ([]Record, error) {
	if err := checkTable(table); err != nil {
		return nil, err
	}
	if q == nil {
		q = &Query{}
	}
	s, err := compile(q)
	if err != nil {
		return nil, err
	}
	id, err := e.find(ctx, table)
	if err != nil {
		return nil, err
	}
	s.args[0] = id
	var records []Record
	err = e.db.Read(ctx, func(db *sql.DB) error {
		records = []Record{}
		rows, err := db.QueryContext(ctx, s.text.String(), s.args...)
		if err != nil {
			return err
		}
		size := 0
		for rows.Next() {
			r, err := scanRecord(rows)
			if err == nil {
				if size += len(r.Data); size > maxResultBytes {
					err = fmt.Errorf("%w query: its result is larger than %d MiB; use a lower limit", ErrInvalid, maxResultBytes>>20)
				}
			}
			if err != nil {
				return errors.Join(err, rows.Close())
			}
			records = append(records, *r)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	return records, err
}

// statement is SQL made of this package's own words, and everything from
// outside as its arguments.
type statement struct {
	text strings.Builder
	args []any
}

func (s *statement) add(text string, args ...any) {
	s.text.WriteString(text)
	s.args = append(s.args, args...)
}

// compile checks q and turns it into a statement whose first argument, the
// table's number, is still to be set.
func compile(q *Query) (*statement, error) {
	switch {
	case len(q.Filters) > maxFilters:
		return nil, fmt.Errorf("%w query: it has %d filters, the limit is %d", ErrInvalid, len(q.Filters), maxFilters)
	case len(q.OrderBy) > maxOrders:
		return nil, fmt.Errorf("%w query: it is ordered by %d columns, the limit is %d", ErrInvalid, len(q.OrderBy), maxOrders)
	case q.Limit < 0 || q.Limit > maxLimit:
		return nil, fmt.Errorf("%w query: limit %d: it is at most %d; get further records with offset", ErrInvalid, q.Limit, maxLimit)
	case q.Offset < 0:
		return nil, fmt.Errorf("%w query: offset %d is negative", ErrInvalid, q.Offset)
	}
	if err := checkTag(q.FlagTag); err != nil {
		return nil, err
	}
	s := &statement{}
	s.add("SELECT "+recordColumns+" FROM flagbase_records r WHERE r.table_id = ?", nil)
	if q.FlagTag != "" {
		s.add(" AND r.flag_tag = ?", q.FlagTag)
	}
	for i, f := range q.Filters {
		s.add(" AND ")
		if err := s.filter(f); err != nil {
			return nil, fmt.Errorf("filter %d on column %s: %w", i+1, quote(f.Column), err)
		}
	}
	s.add(" ORDER BY ")
	for i, o := range q.OrderBy {
		if err := s.order(o); err != nil {
			return nil, fmt.Errorf("order %d by column %s: %w", i+1, quote(o.Column), err)
		}
	}
	if len(q.OrderBy) == 0 {
		s.add("r.created_at, ")
	}
	limit := q.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	s.add("r.id LIMIT ? OFFSET ?", limit, q.Offset)
	return s, nil
}

func (s *statement) order(o Order) error {
	c, err := parseColumn(o.Column)
	if err != nil {
		return err
	}
	direction := ", "
	if o.Desc {
		direction = " DESC, "
	}
	if c.sql != "" {
		s.add(c.sql + direction)
		return nil
	}
	s.add(`CASE json_type(r.data, ?) WHEN 'false' THEN 1 WHEN 'true' THEN 2 WHEN 'integer' THEN 3 WHEN 'real' THEN 3
		WHEN 'text' THEN 4 WHEN 'array' THEN 5 WHEN 'object' THEN 5 ELSE 0 END`+direction, c.path)
	s.add("CASE WHEN json_type(r.data, ?) IN ('integer', 'real', 'text') THEN json_extract(r.data, ?) END"+direction, c.path, c.path)
	return nil
}
