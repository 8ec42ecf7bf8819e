package feature_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"flagbase.dev/feature"
	"github.com/google/go-cmp/cmp"
)

func newEngine(t testing.TB, flags ...string) *feature.Engine {
	t.Helper()
	e, err := feature.NewEngine(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flags {
		put(t, e, f)
	}
	return e
}

func put(t testing.TB, e *feature.Engine, text string) *feature.Flag {
	t.Helper()
	f, err := feature.DecodeFlag([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := e.Put(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func user(key string) *feature.Context { return &feature.Context{TargetingKey: key} }

func attrs(kv ...any) *feature.Context {
	c := &feature.Context{Attributes: map[string]any{}}
	for i := 0; i < len(kv); i += 2 {
		c.Attributes[kv[i].(string)] = kv[i+1]
	}
	return c
}

func TestVariantAndReason(t *testing.T) {
	const colours = `"variants":{"red":"#f00","blue":"#00f","off":null},"default_variant":"red"`
	staff := attrs("role", "staff", "user_id", "u1")
	tests := []struct {
		name, flag      string
		context         *feature.Context
		variant, reason string
	}{
		{"switch on", `{"key":"f","enabled":true}`, nil, "on", "STATIC"},
		{"switch off", `{"key":"f","enabled":false}`, nil, "off", "DISABLED"},
		{"off by default", `{"key":"f"}`, staff, "off", "DISABLED"},
		{"disabled ignores rules", `{"key":"f","rules":[{"variant":"on"}],"rollout":[{"variant":"on","percent":100}]}`, staff, "off", "DISABLED"},
		{"off variant named", `{"key":"f",` + colours + `,"off_variant":"blue"}`, nil, "blue", "DISABLED"},
		{"off variant is the one called off", `{"key":"f",` + colours + `}`, nil, "off", "DISABLED"},
		{"off variant is the default", `{"key":"f","variants":{"a":1,"b":2},"default_variant":"b"}`, nil, "b", "DISABLED"},
		{"default variant", `{"key":"f","enabled":true,` + colours + `}`, nil, "red", "STATIC"},
		{"rule without conditions", `{"key":"f","enabled":true,"rules":[{"variant":"off"}]}`, nil, "off", "TARGETING_MATCH"},
		{"rule matches", `{"key":"f","enabled":true,"rules":[{"conditions":[{"attribute":"role","operator":"eq","value":"staff"}],"variant":"on"}]}`, staff, "on", "TARGETING_MATCH"},
		{"rule gives on: the others get off", `{"key":"f","enabled":true,"rules":[{"conditions":[{"attribute":"role","operator":"eq","value":"boss"}],"variant":"on"}]}`, staff, "off", "DEFAULT"},
		{"rule gives off: the others get on", `{"key":"f","enabled":true,"rules":[{"conditions":[{"attribute":"role","operator":"eq","value":"boss"}],"variant":"off"}]}`, staff, "on", "DEFAULT"},
		{"default said", `{"key":"f","enabled":true,"default_variant":"on","rules":[{"conditions":[{"attribute":"x","operator":"exists"}],"variant":"on"}]}`, staff, "on", "DEFAULT"},
		{"all conditions must hold", `{"key":"f","enabled":true,"rules":[{"conditions":[{"attribute":"role","operator":"eq","value":"staff"},{"attribute":"plan","operator":"eq","value":"pro"}],"variant":"on"}]}`, staff, "off", "DEFAULT"},
		{"first matching rule wins", `{"key":"f","enabled":true,` + colours + `,"rules":[{"conditions":[{"attribute":"role","operator":"eq","value":"boss"}],"variant":"off"},{"conditions":[{"attribute":"role","operator":"eq","value":"staff"}],"variant":"blue"},{"variant":"off"}]}`, staff, "blue", "TARGETING_MATCH"},
		{"rollout of everybody", `{"key":"f","enabled":true,"rollout":[{"variant":"on","percent":100}]}`, user("u"), "on", "SPLIT"},
		{"rollout of nobody", `{"key":"f","enabled":true,"rollout":[{"variant":"on","percent":0}]}`, user("u"), "off", "SPLIT"},
		{"rollout without a key", `{"key":"f","enabled":true,"rollout":[{"variant":"on","percent":100}]}`, attrs("role", "staff"), "off", "DEFAULT"},
		{"rollout without a context", `{"key":"f","enabled":true,"rollout":[{"variant":"on","percent":100}]}`, nil, "off", "DEFAULT"},
		{"rollout by user_id", `{"key":"f","enabled":true,"rollout":[{"variant":"on","percent":100}]}`, staff, "on", "SPLIT"},
		{"rule with a rollout", `{"key":"f","enabled":true,"rules":[{"conditions":[{"attribute":"role","operator":"eq","value":"staff"}],"rollout":[{"variant":"on","percent":100}]}]}`, staff, "on", "SPLIT"},
		{"rule's rollout ends the search", `{"key":"f","enabled":true,"rules":[{"rollout":[{"variant":"on","percent":0}]},{"variant":"on"}]}`, staff, "off", "SPLIT"},
		{"rule before the rollout", `{"key":"f","enabled":true,"rules":[{"variant":"off"}],"rollout":[{"variant":"on","percent":100}]}`, staff, "off", "TARGETING_MATCH"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, tt.flag)
			got, err := e.Evaluate("f", tt.context)
			if err != nil || got.Variant != tt.variant || got.Reason != tt.reason {
				t.Fatalf("Evaluate = %+v, %v; want %s, %s", got, err, tt.variant, tt.reason)
			}
			if v, err := e.EvaluateVariant("f", tt.context); err != nil || v != tt.variant {
				t.Errorf("EvaluateVariant = %q, %v", v, err)
			}
			if all := e.EvaluateAll(tt.context); len(all) != 1 || !cmp.Equal(all[0], *got) {
				t.Errorf("EvaluateAll = %+v", all)
			}
		})
	}
}

func TestEvaluateBool(t *testing.T) {
	e := newEngine(t, `{"key":"on","enabled":true}`, `{"key":"off"}`,
		`{"key":"yes","enabled":true,"variants":{"a": true ,"b":false},"default_variant":"a"}`,
		`{"key":"text","enabled":true,"variants":{"a":"true"},"default_variant":"a"}`,
		`{"key":"number","enabled":true,"variants":{"a":1},"default_variant":"a"}`)
	for key, want := range map[string]bool{"on": true, "off": false, "yes": true} {
		if got, err := e.EvaluateBool(key, nil); got != want || err != nil {
			t.Errorf("EvaluateBool(%s) = %v, %v", key, got, err)
		}
	}
	for _, key := range []string{"text", "number"} {
		if got, err := e.EvaluateBool(key, nil); got || !errors.Is(err, feature.ErrTypeMismatch) {
			t.Errorf("EvaluateBool(%s) = %v, %v; want ErrTypeMismatch", key, got, err)
		}
	}
}

func TestValueIsTheVariantsJSON(t *testing.T) {
	e := newEngine(t, `{"key":"f","enabled":true,"variants":{"a":{"x": [1, "<&>"]}},"default_variant":"a"}`)
	got, err := e.Evaluate("f", nil)
	if err != nil || string(got.Value) != `{"x":[1,"<&>"]}` {
		t.Errorf("Value = %s, %v", got.Value, err)
	}
}

func TestUnknownFlag(t *testing.T) {
	e := newEngine(t)
	_, err1 := e.EvaluateBool("no", nil)
	_, err2 := e.EvaluateVariant("no", nil)
	_, err3 := e.Evaluate("no", nil)
	_, err4 := e.Get(t.Context(), "no")
	err5 := e.Delete(t.Context(), "no")
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, feature.ErrNotFound) || !strings.Contains(err.Error(), `"no"`) {
			t.Errorf("error %d: %v, want ErrNotFound that names the flag", i, err)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	long := strings.Repeat("k", 129)
	tests := map[string]struct{ flag, want string }{
		"no key":                 {`{}`, "key is empty"},
		"slash in key":           {`{"key":"a/b"}`, "letters, digits"},
		"colon in key":           {`{"key":"a:b"}`, "letters, digits"},
		"dot first":              {`{"key":".a"}`, "begins with a letter"},
		"long key":               {`{"key":"` + long + `"}`, "the most is 128"},
		"bad variant name":       {`{"key":"f","variants":{"a b":1},"default_variant":"a b"}`, `variant "a b"`},
		"no default":             {`{"key":"f","variants":{"a":1}}`, "default_variant is missing"},
		"unknown default":        {`{"key":"f","default_variant":"red"}`, `default_variant "red" is no variant`},
		"unknown off":            {`{"key":"f","off_variant":"red"}`, `off_variant "red" is no variant`},
		"unknown in rule":        {`{"key":"f","rules":[{"name":"staff","variant":"red"}]}`, `rule 1 ("staff"): variant "red" is no variant of the flag; it has ["off" "on"]`},
		"unknown in rollout":     {`{"key":"f","rollout":[{"variant":"red","percent":1}]}`, `rollout: variant "red"`},
		"rule gives nothing":     {`{"key":"f","rules":[{}]}`, "rule 1: it gives nothing"},
		"rule gives both":        {`{"key":"f","rules":[{"variant":"on","rollout":[{"variant":"on","percent":1}]}]}`, "keep one"},
		"more than 100":          {`{"key":"f","rollout":[{"variant":"on","percent":60},{"variant":"off","percent":41}]}`, "sum to 101"},
		"negative percent":       {`{"key":"f","rollout":[{"variant":"on","percent":-1}]}`, "from 0 to 100"},
		"percent above 100":      {`{"key":"f","rollout":[{"variant":"on","percent":101}]}`, "from 0 to 100"},
		"no attribute":           {`{"key":"f","rules":[{"conditions":[{"operator":"exists"}],"variant":"on"}]}`, "condition 1: attribute is empty"},
		"unknown operator":       {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"like","value":"x"}],"variant":"on"}]}`, `operator "like" is unknown; the operators are contains, ends_with, eq`},
		"no value":               {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"eq"}],"variant":"on"}]}`, "needs a value"},
		"bad expression":         {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"matches","value":"a("}],"variant":"on"}]}`, "bad expression"},
		"expression is a number": {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"matches","value":1}],"variant":"on"}]}`, "needs a regular expression"},
		"in without a list":      {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"in","value":"x"}],"variant":"on"}]}`, "needs a list"},
		"gt of a list":           {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"gt","value":[1]}],"variant":"on"}]}`, "needs a number or a string"},
		"eq of an object":        {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"eq","value":{}}],"variant":"on"}]}`, "needs a string, a number"},
		"starts_with a number":   {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"starts_with","value":1}],"variant":"on"}]}`, "needs a string"},
		"exists of a string":     {`{"key":"f","rules":[{"conditions":[{"attribute":"a","operator":"exists","value":"x"}],"variant":"on"}]}`, "needs true or false"},
	}
	e := newEngine(t, `{"key":"f","enabled":true}`)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, err := feature.DecodeFlag([]byte(tt.flag))
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Put(t.Context(), f)
			if !errors.Is(err, feature.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Put: %v\nwant ErrInvalid with %q", err, tt.want)
			}
			if on, err := e.EvaluateBool("f", nil); !on || err != nil {
				t.Errorf("a refused flag changed the old one: %v, %v", on, err)
			}
		})
	}
	t.Run("what JSON cannot say", func(t *testing.T) {
		for name, f := range map[string]*feature.Flag{
			"nil": nil,
			"NaN": {Key: "f", Rollout: []feature.Weight{{Variant: "on", Percent: math.NaN()}}},
			"variant is not JSON": {
				Key: "f", Variants: map[string]json.RawMessage{"a": json.RawMessage("{")}, DefaultVariant: "a"},
			"variant is nothing": {Key: "f", Variants: map[string]json.RawMessage{"a": nil}, DefaultVariant: "a"},
			"too large":          {Key: "f", Description: strings.Repeat("x", 1<<20)},
			"too deep": {Key: "f", DefaultVariant: "a", Variants: map[string]json.RawMessage{
				"a": json.RawMessage(strings.Repeat("[", 200) + strings.Repeat("]", 200))}},
			"not UTF-8":      {Key: "f", Description: "\xff"},
			"too many rules": {Key: "f", Rules: make([]feature.Rule, 1001)},
		} {
			if _, err := e.Put(t.Context(), f); !errors.Is(err, feature.ErrInvalid) {
				t.Errorf("%s: %v, want ErrInvalid", name, err)
			}
		}
	})
}

func TestPercentagesMaySumTo100InPieces(t *testing.T) {
	e := newEngine(t, `{"key":"f","enabled":true,"variants":{"a":1,"b":2,"c":3,"rest":4},"default_variant":"rest",
		"rollout":[{"variant":"a","percent":33.4},{"variant":"b","percent":33.3},{"variant":"c","percent":33.3}]}`)
	for i := range 20_000 {
		if v, _ := e.EvaluateVariant("f", user(fmt.Sprint(i))); v == "rest" {
			t.Fatalf("user %d is left over", i)
		}
	}
}

func TestPutGetListDelete(t *testing.T) {
	ctx := t.Context()
	e := newEngine(t)
	first := put(t, e, `{"key":"b","description":"one","enabled":true}`)
	if first.CreatedAt.IsZero() || !first.CreatedAt.Equal(first.UpdatedAt) || time.Since(first.CreatedAt) > time.Minute {
		t.Errorf("created %v, updated %v", first.CreatedAt, first.UpdatedAt)
	}
	time.Sleep(2 * time.Microsecond)
	second := put(t, e, `{"key":"b","description":"two","created_at":"2001-01-01T00:00:00Z"}`)
	if !second.CreatedAt.Equal(first.CreatedAt) || !second.UpdatedAt.After(first.UpdatedAt) {
		t.Errorf("an update has created %v, updated %v, after %v", second.CreatedAt, second.UpdatedAt, first.CreatedAt)
	}
	put(t, e, `{"key":"a"}`)
	list, err := e.List(ctx)
	if err != nil || len(list) != 2 || list[0].Key != "a" || list[1].Description != "two" {
		t.Fatalf("List = %+v, %v", list, err)
	}
	got, err := e.Get(ctx, "b")
	if err != nil || !cmp.Equal(got, second) {
		t.Fatalf("Get = %+v, %v", got, err)
	}
	if err := e.Delete(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Get(ctx, "b"); !errors.Is(err, feature.ErrNotFound) {
		t.Errorf("Get after Delete: %v", err)
	}
}

// What goes in and what comes out is the caller's to change.
func TestFlagsAreNotShared(t *testing.T) {
	const text = `{"key":"f","enabled":true,"variants":{"a":true},"default_variant":"a","rules":[{"conditions":[{"attribute":"x","operator":"eq","value":"y"}],"variant":"a"}],"rollout":[{"variant":"a","percent":10}]}`
	e := newEngine(t)
	f, _ := feature.DecodeFlag([]byte(text))
	saved, err := e.Put(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := e.Get(t.Context(), "f")
	listed, _ := e.List(t.Context())
	for _, g := range []*feature.Flag{f, saved, &listed[0]} {
		g.Enabled = false
		g.Variants["a"][0] = 'X'
		g.Variants["b"] = nil
		g.Rules[0].Conditions[0].Value[1] = 'X'
		g.Rules[0].Variant = "X"
		g.Rollout[0].Percent = 99
	}
	got, _ := e.Get(t.Context(), "f")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the flag changed from outside:\n%s", diff)
	}
	if on, err := e.EvaluateBool("f", nil); !on || err != nil {
		t.Errorf("EvaluateBool = %v, %v", on, err)
	}
}
