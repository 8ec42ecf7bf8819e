package table_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"flagbase.dev/table"
	"pgregory.net/rapid"
)

// Keys, strings and numbers that collide often, so that filters match, with
// what JSON paths, LIKE patterns and SQL treat specially among them.
var (
	someKeys    = []string{"a", "b", `q"`, `\`, "$", "é", "[0]", "#", "'", "0", " "}
	someStrings = []string{"", "a", "A", "ab", "b", "1", "10", "%", "_", `"`, `\`, "'", "é", "e\u0301", "日本", "😀", "true", "null", "a\u0000b", "\u0000", "\n"}
	someNumbers = []string{"0", "-0", "1", "1.0", "1e0", "-1", "1.5", "2", "10", "1e3", "0.1", "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1e300", "-1e-300"}
)

func scalar() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.Map(rapid.SampledFrom(someStrings), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom(someNumbers), func(s string) any { return json.Number(s) }),
		rapid.SampledFrom([]any{true, false, nil}),
	)
}

func anyValue(depth int) *rapid.Generator[any] {
	if depth == 0 {
		return scalar()
	}
	return rapid.OneOf(scalar(), scalar(),
		rapid.Map(rapid.SliceOfN(anyValue(depth-1), 0, 3), func(s []any) any { return s }),
		rapid.Map(object(depth-1), func(m map[string]any) any { return m }),
	)
}

func object(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom(someKeys), anyValue(depth), 0, 4)
}

var generateFilter = rapid.Custom(func(t *rapid.T) table.Filter {
	path := rapid.SliceOfN(rapid.SampledFrom(someKeys), 1, 2).Draw(t, "path")
	f := table.Filter{Column: strings.Join(path, ".")}
	f.Operator = rapid.SampledFrom([]string{"eq", "ne", "lt", "lte", "gt", "gte", "=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts_with", "exists"}).Draw(t, "operator")
	var v any
	switch f.Operator {
	case "lt", "lte", "gt", "gte", "<", "<=", ">", ">=":
		v = rapid.OneOf(
			rapid.Map(rapid.SampledFrom(someStrings), func(s string) any { return s }),
			rapid.Map(rapid.SampledFrom(someNumbers), func(s string) any { return json.Number(s) })).Draw(t, "value")
	case "starts_with":
		v = rapid.SampledFrom(someStrings).Draw(t, "value")
	case "in":
		v = rapid.SliceOfN(scalar(), 0, 4).Draw(t, "value")
	case "exists":
		v = rapid.Bool().Draw(t, "value")
	default:
		v = scalar().Draw(t, "value")
	}
	f.Value = encode(v)
	return f
})

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func decode(b []byte) any {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

// look follows a path; found is false when it leads nowhere.
func look(v any, path string) (found any, ok bool) {
	for key := range strings.SplitSeq(path, ".") {
		m, isMap := v.(map[string]any)
		if v, ok = m[key]; !isMap || !ok {
			return nil, false
		}
	}
	return v, true
}

// number is what the store makes of a number: an int64 where it is spelled as
// one and fits, else a double. Both are compared exactly.
func number(n json.Number) *big.Float {
	if i, err := n.Int64(); err == nil {
		return new(big.Float).SetInt64(i)
	}
	f, err := n.Float64()
	if err != nil {
		panic(err)
	}
	return big.NewFloat(f)
}

// compare is for values of one kind; ok is false for different kinds.
func compare(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return strings.Compare(a, b), ok
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return 0, false
		}
		return number(a).Cmp(number(b)), true
	}
	return 0, false
}

func equal(a, b any) bool {
	switch a.(type) {
	case nil, bool:
		switch b.(type) {
		case nil, bool:
			return a == b
		}
		return false
	}
	order, ok := compare(a, b)
	return ok && order == 0
}

// holds is the documentation of Filter as a program.
func holds(f table.Filter, data any) bool {
	v, want := any(nil), decode(f.Value)
	v, found := look(data, f.Column)
	order, comparable := compare(v, want)
	text, isText := v.(string)
	part, _ := want.(string)
	switch f.Operator {
	case "eq", "=":
		return found && equal(v, want)
	case "ne", "!=":
		return !found || !equal(v, want)
	case "lt", "<":
		return comparable && order < 0
	case "lte", "<=":
		return comparable && order <= 0
	case "gt", ">":
		return comparable && order > 0
	case "gte", ">=":
		return comparable && order >= 0
	case "in":
		return found && slices.ContainsFunc(want.([]any), func(w any) bool { return equal(v, w) })
	case "contains":
		if list, ok := v.([]any); ok {
			return slices.ContainsFunc(list, func(element any) bool { return equal(element, want) })
		}
		_, wantsText := want.(string)
		return isText && wantsText && strings.Contains(text, part)
	case "starts_with":
		return isText && strings.HasPrefix(text, part)
	case "exists":
		return found == want.(bool)
	}
	panic(f.Operator)
}

func rank(v any) int {
	switch v := v.(type) {
	case bool:
		if v {
			return 2
		}
		return 1
	case json.Number:
		return 3
	case string:
		return 4
	case []any, map[string]any:
		return 5
	}
	return 0
}

// Every query agrees with a naive evaluation over the decoded records.
func TestQueryMatchesNaiveEvaluation(t *testing.T) {
	e := open(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		name := fmt.Sprintf("t%d", n)
		n++
		type row struct {
			id   string
			data any
		}
		var rows []row
		for i, data := range rapid.SliceOfN(object(2), 1, 8).Draw(t, "records") {
			raw := encode(data)
			id := fmt.Sprintf("r%d", i)
			if _, err := e.Insert(t.Context(), name, raw, &table.InsertOptions{ID: id}); err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			rows = append(rows, row{id, decode(raw)})
		}
		defer func() {
			if err := e.Drop(t.Context(), name); err != nil {
				t.Error(err)
			}
		}()
		for range 4 {
			q := &table.Query{Filters: rapid.SliceOfN(generateFilter, 0, 2).Draw(t, "filters")}
			for range rapid.IntRange(0, 2).Draw(t, "orders") {
				q.OrderBy = append(q.OrderBy, table.Order{Column: rapid.SampledFrom(someKeys).Draw(t, "order"), Desc: rapid.Bool().Draw(t, "desc")})
			}
			var want []string
			slices.SortStableFunc(rows, func(a, b row) int {
				for _, o := range q.OrderBy {
					x, _ := look(a.data, o.Column)
					y, _ := look(b.data, o.Column)
					order := cmp.Compare(rank(x), rank(y))
					if order == 0 {
						order, _ = compare(x, y)
					}
					if o.Desc {
						order = -order
					}
					if order != 0 {
						return order
					}
				}
				return strings.Compare(a.id, b.id)
			})
			for _, r := range rows {
				if !slices.ContainsFunc(q.Filters, func(f table.Filter) bool { return !holds(f, r.data) }) {
					want = append(want, r.id)
				}
			}
			records, err := e.Query(t.Context(), name, q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range records {
				got = append(got, r.ID)
			}
			if len(q.OrderBy) == 0 { // the default order needs the clock, which may stand still
				slices.Sort(got)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("query %s\n got %q\nwant %q", encode(q), got, want)
			}
		}
	})
}

// What is put in comes out with the same meaning.
func TestDataKeepsItsMeaning(t *testing.T) {
	e := open(t)
	rapid.Check(t, func(t *rapid.T) {
		raw := encode(object(4).Draw(t, "data"))
		r, err := e.Insert(t.Context(), "t", raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Get(t.Context(), "t", r.ID)
		if err != nil || string(encode(decode(got.Data))) != string(encode(decode(raw))) {
			t.Fatalf("%s became %s, %v", raw, got.Data, err)
		}
	})
}
