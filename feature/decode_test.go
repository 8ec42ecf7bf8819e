package feature_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"flagbase.dev/feature"
	"github.com/google/go-cmp/cmp"
)

func TestDecodeFlagRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":           {``, "ends too early"},
		"half":              {`{"key":"f"`, "ends too early"},
		"no JSON":           {`key: f`, "is not JSON"},
		"null":              {`null`, "null"},
		"a list":            {`[]`, "cannot unmarshal"},
		"a string":          {`"f"`, "cannot unmarshal"},
		"more behind":       {`{"key":"f"} {}`, "something after its end"},
		"unknown field":     {`{"key":"f","enable":true}`, `unknown field "enable"; a flag has`},
		"misspelt case":     {`{"Key":"f"}`, `unknown field "Key"`},
		"unknown in rule":   {`{"key":"f","rules":[{"then":"on"}]}`, `unknown field "then"; a rule has`},
		"unknown in weight": {`{"key":"f","rollout":[{"weight":1}]}`, `a weight has`},
		"unknown deep":      {`{"key":"f","rules":[{"conditions":[{"attr":"x"}]}]}`, `a condition has`},
		"key twice":         {`{"key":"a","key":"b"}`, `"key" twice`},
		"variant twice":     {`{"key":"a","variants":{"x":1,"x":2}}`, `"x" twice`},
		"escaped twice":     {`{"key":"a","k\u0065y":"b"}`, `"key" twice`},
		"wrong type":        {`{"key":1}`, "cannot unmarshal"},
		"deep":              {`{"key":"f","variants":{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}}`, "deeper than 128"},
		"very deep":         {strings.Repeat("[", 500_000), "deeper than 128"},
		"large":             {`{"key":"f","description":"` + strings.Repeat("x", 1<<20) + `"}`, "the most is"},
		"not UTF-8":         {"{\"key\":\"\xff\"}", "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := feature.DecodeFlag([]byte(tt.text))
			if !errors.Is(err, feature.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("DecodeFlag = %+v, %v; want ErrInvalid with %q", f, err, tt.want)
			}
		})
	}
}

// A flag that is accepted must read the same when written and read again, and
// must evaluate.
func FuzzDecodeFlag(f *testing.F) {
	for _, seed := range []string{
		`{"key":"new-checkout","enabled":true}`,
		`{"key":"x","enabled":true,"rollout":[{"variant":"on","percent":20}]}`,
		`{"key":"x","variants":{"a":{"b":[1,2.5e3,"\u0000"]},"off":null},"default_variant":"a","rules":[{"conditions":[{"attribute":"a","operator":"in","value":[1,"x",null]}],"variant":"a"}]}`,
		`{"key":"x","rules":[{"conditions":[{"attribute":"a","operator":"matches","value":"^a+$"},{"attribute":"b","operator":"gt","value":1e400}],"rollout":[{"variant":"on","percent":0.1}]}]}`,
		`{"key":"a","key":"b"}`, `{"created_at":"2026-01-01T00:00:00.123456789+23:59"}`, `[[[[`, `{"rules":[[]]}`, `{"rules":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		flag, err := feature.DecodeFlag(b)
		if err != nil {
			if !errors.Is(err, feature.ErrInvalid) {
				t.Fatalf("error %v is not ErrInvalid", err)
			}
			return
		}
		e, err := feature.NewEngine(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		saved, err := e.Put(t.Context(), flag)
		if err != nil {
			if !errors.Is(err, feature.ErrInvalid) {
				t.Fatalf("error %v is not ErrInvalid", err)
			}
			return
		}
		text, err := json.Marshal(saved)
		if err != nil {
			t.Fatal(err)
		}
		again, err := feature.DecodeFlag(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again, err = e.Put(t.Context(), again); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again.UpdatedAt = saved.UpdatedAt
		if text2, err := json.Marshal(again); err != nil || string(text2) != string(text) {
			t.Fatalf("not stable:\n%s\n%s", text, text2)
		}
		for _, c := range []*feature.Context{nil, user("u"), attrs("a", "aaa", "b", 2, "user_id", "x")} {
			if _, err := e.Evaluate(saved.Key, c); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDecodeFlagReadsEveryField(t *testing.T) {
	text := `{"key":"k","description":"d","enabled":true,"variants":{"a":1},"default_variant":"a","off_variant":"a","rules":[{"name":"n","conditions":[{"attribute":"x","operator":"eq","value":1}],"variant":"a","rollout":[{"variant":"a","percent":2}]}],"rollout":[{"variant":"a","percent":1.5}],"created_at":"2026-01-02T03:04:05.000006Z","updated_at":"2026-01-02T03:04:05Z"}`
	f, err := feature.DecodeFlag([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text, string(b)); diff != "" {
		t.Error(diff)
	}
}
