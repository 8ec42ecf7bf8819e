package table_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flagbase.dev/internal/database"
	"flagbase.dev/table"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openFile(t testing.TB, path string) *table.Engine {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	e, err := table.NewEngine(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func open(t testing.TB) *table.Engine { return openFile(t, ":memory:") }

func insert(t testing.TB, e *table.Engine, name, id, data string) *table.Record {
	t.Helper()
	r, err := e.Insert(t.Context(), name, json.RawMessage(data), &table.InsertOptions{ID: id})
	if err != nil {
		t.Fatalf("Insert(%.100s): %v", data, err)
	}
	return r
}

func same(a, b *table.Record) bool {
	return a.ID == b.ID && string(a.Data) == string(b.Data) && a.FlagTag == b.FlagTag && a.CreatedAt.Equal(b.CreatedAt) && a.UpdatedAt.Equal(b.UpdatedAt)
}

func TestRecordLifecycle(t *testing.T) {
	e := open(t)
	ctx := t.Context()
	before := time.Now().Add(-time.Millisecond)
	r, err := e.Insert(ctx, "users", json.RawMessage(` { "name" : "Ada", "n": 1.50 } `), &table.InsertOptions{FlagTag: "beta:on"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.ID) != 32 || string(r.Data) != `{"name":"Ada","n":1.50}` || r.FlagTag != "beta:on" || r.CreatedAt.Before(before) || !r.UpdatedAt.Equal(r.CreatedAt) || r.CreatedAt.Location() != time.UTC {
		t.Errorf("inserted %+v", r)
	}
	got, err := e.Get(ctx, "users", r.ID)
	if err != nil || !same(got, r) {
		t.Errorf("Get = %+v, %v; want %+v", got, err, r)
	}
	time.Sleep(time.Millisecond)
	updated, err := e.Update(ctx, "users", r.ID, json.RawMessage(`{"x":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	if updated.ID != r.ID || string(updated.Data) != `{"x":[]}` || updated.FlagTag != "beta:on" || !updated.CreatedAt.Equal(r.CreatedAt) || !updated.UpdatedAt.After(r.UpdatedAt) {
		t.Errorf("updated %+v", updated)
	}
	if got, err := e.Get(ctx, "users", r.ID); err != nil || !same(got, updated) {
		t.Errorf("Get = %+v, %v; want %+v", got, err, updated)
	}
	if err := e.Delete(ctx, "users", r.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Get(ctx, "users", r.ID); !errors.Is(err, table.ErrNotFound) {
		t.Errorf("Get after Delete: %v", err)
	}
}

func TestRecordJSON(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 0, 0, 123456000, time.UTC)
	b, err := json.Marshal(table.Record{ID: "a", Data: json.RawMessage(`{"x":1}`), CreatedAt: at, UpdatedAt: at})
	want := `{"_id":"a","data":{"x":1},"_created_at":"2026-11-22T09:00:00.123456Z","_updated_at":"2026-11-22T09:00:00.123456Z"}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}

func TestNotFound(t *testing.T) {
	e := open(t)
	ctx := t.Context()
	check := func(what string, err error, words string) {
		t.Helper()
		if !errors.Is(err, table.ErrNotFound) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want ErrNotFound with %q", what, err, words)
		}
	}
	all := func(words string) {
		_, err := e.Get(ctx, "users", "id")
		check("Get", err, words)
		_, err = e.Update(ctx, "users", "id", json.RawMessage(`{}`))
		check("Update", err, words)
		check("Delete", e.Delete(ctx, "users", "id"), words)
	}
	all(`there is no table "users"; it is created by`)
	_, err := e.Query(ctx, "users", nil)
	check("Query", err, `there is no table "users"`)
	check("Drop", e.Drop(ctx, "users"), `there is no table "users"`)
	if err := e.Create(ctx, "users"); err != nil {
		t.Fatal(err)
	}
	all(`there is no record "id"`)
	if records, err := e.Query(ctx, "users", nil); err != nil || records == nil || len(records) != 0 {
		t.Errorf("Query of an empty table: %v, %v", records, err)
	}
}

func TestConflict(t *testing.T) {
	e := open(t)
	insert(t, e, "a", "1", `{"first":true}`)
	_, err := e.Insert(t.Context(), "a", json.RawMessage(`{}`), &table.InsertOptions{ID: "1"})
	if !errors.Is(err, table.ErrConflict) || !strings.Contains(err.Error(), `record "1"`) {
		t.Errorf("%v, want ErrConflict", err)
	}
	insert(t, e, "b", "1", `{}`) // ids are per table
	if r, err := e.Get(t.Context(), "a", "1"); err != nil || string(r.Data) != `{"first":true}` {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTables(t *testing.T) {
	e := open(t)
	ctx := t.Context()
	if list, err := e.Tables(ctx); err != nil || list == nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	insert(t, e, "b", "1", `{}`)
	insert(t, e, "b", "2", `{}`)
	for range 2 { // a second Create changes nothing
		if err := e.Create(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Create(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	insert(t, e, "B", "1", `{}`)
	names := func() (s []string) {
		list, err := e.Tables(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			s = append(s, fmt.Sprint(i.Name, i.Records))
			if time.Since(i.CreatedAt) > time.Minute {
				t.Errorf("created at %v", i.CreatedAt)
			}
		}
		return s
	}
	if got := names(); !slices.Equal(got, []string{"B1", "a0", "b2"}) {
		t.Errorf("%v", got)
	}
	if err := e.Drop(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	insert(t, e, "b", "3", `{}`) // the old records do not come back
	if got := names(); !slices.Equal(got, []string{"B1", "a0", "b1"}) {
		t.Errorf("%v", got)
	}
}

func TestNames(t *testing.T) {
	e := open(t)
	for _, name := range []string{"a", "_", "A-b_9", strings.Repeat("t", 63)} {
		insert(t, e, name, "", `{}`)
	}
	for _, name := range []string{"", "9a", "-a", "a b", "a.b", `a"b`, "a'b", "a;b", "é", "a\x00", strings.Repeat("t", 64), strings.Repeat("t", 1<<20)} {
		_, err := e.Insert(t.Context(), name, json.RawMessage(`{}`), nil)
		_, queryErr := e.Query(t.Context(), name, nil)
		_, getErr := e.Get(t.Context(), name, "1")
		for _, err := range []error{err, queryErr, getErr, e.Create(t.Context(), name), e.Drop(t.Context(), name), e.Delete(t.Context(), name, "1")} {
			if !errors.Is(err, table.ErrInvalid) || len(err.Error()) > 500 {
				t.Errorf("table %.70q: %.500v, want a short ErrInvalid", name, err)
			}
		}
	}
	for _, id := range []string{"a\x00", "a\n", "\xff", strings.Repeat("i", 256)} {
		if _, err := e.Insert(t.Context(), "t", json.RawMessage(`{}`), &table.InsertOptions{ID: id}); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("id %.20q: %v", id, err)
		}
	}
	for _, id := range []string{"../x", "' OR 1=1", "é", "a b", strings.Repeat("i", 255)} {
		insert(t, e, "t", id, `{}`)
		if r, err := e.Get(t.Context(), "t", id); err != nil || r.ID != id {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if _, err := e.Insert(t.Context(), "t", json.RawMessage(`{}`), &table.InsertOptions{FlagTag: "a\nb"}); !errors.Is(err, table.ErrInvalid) {
		t.Errorf("flag tag: %v", err)
	}
}

func TestData(t *testing.T) {
	e := open(t)
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for in, want := range map[string]string{
		`{}`: `{}`,
		"\t{ \"b\" : [ 1 , 2.50 , 1e3 , -0 ] ,\n\"a\" : { } }\r\n":       `{"b":[1,2.50,1e3,-0],"a":{}}`,
		`{"\u0061\/\u00e9\ud83d\ude00":"\u0000\n\b\u001f\"\\<>&\u2028"}`: "{\"a/é😀\":\"\\u0000\\n\\b\\u001f\\\"\\\\<>&\u2028\"}",
		`{"lone":"\ud800"}`:                         "{\"lone\":\"\ufffd\"}",
		`{"a":{"x":1},"b":{"x":1}}`:                 `{"a":{"x":1},"b":{"x":1}}`,
		`{"n":123456789012345678901234}`:            `{"n":123456789012345678901234}`,
		deep(128):                                   deep(128),
		`{"s":"` + strings.Repeat("[", 1000) + `"}`: `{"s":"` + strings.Repeat("[", 1000) + `"}`,
	} {
		r := insert(t, e, "t", "", in)
		got, err := e.Get(t.Context(), "t", r.ID)
		if err != nil || string(got.Data) != want || string(r.Data) != want {
			t.Errorf("%.80q became %.80q, %v; want %.80q", in, got.Data, err, want)
		}
	}
	big := `{"s":"` + strings.Repeat("x", 1<<20-8) + `"}`
	insert(t, e, "t", "big", big)
	for why, in := range map[string]string{
		"no object 1": `[]`, "no object 2": `"x"`, "no object 3": `1`, "no object 4": `null`, "empty": ``, "space": `  `,
		"not JSON 1": `{`, "not JSON 2": `{}{}`, "not JSON 3": `{"a":1,}`, "not JSON 4": `{'a':1}`, "not JSON 5": `{"a":01}`, "not JSON 6": `{"a":NaN}`,
		"not UTF-8": "{\"a\":\"\xff\"}", "duplicate": `{"a":1,"b":{"a":1,"a":2}}`, "duplicate escaped": `{"a":1,"\u0061":2}`,
		"too deep": deep(129), "far too deep": strings.Repeat(`{"a":`, 200_000), "deep arrays": `{"a":` + strings.Repeat("[", 1<<19),
		"too large": big + " ", "huge number": `{"a":1e999}`,
	} {
		if _, err := e.Insert(t.Context(), "t", json.RawMessage(in), nil); !errors.Is(err, table.ErrInvalid) || len(err.Error()) > 300 {
			t.Errorf("%s: %.300v, want a short ErrInvalid", why, err)
		}
		if _, err := e.Update(t.Context(), "t", "big", json.RawMessage(in)); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("%s: Update: %.300v, want ErrInvalid", why, err)
		}
	}
}

func TestIDsSortByTime(t *testing.T) {
	e := open(t)
	var ids []string
	for range 50 {
		ids = append(ids, insert(t, e, "t", "", `{}`).ID)
		time.Sleep(10 * time.Microsecond)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("ids %q", ids)
	}
}

// Eight writers on two plainly opened pools, as an embedder would have them.
func TestHammer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var engines []*table.Engine
	for range 2 {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		e, err := table.NewEngine(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		engines = append(engines, e)
	}
	const writers, rounds = 8, 15
	var wg sync.WaitGroup
	for w := range writers {
		e := engines[w%2]
		wg.Go(func() {
			mine := &table.Query{Filters: []table.Filter{{Column: "w", Operator: "eq", Value: fmt.Append(nil, w)}}}
			for i := range rounds {
				r, err := e.Insert(t.Context(), "t", fmt.Appendf(nil, `{"w":%d,"i":%d}`, w, i), nil)
				if err == nil {
					_, err = e.Update(t.Context(), "t", r.ID, fmt.Appendf(nil, `{"w":%d,"i":%d,"updated":true}`, w, i))
				}
				if err == nil && i%5 == 4 {
					err = e.Delete(t.Context(), "t", r.ID)
				}
				var found []table.Record
				if err == nil {
					found, err = e.Query(t.Context(), "t", mine)
				}
				if want := i + 1 - (i+1)/5; err != nil || len(found) != want {
					t.Errorf("writer %d round %d: %d records, want %d; %v", w, i, len(found), want, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
