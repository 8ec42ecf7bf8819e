// Package invocation tells a function about the invocation it serves: the
// event, who caused it, and the trace it belongs to.
//
// One instance of a function serves one invocation, so these are functions and
// not methods of something that has to be handed around.
package invocation

import (
	"encoding/json"

	"flagbase.dev/guest/internal/abi"
)

// Caller is the identity of the user who caused the invocation, as flagbase
// authenticated it. It never comes from the event.
type Caller struct {
	UserID   string   `json:"user_id"`
	Role     string   `json:"role"`
	TenantID string   `json:"tenant_id"`
	Email    string   `json:"email"`
	Groups   []string `json:"groups"`
}

// InGroup reports whether the caller is a member of the group.
func (c Caller) InGroup(group string) bool {
	for _, g := range c.Groups {
		if g == group {
			return true
		}
	}
	return false
}

// Event returns the event, byte for byte; empty when there is none. Natively
// and without a test host it is what stdin holds.
func Event() ([]byte, error) { return abi.Event() }

// GetCaller returns the caller's identity, and false when the invocation has
// none (a schedule, for example).
func GetCaller() (Caller, bool) {
	b := abi.Caller()
	if len(b) == 0 {
		return Caller{}, false
	}
	var c Caller
	if err := json.Unmarshal(b, &c); err != nil {
		return Caller{}, false
	}
	return c, true
}

// TraceID returns the W3C trace id of the invocation, 32 hexadecimal digits;
// empty natively without a test host.
func TraceID() string { return abi.TraceID() }
