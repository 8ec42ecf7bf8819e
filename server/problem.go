package server

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Codes of the problems that the HTTP edge itself reports. Failures of a function or of another domain
// package carry that package's own code.
const (
	CodeInvalidRequest       = "invalid_request"        // 400, 422: the request cannot be understood
	CodeUnauthorized         = "unauthorized"           // 401: no key, or a key nobody has
	CodeForbidden            = "forbidden"              // 403: the key may not do this
	CodeNotFound             = "not_found"              // 404: no such path or thing
	CodeMethodNotAllowed     = "method_not_allowed"     // 405: the path exists, the method does not
	CodeNotAcceptable        = "not_acceptable"         // 406: the answer cannot be given in the type asked for
	CodeRequestTimeout       = "request_timeout"        // 408: the body came too slowly
	CodeTooLarge             = "too_large"              // 413: the body is over its limit
	CodeUnsupportedMediaType = "unsupported_media_type" // 415: the body is of a type this path does not read
	CodeInternal             = "internal"               // 500: a bug in flagbase
	CodeUnavailable          = "unavailable"            // 503: starting or shutting down
)

// Problem is the body of every failed request: an RFC 9457 problem document, media type
// application/problem+json. Code is stable and meant for programs, Detail is a sentence for people.
type Problem struct {
	Title  string `json:"title" doc:"The HTTP status in words."`
	Status int    `json:"status" doc:"The HTTP status."`
	Code   string `json:"code" doc:"What went wrong, stable across releases." example:"not_found"`
	Detail string `json:"detail" doc:"What went wrong here and what to do about it."`

	InvocationID string         `json:"invocation_id,omitempty" doc:"The invocation that failed."`
	ExitCode     *int           `json:"exit_code,omitempty" doc:"What the function exited with."`
	Stderr       string         `json:"stderr,omitempty" doc:"The last part of the function's log."`
	RequestID    string         `json:"request_id,omitempty" doc:"Where to look in the server's log; only with status 500."`
	Errors       []ProblemField `json:"errors,omitempty" doc:"The parts of the request that were refused."`

	header http.Header // extra response headers, e.g. Retry-After
}

// ProblemField is one refused part of a request.
type ProblemField struct {
	Location string `json:"location,omitempty" doc:"Where it is, e.g. body.rules[0].variant"`
	Message  string `json:"message" doc:"Why it was refused."`
}

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// Error is the detail, so that a Problem is an error a handler can return.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status (huma.StatusError).
func (p *Problem) GetStatus() int { return p.Status }

// ContentType turns a JSON content type into the problem one (huma.ContentTypeFilter).
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are the headers that belong to the problem (huma.HeadersError).
func (p *Problem) GetHeaders() http.Header { return p.header }

func (p *Problem) withHeader(name, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

// write sends the problem; nothing may have been sent before.
func (p *Problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // strings and numbers only: cannot happen
		body = []byte(`{"status":500,"code":"internal"}`)
	}
	body = append(body, '\n')
	h := w.Header()
	for name, values := range p.header {
		h[name] = values
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client is gone: nobody is left to tell
}
