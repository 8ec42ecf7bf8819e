package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"flagbase.dev/internal/database"
)

// column is what a filter or an order looks at: a path into the data, or a
// column of the record itself.
type column struct {
	path string // JSON path, bound as a parameter
	sql  string // one of ours; "" for a path
	time bool   // sql holds microseconds
}

const maxColumnBytes = 512

func parseColumn(name string) (column, error) {
	switch name {
	case "_id":
		return column{sql: "r.id"}, nil
	case "_flag":
		return column{sql: "r.flag_tag"}, nil
	case "_created_at":
		return column{sql: "r.created_at", time: true}, nil
	case "_updated_at":
		return column{sql: "r.updated_at", time: true}, nil
	}
	if name == "" || len(name) > maxColumnBytes || !printable(name) {
		return column{}, fmt.Errorf("%w column: it has 1 to %d bytes of UTF-8 without control characters", ErrInvalid, maxColumnBytes)
	}
	// Quoted like a JSON string, every key is only a key: SQLite takes
	// nothing in it for a path's own syntax.
	path := []byte{'$'}
	for key := range strings.SplitSeq(name, ".") {
		if key == "" {
			return column{}, fmt.Errorf("%w column: a part between dots is empty", ErrInvalid)
		}
		path = appendString(append(path, '.'), key)
	}
	return column{path: string(path)}, nil
}

var aliases = map[string]string{"=": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}

// comparisons are the operators that are SQL's own. This is the allow-list:
// the text that reaches the statement comes from here.
var comparisons = map[string]string{"eq": " = ", "lt": " < ", "lte": " <= ", "gt": " > ", "gte": " >= "}

// filter adds the condition f, in parentheses.
func (s *statement) filter(f Filter) error {
	c, err := parseColumn(f.Column)
	if err != nil {
		return err
	}
	op := f.Operator
	if a, ok := aliases[op]; ok {
		op = a
	}
	v, err := parseValue(f.Value)
	if err != nil {
		return err
	}
	switch op {
	case "exists":
		return s.exists(c, v)
	case "ne":
		s.add("(")
		err = s.condition(c, "eq", v)
		s.add(" IS NOT TRUE)")
		return err
	}
	return s.condition(c, op, v)
}

func (s *statement) condition(c column, op string, v value) error {
	if c.sql != "" {
		return s.ownColumn(c, op, v)
	}
	compare, isComparison := comparisons[op]
	switch {
	case isComparison:
		return s.compare(c, op, compare, v)
	case op == "in":
		return s.in(c, v)
	case op == "contains":
		return s.contains(c, v)
	case op == "starts_with":
		if v.kind != kindString {
			return fmt.Errorf("%w value: starts_with takes a string", ErrInvalid)
		}
		// instr, unlike LIKE, knows no wildcards, and unlike substr does not
		// stop at NUL.
		s.add("(json_type(r.data, ?) = 'text' AND instr(json_extract(r.data, ?), ?) = 1)", c.path, c.path, v.text)
		return nil
	}
	return fmt.Errorf("%w operator %s: use eq, ne, lt, lte, gt, gte, in, contains, starts_with or exists", ErrInvalid, quote(op))
}

func (s *statement) compare(c column, op, compare string, v value) error {
	switch {
	case v.kind == kindString:
		s.add("(json_type(r.data, ?) = 'text' AND json_extract(r.data, ?)"+compare+"?)", c.path, c.path, v.text)
	case v.kind == kindNumber:
		// SQLite reads both numbers from text, by the same rules, so that
		// equal spellings are equal.
		s.add("(json_type(r.data, ?) IN ('integer', 'real') AND json_extract(r.data, ?)"+compare+"json_extract(?, '$'))", c.path, c.path, v.text)
	case v.kind == kindLiteral && op == "eq":
		s.add("(json_type(r.data, ?) = ?)", c.path, v.text)
	case op == "eq":
		return fmt.Errorf("%w value: eq and ne take a string, number, boolean or null", ErrInvalid)
	default:
		return fmt.Errorf("%w value: %s takes a number or a string", ErrInvalid, op)
	}
	return nil
}

func (s *statement) in(c column, v value) error {
	members, err := v.members()
	if err != nil {
		return err
	}
	s.add("(json_type(r.data, ?) = 'text' AND json_extract(r.data, ?) IN (SELECT value FROM json_each(?))", c.path, c.path, members[kindString])
	s.add(" OR json_type(r.data, ?) IN ('integer', 'real') AND json_extract(r.data, ?) IN (SELECT value FROM json_each(?))", c.path, c.path, members[kindNumber])
	s.add(" OR json_type(r.data, ?) IN (SELECT value FROM json_each(?)))", c.path, members[kindLiteral])
	return nil
}

func (s *statement) contains(c column, v value) error {
	const element = "(json_type(r.data, ?) = 'array' AND EXISTS (SELECT 1 FROM json_each(r.data, ?) AS e WHERE "
	switch v.kind {
	case kindString:
		s.add("((json_type(r.data, ?) = 'text' AND instr(json_extract(r.data, ?), ?) > 0) OR ", c.path, c.path, v.text)
		s.add(element+"e.type = 'text' AND e.value = ?)))", c.path, c.path, v.text)
	case kindNumber:
		s.add(element+"e.type IN ('integer', 'real') AND e.value = json_extract(?, '$')))", c.path, c.path, v.text)
	case kindLiteral:
		s.add(element+"e.type = ?))", c.path, c.path, v.text)
	default:
		return fmt.Errorf("%w value: contains takes a string, number, boolean or null", ErrInvalid)
	}
	return nil
}

func (s *statement) exists(c column, v value) error {
	want := true
	switch {
	case v.kind == kindAbsent || v.kind == kindLiteral && v.text == "true":
	case v.kind == kindLiteral && v.text == "false":
		want = false
	default:
		return fmt.Errorf("%w value: exists takes true or false", ErrInvalid)
	}
	switch {
	case c.sql == "" && want:
		s.add("(json_type(r.data, ?) IS NOT NULL)", c.path)
	case c.sql == "":
		s.add("(json_type(r.data, ?) IS NULL)", c.path)
	case want:
		s.add("(" + c.sql + " <> '')") // a number is not the empty string
	default:
		s.add("(" + c.sql + " = '')")
	}
	return nil
}

// ownColumn adds a condition on _id, _flag, _created_at or _updated_at, whose
// type is known: a value of another type is a mistake, not a mismatch.
func (s *statement) ownColumn(c column, op string, v value) error {
	if compare, ok := comparisons[op]; ok {
		arg, err := c.argument(v)
		s.add("("+c.sql+compare+"?)", arg)
		return err
	}
	switch {
	case op == "in":
		list, err := v.list()
		if err != nil {
			return err
		}
		args := make([]any, len(list))
		for i, member := range list {
			if args[i], err = c.argument(member); err != nil {
				return err
			}
		}
		array, err := json.Marshal(args)
		s.add("("+c.sql+" IN (SELECT value FROM json_each(?)))", string(array))
		return err
	case op == "contains" && !c.time && v.kind == kindString:
		s.add("(instr("+c.sql+", ?) > 0)", v.text)
		return nil
	case op == "starts_with" && !c.time && v.kind == kindString:
		s.add("(instr("+c.sql+", ?) = 1)", v.text)
		return nil
	}
	return fmt.Errorf("%w operator %s for this column and value", ErrInvalid, quote(op))
}

func (c column) argument(v value) (any, error) {
	if v.kind != kindString {
		return nil, fmt.Errorf("%w value: this column takes strings", ErrInvalid)
	}
	if !c.time {
		return v.text, nil
	}
	at, err := time.Parse(time.RFC3339Nano, v.text)
	if err != nil {
		return nil, fmt.Errorf("%w value: this column takes times like 2026-11-22T09:00:00Z", ErrInvalid)
	}
	return database.Micros(at), nil
}

type kind int

const (
	kindAbsent kind = iota
	kindString
	kindNumber
	kindLiteral // true, false, null: text is also SQLite's name of its type
	kindArray
	kindObject
)

// value is a filter's value.
type value struct {
	kind kind
	text string // the string; for other kinds the JSON
}

func parseValue(raw json.RawMessage) (value, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return value{}, nil
	}
	if len(raw) > maxDataBytes {
		return value{}, fmt.Errorf("%w value: it is larger than %d bytes", ErrInvalid, maxDataBytes)
	}
	if err := checkJSON(raw); err != nil {
		return value{}, fmt.Errorf("%w value: %w", ErrInvalid, err)
	}
	v := value{text: string(raw)}
	switch raw[0] {
	case '"':
		v.kind = kindString
		if err := json.Unmarshal(raw, &v.text); err != nil {
			return value{}, fmt.Errorf("%w value: %w", ErrInvalid, err)
		}
	case '{':
		v.kind = kindObject
	case '[':
		v.kind = kindArray
	case 't', 'f', 'n':
		v.kind = kindLiteral
	default:
		v.kind = kindNumber
		if _, err := strconv.ParseFloat(v.text, 64); err != nil {
			return value{}, fmt.Errorf("%w value: the number %.40s does not fit a double", ErrInvalid, v.text)
		}
	}
	return v, nil
}

// list parses the array an "in" takes.
func (v value) list() ([]value, error) {
	var raws []json.RawMessage
	if v.kind != kindArray || json.Unmarshal([]byte(v.text), &raws) != nil {
		return nil, fmt.Errorf("%w value: in takes an array", ErrInvalid)
	}
	if len(raws) > maxInValues {
		return nil, fmt.Errorf("%w value: in takes at most %d values, not %d", ErrInvalid, maxInValues, len(raws))
	}
	list := make([]value, len(raws))
	for i, raw := range raws {
		var err error
		if list[i], err = parseValue(raw); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// members sorts the array of an "in" by kind; each group is a JSON array, so
// that it is one parameter whatever its length.
func (v value) members() (map[kind]string, error) {
	list, err := v.list()
	if err != nil {
		return nil, err
	}
	groups := map[kind][]byte{kindString: {'['}, kindNumber: {'['}, kindLiteral: {'['}}
	for _, member := range list {
		group, ok := groups[member.kind]
		if !ok {
			return nil, fmt.Errorf("%w value: in takes an array of strings, numbers, booleans and nulls", ErrInvalid)
		}
		if len(group) > 1 {
			group = append(group, ',')
		}
		if member.kind == kindNumber {
			group = append(group, member.text...)
		} else {
			group = appendString(group, member.text)
		}
		groups[member.kind] = group
	}
	arrays := map[kind]string{}
	for k, group := range groups {
		arrays[k] = string(append(group, ']'))
	}
	return arrays, nil
}
