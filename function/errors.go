package function

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flagbase.dev/internal/quickjs"
	"flagbase.dev/internal/sandbox"
)

// Error is what the methods of this package fail with. Two errors of the same
// code match under errors.Is; the Err values below are one of each code.
type Error struct {
	Code     string // stable, such as "deadline_exceeded"
	Message  string // a sentence for a person
	ExitCode int    // of a function that ended itself; 0 otherwise
	Stderr   string // the last 4 KiB of the function's log
	Cause    error  // detail for the operator; may be nil
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// PublicMessage is what another function that invoked this one may be told.
func (e *Error) PublicMessage() string { return e.Code + ": " + e.Message }

// One error of each code, for errors.Is.
var (
	ErrNotFound         = &Error{Code: "not_found", Message: "not found"}
	ErrNotReady         = &Error{Code: "not_ready", Message: "the function has no version that is ready"}
	ErrInvalid          = &Error{Code: "invalid_request", Message: "invalid request"}
	ErrConflict         = &Error{Code: "already_exists", Message: "already exists"}
	ErrInvalidArtifact  = &Error{Code: "invalid_artifact", Message: "the artifact cannot be deployed"}
	ErrTooLarge         = &Error{Code: "too_large", Message: "larger than the limit"}
	ErrDeadlineExceeded = &Error{Code: "deadline_exceeded", Message: "the function did not end before its deadline"}
	ErrComputeExceeded  = &Error{Code: "compute_exceeded", Message: "the function computed for longer than its limit"}
	ErrMemoryExceeded   = &Error{Code: "memory_exceeded", Message: "the function needed more memory than its limit"}
	ErrOutputExceeded   = &Error{Code: "output_exceeded", Message: "the function's output is larger than its limit"}
	ErrFunction         = &Error{Code: "function_error", Message: "the function failed"}
	ErrCancelled        = &Error{Code: "cancelled", Message: "the caller went away"}
	ErrBusy             = &Error{Code: "too_many_invocations", Message: "too many invocations run at once"}
	ErrCallDepth        = &Error{Code: "call_depth_exceeded", Message: "functions invoke each other too deep"}
	ErrInterrupted      = &Error{Code: "interrupted", Message: "the server stopped while the function ran"}
	ErrInternal         = &Error{Code: "internal", Message: "flagbase failed"}
)

// fail makes an error of kind's code.
func fail(kind *Error, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: kind.Code, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// invalidArtifact says why an artifact was refused, or passes on what is no fault
// of the artifact.
func invalidArtifact(op string, err error) error {
	var js *quickjs.Error
	switch {
	case errors.Is(err, sandbox.ErrInterrupted):
		return interrupted(op, err)
	case errors.Is(err, sandbox.ErrClosed), errors.Is(err, sandbox.ErrCompiler):
		return fail(ErrInternal, "%s: %w", op, err)
	case errors.Is(err, sandbox.ErrInvalidModule):
		return &Error{Code: ErrInvalidArtifact.Code, Message: op + ": " + strings.TrimPrefix(err.Error(), sandbox.ErrInvalidModule.Error()+": "), Cause: err}
	case errors.Is(err, sandbox.ErrExhausted):
		return exhausted(op, err)
	case errors.As(err, &js):
		return &Error{Code: ErrInvalidArtifact.Code, Message: op + ": " + js.Error(), Stderr: js.Stack, Cause: err}
	}
	return &Error{Code: ErrInvalidArtifact.Code, Message: op + ": " + err.Error(), Cause: err}
}

func interrupted(op string, err error) *Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: ErrDeadlineExceeded.Code, Message: op + ": deadline exceeded", Cause: err}
	}
	return &Error{Code: ErrCancelled.Code, Message: op + ": cancelled", Cause: err}
}

// exhausted is no fault of the artifact or the function: there was no memory left.
func exhausted(op string, err error) *Error {
	return &Error{Code: ErrBusy.Code, Message: op + ": " + err.Error() + "; try again in a moment", Cause: err}
}

// guestError turns how a guest ended into an Error of op.
func guestError(op string, err error, stderr string) error {
	var own *Error
	if errors.As(err, &own) && errors.Is(err, ErrOutputExceeded) {
		return &Error{Code: own.Code, Message: op + ": " + own.Message, Stderr: stderr, Cause: err}
	}
	var (
		exit *sandbox.ExitError
		trap *sandbox.TrapError
		js   *quickjs.Error
	)
	e := &Error{Code: ErrFunction.Code, Stderr: stderr, Cause: err}
	switch {
	case errors.Is(err, sandbox.ErrInterrupted):
		e = interrupted(op, err)
		e.Stderr = stderr
	case errors.Is(err, sandbox.ErrComputeExceeded):
		e.Code, e.Message = ErrComputeExceeded.Code, op+": "+err.Error()
	case errors.Is(err, sandbox.ErrExhausted):
		e = exhausted(op, err)
		e.Stderr = stderr
	case errors.Is(err, sandbox.ErrOutOfMemory):
		e.Code, e.Message = ErrMemoryExceeded.Code, op+": "+err.Error()
	case errors.As(err, &exit):
		e.ExitCode, e.Message = int(exit.Code), fmt.Sprintf("%s: exited with code %d%s", op, exit.Code, lastLine(stderr))
	case errors.As(err, &trap):
		e.Message = fmt.Sprintf("%s: %s%s", op, trap.Message, lastLine(stderr))
		if trap.Stack != "" {
			e.Stderr = strings.TrimSuffix(stderr+"\nat "+strings.ReplaceAll(strings.TrimSpace(trap.Stack), "\n", "\nat "), "\n")
		}
	case errors.As(err, &js):
		e.Message = op + ": " + js.Error()
	case errors.Is(err, errWriter):
		e.Code, e.Message = ErrCancelled.Code, op+": the output could not be written"
	default:
		e.Code, e.Message = ErrInternal.Code, op+": the engine failed"
	}
	return e
}

// lastLine is the last line of a log, as the end of a message: usually the reason.
func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	// A Go panic's reason is its first line; goroutine traces follow it.
	line := lines[len(lines)-1]
	for _, l := range lines {
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") {
			line = l
			break
		}
	}
	if line == "" {
		return ""
	}
	if len(line) > 300 {
		line = line[:300] + "..."
	}
	return ": " + line
}
