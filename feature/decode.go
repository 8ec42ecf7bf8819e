package feature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of JSON accepted.
const maxDepth = 128

// DecodeFlag reads a flag from JSON that came from outside. It refuses, as
// ErrInvalid, what [json.Unmarshal] would let pass: unknown and misspelt fields,
// a name given twice in an object, nesting deeper than 128, more than
// [MaxFlagBytes], and anything after the flag. Whether the flag makes sense is
// for [Engine.Put] to say.
func DecodeFlag(b []byte) (*Flag, error) {
	if len(b) > MaxFlagBytes {
		return nil, fmt.Errorf("decode flag: %w: %d bytes of JSON, the most is %d", ErrInvalid, len(b), MaxFlagBytes)
	}
	if err := checkShape(b, "flag"); err != nil {
		return nil, fmt.Errorf("decode flag: %w: it %w", ErrInvalid, err)
	}
	var f *Flag
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("decode flag: %w: %w", ErrInvalid, err)
	}
	if f == nil {
		return nil, fmt.Errorf("decode flag: %w: it is null", ErrInvalid)
	}
	return f, nil
}

// shapes lists, for each kind of object, its fields and the kind of object in
// each; "" is JSON of any shape.
var shapes = map[string]map[string]string{
	"flag": {
		"key": "", "description": "", "enabled": "", "variants": "", "default_variant": "", "off_variant": "",
		"rules": "rule", "rollout": "weight", "created_at": "", "updated_at": "",
	},
	"rule":      {"name": "", "conditions": "condition", "variant": "", "rollout": "weight"},
	"condition": {"attribute": "", "operator": "", "value": ""},
	"weight":    {"variant": "", "percent": ""},
}

// checkJSON accepts JSON of any shape. Its errors continue a sentence.
func checkJSON(b []byte) error { return checkShape(b, "") }

func checkShape(b []byte, shape string) error {
	if !utf8.Valid(b) {
		return errors.New("is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := checkNext(dec, shape, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has something after its end")
	}
	return nil
}

func checkNext(dec *json.Decoder, shape string, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("is not JSON: %w", endOfInput(err))
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	var seen map[string]bool
	for dec.More() {
		inner := shape
		if open == '{' {
			tok, err := dec.Token()
			if err != nil {
				return fmt.Errorf("is not JSON: %w", endOfInput(err))
			}
			name := tok.(string) // the decoder allows nothing else here
			if seen[name] {
				return fmt.Errorf("has %q twice in one object", name)
			}
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[name] = true
			if fields := shapes[shape]; fields != nil {
				if inner, ok = fields[name]; !ok {
					known := make([]string, 0, len(fields))
					for field := range fields {
						known = append(known, field)
					}
					slices.Sort(known)
					return fmt.Errorf("has the unknown field %q; a %s has %q", name, shape, known)
				}
			}
		}
		if err := checkNext(dec, inner, depth+1); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing delimiter
		return fmt.Errorf("is not JSON: %w", endOfInput(err))
	}
	return nil
}

// endOfInput tells a person what io.EOF means here.
func endOfInput(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}
