package server

import (
	"context"
	"encoding/json"
	"net/http"

	"flagbase.dev/table"
	"github.com/danielgtaylor/huma/v2"
)

type tablePath struct {
	Table string `path:"table" doc:"The table's name."`
}

type recordPath struct {
	Table string `path:"table" doc:"The table's name."`
	ID    string `path:"id" doc:"The record's _id."`
}

type tableCreate struct {
	Body struct {
		Name string `json:"name" doc:"1 to 63 of letters, digits, _ and -; the first a letter or _."`
	}
}

type recordInsert struct {
	Table string `path:"table" doc:"The table's name."`
	Body  struct {
		ID   string          `json:"_id,omitempty" doc:"The record's id; left out, one is made."`
		Flag string          `json:"_flag,omitempty" doc:"The flag:variant the record belongs to."`
		Data json.RawMessage `json:"data" doc:"The record: a JSON object of up to 1 MiB."`
	}
}

type recordUpdate struct {
	Table string `path:"table" doc:"The table's name."`
	ID    string `path:"id" doc:"The record's _id."`
	Body  struct {
		Data json.RawMessage `json:"data" doc:"The record's new data, which replaces the old."`
	}
}

// tableQuery has the schema of a query; table.DecodeQuery reads RawBody.
type tableQuery struct {
	Table   string       `path:"table" doc:"The table's name."`
	Body    *table.Query `required:"false"`
	RawBody []byte
}

type tableList struct {
	Tables []table.Info `json:"tables" nullable:"false"`
}

type recordList struct {
	Records []table.Record `json:"records" nullable:"false"`
}

func (s *Server) tableRoutes() {
	tables := s.opts.Tables
	register(s, huma.Operation{
		OperationID: "list-tables", Method: http.MethodGet, Path: "/v1/tables", Tags: []string{"Tables"}, Summary: "List tables",
	}, func(ctx context.Context, _ *struct{}) (*reply[tableList], error) {
		list, err := tables.Tables(ctx)
		if err != nil {
			return nil, err
		}
		return replyWith(tableList{Tables: nonNil(list)}), nil
	})
	register(s, huma.Operation{
		OperationID: "create-table", Method: http.MethodPost, Path: "/v1/tables", Tags: []string{"Tables"},
		Summary: "Create a table", Description: "Not needed before the first insert, which makes the table too.", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *tableCreate) (*reply[map[string]string], error) {
		if err := tables.Create(ctx, in.Body.Name); err != nil {
			return nil, err
		}
		return replyWith(map[string]string{"name": in.Body.Name}), nil
	})
	register(s, huma.Operation{
		OperationID: "drop-table", Method: http.MethodDelete, Path: "/v1/tables/{table}", Tags: []string{"Tables"},
		Summary: "Delete a table and all its records",
	}, func(ctx context.Context, in *tablePath) (*struct{}, error) {
		return nil, tables.Drop(ctx, in.Table)
	})
	register(s, huma.Operation{
		OperationID: "insert-record", Method: http.MethodPost, Path: "/v1/tables/{table}/records", Tags: []string{"Tables"},
		Summary: "Insert a record", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *recordInsert) (*reply[table.Record], error) {
		opts := &table.InsertOptions{ID: in.Body.ID, FlagTag: in.Body.Flag}
		return recordReply(tables.Insert(ctx, in.Table, in.Body.Data, opts))
	})
	register(s, huma.Operation{
		OperationID: "get-record", Method: http.MethodGet, Path: "/v1/tables/{table}/records/{id}", Tags: []string{"Tables"}, Summary: "Get a record",
	}, func(ctx context.Context, in *recordPath) (*reply[table.Record], error) {
		return recordReply(tables.Get(ctx, in.Table, in.ID))
	})
	register(s, huma.Operation{
		OperationID: "update-record", Method: http.MethodPut, Path: "/v1/tables/{table}/records/{id}", Tags: []string{"Tables"}, Summary: "Replace a record's data",
	}, func(ctx context.Context, in *recordUpdate) (*reply[table.Record], error) {
		return recordReply(tables.Update(ctx, in.Table, in.ID, in.Body.Data))
	})
	register(s, huma.Operation{
		OperationID: "delete-record", Method: http.MethodDelete, Path: "/v1/tables/{table}/records/{id}", Tags: []string{"Tables"}, Summary: "Delete a record",
	}, func(ctx context.Context, in *recordPath) (*struct{}, error) {
		return nil, tables.Delete(ctx, in.Table, in.ID)
	})
	register(s, huma.Operation{
		OperationID: "query-table", Method: http.MethodPost, Path: "/v1/tables/{table}/query", Tags: []string{"Tables"},
		Summary: "Query a table's records", DefaultStatus: http.StatusOK, SkipValidateBody: true,
	}, func(ctx context.Context, in *tableQuery) (*reply[recordList], error) {
		query := &table.Query{}
		if len(in.RawBody) > 0 {
			var err error
			if query, err = table.DecodeQuery(in.RawBody); err != nil {
				return nil, err
			}
		}
		records, err := tables.Query(ctx, in.Table, query)
		if err != nil {
			return nil, err
		}
		return replyWith(recordList{Records: nonNil(records)}), nil
	})
}

func recordReply(record *table.Record, err error) (*reply[table.Record], error) {
	if err != nil {
		return nil, err
	}
	return replyWith(*record), nil
}
