package feature_test

import (
	"context"
	"fmt"

	"flagbase.dev/feature"
)

func Example() {
	ctx := context.Background()
	engine, err := feature.NewEngine(ctx, nil) // nil: in memory
	if err != nil {
		panic(err)
	}
	flag, err := feature.DecodeFlag([]byte(`{
		"key": "new-checkout",
		"enabled": true,
		"rules": [{
			"conditions": [{"attribute": "role", "operator": "in", "value": ["staff", "beta"]}],
			"variant": "on"
		}],
		"rollout": [{"variant": "on", "percent": 20}]
	}`))
	if err != nil {
		panic(err)
	}
	if _, err := engine.Put(ctx, flag); err != nil {
		panic(err)
	}

	staff := &feature.Context{Attributes: map[string]any{"role": "staff"}}
	on, _ := engine.EvaluateBool("new-checkout", staff)
	fmt.Println("staff:", on)

	for _, user := range []string{"user-6", "user-7", "user-8"} {
		e, _ := engine.Evaluate("new-checkout", &feature.Context{TargetingKey: user})
		fmt.Printf("%s: %s %s\n", user, e.Variant, e.Reason)
	}
	// Output:
	// staff: true
	// user-6: off SPLIT
	// user-7: off SPLIT
	// user-8: on SPLIT
}

func ExampleEngine_Put_invalid() {
	engine, _ := feature.NewEngine(context.Background(), nil)
	_, err := engine.Put(context.Background(), &feature.Flag{
		Key:     "colour",
		Rollout: []feature.Weight{{Variant: "blue", Percent: 50}},
	})
	fmt.Println(err)
	// Output:
	// put flag "colour": invalid flag: rollout: variant "blue" is no variant of the flag; it has ["off" "on"]
}
