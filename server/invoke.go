package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"unicode/utf8"

	"flagbase.dev/function"
)

func (s *Server) invokeRoutes() {
	s.mux.HandleFunc("POST /v1/functions/{id}/invoke", s.serveInvoke)
	s.mux.HandleFunc("POST /v1/functions/{id}/invoke/stream", s.serveStream)
}

// call is one invocation over HTTP, from its request to the headers of its answer.
type call struct {
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	id  string // id or name of the function
	req *function.InvokeRequest

	mu           sync.Mutex // guards what Started sets: a stream's keep-alive reads it from another goroutine
	invocationID string
	traceparent  string
}

// newCall reads everything of r that the invocation needs, body included.
func (s *Server) newCall(w http.ResponseWriter, r *http.Request, id string) (*call, error) {
	ctx, err := callContext(r)
	if err != nil {
		return nil, err
	}
	req, err := s.callRequest(r.Header)
	if err != nil {
		return nil, err
	}
	if req.Event, err = readBody(w, r, s.opts.EventLimitBytes); err != nil {
		return nil, err
	}
	c := &call{s: s, w: w, r: r.WithContext(ctx), id: id, req: req}
	req.Started = c.started
	return c, nil
}

func (c *call) started(invocationID, traceparent string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invocationID, c.traceparent = invocationID, traceparent
	h := c.w.Header()
	h.Set(headerInvocation, invocationID)
	h.Set(headerTraceparent, traceparent)
}

func (c *call) invocation() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.invocationID
}

// do runs the invocation and counts it.
func (c *call) do() (*function.InvokeResult, error) {
	done := c.s.metrics.begin(c.s.metricName(c.r, c.id))
	outcome := CodeInternal // what a panic leaves
	defer func() { done(outcome) }()
	result, err := c.s.opts.Functions.Do(c.r.Context(), c.id, c.req)
	if err != nil {
		outcome = c.s.problemCode(c.r, err)
		return nil, err
	}
	outcome = "ok"
	if c.invocation() == "" {
		c.started(result.InvocationID, result.Traceparent)
	}
	return result, nil
}

// problem is what the caller is told when the invocation failed.
func (c *call) problem(err error) *Problem {
	p := c.s.problem(c.r.Context(), err)
	p.InvocationID = c.invocation()
	return p.withHeader(headerError, p.Code)
}

func (s *Server) serveInvoke(w http.ResponseWriter, r *http.Request) {
	c, err := s.newCall(w, r, r.PathValue("id"))
	if err != nil {
		s.problem(r.Context(), err).write(w)
		return
	}
	result, err := c.do()
	if err != nil {
		c.problem(err).write(w)
		return
	}
	c.answer(result)
}

// answer writes a finished invocation: the function's own HTTP response if it made one, else its output.
func (c *call) answer(result *function.InvokeResult) {
	h := c.w.Header()
	h.Set(headerVersion, strconv.Itoa(result.Version))
	if result.HTTP != nil {
		if err := writeWebResponse(c.w, result.HTTP); err != nil {
			c.problem(err).write(c.w)
		}
		return
	}
	h.Set("Content-Type", outputType(result.Output))
	h.Set("Content-Length", strconv.Itoa(len(result.Output)))
	_, _ = c.w.Write(result.Output)
}

// outputType is the content type of an output that carries none: what the bytes are.
func outputType(output []byte) string {
	switch {
	case json.Valid(output):
		return "application/json"
	case utf8.Valid(output):
		return "text/plain; charset=utf-8"
	default:
		return "application/octet-stream"
	}
}

// problemCode is the code err will be reported with, without logging anything.
func (s *Server) problemCode(r *http.Request, err error) string {
	var fe *function.Error
	if errors.As(err, &fe) {
		return fe.Code
	}
	if r.Context().Err() != nil {
		return "cancelled"
	}
	return CodeInternal
}

// metricName is the name of the function that callers call id, so that id and name count as one. It is
// looked up once; management calls forget it. Unknown functions share a label: callers must not be able to
// make labels.
func (s *Server) metricName(r *http.Request, id string) string {
	if name, ok := s.names.Load(id); ok {
		return name.(string)
	}
	fn, err := s.opts.Functions.Get(r.Context(), id)
	if err != nil {
		return "unknown"
	}
	s.names.Store(id, fn.Name)
	return fn.Name
}
