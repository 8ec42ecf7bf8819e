package table_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"flagbase.dev/internal/database"
	"flagbase.dev/table"
)

func Example() {
	ctx := context.Background()
	// Any SQLite *sql.DB will do, such as sql.Open("sqlite", path).
	db, err := database.OpenSQLite(ctx, ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tables, err := table.NewEngine(ctx, db)
	if err != nil {
		log.Fatal(err)
	}
	for _, data := range []string{
		`{"name": "Ada", "born": 1815, "address": {"city": "London"}}`,
		`{"name": "Grace", "born": 1906, "address": {"city": "New York"}}`,
		`{"name": "Alan", "born": 1912, "address": {"city": "London"}}`,
	} {
		if _, err := tables.Insert(ctx, "people", json.RawMessage(data), nil); err != nil {
			log.Fatal(err)
		}
	}
	records, err := tables.Query(ctx, "people", &table.Query{
		Filters: []table.Filter{{Column: "address.city", Operator: "eq", Value: json.RawMessage(`"London"`)}},
		OrderBy: []table.Order{{Column: "born", Desc: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Println(string(r.Data))
	}
	// Output:
	// {"name":"Alan","born":1912,"address":{"city":"London"}}
	// {"name":"Ada","born":1815,"address":{"city":"London"}}
}
