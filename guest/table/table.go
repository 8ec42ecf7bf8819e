// Package table keeps JSON records in named tables, typed by the program.
//
//	var orders = table.Of[Order]("orders")
//
//	record, err := orders.Insert(Order{Item: "tea", Count: 2})
//	open, err := orders.Query(&table.Query{Filters: []table.Filter{table.Where("count", "gt", 1)}})
//
// A table exists from its first insert. Record ids are made by flagbase.
package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"flagbase.dev/guest/internal/abi"
)

// Table is a named table whose records are a T, which has to encode as a JSON
// object of at most 1 MiB.
type Table[T any] struct{ name string }

// Of returns the table of that name: 1 to 63 letters, digits, underscores and
// hyphens, not starting with a digit or hyphen. Nothing is asked of the host.
func Of[T any](name string) Table[T] { return Table[T]{name} }

// Record is one stored record.
type Record[T any] struct {
	ID   string `json:"_id"`
	Data T      `json:"data"`
	// Flag is "flagKey:variant" when the record was written by a function that
	// ran for a flag's variant; otherwise empty.
	Flag      string    `json:"_flag"`
	CreatedAt time.Time `json:"_created_at"`
	UpdatedAt time.Time `json:"_updated_at"`
}

// Query selects records. The zero value is the first 100 of the table.
type Query struct {
	// Filters have to hold all.
	Filters []Filter `json:"filters,omitempty"`
	OrderBy []Order  `json:"order_by,omitempty"`
	// Limit defaults to 100 and is at most 1000.
	Limit  int `json:"limit,omitempty"`
	Offset int `json:"offset,omitempty"`
	// Flag selects records written for "flagKey:variant".
	Flag string `json:"flag,omitempty"`
}

// Filter compares a column with a value.
type Filter struct {
	// Column is a dotted path into the data ("address.city"), or one of _id,
	// _created_at, _updated_at and _flag.
	Column string `json:"column"`
	// Operator is one of eq, ne, lt, lte, gt, gte, in, contains, starts_with
	// and exists.
	Operator string `json:"operator"`
	Value    any    `json:"value"`
}

// Where is a Filter in one line.
func Where(column, operator string, value any) Filter {
	return Filter{Column: column, Operator: operator, Value: value}
}

// Order sorts by a column, ascending unless Desc.
type Order struct {
	Column string `json:"column"`
	Desc   bool   `json:"desc,omitempty"`
}

// Get returns the record. An absent one is an error that matches
// host.ErrNotFound.
func (t Table[T]) Get(id string) (*Record[T], error) {
	b, err := abi.TableGet(t.name, id)
	if err != nil {
		return nil, err
	}
	return t.decode("table_get", b)
}

// Insert stores a new record and returns it with its id. A member "_id" of the
// encoded value is ignored.
func (t Table[T]) Insert(value T) (*Record[T], error) { return t.put("", value) }

// Update replaces the data of an existing record. An absent one is an error
// that matches host.ErrNotFound.
func (t Table[T]) Update(id string, value T) (*Record[T], error) {
	if id == "" {
		return nil, fmt.Errorf("table_put %q: update needs the id of a record", t.name)
	}
	return t.put(id, value)
}

func (t Table[T]) put(id string, value T) (*Record[T], error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("table_put %q: encode record: %w", t.name, err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil || members == nil {
		return nil, fmt.Errorf("table_put %q: a record has to encode as a JSON object, not as %.40s", t.name, b)
	}
	delete(members, "_id")
	if id != "" {
		members["_id"], _ = json.Marshal(id) // a string always encodes
	}
	if b, err = json.Marshal(members); err != nil {
		return nil, fmt.Errorf("table_put %q: encode record: %w", t.name, err)
	}
	if b, err = abi.TablePut(t.name, b); err != nil {
		return nil, err
	}
	return t.decode("table_put", b)
}

// Delete removes the record. An absent one is an error that matches
// host.ErrNotFound.
func (t Table[T]) Delete(id string) error { return abi.TableDelete(t.name, id) }

// Query returns the records that the query selects; nil selects the first 100.
func (t Table[T]) Query(q *Query) ([]Record[T], error) {
	if q == nil {
		q = &Query{}
	}
	b, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("table_query %q: encode query: %w", t.name, err)
	}
	if b, err = abi.TableQuery(t.name, b); err != nil {
		return nil, err
	}
	var records []Record[T]
	if err := json.Unmarshal(b, &records); err != nil {
		return nil, fmt.Errorf("table_query %q: decode records: %w", t.name, err)
	}
	return records, nil
}

func (t Table[T]) decode(op string, b []byte) (*Record[T], error) {
	record := &Record[T]{}
	if err := json.Unmarshal(bytes.TrimSpace(b), record); err != nil {
		return nil, fmt.Errorf("%s %q: decode record: %w", op, t.name, err)
	}
	return record, nil
}
