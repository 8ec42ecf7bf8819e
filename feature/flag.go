package feature

import (
	"encoding/json"
	"errors"
	"time"
)

// Errors of this package, matched with [errors.Is].
var (
	// ErrNotFound: there is no flag with that key.
	ErrNotFound = errors.New("flag not found")
	// ErrInvalid: the flag, or the JSON it is written in, is not valid. The
	// message says what to change.
	ErrInvalid = errors.New("invalid flag")
	// ErrTypeMismatch: a boolean was asked of a flag whose variant is none.
	ErrTypeMismatch = errors.New("flag has another type")
)

// Limits of what [Engine.Put] accepts.
const (
	// MaxKeyLength is the most bytes in a flag's key and in a variant's name.
	MaxKeyLength = 128
	// MaxFlagBytes is the most bytes in a flag's JSON: 1 MiB.
	MaxFlagBytes = 1 << 20
	// MaxRules is the most rules in a flag.
	MaxRules = 1000
	// MaxConditions is the most conditions in a rule.
	MaxConditions = 100
	// MaxVariants is the most variants of a flag, and the most weights in a rollout.
	MaxVariants = 100
)

// The variants of a flag that brings none.
const (
	variantOn  = "on"
	variantOff = "off"
)

// Flag is a feature flag. Only Key is required; the zero value of every other
// field is useful.
type Flag struct {
	// Key names the flag: 1 to 128 of [A-Za-z0-9._-], the first a letter or digit.
	Key string `json:"key"`
	// Description is for people.
	Description string `json:"description,omitempty"`
	// Enabled is the main switch: a flag that is not enabled gives OffVariant to everybody.
	Enabled bool `json:"enabled"`
	// Variants are the values the flag can have, by name; names have the form of
	// a key, values are any JSON. Defaults to {"on": true, "off": false}.
	Variants map[string]json.RawMessage `json:"variants,omitempty"`
	// DefaultVariant is given where no rule and no rollout decides. Defaults,
	// for a flag with the default variants, to "off" if some rule or the rollout
	// gives "on", and to "on" otherwise. Required for a flag with variants of its own.
	DefaultVariant string `json:"default_variant,omitempty"`
	// OffVariant is given while the flag is disabled. Defaults to "off" if there
	// is a variant of that name, else to DefaultVariant.
	OffVariant string `json:"off_variant,omitempty"`
	// Rules are tried in order; the first whose conditions hold decides.
	Rules []Rule `json:"rules,omitempty"`
	// Rollout divides those whom no rule matched.
	Rollout []Weight `json:"rollout,omitempty"`
	// CreatedAt and UpdatedAt are set by [Engine.Put], in UTC and whole microseconds.
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Rule gives a variant, or a rollout over variants, to those who meet all its conditions.
type Rule struct {
	// Name is for people.
	Name string `json:"name,omitempty"`
	// Conditions must all hold. With none the rule matches everybody.
	Conditions []Condition `json:"conditions,omitempty"`
	// Variant is what the rule gives; empty when Rollout decides. One of the two is required.
	Variant string `json:"variant,omitempty"`
	// Rollout divides those who match; what its weights leave over gets the flag's default.
	Rollout []Weight `json:"rollout,omitempty"`
}

// Condition compares one attribute of the context with a value. Types are
// compared strictly: the string "1" does not equal the number 1. An attribute
// that the context lacks meets only ne, not_in, and exists with the value false.
type Condition struct {
	// Attribute names an attribute of the context; "targeting_key" is
	// [Context.TargetingKey] unless the context has an attribute of that name.
	Attribute string `json:"attribute"`
	// Operator is one of:
	//
	//   eq ne           the attribute equals Value, or does not
	//   in not_in       Value is a list; the attribute, or for a list some element of it, is in it, or none is
	//   gt gte lt lte   both are numbers, or both are strings (compared bytewise)
	//   contains        Value is part of the attribute's text, or an element of the attribute's list
	//   starts_with, ends_with
	//   exists          Value true (or none): the attribute is there and not null; false: it is not
	//   matches         the attribute's text has a match of the RE2 expression Value
	Operator string `json:"operator"`
	// Value is the JSON to compare with.
	Value json.RawMessage `json:"value,omitempty"`
}

// Weight gives Percent of the users a variant.
type Weight struct {
	Variant string `json:"variant"`
	// Percent is from 0 to 100, fractions allowed; the weights of a rollout sum to at most 100.
	Percent float64 `json:"percent"`
}

// Context says for whom a flag is evaluated.
type Context struct {
	// TargetingKey makes rollouts sticky: the same key gets the same variant.
	// Defaults to the attribute user_id where that is a string or a whole number,
	// which counts as its decimal digits.
	TargetingKey string `json:"targeting_key,omitempty"`
	// Attributes are what rules compare: user_id, role, tenant_id, email, groups
	// ([]string) and whatever else the caller knows. Values may be strings,
	// booleans, numbers of any Go type, and slices of those.
	Attributes map[string]any `json:"attributes,omitempty"`
}

// Reasons why an evaluation gave the variant it did, as OpenFeature names them.
const (
	// ReasonStatic: the flag has no rules and no rollout.
	ReasonStatic = "STATIC"
	// ReasonTargetingMatch: a rule matched and names the variant.
	ReasonTargetingMatch = "TARGETING_MATCH"
	// ReasonSplit: a rollout decided, also where it left the default.
	ReasonSplit = "SPLIT"
	// ReasonDisabled: the flag is not enabled.
	ReasonDisabled = "DISABLED"
	// ReasonDefault: no rule matched, or a rollout had no targeting key to go by.
	ReasonDefault = "DEFAULT"
)

// Evaluation is what a flag gives for a context.
type Evaluation struct {
	Key     string `json:"key"`
	Variant string `json:"variant"`
	// Value is the variant's JSON. It is shared: do not change it.
	Value json.RawMessage `json:"value"`
	// Reason is one of the Reason constants.
	Reason string `json:"reason"`
}
