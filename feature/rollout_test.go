package feature_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"flagbase.dev/feature"
	"github.com/twmb/murmur3"
	"pgregory.net/rapid"
)

// flagd's fractional operator, written down independently
// (github.com/open-feature/flagd, docs on "fractional"): whole weights, and the
// bucket is (hash * sum) >> 32.
func flagdFractional(flagKey, targetingKey string, weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	bucket := uint64(murmur3.StringSum32(flagKey+targetingKey)) * uint64(total) >> 32
	sum := uint64(0)
	for i, w := range weights {
		if sum += uint64(w); sum > bucket {
			return i
		}
	}
	return -1
}

// Known values of MurmurHash3_x86_32 with seed 0, from SMHasher's users: a
// library that changed its mind would move every user of every rollout.
func TestHashIsMurmur3(t *testing.T) {
	for text, want := range map[string]uint32{"": 0, "hello": 0x248bfa47, "hello, world": 0x149bbb7f, "The quick brown fox jumps over the lazy dog": 0x2e4ff723} {
		if got := murmur3.StringSum32(text); got != want {
			t.Errorf("murmur3(%q) = %#x, want %#x", text, got, want)
		}
	}
}

func TestRolloutAgreesWithFlagd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Weights that sum to 100, some of them 0.
		left := 100
		var weights []int
		for left > 0 && len(weights) < 6 {
			w := rapid.IntRange(0, left).Draw(t, "weight")
			weights = append(weights, w)
			left -= w
		}
		weights = append(weights, left)
		flag := &feature.Flag{Key: rapid.StringMatching(`[a-z][a-z0-9-]{0,20}`).Draw(t, "flag"), Enabled: true, DefaultVariant: "rest", Variants: variants(len(weights))}
		for i, w := range weights {
			flag.Rollout = append(flag.Rollout, feature.Weight{Variant: fmt.Sprintf("v%d", i), Percent: float64(w)})
		}
		e := engineWith(t, flag)
		for range 50 {
			key := rapid.StringN(1, 40, -1).Draw(t, "user")
			got, err := e.EvaluateVariant(flag.Key, user(key))
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("v%d", flagdFractional(flag.Key, key, weights)); got != want {
				t.Fatalf("weights %v, user %q: %s, flagd gives %s", weights, key, got, want)
			}
		}
	})
}

func variants(n int) map[string]json.RawMessage {
	m := map[string]json.RawMessage{"rest": json.RawMessage(`null`)}
	for i := range n {
		m[fmt.Sprintf("v%d", i)] = json.RawMessage(fmt.Sprint(i))
	}
	return m
}

func engineWith(t rapid.TB, flags ...*feature.Flag) *feature.Engine {
	t.Helper()
	e, err := feature.NewEngine(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flags {
		if _, err := e.Put(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// The same user gets the same variant: asked again, of another engine, and
// whatever else the context says.
func TestRolloutIsSticky(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := &feature.Flag{Key: "f", Enabled: true, Rollout: []feature.Weight{{Variant: "on", Percent: rapid.Float64Range(0, 100).Draw(t, "percent")}}}
		e, other := engineWith(t, flag), engineWith(t, flag)
		key := rapid.StringN(1, 300, -1).Draw(t, "user")
		want, err := e.EvaluateBool("f", user(key))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*feature.Context{
			user(key),
			{TargetingKey: key, Attributes: map[string]any{"user_id": "other", "role": rapid.String().Draw(t, "role")}},
			attrs("user_id", key),
		} {
			for _, e := range []*feature.Engine{e, other} {
				if got, _ := e.EvaluateBool("f", c); got != want {
					t.Fatalf("user %q gets %v, then %v for %+v", key, want, got, c)
				}
			}
		}
	})
}

func TestANumericUserIDIsATargetingKey(t *testing.T) {
	e := newEngine(t, `{"key":"f","enabled":true,"rollout":[{"variant":"on","percent":50}]}`)
	for i := range 1000 {
		want, _ := e.Evaluate("f", user(fmt.Sprint(i)))
		for _, id := range []any{i, int64(i), float64(i), json.Number(fmt.Sprint(i))} {
			if got, _ := e.Evaluate("f", attrs("user_id", id)); got.Variant != want.Variant || got.Reason != "SPLIT" {
				t.Fatalf("user_id %v (%T): %+v, want %+v", id, id, got, want)
			}
		}
	}
	if got, _ := e.Evaluate("f", attrs("user_id", true)); got.Reason != "DEFAULT" {
		t.Errorf("user_id true: %+v", got)
	}
}

// Raising the percentage takes the variant from nobody, however small the step.
func TestRolloutGrowsMonotonically(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(0, 100).Draw(t, "low")
		high := rapid.Float64Range(low, 100).Draw(t, "high")
		salt := rapid.String().Draw(t, "salt")
		at := func(percent float64) *feature.Engine {
			return engineWith(t, &feature.Flag{Key: "f", Enabled: true, Rollout: []feature.Weight{{Variant: "on", Percent: percent}}})
		}
		before, after := at(low), at(high)
		for i := range 200 {
			c := user(fmt.Sprint(salt, i))
			was, _ := before.EvaluateBool("f", c)
			is, _ := after.EvaluateBool("f", c)
			if was && !is {
				t.Fatalf("%s has the variant at %v %% and not at %v %%", c.TargetingKey, low, high)
			}
		}
	})
}

// Of 20,000 users each variant gets its share, within five standard deviations.
func TestRolloutDistribution(t *testing.T) {
	const users = 20_000
	for _, percents := range [][]float64{{20}, {0.5}, {50, 50}, {10, 20, 30}, {1, 99}, {33.3, 33.3, 33.4}} {
		for _, form := range []string{"user-%d", "%d@example.com", "00000000-0000-4000-8000-%012d"} {
			flag := &feature.Flag{Key: "distribution", Enabled: true, DefaultVariant: "rest", Variants: variants(len(percents))}
			want := map[string]float64{"rest": 100}
			for i, p := range percents {
				name := fmt.Sprintf("v%d", i)
				flag.Rollout = append(flag.Rollout, feature.Weight{Variant: name, Percent: p})
				want[name] = p
				want["rest"] -= p
			}
			e := newEngine(t)
			if _, err := e.Put(t.Context(), flag); err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for i := range users {
				v, err := e.EvaluateVariant("distribution", user(fmt.Sprintf(form, i)))
				if err != nil {
					t.Fatal(err)
				}
				got[v]++
			}
			for name, percent := range want {
				p := percent / 100
				slack := 5*math.Sqrt(users*p*math.Max(1-p, 0)) + 1e-6*users
				if math.Abs(got[name]-p*users) > slack {
					t.Errorf("%v, %s: %s has %v of %v users, want %v ± %.0f", percents, form, name, got[name], users, p*users, slack)
				}
			}
		}
	}
}

// Two flags must not pick the same users.
func TestRolloutsOfTwoFlagsAreIndependent(t *testing.T) {
	e := newEngine(t, `{"key":"a","enabled":true,"rollout":[{"variant":"on","percent":50}]}`, `{"key":"b","enabled":true,"rollout":[{"variant":"on","percent":50}]}`)
	both := 0
	for i := range 10_000 {
		a, _ := e.EvaluateBool("a", user(fmt.Sprint(i)))
		b, _ := e.EvaluateBool("b", user(fmt.Sprint(i)))
		if a && b {
			both++
		}
	}
	if both < 2250 || both > 2750 {
		t.Errorf("%d of 10,000 users have both, want about 2500", both)
	}
}

// Whatever the rules, the first that matches decides: compared with a loop that
// says so in the plainest way.
func TestFirstMatchingRuleDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c"}
		values := []string{"x", "y", "z"}
		flag := &feature.Flag{Key: "f", Enabled: true, DefaultVariant: "rest", Variants: map[string]json.RawMessage{"rest": json.RawMessage("0")}}
		for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
			r := feature.Rule{Variant: fmt.Sprintf("r%d", i)}
			flag.Variants[r.Variant] = json.RawMessage("1")
			for range rapid.IntRange(0, 3).Draw(t, "conditions") {
				r.Conditions = append(r.Conditions, feature.Condition{
					Attribute: rapid.SampledFrom(names).Draw(t, "attribute"),
					Operator:  rapid.SampledFrom([]string{"eq", "ne"}).Draw(t, "operator"),
					Value:     json.RawMessage(`"` + rapid.SampledFrom(values).Draw(t, "value") + `"`),
				})
			}
			flag.Rules = append(flag.Rules, r)
		}
		c := &feature.Context{Attributes: map[string]any{}}
		for _, name := range names {
			if rapid.Bool().Draw(t, "there") {
				c.Attributes[name] = rapid.SampledFrom(values).Draw(t, "is")
			}
		}
		want := "rest"
		for i := len(flag.Rules) - 1; i >= 0; i-- {
			all := true
			for _, cond := range flag.Rules[i].Conditions {
				is, _ := c.Attributes[cond.Attribute].(string)
				equal := is != "" && is == strings.Trim(string(cond.Value), `"`)
				all = all && equal == (cond.Operator == "eq")
			}
			if all {
				want = flag.Rules[i].Variant
			}
		}
		if got, err := engineWith(t, flag).EvaluateVariant("f", c); got != want || err != nil {
			t.Fatalf("EvaluateVariant = %s, %v; want %s", got, err, want)
		}
	})
}
