package feature

import (
	"cmp"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// value is an attribute, or what one is compared with, in a form that takes no
// allocation to make.
type value struct {
	kind kind
	b    bool
	i    int64
	f    float64
	s    string
	raw  any // of kind other
}

type kind uint8

const (
	absent kind = iota // the context has no such attribute
	null
	boolean
	integer
	float
	str
	other // lists, and whatever cannot be compared
)

// valueOf sorts v by its type. Named types (type Role string) count as what
// they are made of; pointers do not count.
func valueOf(v any) value {
	switch v := v.(type) {
	case nil:
		return value{kind: null}
	case string:
		return value{kind: str, s: v}
	case bool:
		return value{kind: boolean, b: v}
	case int:
		return value{kind: integer, i: int64(v)}
	case int64:
		return value{kind: integer, i: v}
	case float64:
		return floatValue(v)
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return value{kind: integer, i: i}
		}
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return value{kind: other} // out of a float64's range
		}
		return floatValue(f)
	case []string, []any:
		return value{kind: other, raw: v}
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		return value{kind: str, s: r.String()}
	case reflect.Bool:
		return value{kind: boolean, b: r.Bool()}
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int, reflect.Int64:
		return value{kind: integer, i: r.Int()}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if u := r.Uint(); u <= math.MaxInt64 {
			return value{kind: integer, i: int64(u)}
		}
		return value{kind: float, f: float64(r.Uint())}
	case reflect.Float32, reflect.Float64:
		return floatValue(r.Float())
	}
	return value{kind: other, raw: v}
}

// floatValue makes 2.0 the same as 2: JSON does not tell them apart.
func floatValue(f float64) value {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return value{kind: integer, i: int64(f)}
	}
	return value{kind: float, f: f}
}

func (v value) isNumber() bool { return v.kind == integer || v.kind == float }

func (v value) number() float64 {
	if v.kind == integer {
		return float64(v.i)
	}
	return v.f
}

func (v value) equal(w value) bool {
	switch {
	case v.kind == null && w.kind == null:
		return true
	case v.kind == boolean && w.kind == boolean:
		return v.b == w.b
	}
	c, ok := v.compare(w)
	return ok && c == 0
}

// compare orders two numbers or two strings; ok is false for anything else.
func (v value) compare(w value) (c int, ok bool) {
	switch {
	case v.kind == integer && w.kind == integer:
		return cmp.Compare(v.i, w.i), true
	case v.isNumber() && w.isNumber():
		a, b := v.number(), w.number()
		if math.IsNaN(a) || math.IsNaN(b) {
			return 0, false
		}
		return cmp.Compare(a, b), true
	case v.kind == str && w.kind == str:
		return strings.Compare(v.s, w.s), true
	}
	return 0, false
}

// len returns the number of elements of a list, and 0 for anything else.
func (v value) len() int {
	switch l := v.raw.(type) {
	case nil:
		return 0
	case []string:
		return len(l)
	case []any:
		return len(l)
	}
	if r := reflect.ValueOf(v.raw); r.Kind() == reflect.Slice || r.Kind() == reflect.Array {
		return r.Len()
	}
	return 0
}

// at returns element i of a list.
func (v value) at(i int) value {
	switch l := v.raw.(type) {
	case []string:
		return value{kind: str, s: l[i]}
	case []any:
		return valueOf(l[i])
	}
	return valueOf(reflect.ValueOf(v.raw).Index(i).Interface())
}
