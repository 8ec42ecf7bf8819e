package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero/sys"
)

var (
	// ErrInterrupted says that the context of the invocation ended (deadline or
	// cancellation) before the guest did. The context's cause is wrapped beside it.
	ErrInterrupted = errors.New("guest interrupted")

	// ErrOutOfMemory says that the guest failed after it was refused memory
	// beyond its limit.
	ErrOutOfMemory = errors.New("guest out of memory")

	// ErrComputeExceeded says that the guest computed for longer than it may.
	ErrComputeExceeded = errors.New("the guest exceeded its compute time")

	// ErrClosed says that the runtime was closed.
	ErrClosed = errors.New("the runtime is closed")

	// ErrExhausted says that an instance cannot start, or failed after it could not
	// grow, because all instances together have the memory the runtime may use. It is
	// no fault of the guest's; later there may be room.
	ErrExhausted = errors.New("the memory for all guests together is used up")

	// ErrInvalidModule says that the bytes are no module this runtime runs. The
	// error that wraps it says why, in a sentence for the person who made them.
	ErrInvalidModule = errors.New("invalid module")
)

// ExitError is a guest that ended itself through proc_exit with a code other
// than 0.
type ExitError struct{ Code uint32 }

func (e *ExitError) Error() string { return fmt.Sprintf("guest exited with code %d", e.Code) }

// TrapError is a guest that did what WebAssembly forbids: an unreachable
// instruction, an access out of bounds, a stack overflow and so on.
type TrapError struct {
	Message string // such as "integer divide by zero"
	Stack   string // the guest's frames, innermost first, one a line
}

func (e *TrapError) Error() string { return "guest trapped: " + e.Message }

// hostFailure carries an error of a host function out through the guest. It
// ends the invocation; the guest cannot catch it.
type hostFailure struct{ err error }

func (h *hostFailure) Error() string { return h.err.Error() }
func (h *hostFailure) Unwrap() error { return h.err }

// Fail ends the guest from within a host function: the Call that led here
// returns err.
func Fail(err error) { panic(&hostFailure{err}) }

// translate turns what wazero returned into the package's errors.
func (i *Instance) translate(err error) error {
	if err == nil {
		return nil
	}
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		if exit.ExitCode() == 0 {
			return nil
		}
		if i.guest.mem.exhausted {
			return fmt.Errorf("%w; the guest then exited with code %d", ErrExhausted, exit.ExitCode())
		}
		if i.guest.mem.refused {
			return fmt.Errorf("%w: limit %d MiB; the guest then exited with code %d", ErrOutOfMemory, i.guest.mem.limit>>20, exit.ExitCode())
		}
		return &ExitError{Code: exit.ExitCode()}
	}
	var failure *hostFailure
	if errors.As(err, &failure) {
		return failure.err
	}
	if cause := i.ctx.Err(); cause != nil {
		return fmt.Errorf("%w: %w", ErrInterrupted, cause)
	}
	var bug runtime.Error
	if errors.As(err, &bug) && strings.Contains(err.Error(), "recovered by wazero") {
		// A Go panic in a host function is our bug, not the guest's. wazero's own
		// traps are plain errors.
		return fmt.Errorf("host function failed: %w", bug)
	}
	message, stack, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	message = strings.TrimPrefix(message, "wasm error: ")
	if i.guest.mem.exhausted {
		return fmt.Errorf("%w; the guest then trapped: %s", ErrExhausted, message)
	}
	if i.guest.mem.refused {
		return fmt.Errorf("%w: limit %d MiB; the guest then trapped: %s", ErrOutOfMemory, i.guest.mem.limit>>20, message)
	}
	return &TrapError{Message: message, Stack: strings.ReplaceAll(stack, "\t", "")}
}
