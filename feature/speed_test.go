package feature_test

import (
	"testing"

	"flagbase.dev/feature"
)

// threeRules is the flag of the allocation test and the benchmark: all three
// rules are tried, then the rollout decides.
const threeRules = `{"key":"f","enabled":true,"rules":[
	{"conditions":[{"attribute":"role","operator":"in","value":["boss","owner"]}],"variant":"on"},
	{"conditions":[{"attribute":"groups","operator":"contains","value":"qa"},{"attribute":"email","operator":"ends_with","value":"@a.test"}],"variant":"on"},
	{"conditions":[{"attribute":"age","operator":"gte","value":18},{"attribute":"email","operator":"matches","value":"^root@"}],"variant":"on"}],
	"rollout":[{"variant":"on","percent":20}]}`

func threeRulesContext() *feature.Context {
	return &feature.Context{TargetingKey: "user-4711", Attributes: map[string]any{
		"role": "staff", "groups": []string{"dev", "ops"}, "email": "u@example.com", "age": 30, "tenant_id": "t1",
	}}
}

func TestEvaluateBoolAllocatesNothing(t *testing.T) {
	e := newEngine(t, threeRules)
	c := threeRulesContext()
	if got, _ := e.Evaluate("f", c); got.Reason != feature.ReasonSplit {
		t.Fatalf("the rollout does not decide: %+v", got)
	}
	if n := testing.AllocsPerRun(1000, func() { _, _ = e.EvaluateBool("f", c) }); n != 0 {
		t.Errorf("EvaluateBool allocates %v times", n)
	}
}

func BenchmarkEvaluateBool(b *testing.B) {
	e := newEngine(b, threeRules)
	c := threeRulesContext()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.EvaluateBool("f", c); err != nil {
			b.Fatal(err)
		}
	}
}
