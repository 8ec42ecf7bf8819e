package feature

import (
	"fmt"
	"strconv"
)

// targetingKeyAttribute is the name under which conditions see the targeting key.
const targetingKeyAttribute = "targeting_key"

// EvaluateBool returns the value of a flag whose variants are true and false.
// A nil context is one without a key and attributes. Its errors are ErrNotFound
// and, where the variant's value is not a boolean, ErrTypeMismatch.
func (e *Engine) EvaluateBool(key string, c *Context) (bool, error) {
	f, err := e.find(key)
	if err != nil {
		return false, err
	}
	v, _ := f.evaluate(c)
	if !v.isBool {
		return false, fmt.Errorf("flag %q: variant %q is not a boolean: %w", key, v.name, ErrTypeMismatch)
	}
	return v.truth, nil
}

// EvaluateVariant returns the name of the variant, or ErrNotFound.
func (e *Engine) EvaluateVariant(key string, c *Context) (string, error) {
	f, err := e.find(key)
	if err != nil {
		return "", err
	}
	v, _ := f.evaluate(c)
	return v.name, nil
}

// Evaluate returns the variant, its value and the reason, or ErrNotFound.
func (e *Engine) Evaluate(key string, c *Context) (*Evaluation, error) {
	f, err := e.find(key)
	if err != nil {
		return nil, err
	}
	v, reason := f.evaluate(c)
	return &Evaluation{Key: key, Variant: v.name, Value: v.value, Reason: reason}, nil
}

// EvaluateAll evaluates every flag, by key, all as they were at one moment.
func (e *Engine) EvaluateAll(c *Context) []Evaluation {
	sorted := e.current.Load().sorted
	all := make([]Evaluation, 0, len(sorted))
	for _, f := range sorted {
		v, reason := f.evaluate(c)
		all = append(all, Evaluation{Key: f.flag.Key, Variant: v.name, Value: v.value, Reason: reason})
	}
	return all
}

func (f *compiled) evaluate(c *Context) (v *variant, reason string) {
	if !f.flag.Enabled {
		return f.off, ReasonDisabled
	}
	for i := range f.rules {
		r := &f.rules[i]
		if !r.matches(c) {
			continue
		}
		if r.variant != nil {
			return r.variant, ReasonTargetingMatch
		}
		return f.split(r.rollout, c)
	}
	if len(f.rollout) > 0 {
		return f.split(f.rollout, c)
	}
	if len(f.rules) > 0 {
		return f.otherwise, ReasonDefault
	}
	return f.otherwise, ReasonStatic
}

func (r *compiledRule) matches(c *Context) bool {
	for i := range r.conditions {
		if !r.conditions[i].holds(c.attribute(r.conditions[i].attribute)) {
			return false
		}
	}
	return true
}

func (f *compiled) split(rollout []slot, c *Context) (*variant, string) {
	key := c.stickyKey()
	if key == "" {
		return f.otherwise, ReasonDefault
	}
	at := place(f.flag.Key, key)
	for i := range rollout {
		if at < rollout[i].below {
			return rollout[i].variant, ReasonSplit
		}
	}
	return f.otherwise, ReasonSplit
}

func (c *Context) attribute(name string) value {
	if c == nil {
		return value{}
	}
	if v, ok := c.Attributes[name]; ok {
		return valueOf(v)
	}
	if name == targetingKeyAttribute && c.TargetingKey != "" {
		return value{kind: str, s: c.TargetingKey}
	}
	return value{}
}

func (c *Context) stickyKey() string {
	if c == nil {
		return ""
	}
	if c.TargetingKey != "" {
		return c.TargetingKey
	}
	v := c.attribute("user_id")
	if v.kind == integer {
		return strconv.FormatInt(v.i, 10)
	}
	return v.s // "" unless it is a string
}
