// Package host holds the errors that flagbase's services give to a function.
package host

import (
	"errors"
	"strings"
)

// ErrNotFound matches, with errors.Is, the failure of a service because the
// thing asked for does not exist: no such object, record, flag, secret or
// function.
var ErrNotFound = errors.New("not found")

// ErrUnavailable matches, with errors.Is, every failure outside flagbase: the
// program runs natively and no test host is installed. In tests install one
// with guesttest.New.
var ErrUnavailable = errors.New("no flagbase host: this program runs natively (in tests call guesttest.New first)")

// Error is the failure of one host service.
type Error struct {
	// Op is the host function that failed, for example "bucket_get".
	Op string
	// Target names what it was asked for: "reports/2026.csv", a flag's key.
	Target string
	// Message is the host's own sentence.
	Message string
	// Cause is nil inside flagbase, where only a message crosses the border.
	Cause error
}

// Error says operation, thing and cause.
func (e *Error) Error() string {
	message := e.Message
	if message == "" && e.Cause != nil {
		message = e.Cause.Error()
	}
	if message == "" {
		message = "failed without a message"
	}
	if e.Target == "" {
		return e.Op + ": " + message
	}
	return e.Op + " " + quote(e.Target) + ": " + message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports ErrNotFound when the host's sentence says so. The host ABI carries
// sentences and no codes, so the words are what there is to go by.
func (e *Error) Is(target error) bool {
	if target != ErrNotFound {
		return false
	}
	for _, words := range []string{"not found", "not_found", "no such"} {
		if strings.Contains(e.Message, words) {
			return true
		}
	}
	return false
}

// quote keeps a target readable and bounded in a message.
func quote(s string) string {
	const limit = 200
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return `"` + s + `"`
}
