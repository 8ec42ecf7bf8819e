package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Flag is a feature flag. Zero Variants mean {"on": true, "off": false}.
type Flag struct {
	Key            string                     `json:"key"`
	Description    string                     `json:"description,omitempty"`
	Enabled        bool                       `json:"enabled"`
	Variants       map[string]json.RawMessage `json:"variants,omitempty"`
	DefaultVariant string                     `json:"default_variant,omitempty"`
	OffVariant     string                     `json:"off_variant,omitempty"`
	Rules          []Rule                     `json:"rules,omitempty"`
	Rollout        []Weight                   `json:"rollout,omitempty"`
	CreatedAt      time.Time                  `json:"created_at,omitzero"`
	UpdatedAt      time.Time                  `json:"updated_at,omitzero"`
}

// Rule decides for the callers who meet all its conditions; the first rule that matches wins.
type Rule struct {
	Name       string      `json:"name,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
	Variant    string      `json:"variant,omitempty"`
	Rollout    []Weight    `json:"rollout,omitempty"`
}

// Condition compares one attribute of the caller with a value.
type Condition struct {
	Attribute string          `json:"attribute"`
	Operator  string          `json:"operator"`
	Value     json.RawMessage `json:"value,omitempty"`
}

// Weight gives a variant to a percentage of the callers.
type Weight struct {
	Variant string  `json:"variant"`
	Percent float64 `json:"percent"`
}

// EvaluationContext is whom a flag is evaluated for.
type EvaluationContext struct {
	TargetingKey string         `json:"targeting_key,omitempty"`
	Attributes   map[string]any `json:"attributes,omitempty"`
}

// Evaluation is what a flag is for somebody, and why.
type Evaluation struct {
	Key     string          `json:"key"`
	Variant string          `json:"variant"`
	Value   json.RawMessage `json:"value"`
	Reason  string          `json:"reason"`
}

// Flags lists all flags, by key.
func (c *Client) Flags(ctx context.Context) ([]Flag, error) {
	var out struct {
		Flags []Flag `json:"flags"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/flags", nil, nil, &out)
	return out.Flags, err
}

// Flag returns one flag.
func (c *Client) Flag(ctx context.Context, key string) (*Flag, error) {
	return answer[Flag](c, ctx, http.MethodGet, "/v1/flags/"+seg(key), nil)
}

// PutFlag creates a flag or replaces it.
func (c *Client) PutFlag(ctx context.Context, flag *Flag) (*Flag, error) {
	sent := *flag
	sent.CreatedAt, sent.UpdatedAt = time.Time{}, time.Time{} // the server's to set
	return answer[Flag](c, ctx, http.MethodPut, "/v1/flags/"+seg(flag.Key), &sent)
}

// DeleteFlag deletes a flag.
func (c *Client) DeleteFlag(ctx context.Context, key string) error {
	return c.call(ctx, http.MethodDelete, "/v1/flags/"+seg(key), nil, nil, nil)
}

// EvaluateFlag says what a flag is for somebody; a nil context is nobody in particular.
func (c *Client) EvaluateFlag(ctx context.Context, key string, who *EvaluationContext) (*Evaluation, error) {
	if who == nil {
		who = &EvaluationContext{}
	}
	return answer[Evaluation](c, ctx, http.MethodPost, "/v1/flags/"+seg(key)+"/evaluate", who)
}
