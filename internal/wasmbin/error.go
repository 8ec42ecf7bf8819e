package wasmbin

import (
	"errors"
	"fmt"
)

// Kinds of refusal, found with errors.Is in every error of this package.
var (
	// ErrNotModule means that the bytes are something else than a core WebAssembly module.
	ErrNotModule = errors.New("not a WebAssembly module")
	// ErrMalformed means that the bytes break the binary format.
	ErrMalformed = errors.New("malformed WebAssembly module")
	// ErrUnsupported means that the module uses a part of WebAssembly that flagbase does not run.
	ErrUnsupported = errors.New("unsupported WebAssembly feature")
	// ErrLimit means that the module is larger or more complex than its [Limits] allow.
	ErrLimit = errors.New("WebAssembly module exceeds a limit")
)

// Error says why a module was refused.
type Error struct {
	// Offset is where in the binary the cause stands, in bytes from its start.
	Offset int
	// Message is a sentence for the author of the module, without a final full stop.
	Message string
	// Kind is one of ErrNotModule, ErrMalformed, ErrUnsupported and ErrLimit.
	Kind error
}

// Error gives the message and, where it helps to find the cause, the offset.
func (e *Error) Error() string {
	if e.Offset <= 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (at byte %d)", e.Message, e.Offset)
}

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }
