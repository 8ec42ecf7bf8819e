package feature

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxPattern is the most bytes in a "matches" expression. RE2 runs in linear
// time, but its program grows with the expression.
const maxPattern = 1000

// operators makes, for each operator, the test of a condition out of the
// condition's decoded value. A test gets absent for an attribute that is not there.
var operators = map[string]func(want any) (func(value) bool, error){
	"eq":     equals,
	"ne":     negated(equals),
	"in":     oneOf,
	"not_in": negated(oneOf),
	"gt":     ordered(func(c int) bool { return c > 0 }),
	"gte":    ordered(func(c int) bool { return c >= 0 }),
	"lt":     ordered(func(c int) bool { return c < 0 }),
	"lte":    ordered(func(c int) bool { return c <= 0 }),

	"contains":    contains,
	"starts_with": text(strings.HasPrefix),
	"ends_with":   text(strings.HasSuffix),
	"exists":      exists,
	"matches":     matches,
}

func compileCondition(c *Condition) (func(value) bool, error) {
	if c.Attribute == "" {
		return nil, fmt.Errorf("attribute is empty")
	}
	if !utf8.ValidString(c.Attribute) {
		return nil, fmt.Errorf("attribute is not valid UTF-8")
	}
	make, ok := operators[c.Operator]
	if !ok {
		return nil, fmt.Errorf("operator %q is unknown; the operators are %s",
			c.Operator, strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
	}
	want, err := decodeValue(c.Operator, c.Value)
	if err != nil {
		return nil, err
	}
	holds, err := make(want)
	if err != nil {
		return nil, fmt.Errorf("operator %s %w", c.Operator, err)
	}
	return holds, nil
}

func decodeValue(operator string, raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		if operator == "exists" {
			return true, nil
		}
		return nil, fmt.Errorf("operator %s needs a value", operator)
	}
	if err := checkJSON(raw); err != nil {
		return nil, fmt.Errorf("the value %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // whole numbers above 2^53 stay exact
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("the value is not JSON: %w", err)
	}
	return v, nil
}

func negated(of func(any) (func(value) bool, error)) func(any) (func(value) bool, error) {
	return func(want any) (func(value) bool, error) {
		holds, err := of(want)
		if err != nil {
			return nil, err
		}
		return func(v value) bool { return !holds(v) }, nil
	}
}

func equals(want any) (func(value) bool, error) {
	w := valueOf(want)
	if w.kind == other {
		return nil, fmt.Errorf("needs a string, a number, a boolean or null as its value")
	}
	return func(v value) bool { return v.equal(w) }, nil
}

func oneOf(want any) (func(value) bool, error) {
	list, ok := want.([]any)
	if !ok {
		return nil, fmt.Errorf("needs a list as its value")
	}
	strs := map[string]bool{} // long lists of ids are common; they must not be searched one by one
	var rest []value
	for _, el := range list {
		switch w := valueOf(el); w.kind {
		case str:
			strs[w.s] = true
		case other:
			return nil, fmt.Errorf("needs a list of strings, numbers, booleans and nulls")
		default:
			rest = append(rest, w)
		}
	}
	var in func(v value) bool
	in = func(v value) bool {
		switch v.kind {
		case str:
			return strs[v.s]
		case other:
			for i := range v.len() {
				if el := v.at(i); el.kind != other && in(el) {
					return true
				}
			}
			return false
		}
		for _, w := range rest {
			if v.equal(w) {
				return true
			}
		}
		return false
	}
	return in, nil
}

func ordered(ok func(int) bool) func(any) (func(value) bool, error) {
	return func(want any) (func(value) bool, error) {
		w := valueOf(want)
		if w.kind != str && !w.isNumber() {
			return nil, fmt.Errorf("needs a number or a string as its value")
		}
		return func(v value) bool {
			c, comparable := v.compare(w)
			return comparable && ok(c)
		}, nil
	}
}

func contains(want any) (func(value) bool, error) {
	w := valueOf(want)
	if w.kind == other || w.kind == null {
		return nil, fmt.Errorf("needs a string, a number or a boolean as its value")
	}
	return func(v value) bool {
		if v.kind == str {
			return w.kind == str && strings.Contains(v.s, w.s)
		}
		for i := range v.len() {
			if v.at(i).equal(w) {
				return true
			}
		}
		return false
	}, nil
}

func text(holds func(s, part string) bool) func(any) (func(value) bool, error) {
	return func(want any) (func(value) bool, error) {
		part, ok := want.(string)
		if !ok {
			return nil, fmt.Errorf("needs a string as its value")
		}
		return func(v value) bool { return v.kind == str && holds(v.s, part) }, nil
	}
}

func exists(want any) (func(value) bool, error) {
	b, ok := want.(bool)
	if !ok {
		return nil, fmt.Errorf("needs true or false as its value")
	}
	return func(v value) bool { return (v.kind != absent && v.kind != null) == b }, nil
}

func matches(want any) (func(value) bool, error) {
	pattern, ok := want.(string)
	if !ok {
		return nil, fmt.Errorf("needs a regular expression, as a string, as its value")
	}
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("has an expression of %d bytes, the most is %d", len(pattern), maxPattern)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("has a bad expression: %w", err)
	}
	return func(v value) bool { return v.kind == str && re.MatchString(v.s) }, nil
}
