package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// functionStatus is the HTTP status of each code of package function. A function's own failure is 502:
// flagbase is the gateway, the function is what answered badly.
var functionStatus = map[string]int{
	function.ErrNotFound.Code:         http.StatusNotFound,
	function.ErrNotReady.Code:         http.StatusConflict,
	function.ErrConflict.Code:         http.StatusConflict,
	function.ErrInvalidArtifact.Code:  http.StatusUnprocessableEntity,
	function.ErrInvalid.Code:          http.StatusUnprocessableEntity,
	function.ErrTooLarge.Code:         http.StatusRequestEntityTooLarge,
	function.ErrBusy.Code:             http.StatusTooManyRequests,
	function.ErrFunction.Code:         http.StatusBadGateway,
	function.ErrDeadlineExceeded.Code: http.StatusBadGateway,
	function.ErrMemoryExceeded.Code:   http.StatusBadGateway,
	function.ErrComputeExceeded.Code:  http.StatusBadGateway,
	function.ErrOutputExceeded.Code:   http.StatusBadGateway,
	function.ErrCallDepth.Code:        http.StatusBadGateway,
	function.ErrCancelled.Code:        http.StatusServiceUnavailable,
	function.ErrInterrupted.Code:      http.StatusServiceUnavailable,
}

// domainErrors are the errors of the other packages.
var domainErrors = []struct {
	err    error
	code   string
	status int
}{
	{feature.ErrNotFound, CodeNotFound, http.StatusNotFound},
	{feature.ErrTypeMismatch, "type_mismatch", http.StatusUnprocessableEntity},
	{feature.ErrInvalid, CodeInvalidRequest, http.StatusUnprocessableEntity},
	{table.ErrNotFound, CodeNotFound, http.StatusNotFound},
	{table.ErrConflict, "already_exists", http.StatusConflict},
	{table.ErrInvalid, CodeInvalidRequest, http.StatusUnprocessableEntity},
	{storage.ErrNotFound, CodeNotFound, http.StatusNotFound},
	{storage.ErrInvalidName, CodeInvalidRequest, http.StatusUnprocessableEntity},
	{tracing.ErrNotFound, CodeNotFound, http.StatusNotFound},
}

// problem turns any error of a domain package into what the caller is told. What has no code is a bug or
// a broken disk: it is logged with the request's id and the caller learns only that id.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	// The outermost error decides: what a function failed of may hold another function's error.
	var fe *function.Error
	if errors.As(err, &fe) {
		if status, ok := functionStatus[fe.Code]; ok {
			return functionProblem(status, fe)
		}
		return s.internal(ctx, err)
	}
	for _, known := range domainErrors {
		if errors.Is(err, known.err) {
			return newProblem(known.status, known.code, err.Error())
		}
	}
	if p := bodyProblem(err); p != nil {
		return p
	}
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		// Mostly the client that went away; if it is still there, the server is on its way down.
		return newProblem(http.StatusServiceUnavailable, "cancelled", "The request was cancelled before it was done.").
			withHeader("Retry-After", "1")
	}
	return s.internal(ctx, err)
}

func functionProblem(status int, fe *function.Error) *Problem {
	p := newProblem(status, fe.Code, fe.Message)
	if status == http.StatusBadGateway || fe.Code == function.ErrInvalidArtifact.Code {
		p.Stderr = fe.Stderr
	}
	if fe.Code == function.ErrFunction.Code {
		exit := fe.ExitCode
		p.ExitCode = &exit
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		p.withHeader("Retry-After", "1")
	}
	return p
}

// internal logs err and hides it behind the request's id.
func (s *Server) internal(ctx context.Context, err error) *Problem {
	id := requestID(ctx)
	attrs := []slog.Attr{slog.String("request_id", id), slog.Any("error", err)}
	var fe *function.Error
	if errors.As(err, &fe) && fe.Cause != nil {
		attrs = append(attrs, slog.Any("cause", fe.Cause)) // its message alone is for the public
	}
	s.log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
	p := newProblem(http.StatusInternalServerError, CodeInternal,
		fmt.Sprintf("flagbase failed; the server's log has the details under request_id %s.", id))
	p.RequestID = id
	return p
}

// bodyProblem recognises what can go wrong while a request body is read; nil for anything else.
func bodyProblem(err error) *Problem {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return newProblem(http.StatusRequestEntityTooLarge, CodeTooLarge,
			fmt.Sprintf("The request body is larger than the limit of %s.", bytesText(tooLarge.Limit))).
			withHeader("Connection", "close")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return newProblem(http.StatusRequestTimeout, CodeRequestTimeout,
			"The request body arrived too slowly; send it again.").withHeader("Connection", "close")
	}
	return nil
}

// bytesText writes a limit the way the documentation does: 6 MiB, 256 KiB, 100 bytes.
func bytesText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
