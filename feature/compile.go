package feature

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/twmb/murmur3"
)

// compiled is a flag made ready for evaluation. It is never changed.
type compiled struct {
	flag           *Flag
	rules          []compiledRule
	rollout        []slot
	otherwise, off *variant
}

type variant struct {
	name   string
	value  json.RawMessage
	isBool bool
	truth  bool
}

type compiledRule struct {
	conditions []compiledCondition
	variant    *variant // nil: rollout decides
	rollout    []slot
}

type compiledCondition struct {
	attribute string
	holds     func(v value) bool
}

// slot is a weight with the end of its part of the hash's range: it gets the
// hashes from the end of the slot before up to, not including, below.
type slot struct {
	below   uint64
	variant *variant
}

// compile checks f and makes it ready. Its errors begin with the flag's key and
// are ErrInvalid.
func compile(f *Flag) (*compiled, error) {
	c, err := compileFlag(f)
	if err != nil {
		return nil, fmt.Errorf("flag %q: %w: %w", f.Key, ErrInvalid, err)
	}
	return c, nil
}

func compileFlag(f *Flag) (*compiled, error) {
	if err := checkName("key", f.Key); err != nil {
		return nil, err
	}
	if !utf8.ValidString(f.Description) {
		return nil, fmt.Errorf("description is not valid UTF-8")
	}
	variants, err := compileVariants(f.Variants)
	if err != nil {
		return nil, err
	}
	if len(f.Rules) > MaxRules {
		return nil, fmt.Errorf("%d rules, the most is %d", len(f.Rules), MaxRules)
	}
	c := &compiled{flag: f, rules: make([]compiledRule, 0, len(f.Rules))}
	for i := range f.Rules {
		r, err := compileRule(&f.Rules[i], variants)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ruleTitle(i, f.Rules[i].Name), err)
		}
		c.rules = append(c.rules, r)
	}
	if c.rollout, err = compileRollout(f.Rollout, variants); err != nil {
		return nil, fmt.Errorf("rollout: %w", err)
	}
	name, err := f.defaultVariant()
	if err != nil {
		return nil, err
	}
	if c.otherwise, err = pick("default_variant", name, variants); err != nil {
		return nil, err
	}
	if c.off, err = pick("off_variant", f.offVariant(name), variants); err != nil {
		return nil, err
	}
	if b, err := json.Marshal(f); err != nil {
		return nil, fmt.Errorf("not expressible as JSON: %w", err)
	} else if len(b) > MaxFlagBytes {
		return nil, fmt.Errorf("%d bytes of JSON, the most is %d", len(b), MaxFlagBytes)
	}
	return c, nil
}

// defaultVariant returns DefaultVariant or what stands for it when it is empty.
func (f *Flag) defaultVariant() (string, error) {
	if f.DefaultVariant != "" {
		return f.DefaultVariant, nil
	}
	if len(f.Variants) > 0 {
		return "", fmt.Errorf("default_variant is missing; it is needed where variants are given")
	}
	// Rules and rollouts of a plain switch pick out some users: the others get
	// the other state. Only "on for 20 %" makes sense of {"percent": 20}.
	givesOn := func(name string, rollout []Weight) bool {
		return name == variantOn || slices.ContainsFunc(rollout, func(w Weight) bool { return w.Variant == variantOn })
	}
	if givesOn("", f.Rollout) || slices.ContainsFunc(f.Rules, func(r Rule) bool { return givesOn(r.Variant, r.Rollout) }) {
		return variantOff, nil
	}
	return variantOn, nil
}

// offVariant returns OffVariant or what stands for it when it is empty.
func (f *Flag) offVariant(defaultVariant string) string {
	if f.OffVariant != "" {
		return f.OffVariant
	}
	if _, ok := f.Variants[variantOff]; ok || len(f.Variants) == 0 {
		return variantOff
	}
	return defaultVariant
}

func compileVariants(given map[string]json.RawMessage) (map[string]*variant, error) {
	if len(given) == 0 {
		return map[string]*variant{
			variantOn:  newVariant(variantOn, json.RawMessage("true")),
			variantOff: newVariant(variantOff, json.RawMessage("false")),
		}, nil
	}
	if len(given) > MaxVariants {
		return nil, fmt.Errorf("%d variants, the most is %d", len(given), MaxVariants)
	}
	variants := make(map[string]*variant, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) { // sorted, for the same error every time
		if err := checkName("variant", name); err != nil {
			return nil, err
		}
		if err := checkJSON(given[name]); err != nil {
			return nil, fmt.Errorf("variant %q: the value %w", name, err)
		}
		variants[name] = newVariant(name, given[name])
	}
	return variants, nil
}

func newVariant(name string, value json.RawMessage) *variant {
	v := &variant{name: name, value: value}
	switch string(bytes.TrimSpace(value)) {
	case "true":
		v.isBool, v.truth = true, true
	case "false":
		v.isBool = true
	}
	return v
}

func compileRule(r *Rule, variants map[string]*variant) (compiledRule, error) {
	var c compiledRule
	if len(r.Conditions) > MaxConditions {
		return c, fmt.Errorf("%d conditions, the most is %d", len(r.Conditions), MaxConditions)
	}
	for i := range r.Conditions {
		holds, err := compileCondition(&r.Conditions[i])
		if err != nil {
			return c, fmt.Errorf("condition %d: %w", i+1, err)
		}
		c.conditions = append(c.conditions, compiledCondition{r.Conditions[i].Attribute, holds})
	}
	var err error
	switch {
	case r.Variant != "" && len(r.Rollout) > 0:
		return c, fmt.Errorf("it has both a variant and a rollout; keep one")
	case r.Variant != "":
		c.variant, err = pick("variant", r.Variant, variants)
	case len(r.Rollout) > 0:
		c.rollout, err = compileRollout(r.Rollout, variants)
	default:
		return c, fmt.Errorf("it gives nothing; add a variant or a rollout")
	}
	return c, err
}

func compileRollout(weights []Weight, variants map[string]*variant) ([]slot, error) {
	if len(weights) > MaxVariants {
		return nil, fmt.Errorf("%d weights, the most is %d", len(weights), MaxVariants)
	}
	slots := make([]slot, 0, len(weights))
	sum := 0.0
	for _, w := range weights {
		v, err := pick("variant", w.Variant, variants)
		if err != nil {
			return nil, err
		}
		if !(w.Percent >= 0 && w.Percent <= 100) { // also refuses NaN
			return nil, fmt.Errorf("%v percent for %q; a percentage is from 0 to 100", w.Percent, w.Variant)
		}
		sum += w.Percent
		slots = append(slots, slot{below: hashesBelow(sum), variant: v})
	}
	if sum > 100+percentSlack {
		return nil, fmt.Errorf("the percentages sum to %v, which is more than 100", sum)
	}
	return slots, nil
}

// percentSlack forgives the rounding of sums such as 33.3 + 33.3 + 33.4.
const percentSlack = 1e-9

// hashesBelow returns how many of the 2^32 hashes belong to the first percent
// percent. Rounding up makes "hash < result" the same as flagd's
// "(hash * 100) >> 32 < percent" for whole percentages.
func hashesBelow(percent float64) uint64 {
	if percent >= 100-percentSlack {
		return 1 << 32
	}
	return uint64(math.Ceil(percent * (1 << 32) / 100))
}

// place returns where a user stands in the rollouts of a flag.
func place(flagKey, targetingKey string) uint64 {
	var buf [256]byte // on the stack; longer keys allocate
	b := append(buf[:0], flagKey...)
	b = append(b, targetingKey...)
	return uint64(murmur3.Sum32(b))
}

func pick(field, name string, variants map[string]*variant) (*variant, error) {
	v, ok := variants[name]
	if !ok {
		known := slices.Sorted(maps.Keys(variants))
		return nil, fmt.Errorf("%s %q is no variant of the flag; it has %q", field, name, known)
	}
	return v, nil
}

func ruleTitle(i int, name string) string {
	if name == "" {
		return fmt.Sprintf("rule %d", i+1)
	}
	return fmt.Sprintf("rule %d (%q)", i+1, name)
}

// checkName accepts the names of flags and variants. They appear in URLs and in
// "flag:variant" tags, so neither slash nor colon is among them.
func checkName(field, name string) error {
	if name == "" {
		return fmt.Errorf("%s is empty", field)
	}
	if len(name) > MaxKeyLength {
		return fmt.Errorf("%s has %d bytes, the most is %d", field, len(name), MaxKeyLength)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return fmt.Errorf("%s %q may hold letters, digits, '.', '_' and '-' only, and begins with a letter or digit", field, name)
		}
	}
	return nil
}
