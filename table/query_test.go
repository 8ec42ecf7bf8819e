package table_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"flagbase.dev/table"
)

func ids(t testing.TB, e *table.Engine, q string) string {
	t.Helper()
	query, err := table.DecodeQuery([]byte(q))
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	records, err := e.Query(t.Context(), "t", query)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	var s []string
	for _, r := range records {
		s = append(s, r.ID)
	}
	return strings.Join(s, " ")
}

func TestFilters(t *testing.T) {
	e := open(t)
	insert(t, e, "t", "num", `{"v":1,"tags":["a","b",1,true,null],"deep":{"er":{"x":"y"}}}`)
	insert(t, e, "t", "str", `{"v":"1","tags":["1","ab"],"deep":{"er":"x"}}`)
	insert(t, e, "t", "real", `{"v":1.5,"tags":"a b","a.b":1}`)
	insert(t, e, "t", "word", `{"v":"hello wörld%_","q\"k":1,"it's":{"b\\c":2}}`)
	insert(t, e, "t", "true", `{"v":true}`)
	insert(t, e, "t", "null", `{"v":null}`)
	insert(t, e, "t", "none", `{}`)
	insert(t, e, "t", "arr", `{"v":[1]}`)
	const all = "num str real word true null none arr"
	for _, c := range []struct{ filter, want string }{
		{`"v","operator":"eq","value":1`, "num"},
		{`"v","operator":"=","value":1.0`, "num"},
		{`"v","operator":"eq","value":"1"`, "str"},
		{`"v","operator":"eq","value":true`, "true"},
		{`"v","operator":"eq","value":false`, ""},
		{`"v","operator":"eq","value":null`, "null"},
		{`"v","operator":"ne","value":1`, "str real word true null none arr"},
		{`"v","operator":"!=","value":null`, "num str real word true none arr"},
		{`"v","operator":"gt","value":1`, "real"},
		{`"v","operator":">=","value":1`, "num real"},
		{`"v","operator":"lt","value":1.5`, "num"},
		{`"v","operator":"<=","value":1.5`, "num real"},
		{`"v","operator":"gt","value":"0"`, "str word"},
		{`"v","operator":"<","value":"2"`, "str"},
		{`"v","operator":"in","value":[1,"1",true]`, "num str true"},
		{`"v","operator":"in","value":[null,1.5,"x"]`, "real null"},
		{`"v","operator":"in","value":[]`, ""},
		{`"v","operator":"contains","value":"lo w"`, "word"},
		{`"v","operator":"contains","value":"%_"`, "word"},
		{`"v","operator":"contains","value":"LO"`, ""},
		{`"v","operator":"contains","value":1`, "arr"},
		{`"tags","operator":"contains","value":"a"`, "num real"},
		{`"tags","operator":"contains","value":"ab"`, "str"},
		{`"tags","operator":"contains","value":1`, "num"},
		{`"tags","operator":"contains","value":"1"`, "str"},
		{`"tags","operator":"contains","value":true`, "num"},
		{`"tags","operator":"contains","value":null`, "num"},
		{`"v","operator":"starts_with","value":"hello"`, "word"},
		{`"v","operator":"starts_with","value":"%"`, ""},
		{`"v","operator":"starts_with","value":""`, "str word"},
		{`"v","operator":"exists","value":true`, "num str real word true null arr"},
		{`"v","operator":"exists"`, "num str real word true null arr"},
		{`"v","operator":"exists","value":false`, "none"},
		{`"deep.er.x","operator":"eq","value":"y"`, "num"},
		{`"deep.er","operator":"eq","value":"x"`, "str"},
		{`"a.b","operator":"exists"`, ""},
		{`"q\"k","operator":"eq","value":1`, "word"},
		{`"it's.b\\c","operator":"eq","value":2`, "word"},
		{`"tags[0]","operator":"exists"`, ""},
		{`"*","operator":"exists"`, ""},
		{`"_id","operator":"eq","value":"num"`, "num"},
		{`"_id","operator":"in","value":["num","true","x"]`, "num true"},
		{`"_id","operator":"starts_with","value":"n"`, "num null none"},
		{`"_id","operator":"contains","value":"r"`, "str real word true arr"},
		{`"_id","operator":"gt","value":"str"`, "word true"},
		{`"_id","operator":"exists"`, all},
		{`"_flag","operator":"exists"`, ""},
		{`"_flag","operator":"exists","value":false`, all},
		{`"_created_at","operator":"exists"`, all},
		{`"_created_at","operator":"gt","value":"2020-01-01T00:00:00+01:00"`, all},
		{`"_updated_at","operator":"lt","value":"2020-01-01T00:00:00Z"`, ""},
		{`"_created_at","operator":"in","value":["2020-01-01T00:00:00Z"]`, ""},
	} {
		if got := ids(t, e, `{"filters":[{"column":`+c.filter+`}]}`); got != c.want {
			t.Errorf("%s: got %q, want %q", c.filter, got, c.want)
		}
	}
	if got := ids(t, e, `{"filters":[{"column":"v","operator":"gte","value":1},{"column":"tags","operator":"contains","value":"a"},{"column":"_id","operator":"ne","value":"num"}]}`); got != "real" {
		t.Errorf("all filters must hold: %q", got)
	}
}

func TestOrder(t *testing.T) {
	e := open(t)
	for id, data := range map[string]string{
		"n10": `{"v":10,"w":1}`, "n9": `{"v":9,"w":1}`, "f": `{"v":false}`, "t": `{"v":true}`, "null": `{"v":null}`, "none": `{}`,
		"s10": `{"v":"10"}`, "s9": `{"v":"9"}`, "arr": `{"v":[1]}`, "obj": `{"v":{}}`, "twin": `{"v":9,"w":0}`,
	} {
		insert(t, e, "t", id, data)
	}
	for order, want := range map[string]string{
		`{"column":"v"}`:                              "none null f t n9 twin n10 s10 s9 arr obj",
		`{"column":"v","desc":true}`:                  "arr obj s9 s10 n10 n9 twin t f none null",
		`{"column":"v"},{"column":"w"}`:               "none null f t twin n9 n10 s10 s9 arr obj",
		`{"column":"v"},{"column":"_id","desc":true}`: "null none f t twin n9 n10 s10 s9 obj arr",
		`{"column":"_flag"},{"column":"_id"}`:         "arr f n10 n9 none null obj s10 s9 t twin",
		`{"column":"w","desc":true},{"column":"v"}`:   "n9 n10 twin none null f t s10 s9 arr obj",
	} {
		if got := ids(t, e, `{"order_by":[`+order+`]}`); got != want {
			t.Errorf("%s:\n got %s\nwant %s", order, got, want)
		}
	}
}

func TestPages(t *testing.T) {
	e := open(t)
	for _, id := range []string{"d", "b", "a", "c"} {
		insert(t, e, "t", id, `{}`)
		time.Sleep(2 * time.Microsecond)
	}
	for q, want := range map[string]string{
		``:                       "d b a c",
		`{"limit":2}`:            "d b",
		`{"limit":2,"offset":2}`: "a c",
		`{"limit":2,"offset":4}`: "",
		`{"offset":3}`:           "c",
		`{"order_by":[{"column":"_created_at","desc":true}],"limit":1}`: "c",
	} {
		if got := ids(t, e, q); got != want {
			t.Errorf("%s: %q, want %q", q, got, want)
		}
	}
	for range 120 {
		insert(t, e, "t", "", `{}`)
	}
	if n := len(strings.Fields(ids(t, e, `{}`))); n != 100 {
		t.Errorf("default limit gave %d", n)
	}
	if n := len(strings.Fields(ids(t, e, `{"limit":1000}`))); n != 124 {
		t.Errorf("limit 1000 gave %d", n)
	}
}

func TestFlagTag(t *testing.T) {
	e := open(t)
	for id, tag := range map[string]string{"a": "f:on", "b": "f:off", "c": ""} {
		if _, err := e.Insert(t.Context(), "t", json.RawMessage(`{}`), &table.InsertOptions{ID: id, FlagTag: tag}); err != nil {
			t.Fatal(err)
		}
	}
	for q, want := range map[string]string{
		`{"flag":"f:on"}`: "a", `{"flag":"f:none"}`: "", `{"order_by":[{"column":"_id"}]}`: "a b c",
		`{"filters":[{"column":"_flag","operator":"ne","value":"f:on"}],"order_by":[{"column":"_id"}]}`: "b c",
	} {
		if got := ids(t, e, q); got != want {
			t.Errorf("%s: %q, want %q", q, got, want)
		}
	}
}

func TestResultLimit(t *testing.T) {
	e := open(t)
	data := `{"s":"` + strings.Repeat("x", 1<<20-8) + `"}`
	for range 65 {
		insert(t, e, "t", "", data)
	}
	if _, err := e.Query(t.Context(), "t", nil); !errors.Is(err, table.ErrInvalid) || !strings.Contains(err.Error(), "lower limit") {
		t.Errorf("%v, want ErrInvalid", err)
	}
	if records, err := e.Query(t.Context(), "t", &table.Query{Limit: 64}); err != nil || len(records) != 64 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestDecodeQueryRefuses(t *testing.T) {
	many := func(n int, one string) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	filter := `{"column":"a","operator":"eq","value":1}`
	for _, q := range []string{
		`[]`, `1`, `{"filters":{}}`, `{} {}`, `{"filter":[]}`, `{"filters":[{"column":"a","op":"eq"}]}`,
		`{"limit":-1}`, `{"limit":1001}`, `{"limit":1.5}`, `{"offset":-1}`, `{"limit":99999999999999999999}`,
		`{"filters":` + many(65, filter) + `}`, `{"order_by":` + many(17, `{"column":"a"}`) + `}`,
		strings.Repeat("[", 1_000_000), `{"filters":[{"column":"a","operator":"eq","value":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}]}`,
		`{"filters":[{"column":"","operator":"eq","value":1}]}`, `{"filters":[{"column":"a..b","operator":"eq","value":1}]}`,
		`{"filters":[{"column":".a","operator":"eq","value":1}]}`, `{"filters":[{"column":"a\u0000","operator":"eq","value":1}]}`,
		`{"filters":[{"column":"` + strings.Repeat("a", 513) + `","operator":"eq","value":1}]}`,
		`{"filters":[{"column":"a","operator":"like","value":1}]}`, `{"filters":[{"column":"a","operator":"","value":1}]}`,
		`{"filters":[{"column":"a","operator":"EQ","value":1}]}`, `{"filters":[{"column":"a","operator":"= 1 OR 1","value":1}]}`,
		`{"filters":[{"column":"a","operator":"eq"}]}`, `{"filters":[{"column":"a","operator":"eq","value":[1]}]}`, `{"filters":[{"column":"a","operator":"ne","value":{}}]}`,
		`{"filters":[{"column":"a","operator":"lt","value":true}]}`, `{"filters":[{"column":"a","operator":"lt","value":null}]}`, `{"filters":[{"column":"a","operator":"eq","value":1e999}]}`,
		`{"filters":[{"column":"a","operator":"in","value":1}]}`, `{"filters":[{"column":"a","operator":"in","value":[[1]]}]}`, `{"filters":[{"column":"a","operator":"in","value":` + many(1001, "1") + `}]}`,
		`{"filters":[{"column":"a","operator":"starts_with","value":1}]}`, `{"filters":[{"column":"a","operator":"contains","value":[]}]}`, `{"filters":[{"column":"a","operator":"contains"}]}`,
		`{"filters":[{"column":"a","operator":"exists","value":1}]}`, `{"filters":[{"column":"_id","operator":"eq","value":1}]}`, `{"filters":[{"column":"_created_at","operator":"gt","value":"yesterday"}]}`,
		`{"filters":[{"column":"_created_at","operator":"contains","value":"2026"}]}`, `{"filters":[{"column":"_id","operator":"in","value":[1]}]}`,
		`{"order_by":[{"column":""}]}`, `{"flag":"a\nb"}`, "\xff",
	} {
		if _, err := table.DecodeQuery([]byte(q)); !errors.Is(err, table.ErrInvalid) || len(err.Error()) > 400 {
			t.Errorf("%.120s: %.400v, want a short ErrInvalid", q, err)
		}
	}
	for _, q := range []string{``, ` `, `{}`, `null`, `{"filters":null,"order_by":null}`, `{"filters":` + many(64, filter) + `}`} {
		if _, err := table.DecodeQuery([]byte(q)); err != nil {
			t.Errorf("%.60s: %v", q, err)
		}
	}
}
