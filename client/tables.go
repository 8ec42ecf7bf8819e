package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Table is a named collection of records.
type Table struct {
	Name      string    `json:"name"`
	Records   int64     `json:"records"`
	CreatedAt time.Time `json:"created_at"`
}

// Record is one JSON object of a table.
type Record struct {
	ID        string          `json:"_id"`
	Data      json.RawMessage `json:"data"`
	Flag      string          `json:"_flag,omitempty"`
	CreatedAt time.Time       `json:"_created_at"`
	UpdatedAt time.Time       `json:"_updated_at"`
}

// Query chooses records; the zero value chooses the first 100.
type Query struct {
	Filters []Filter `json:"filters,omitempty"` // all must hold
	OrderBy []Order  `json:"order_by,omitempty"`
	Limit   int      `json:"limit,omitempty"` // defaults to 100, at most 1000
	Offset  int      `json:"offset,omitempty"`
	Flag    string   `json:"flag,omitempty"` // only records written under this flag:variant
}

// Filter compares a column, a dotted path into the data or _id, _created_at, _updated_at, _flag.
type Filter struct {
	Column   string          `json:"column"`
	Operator string          `json:"operator"`
	Value    json.RawMessage `json:"value,omitempty"`
}

// Order sorts by a column.
type Order struct {
	Column string `json:"column"`
	Desc   bool   `json:"desc,omitempty"`
}

// InsertOptions are the optional parts of a new record.
type InsertOptions struct {
	ID   string // defaults to a new one
	Flag string // flag:variant the record belongs to
}

func tablePath(table, rest string) string { return "/v1/tables/" + seg(table) + rest }

// Tables lists all tables.
func (c *Client) Tables(ctx context.Context) ([]Table, error) {
	var out struct {
		Tables []Table `json:"tables"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/tables", nil, nil, &out)
	return out.Tables, err
}

// CreateTable makes an empty table. An insert makes its table too.
func (c *Client) CreateTable(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/v1/tables", nil, map[string]string{"name": name}, nil)
}

// DropTable deletes a table and all its records.
func (c *Client) DropTable(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, tablePath(name, ""), nil, nil, nil)
}

// Insert adds a record; data is a JSON object.
func (c *Client) Insert(ctx context.Context, table string, data json.RawMessage, opts *InsertOptions) (*Record, error) {
	in := struct {
		ID   string          `json:"_id,omitempty"`
		Flag string          `json:"_flag,omitempty"`
		Data json.RawMessage `json:"data"`
	}{Data: data}
	if opts != nil {
		in.ID, in.Flag = opts.ID, opts.Flag
	}
	return answer[Record](c, ctx, http.MethodPost, tablePath(table, "/records"), in)
}

// Record returns one record.
func (c *Client) Record(ctx context.Context, table, id string) (*Record, error) {
	return answer[Record](c, ctx, http.MethodGet, tablePath(table, "/records/"+seg(id)), nil)
}

// UpdateRecord replaces a record's data.
func (c *Client) UpdateRecord(ctx context.Context, table, id string, data json.RawMessage) (*Record, error) {
	return answer[Record](c, ctx, http.MethodPut, tablePath(table, "/records/"+seg(id)), map[string]json.RawMessage{"data": data})
}

// DeleteRecord deletes one record.
func (c *Client) DeleteRecord(ctx context.Context, table, id string) error {
	return c.call(ctx, http.MethodDelete, tablePath(table, "/records/"+seg(id)), nil, nil, nil)
}

// Query returns the records that q chooses; a nil q is the zero Query.
func (c *Client) Query(ctx context.Context, table string, q *Query) ([]Record, error) {
	if q == nil {
		q = &Query{}
	}
	var out struct {
		Records []Record `json:"records"`
	}
	err := c.call(ctx, http.MethodPost, tablePath(table, "/query"), nil, q, &out)
	return out.Records, err
}
