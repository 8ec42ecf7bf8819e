package function

import (
	"context"
	"io"
	"time"

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
	Duration     time.Duration
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
	f, v, err := s.resolve(ctx, op, id, req.Version)
	if err != nil {
		return nil, err
	}
	p, err := s.program(ctx, op, f, v)
	if err != nil {
		return nil, err
	}
	release, err := s.slot(ctx, op, f)
	if err != nil {
		return nil, err
	}
	defer release()

	timeout := req.Timeout
	if timeout <= 0 {
		timeout = o.Timeout
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, depthKey{}, depth), timeout)
	defer cancel()
	r := &record{FunctionInvocation: FunctionInvocation{ID: newID(invocationPrefix), FunctionID: f.ID, StartedAt: time.Now()}, version: v.Version}
	ctx, span := s.tracer.Start(ctx, op+" "+f.Name, &tracing.StartOptions{FunctionID: f.ID, InvocationID: r.ID})
	r.TraceID = span.Context().TraceIDString()
	call, err := s.engine.newCall(ctx, &HostDeps{
		Storage: s.bucket, Flags: s.flags, Store: s, Tables: s.tables, Tracer: s.tracer, DB: s.db.SQL(),
		FnID: f.ID, InvID: r.ID, TraceID: r.TraceID,
	}, f.Name)
	if err != nil {
		span.End(err)
		return nil, err
	}
	call.Event = event
	res := &InvokeResult{InvocationID: r.ID, TraceID: r.TraceID, Traceparent: span.Context().Traceparent(), Version: v.Version}
	running := *r
	if err := s.history.begin(ctx, &running); err != nil {
		err := interrupted(op+" "+f.Name+": waiting for the history to be written", err)
		span.End(err)
		return nil, err
	}
	if req.Started != nil {
		req.Started(res.InvocationID, res.Traceparent)
	}

	log := newLog(o.LogLimitBytes)
	call.Log = log.line
	out := newOutput(req.Stdout, o.OutputLimitBytes)
	ran, err := p.run(ctx, &input{
		call: call, function: f.Name, version: v.Version, http: req.HTTP, stdout: out, log: log,
		streaming: req.Stdout != nil, memoryPages: s.engine.memoryPages(),
	})
	if err == nil {
		if ran.http != nil {
			res.HTTP, ran.returned = ran.http, ran.http.Body
		}
		err = out.finish(ran.returned)
	}
	// Redacted before any of it is cut: half a secret is not found.
	res.Log = []byte(call.Redact(string(log.bytes())))
	if err != nil {
		res.HTTP = nil
		err = redactError(guestError(op+" "+f.Name, err, tail(res.Log)), call)
	}
	res.Duration = time.Since(r.StartedAt)
	res.Output = out.bytes()
	res.Metrics = WASIMetrics{PeakMemoryBytes: ran.peak, HostCalls: call.HostCalls}
	span.End(err)

	r.completedNow(res.Duration)
	r.Success = err == nil
	if e, ok := err.(*Error); ok {
		r.code, r.Error = e.Code, e.Code+": "+e.Message
	}
	r.Output, r.OutputSizeBytes = call.Redact(out.recorded()), int(out.size)
	r.PeakMemoryBytes, r.HostCalls = int64(ran.peak), call.HostCalls
	r.log = res.Log
	s.history.put(r)
	return res, err
}

// resolve finds the function and the version to run: the active one for 0.
func (s *Store) resolve(ctx context.Context, op, id string, version int) (*stored, *storedVersion, error) {
	f, err := s.find(ctx, op, id)
	if err != nil {
		return nil, nil, err
	}
	if version == 0 {
		if f.active == 0 {
			return nil, nil, notReady(op, f)
		}
		version = f.active
	}
	v, err := s.version(ctx, op, f, `version = ?`, version)
	if err != nil {
		return nil, nil, err
	}
	return f, v, nil
}

// slotWait is how long an invocation waits for one of the function's slots.
const slotWait = time.Second

// slot takes one of the function's MaxConcurrency slots.
func (s *Store) slot(ctx context.Context, op string, f *stored) (release func(), err error) {
	s.mu.Lock()
	slots := s.slots[f.ID]
	if slots == nil {
		slots = make(chan struct{}, s.engine.options.MaxConcurrency)
		s.slots[f.ID] = slots
	}
	s.mu.Unlock()
	release = func() { <-slots }
	select {
	case slots <- struct{}{}:
		return release, nil
	default:
	}
	t := time.NewTimer(slotWait)
	defer t.Stop()
	select {
	case slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, interrupted(op, ctx.Err())
	case <-t.C:
		return nil, fail(ErrBusy, "%s: %d invocations of %q run already, which is the limit; try again in a moment", op, cap(slots), f.Name)
	}
}
