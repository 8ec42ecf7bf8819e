package table_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"flagbase.dev/table"
)

var hostile = []string{
	"'", `"`, "';--", `"; DROP TABLE flagbase_records; --`, "' OR '1'='1", "1 OR 1=1", "a') OR 1=1 --", `a"') OR 1=1 --`, `$."a`, `a".b`, `a"."b`, `"`, `\`, `\"`, `a\`,
	"$", "$.a", "a[0]", "a[#-1]", "*", "**", "%", "_%", "?", "?1", ":a", "@a", "$a", "r.id", "data", "table_id", "1", "NULL", "x'41'", "json_extract(data,'$.a')",
	"(SELECT group_concat(data) FROM flagbase_records)", "a, (SELECT 1)", "a ASC, 1", "a/*", "*/", "--", ";", "a;b", "\u2028", "ａ", strings.Repeat("(", 500), strings.Repeat(`"`, 500), strings.Repeat(`\`, 511),
}

// Hostile columns, operators and values find nothing, break nothing and are
// answered by a result or ErrInvalid, never by an error of the database.
func TestHostileQueries(t *testing.T) {
	e := open(t)
	insert(t, e, "other", "secret", `{"a":"secret"}`)
	insert(t, e, "t", "1", `{"a":"x","n":1}`)
	check := func(f table.Filter, mayMatch bool) {
		t.Helper()
		records, err := e.Query(t.Context(), "t", &table.Query{Filters: []table.Filter{f}, OrderBy: []table.Order{{Column: f.Column}}})
		if err != nil && !errors.Is(err, table.ErrInvalid) {
			t.Errorf("%.200q: %v", f, err)
		}
		if len(records) > 0 && !mayMatch {
			t.Errorf("%.200q matched", f)
		}
	}
	for _, h := range hostile {
		text, _ := json.Marshal(h)
		for _, op := range []string{"eq", "lte", "contains", "starts_with"} {
			check(table.Filter{Column: h, Operator: op, Value: json.RawMessage(`"x"`)}, false)
			check(table.Filter{Column: "n." + h, Operator: op, Value: text}, false)
			check(table.Filter{Column: "a", Operator: op, Value: text}, op == "lte")
		}
		check(table.Filter{Column: h, Operator: "exists", Value: json.RawMessage("true")}, false)
		check(table.Filter{Column: h, Operator: "in", Value: json.RawMessage(`[` + string(text) + `,1,"x",null]`)}, false)
		check(table.Filter{Column: "a", Operator: "in", Value: json.RawMessage(`[` + string(text) + `]`)}, false)
		check(table.Filter{Column: "a", Operator: h, Value: json.RawMessage(`"x"`)}, false)
		check(table.Filter{Column: "_id", Operator: "eq", Value: text}, h == "1")
		check(table.Filter{Column: "_id", Operator: h, Value: text}, false)
		check(table.Filter{Column: "a", Operator: "eq", Value: json.RawMessage(h)}, false)
		if _, err := e.Get(t.Context(), "t", h); h != "1" && !errors.Is(err, table.ErrNotFound) && !errors.Is(err, table.ErrInvalid) {
			t.Errorf("Get(%.80q): %v", h, err)
		}
		if records, err := e.Query(t.Context(), "t", &table.Query{FlagTag: h}); len(records) > 0 || err != nil && !errors.Is(err, table.ErrInvalid) {
			t.Errorf("flag %.80q: %v, %v", h, records, err)
		}
	}
	if list, err := e.Tables(t.Context()); err != nil || len(list) != 2 || list[0].Records != 1 || list[1].Records != 1 {
		t.Errorf("tables afterwards: %+v, %v", list, err)
	}
}

func FuzzDecodeQuery(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"filters":[{"column":"a.b","operator":"eq","value":1}],"order_by":[{"column":"_id","desc":true}],"limit":5,"offset":1,"flag":"f:on"}`,
		`{"filters":[{"column":"a","operator":"in","value":[1,"x",true,null]},{"column":"_created_at","operator":">","value":"2026-11-22T09:00:00Z"}]}`,
		`{"filters":[{"column":"q\"","operator":"contains","value":"\u0000"}]}`, `[[[[`, `{"filters":[{"column":"a","operator":"exists"}]}`,
	} {
		f.Add([]byte(seed))
	}
	e := open(f)
	insert(f, e, "t", "1", `{"a":{"b":1},"q\"":"\u0000"}`)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := table.DecodeQuery(b)
		if err != nil {
			if !errors.Is(err, table.ErrInvalid) {
				t.Fatalf("%v is no ErrInvalid", err)
			}
			return
		}
		// What decodes can be run, and survives being written and read again.
		if _, err := e.Query(t.Context(), "t", q); err != nil {
			t.Fatalf("query: %v", err)
		}
		again, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := table.DecodeQuery(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

func FuzzInsert(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.5,"x",null,true,{"b":{}}]}`, `{"\ud800":"\u0000\b"}`, `{"a":1,"a":2}`, `[`, `{"n":1e999}`} {
		f.Add([]byte(seed))
	}
	e := open(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := e.Insert(t.Context(), "t", b, nil)
		if err != nil {
			if !errors.Is(err, table.ErrInvalid) {
				t.Fatalf("%v is no ErrInvalid", err)
			}
			return
		}
		if !json.Valid(b) || !json.Valid(r.Data) {
			t.Fatalf("%q became %q", b, r.Data)
		}
		// The stored form is the one spelling: storing it again changes nothing.
		again, err := e.Update(t.Context(), "t", r.ID, r.Data)
		if err != nil || string(again.Data) != string(r.Data) {
			t.Fatalf("%q became %q, %v", r.Data, again.Data, err)
		}
	})
}
