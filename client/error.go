package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is a failure the server reported: its problem document (RFC 9457).
type Error struct {
	Status int    `json:"status"`           // HTTP status; 200 for a stream that failed after its first byte
	Code   string `json:"code"`             // stable, e.g. "not_found", "deadline_exceeded"
	Title  string `json:"title,omitempty"`  // the status in words
	Detail string `json:"detail,omitempty"` // what went wrong and what to do about it

	InvocationID string  `json:"invocation_id,omitempty"`
	ExitCode     *int    `json:"exit_code,omitempty"` // what the function exited with
	Stderr       string  `json:"stderr,omitempty"`    // the last part of the function's log
	RequestID    string  `json:"request_id,omitempty"`
	Fields       []Field `json:"errors,omitempty"` // the parts of the request that were refused

	// RetryAfter is how long the server asks to wait before trying again; 0 when it does not say.
	RetryAfter time.Duration `json:"-"`
}

// Field is one refused part of a request.
type Field struct {
	Location string `json:"location,omitempty"`
	Message  string `json:"message"`
}

// Error is the detail, with the code in front.
func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%s (HTTP %d)", e.Code, e.Status)
	}
	return e.Code + ": " + e.Detail
}

// HasCode reports whether err is an *Error with that code.
func HasCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// readError makes an Error of a response that is no success. It reads the body but does not close it.
func readError(resp *http.Response) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // half a body still says more than none
	e := &Error{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, e) != nil {
		*e = Error{}
	}
	e.Status = resp.StatusCode
	if e.Code == "" {
		e.Code = "http_" + strconv.Itoa(resp.StatusCode)
		e.Detail = foreignDetail(resp, body)
	}
	if e.InvocationID == "" {
		e.InvocationID = resp.Header.Get("Flagbase-Invocation-Id")
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// foreignDetail describes an answer that is no problem document: a proxy's, or another server's.
func foreignDetail(resp *http.Response, body []byte) string {
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode < 400 {
		return fmt.Sprintf("the server redirects to %s; use that address", location)
	}
	text := strings.Join(strings.Fields(string(body)), " ")
	if len(text) > 200 {
		text = text[:200] + "..."
	}
	if text == "" {
		text = http.StatusText(resp.StatusCode)
	}
	return fmt.Sprintf("the answer is not flagbase's (HTTP %d): %s", resp.StatusCode, strings.ToValidUTF8(text, "?"))
}
