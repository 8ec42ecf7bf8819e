package function

import (
	"context"
	"errors"
	"io"
	"time"

	"flagbase.dev/internal/hostabi"
	"flagbase.dev/tracing"
)

// InvokeRequest says how to invoke a function. The zero value invokes the active
// version with an empty event.
type InvokeRequest struct {
	// Version is the number of the version. Defaults to the active one.
	Version int
	// Timeout is the wall time the invocation may take; the deadline of the
	// context holds as well. Defaults to the engine's Timeout.
	Timeout time.Duration
	// ComputeLimit is how long the guest may compute: wall time in its own code, host
	// calls not counted. It can lower the engine's ComputeLimit, not raise it. Defaults
	// to that.
	ComputeLimit time.Duration
	// Event is what the function reads as its event.
	Event []byte
	// Stdout gets the output as it is written, if set; then
	// InvokeResult.Output stays empty.
	Stdout io.Writer
	// HTTP is the request, when the function is used as a web handler. A function
	// that is none gets Event, or the request's body where Event is nil.
	HTTP *HTTPRequest
	// Started is called before the function runs, if set.
	Started func(invocationID, traceparent string)
}

// InvokeResult is what an invocation left. It is returned beside an error too, as
// far as the invocation came.
type InvokeResult struct {
	InvocationID string
	TraceID      string // 32 hex digits
	Traceparent  string // of the invocation's span, as W3C Trace Context writes it
	Version      int
	Output       []byte
	HTTP         *HTTPResponse // of a web handler; its body is Output too
	Log          []byte
	Metrics      WASIMetrics
	Duration     time.Duration // wall time, from the beginning
	Compute      time.Duration // of it, in the guest's own code
}

// Invoke executes a ready function and returns its output. timeout 0 means the
// engine's default.
func (s *Store) Invoke(ctx context.Context, id string, timeout time.Duration) ([]byte, error) {
	return s.InvokeWithEvent(ctx, id, timeout, nil)
}

// InvokeWithEvent executes a function with an event payload readable via the
// event_read host call.
func (s *Store) InvokeWithEvent(ctx context.Context, id string, timeout time.Duration, eventData []byte) ([]byte, error) {
	res, err := s.Do(ctx, id, &InvokeRequest{Timeout: timeout, Event: eventData})
	if res == nil {
		return nil, err
	}
	return res.Output, err
}

// InvokeStream executes a ready function, writing its stdout output to w as bytes
// arrive. This enables real-time streaming to HTTP clients.
func (s *Store) InvokeStream(ctx context.Context, id string, timeout time.Duration, w io.Writer) error {
	return s.InvokeStreamWithEvent(ctx, id, timeout, nil, w)
}

// InvokeStreamWithEvent executes a function with an event payload, streaming stdout
// to w in real-time.
func (s *Store) InvokeStreamWithEvent(ctx context.Context, id string, timeout time.Duration, eventData []byte, w io.Writer) error {
	_, err := s.Do(ctx, id, &InvokeRequest{Timeout: timeout, Event: eventData, Stdout: w})
	return err
}

// Do invokes a function; it is the general form of the Invoke methods. The result
// is nil when the invocation did not begin: the function is absent or not ready, the
// event too large, or too many invocations of it run. An invocation that began is
// recorded, however it ends.
func (s *Store) Do(ctx context.Context, id string, req *InvokeRequest) (*InvokeResult, error) {
	const op = "invoke"
	if req == nil {
		req = &InvokeRequest{}
	}
	o := &s.engine.options
	event := req.Event
	if event == nil && req.HTTP != nil {
		event = req.HTTP.Body
	}
	if int64(len(event)) > o.EventLimitBytes {
		return nil, fail(ErrTooLarge, "%s: the event has %d bytes, the limit is %d", op, len(event), o.EventLimitBytes)
	}
	depth := depthFrom(ctx) + 1
	if depth > o.MaxCallDepth {
		return nil, fail(ErrCallDepth, "%s: functions invoke each other more than %d deep", op, o.MaxCallDepth)
	}
	f, err := s.function(ctx, op, id)
	if err != nil {
		return nil, err
	}
	version := req.Version
	if version == 0 {
		version = f.active
	}
	p, err := s.program(ctx, op, f, version)
	if err != nil {
		return nil, err
	}
	if err := f.queue.enter(ctx); err != nil {
		return nil, f.notEntered(op, err)
	}
	defer f.queue.leave()

	timeout := req.Timeout
	if timeout <= 0 {
		timeout = o.Timeout
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, depthKey{}, depth), timeout)
	defer cancel()
	r := &record{FunctionInvocation: FunctionInvocation{ID: newID(invocationPrefix), FunctionID: f.id, StartedAt: time.Now()}, version: version}
	ctx, span := s.tracer.Start(ctx, f.span, &tracing.StartOptions{FunctionID: f.id, InvocationID: r.ID})
	place := span.Context()
	r.TraceID = place.TraceIDString()
	res := &InvokeResult{InvocationID: r.ID, TraceID: r.TraceID, Traceparent: place.Traceparent(), Version: version}
	i := &frame{log: logBuffer{limit: o.LogLimitBytes}, out: output{w: req.Stdout, limit: o.OutputLimitBytes}}
	call, log, out := &i.call, &i.log, &i.out
	err = bind(ctx, call, f.services, f.id, r.ID, r.TraceID)
	if err == nil {
		call.Event = event
		if err = s.history.begin(ctx, r); err != nil {
			err = interrupted(f.span+": waiting for the history to be written", err)
		}
	}
	if err != nil {
		span.End(err)
		return nil, err
	}
	if req.Started != nil {
		req.Started(res.InvocationID, res.Traceparent)
	}

	call.Log = log.line
	i.in = input{
		call: call, function: f.name, version: version, http: req.HTTP, stdout: out, log: log,
		streaming: req.Stdout != nil, memoryPages: s.engine.memoryPages(), compute: lower(o.ComputeLimit, req.ComputeLimit),
	}
	ran, err := p.run(ctx, &i.in)
	if err == nil {
		if ran.http != nil {
			res.HTTP, ran.returned = ran.http, ran.http.Body
		}
		err = out.finish(ran.returned)
	}
	// Redacted before any of it is cut: half a secret is not found.
	res.Log = call.RedactBytes(log.bytes())
	if err != nil {
		res.HTTP = nil
		err = redactError(guestError(f.span, err, tail(res.Log)), call)
	}
	res.Duration = time.Since(r.StartedAt)
	res.Compute = ran.compute
	res.Output = out.bytes()
	res.Metrics = WASIMetrics{PeakMemoryBytes: ran.peak, HostCalls: call.HostCalls}
	span.End(err)

	r.completedNow(res.Duration)
	r.compute = ran.compute
	r.Success = err == nil
	if e, ok := err.(*Error); ok {
		r.Error = e.Code + ": " + e.Message
	}
	r.Output, r.OutputSizeBytes = call.Redact(out.recorded()), int(out.size)
	r.PeakMemoryBytes, r.HostCalls = int64(ran.peak), call.HostCalls
	r.log = res.Log
	s.history.put(r)
	return res, err
}

// frame is what one invocation needs while it runs, in one piece of memory.
type frame struct {
	call hostabi.Call
	in   input
	log  logBuffer
	out  output
}

// lower is the lower of two limits, of which 0 is none.
func lower(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return max(b, 0)
	}
	return a
}

// notEntered says why an invocation did not get one of the function's places.
func (f *live) notEntered(op string, err error) error {
	l := &f.queue.limits
	switch {
	case errors.Is(err, errQueueFull):
		return fail(ErrBusy, "%s: %d invocations of %q run already, which is the limit, and %d wait; try again in a moment", op, l.running, f.name, l.waiting)
	case errors.Is(err, errQueueSlow):
		return fail(ErrBusy, "%s: %d invocations of %q run already, which is the limit, and none ended within %s; try again in a moment", op, l.running, f.name, l.timeout)
	}
	return interrupted(op, err)
}
