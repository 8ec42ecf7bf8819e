package feature_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"flagbase.dev/feature"
)

type role string

func TestConditions(t *testing.T) {
	groups := []string{"dev", "ops"}
	tests := []struct {
		operator, value string
		attribute       any // absent{} for none
		want            bool
	}{
		{"eq", `"a"`, "a", true}, {"eq", `"a"`, "b", false}, {"eq", `"a"`, role("a"), true},
		{"eq", `1`, 1, true}, {"eq", `1`, 1.0, true}, {"eq", `1.0`, 1, true}, {"eq", `1e0`, uint8(1), true}, {"eq", `1`, "1", false}, {"eq", `"1"`, 1, false},
		{"eq", `1.5`, float32(1.5), true}, {"eq", `1`, json.Number("1.0"), true}, {"eq", `1`, true, false},
		{"eq", `9007199254740993`, int64(9007199254740993), true}, {"eq", `9007199254740993`, int64(9007199254740992), false},
		{"eq", `9007199254740993`, json.Number("9007199254740992"), false},
		{"eq", `true`, true, true}, {"eq", `false`, true, false}, {"eq", `null`, nil, true}, {"eq", `null`, "x", false}, {"eq", `null`, absent{}, false},
		{"eq", `"a"`, absent{}, false}, {"eq", `"dev"`, groups, false},
		{"ne", `"a"`, "b", true}, {"ne", `"a"`, "a", false}, {"ne", `"a"`, absent{}, true}, {"ne", `"1"`, 1, true},

		{"in", `["a","b"]`, "b", true}, {"in", `["a","b"]`, "c", false}, {"in", `[]`, "a", false}, {"in", `[1,"2",true,null]`, 1, true},
		{"in", `[1,"2",true,null]`, 2, false}, {"in", `[1,"2",true,null]`, true, true}, {"in", `[1,"2",true,null]`, nil, true}, {"in", `[1]`, absent{}, false},
		{"in", `["ops","qa"]`, groups, true}, {"in", `["qa"]`, groups, false}, {"in", `[2]`, []int{1, 2}, true}, {"in", `[2]`, []any{"x", 2.0}, true},
		{"in", `["x"]`, []any{[]any{"x"}}, false},
		{"not_in", `["a"]`, "b", true}, {"not_in", `["a"]`, "a", false}, {"not_in", `["a"]`, absent{}, true}, {"not_in", `["ops"]`, groups, false},

		{"gt", `5`, 6, true}, {"gt", `5`, 5, false}, {"gt", `5`, 5.1, true}, {"gt", `5`, "6", false}, {"gt", `5`, absent{}, false},
		{"gte", `5`, 5, true}, {"gte", `5`, 4.9, false}, {"lt", `5`, 4, true}, {"lt", `5`, 5, false}, {"lte", `5`, 5, true}, {"lte", `5`, absent{}, false},
		{"gt", `"2026-01-01"`, "2026-06-01", true}, {"lt", `"b"`, "a", true}, {"lt", `"b"`, nil, false},
		{"gt", `9007199254740992`, int64(9007199254740993), true},

		{"contains", `"x"`, "axb", true}, {"contains", `"x"`, "ab", false}, {"contains", `"ops"`, groups, true}, {"contains", `"op"`, groups, false},
		{"contains", `2`, []int{1, 2}, true}, {"contains", `2`, []any{"2"}, false}, {"contains", `1`, "1", false}, {"contains", `"a"`, absent{}, false},
		{"contains", `"a"`, map[string]any{"a": 1}, false}, {"contains", `true`, [2]bool{false, true}, true},
		{"starts_with", `"ab"`, "abc", true}, {"starts_with", `"b"`, "abc", false}, {"starts_with", `"1"`, 12, false}, {"starts_with", `""`, absent{}, false},
		{"ends_with", `"@a.test"`, "u@a.test", true}, {"ends_with", `"a"`, "ab", false},

		{"exists", ``, "", true}, {"exists", `true`, 0, true}, {"exists", ``, nil, false}, {"exists", ``, absent{}, false},
		{"exists", `false`, absent{}, true}, {"exists", `false`, nil, true}, {"exists", `false`, "x", false},
		{"matches", `"^u[0-9]+$"`, "u12", true}, {"matches", `"[0-9]"`, "a1b", true}, {"matches", `"^u$"`, "uu", false}, {"matches", `"."`, 1, false}, {"matches", `""`, absent{}, false},
		{"matches", `"^(a+)+$"`, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v %s %s", tt.attribute, tt.operator, tt.value), func(t *testing.T) {
			e := newEngine(t)
			_, err := e.Put(t.Context(), &feature.Flag{Key: "f", Enabled: true, Rules: []feature.Rule{{
				Conditions: []feature.Condition{{Attribute: "a", Operator: tt.operator, Value: json.RawMessage(tt.value)}}, Variant: "on",
			}}})
			if err != nil {
				t.Fatal(err)
			}
			c := attrs("b", "x")
			if _, ok := tt.attribute.(absent); !ok {
				c.Attributes["a"] = tt.attribute
			}
			if got, err := e.EvaluateBool("f", c); got != tt.want || err != nil {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

type absent struct{}

func TestTargetingKeyIsAnAttribute(t *testing.T) {
	e := newEngine(t, `{"key":"f","enabled":true,"rules":[{"conditions":[{"attribute":"targeting_key","operator":"eq","value":"u1"}],"variant":"on"}]}`)
	if on, _ := e.EvaluateBool("f", user("u1")); !on {
		t.Error("the targeting key does not match")
	}
	c := user("u1")
	c.Attributes = map[string]any{"targeting_key": "u2"}
	if on, _ := e.EvaluateBool("f", c); on {
		t.Error("the attribute of that name is not preferred")
	}
}
