package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Caller is who a function is told has invoked it. Only an admin key may say so.
type Caller struct {
	UserID   string   `json:"user_id,omitempty"`
	Role     string   `json:"role,omitempty"`
	TenantID string   `json:"tenant_id,omitempty"`
	Email    string   `json:"email,omitempty"`
	Groups   []string `json:"groups,omitempty"`
}

// InvokeOptions say how a function is invoked; the zero value invokes the active version with an empty event.
type InvokeOptions struct {
	Event       []byte
	ContentType string        // of Event; defaults to application/octet-stream
	Version     int           // defaults to the active one
	Timeout     time.Duration // defaults to the function's
	Caller      string        // JSON of a Caller; "" is none
	FlagContext string        // "flag:variant"; "" is none
	Traceparent string        // W3C parent of the invocation's trace; "" starts a trace
}

// InvokeResult is what came of an invocation.
type InvokeResult struct {
	InvocationID string
	Traceparent  string
	Version      int
	Status       int // 200, or what a web handler answered
	ContentType  string
	Header       http.Header
	Output       []byte // empty when it was streamed
}

func (o *InvokeOptions) request(id, suffix string) *request {
	if o == nil {
		o = &InvokeOptions{}
	}
	kind := o.ContentType
	if kind == "" {
		kind = "application/octet-stream"
	}
	r := &request{
		method: http.MethodPost, path: functionPath(id, "/invoke"+suffix),
		header: http.Header{"Content-Type": {kind}},
		body:   bytes.NewReader(o.Event), length: int64(len(o.Event)),
	}
	if o.Version != 0 {
		r.header.Set("Flagbase-Version", strconv.Itoa(o.Version))
	}
	if o.Timeout != 0 {
		r.header.Set("Flagbase-Timeout", o.Timeout.String())
	}
	for name, value := range map[string]string{"Flagbase-Caller": o.Caller, "Flagbase-Flag-Context": o.FlagContext, "Traceparent": o.Traceparent} {
		if value != "" {
			r.header.Set(name, value)
		}
	}
	return r
}

// Invoke runs a function, by id or name, and returns its output. A function that failed is an *Error with
// the code function_error, deadline_exceeded, compute_exceeded, memory_exceeded or output_exceeded. A web handler's response
// is a result whatever its status.
func (c *Client) Invoke(ctx context.Context, id string, opts *InvokeOptions) (*InvokeResult, error) {
	resp, err := c.send(ctx, opts.request(id, ""))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if failed(resp) {
		return nil, readError(resp)
	}
	result := resultOf(resp)
	if result.Output, err = io.ReadAll(resp.Body); err != nil {
		return result, fmt.Errorf("invoke %q: the output broke off after %d bytes: %w", id, len(result.Output), err)
	}
	return result, nil
}

// InvokeStream runs a function and writes its output to w as it arrives. When the function fails after its
// first output, the result and an *Error are both returned.
func (c *Client) InvokeStream(ctx context.Context, id string, opts *InvokeOptions, w io.Writer) (*InvokeResult, error) {
	resp, err := c.send(ctx, opts.request(id, "/stream"))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if failed(resp) {
		return nil, readError(resp)
	}
	result := resultOf(resp)
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return result, fmt.Errorf("invoke %q: the output broke off after %d bytes: %w", id, n, err)
	}
	code := resp.Trailer.Get("Flagbase-Error")
	if code == "" {
		return result, nil
	}
	failure := &Error{Status: resp.StatusCode, Code: code, Detail: resp.Trailer.Get("Flagbase-Error-Detail"), InvocationID: result.InvocationID}
	if exit, err := strconv.Atoi(resp.Trailer.Get("Flagbase-Exit-Code")); err == nil {
		failure.ExitCode = &exit
	}
	return result, failure
}

// failed tells flagbase's failures from what a web handler answered: only flagbase sets Flagbase-Error, and
// only a function's own answer has run under an invocation without it.
func failed(resp *http.Response) bool {
	if resp.Header.Get("Flagbase-Error") != "" {
		return true
	}
	return resp.StatusCode >= 300 && resp.Header.Get("Flagbase-Version") == ""
}

func resultOf(resp *http.Response) *InvokeResult {
	version, _ := strconv.Atoi(resp.Header.Get("Flagbase-Version")) // absent on streams
	return &InvokeResult{
		InvocationID: resp.Header.Get("Flagbase-Invocation-Id"),
		Traceparent:  resp.Header.Get("Traceparent"),
		Version:      version,
		Status:       resp.StatusCode,
		ContentType:  resp.Header.Get("Content-Type"),
		Header:       resp.Header,
	}
}

// ErrorOf returns err as an *Error, or nil when it is none.
func ErrorOf(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
