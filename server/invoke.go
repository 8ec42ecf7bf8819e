package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"
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
	ctx context.Context
	id  string // id or name of the function
	req function.InvokeRequest

	header [5]string // values of the answer's header, in one piece of memory

	mu           sync.Mutex // guards what Started sets: a stream's keep-alive reads it from another goroutine
	invocationID string
	traceparent  string
}

// newCall reads everything of r that the invocation needs, body included.
func (s *Server) newCall(w http.ResponseWriter, r *http.Request, id string) (*call, error) {
	c := &call{s: s, w: w, id: id}
	var err error
	if c.ctx, err = callContext(r); err != nil {
		return nil, err
	}
	if err := s.callRequest(&c.req, r.Header); err != nil {
		return nil, err
	}
	if c.req.Event, err = readBody(w, r, s.opts.EventLimitBytes); err != nil {
		return nil, err
	}
	c.req.Started = c.started
	return c, nil
}

func (c *call) started(invocationID, traceparent string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invocationID, c.traceparent = invocationID, traceparent
	h := c.w.Header()
	c.set(h, 0, headerInvocation, invocationID)
	c.set(h, 1, headerTraceparent, traceparent)
}

// set is h.Set of a name in canonical form, whose value lives in place i of c.header.
func (c *call) set(h http.Header, i int, name, value string) {
	c.header[i] = value
	h[name] = c.header[i : i+1 : i+1]
}

func (c *call) invocation() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.invocationID
}

// do runs the invocation and counts it.
func (c *call) do() (*function.InvokeResult, error) {
	start := time.Now()
	m := c.s.functionMetrics(c.ctx, c.id)
	m.inFlight.Inc()
	outcome, compute := CodeInternal, time.Duration(0) // what a panic leaves
	defer func() { m.done(outcome, time.Since(start), compute) }()
	result, err := c.s.opts.Functions.Do(c.ctx, c.id, &c.req)
	if result != nil {
		compute = result.Compute
	}
	if err != nil {
		outcome = c.s.problemCode(c.ctx, err)
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
	p := c.s.problem(c.ctx, err)
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
	c.set(h, 2, headerVersion, strconv.Itoa(result.Version))
	if result.HTTP != nil {
		if err := writeWebResponse(c.w, result.HTTP); err != nil {
			c.problem(err).write(c.w)
		}
		return
	}
	c.set(h, 3, "Content-Type", outputType(result.Output))
	c.set(h, 4, "Content-Length", strconv.Itoa(len(result.Output)))
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
func (s *Server) problemCode(ctx context.Context, err error) string {
	var fe *function.Error
	if errors.As(err, &fe) {
		return fe.Code
	}
	if ctx.Err() != nil {
		return "cancelled"
	}
	return CodeInternal
}

// functionMetrics are those of the function that callers call id, so that id and name count as one. They
// are looked up once; management calls forget them. Unknown functions share a label: callers must not be
// able to make labels.
func (s *Server) functionMetrics(ctx context.Context, id string) *functionMetrics {
	if m, ok := s.names.Load(id); ok {
		return m.(*functionMetrics)
	}
	fn, err := s.opts.Functions.Get(ctx, id)
	if err != nil {
		return s.metrics.of("unknown")
	}
	m := s.metrics.of(fn.Name)
	s.names.Store(id, m)
	return m
}
