// Package fn invokes other functions.
//
// The invoked function runs in a sandbox of its own, under what is left of this
// invocation's deadline, as a child in the same trace.
package fn

import (
	"encoding/json"
	"fmt"

	"flagbase.dev/guest/internal/abi"
)

// Invoke runs the function with this id or name and returns its output. A nil
// event invokes it without one. When the function fails, so does Invoke.
func Invoke(function string, event []byte) ([]byte, error) {
	if event == nil {
		return abi.Invoke(function)
	}
	return abi.InvokeEvent(function, event)
}

// InvokeJSON sends in as JSON and decodes the output from JSON into Out.
func InvokeJSON[Out any](function string, in any) (Out, error) {
	var out Out
	event, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("invoke %q: encode event: %w", function, err)
	}
	b, err := abi.InvokeEvent(function, event)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("invoke %q: decode output: %w", function, err)
	}
	return out, nil
}
