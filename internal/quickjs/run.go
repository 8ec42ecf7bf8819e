package quickjs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"flagbase.dev/internal/sandbox"
)

// Call is one invocation.
type Call struct {
	// Event is what handle gets: parsed when it is JSON, a string when it is other
	// valid UTF-8, else a Uint8Array. When Request is set, that request's body is
	// the event instead.
	Event   []byte
	Context Context
	// Request makes it a web request: fetch gets it, or handle its body when the
	// script has no fetch. Without it handle is called, or, when there is none,
	// fetch with a POST request of the event.
	Request *Request
	Host    Host // nil: every service fails
	// Stdout, when set, gets console.log lines as they come and then the returned
	// value or the Response's body. An error of its Write ends the invocation and
	// is what Run returns. Nil collects the output in Result.Output.
	Stdout io.Writer
	// Log gets all of console, one line a write or more. Its errors are ignored.
	Log io.Writer
	// MemoryPages limits memory, in pages of 64 KiB. Defaults to 2048 (128 MiB).
	MemoryPages uint32
	// MaxOutput is the most bytes of output. Defaults to 6 MiB. With Stdout set it
	// is that writer's affair.
	MaxOutput int64
	// Compute limits the time in the script's own code, host calls not counted; beyond
	// it Run fails with sandbox.ErrComputeExceeded. Defaults to no limit.
	Compute time.Duration
}

// Context is what the handler's context tells about the invocation.
type Context struct {
	FunctionID, FunctionName string
	Version                  int
	InvocationID, TraceID    string
	Caller                   json.RawMessage // a JSON object; nil or invalid: null
}

// Request is the HTTP request of an invocation.
type Request struct {
	Method string
	URL    string // absolute
	Header map[string][]string
	Body   []byte
}

// Response is the HTTP response a script gave. Its header names are in lower case.
type Response struct {
	Status int
	Header map[string][]string
	Body   []byte
}

// Result is what an invocation gave.
type Result struct {
	// Output is the Response's body; else the returned value; else what console.log
	// wrote. With Call.Stdout set it was written there and Output is nil.
	Output     []byte
	Returned   bool      // a value or a Response came back
	Response   *Response // nil when the script gave none
	PeakMemory uint32    // bytes
	Compute    time.Duration
}

// ErrOutputExceeded says that the output is larger than Call.MaxOutput.
var ErrOutputExceeded = errors.New("output exceeds its limit")

const defaultMaxOutput = 6 << 20

// Run calls the script's handler in an instance of its own, which is in the state that
// evaluating the script left. When ctx ends
// first the error wraps sandbox.ErrInterrupted and ctx's cause; what the script threw
// is an *Error; memory that ran out wraps sandbox.ErrOutOfMemory. The Result is not
// nil beside an error once the script was started: it has PeakMemory.
func (p *Program) Run(ctx context.Context, call *Call) (*Result, error) {
	s := &session{host: call.Host, stdout: call.Stdout, maps: p.maps, name: p.name, limit: call.MaxOutput}
	if s.limit == 0 {
		s.limit = defaultMaxOutput
	}
	pages := pagesOrDefault(call.MemoryPages)
	inst, err := p.snapshot.Acquire(ctx, &sandbox.InstanceOptions{Host: s, MemoryPages: pages, Compute: call.Compute})
	if err != nil {
		return nil, err
	}
	defer inst.Release()
	v := &vm{inst: inst, places: p.places}
	s.main, s.places, s.log, s.began = p.main, p.places, call.Log, time.Now()
	s.details = func() ([]byte, error) { return call.Context.details(ctx) }
	if pages != p.pages {
		limitMemory(v, pages)
	}
	reseed(v, p.random)
	res := &Result{}
	err = p.run(ctx, v, s, call, pages, res)
	res.PeakMemory, res.Compute = inst.PeakMemory(), inst.Compute()
	return res, err
}

func (p *Program) run(ctx context.Context, v *vm, s *session, call *Call, pages uint32, res *Result) error {
	if err := s.start(v, call, p.HasFetch()); err != nil {
		return err
	}
	err := s.wait(ctx, v, s.settled)
	if v.err == nil {
		v.err = err
	}
	if errors.Is(v.err, errPending) {
		return &Error{Message: errPending.Error(), Stack: errPending.Error()}
	}
	if err := s.result(v, pages); err != nil {
		return err
	}
	return s.deliver(call, res)
}

// details is what prelude/90_main.js reads as meta.
type details struct {
	FunctionID   string          `json:"functionId"`
	FunctionName string          `json:"functionName"`
	Version      int             `json:"version"`
	InvocationID string          `json:"invocationId"`
	TraceID      string          `json:"traceId"`
	Caller       json.RawMessage `json:"caller,omitempty"`
	Deadline     float64         `json:"deadline,omitempty"` // Unix milliseconds
}

// details is what the script's context tells, as JSON.
func (c *Context) details(ctx context.Context) ([]byte, error) {
	d := details{c.FunctionID, c.FunctionName, c.Version, c.InvocationID, c.TraceID, c.Caller, 0}
	if !json.Valid(d.Caller) {
		d.Caller = nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		d.Deadline = float64(deadline.UnixNano()) / float64(time.Millisecond)
	}
	return json.Marshal(d)
}

// deliver turns the outcome into the Result, by the rule of the package's comment.
func (s *session) deliver(call *Call, res *Result) error {
	o := s.outcome
	output := o.data
	switch o.kind {
	case "none":
		if output = s.printed.Bytes(); s.overflow {
			return fmt.Errorf("%w of %d bytes", ErrOutputExceeded, s.limit)
		}
	case "response":
		var ok bool
		if res.Response, ok = parseResponse(o.meta, o.data); !ok {
			return errors.New("the script's response cannot be read")
		}
		output = res.Response.Body
	}
	res.Returned = o.kind != "none"
	if call.Stdout == nil {
		if int64(len(output)) > s.limit {
			return fmt.Errorf("%w of %d bytes", ErrOutputExceeded, s.limit)
		}
		res.Output = output
		return nil
	}
	if res.Returned && len(output) > 0 {
		if _, err := call.Stdout.Write(output); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}
