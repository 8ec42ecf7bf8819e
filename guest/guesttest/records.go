package guesttest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"
)

// records is one table, in the order of insertion.
type records struct {
	rows []record
	next int
}

type record struct {
	ID        string          `json:"_id"`
	Data      json.RawMessage `json:"data"`
	CreatedAt time.Time       `json:"_created_at"`
	UpdatedAt time.Time       `json:"_updated_at"`
}

func (t *records) find(id string) int {
	for i, r := range t.rows {
		if r.ID == id {
			return i
		}
	}
	return -1
}

// split takes _id out of a stored object, and drops the other members whose
// names begin with an underscore: those are flagbase's own.
func split(data []byte) (id string, rest []byte, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return "", nil, fmt.Errorf("a record has to be a JSON object")
	}
	if raw, ok := members["_id"]; ok {
		if err := json.Unmarshal(raw, &id); err != nil {
			return "", nil, fmt.Errorf("_id has to be a string")
		}
	}
	for name := range members {
		if strings.HasPrefix(name, "_") {
			delete(members, name)
		}
	}
	rest, err = json.Marshal(members)
	return id, rest, err
}

func (t *records) insert(id string, data []byte, now time.Time) (record, error) {
	_, rest, err := split(data)
	if err != nil {
		return record{}, err
	}
	r := record{ID: id, Data: rest, CreatedAt: now, UpdatedAt: now}
	t.rows = append(t.rows, r)
	return r, nil
}

func (t *records) put(data []byte, now time.Time) ([]byte, error) {
	id, rest, err := split(data)
	if err != nil {
		return nil, err
	}
	if id == "" {
		t.next++
		r, err := t.insert(fmt.Sprintf("record-%d", t.next), rest, now)
		if err != nil {
			return nil, err
		}
		return json.Marshal(r)
	}
	i := t.find(id)
	if i < 0 {
		return nil, notFound("record", id)
	}
	t.rows[i].Data, t.rows[i].UpdatedAt = rest, now
	return json.Marshal(t.rows[i])
}

func (t *records) get(id string) ([]byte, error) {
	i := t.find(id)
	if i < 0 {
		return nil, notFound("record", id)
	}
	return json.Marshal(t.rows[i])
}

func (t *records) delete(id string) error {
	i := t.find(id)
	if i < 0 {
		return notFound("record", id)
	}
	t.rows = append(t.rows[:i:i], t.rows[i+1:]...)
	return nil
}

type query struct {
	Filters []struct {
		Column, Operator string
		Value            any
	}
	OrderBy []struct {
		Column string
		Desc   bool
	} `json:"order_by"`
	Limit, Offset int
	Flag          string
}

func (t *records) query(options []byte) ([]byte, error) {
	var q query
	if err := json.Unmarshal(options, &q); err != nil {
		return nil, fmt.Errorf("decode query: %w", err)
	}
	if q.Limit < 0 || q.Limit > 1000 || q.Offset < 0 {
		return nil, fmt.Errorf("limit has to be 1 to 1000 and offset not negative")
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	selected := []record{}
	for _, r := range t.rows {
		ok := q.Flag == ""
		for _, f := range q.Filters {
			value, present := column(r, f.Column)
			holds, err := matches(value, present, f.Operator, f.Value)
			if err != nil {
				return nil, err
			}
			ok = ok && holds
		}
		if ok {
			selected = append(selected, r)
		}
	}
	sort.SliceStable(selected, func(i, j int) bool {
		for _, o := range q.OrderBy {
			a, _ := column(selected[i], o.Column)
			b, _ := column(selected[j], o.Column)
			if c := compare(a, b); c != 0 {
				return (c < 0) != o.Desc
			}
		}
		return false
	})
	selected = selected[min(q.Offset, len(selected)):]
	return json.Marshal(selected[:min(q.Limit, len(selected))])
}

// column follows a dotted path into a record.
func column(r record, path string) (any, bool) {
	switch path {
	case "_id":
		return r.ID, true
	case "_created_at":
		return r.CreatedAt.Format(time.RFC3339Nano), true
	case "_updated_at":
		return r.UpdatedAt.Format(time.RFC3339Nano), true
	}
	var v any
	if json.Unmarshal(r.Data, &v) != nil {
		return nil, false
	}
	for _, name := range strings.Split(path, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = object[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

func matches(have any, present bool, operator string, want any) (bool, error) {
	switch operator {
	case "eq", "=":
		return present && reflect.DeepEqual(have, want), nil
	case "ne", "!=":
		return !present || !reflect.DeepEqual(have, want), nil
	case "exists":
		return present == (want != false), nil
	case "lt", "<", "lte", "<=", "gt", ">", "gte", ">=":
		if !present || rank(have) != rank(want) {
			return false, nil
		}
		c := compare(have, want)
		switch operator {
		case "lt", "<":
			return c < 0, nil
		case "lte", "<=":
			return c <= 0, nil
		case "gt", ">":
			return c > 0, nil
		}
		return c >= 0, nil
	case "in":
		list, ok := want.([]any)
		if !ok {
			return false, fmt.Errorf("operator in needs an array")
		}
		for _, v := range list {
			if present && reflect.DeepEqual(have, v) {
				return true, nil
			}
		}
		return false, nil
	case "contains":
		if list, ok := have.([]any); ok {
			for _, v := range list {
				if reflect.DeepEqual(v, want) {
					return true, nil
				}
			}
			return false, nil
		}
		s, ok := have.(string)
		part, isText := want.(string)
		return ok && isText && strings.Contains(s, part), nil
	case "starts_with":
		s, ok := have.(string)
		part, isText := want.(string)
		return ok && isText && strings.HasPrefix(s, part), nil
	}
	return false, fmt.Errorf("unknown operator %q", operator)
}

// rank puts values of different kinds in one order: absent, booleans, numbers,
// text, the rest.
func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case float64:
		return 2
	case string:
		return 3
	}
	return 4
}

func compare(a, b any) int {
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra - rb
	}
	switch x := a.(type) {
	case float64:
		switch y := b.(float64); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
	case string:
		return strings.Compare(x, b.(string))
	case bool:
		if x != b.(bool) {
			if x {
				return 1
			}
			return -1
		}
	}
	return 0
}
