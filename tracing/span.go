package tracing

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Kinds of spans, as OpenTelemetry names them.
const (
	KindInternal = "internal"
	KindServer   = "server"
	KindClient   = "client"
	KindProducer = "producer"
	KindConsumer = "consumer"
)

// Limits of one span. What is longer is cut, what is more is left out, so that
// no guest can fill the queue's memory with a few spans.
const (
	// MaxText is the most bytes in a name, a kind, an id and an attribute's key.
	MaxText = 256
	// MaxValue is the most bytes in an attribute's value and in an error.
	MaxValue = 4096
	// MaxAttributes is the most attributes of a span.
	MaxAttributes = 64
)

// StartOptions are the optional parts of a new span.
type StartOptions struct {
	// Kind is one of the Kind constants. Defaults to KindInternal.
	Kind string
	// FunctionID and InvocationID say whose span it is. Default to the parent's,
	// where that is a span of this process.
	FunctionID, InvocationID string
	// Attributes describe the span. The map is copied.
	Attributes map[string]string
	// TraceID, 32 lower-case hexadecimal digits, makes the span part of that
	// trace; if the parent belongs to another trace, the span has no parent.
	// Anything else is ignored. Defaults to the parent's trace, or a new one.
	TraceID string
}

// Span is a piece of work that has begun. Its methods are safe for concurrent
// use, and do nothing on a nil *Span.
type Span struct {
	place
	parentID [8]byte
	recorder *Recorder // nil: ids only
	name     string
	kind     string
	started  time.Time // with the monotonic clock

	mu         sync.Mutex
	ended      bool
	attributes []attribute
}

type attribute struct{ key, value string }

// spanContext is the context that Start returns. It holds its span, so that
// starting a span takes one allocation.
type spanContext struct {
	context.Context
	span Span
}

func (c *spanContext) Value(key any) any {
	if _, ok := key.(placeKey); ok {
		return &c.span.place
	}
	return c.Context.Value(key)
}

// Start begins a span named name, a child of the span or remote parent that ctx
// is in, and returns it with the context for its children. End it. opts may be
// nil. With a nil recorder spans have ids and are not recorded.
func (r *Recorder) Start(ctx context.Context, name string, opts *StartOptions) (context.Context, *Span) {
	c := &spanContext{Context: ctx}
	s := &c.span
	s.recorder = r
	s.name = cut(name, MaxText)
	s.kind = KindInternal
	s.SpanID = newSpanID()
	s.local = true
	s.started = time.Now()
	if parent := placeOf(ctx); parent != nil && parent.IsValid() {
		s.TraceID, s.parentID, s.Sampled = parent.TraceID, parent.SpanID, parent.Sampled
		s.functionID, s.invocationID = parent.functionID, parent.invocationID
		s.root = !parent.local
	} else {
		s.root = true
	}
	if opts != nil {
		s.apply(opts)
	}
	if s.TraceID == [16]byte{} {
		s.TraceID = newTraceID(s.started)
	}
	if r != nil && s.root && !s.Sampled {
		s.Sampled = r.sampler.take(s.started)
	}
	return c, s
}

func (s *Span) apply(opts *StartOptions) {
	if opts.Kind != "" {
		s.kind = cut(opts.Kind, MaxText)
	}
	if opts.FunctionID != "" {
		s.functionID = cut(opts.FunctionID, MaxText)
	}
	if opts.InvocationID != "" {
		s.invocationID = cut(opts.InvocationID, MaxText)
	}
	if len(opts.Attributes) > 0 && s.recorder != nil {
		s.attributes = make([]attribute, 0, min(len(opts.Attributes), MaxAttributes))
		for k, v := range opts.Attributes {
			s.setAttribute(k, v)
		}
	}
	var forced SpanContext
	if decodeHex(forced.TraceID[:], opts.TraceID) && forced.TraceID != [16]byte{} && forced.TraceID != s.TraceID {
		s.TraceID, s.parentID, s.root = forced.TraceID, [8]byte{}, true
	}
}

// Context returns the span's place, for a traceparent header.
func (s *Span) Context() SpanContext {
	if s == nil {
		return SpanContext{}
	}
	return s.SpanContext
}

// SetAttribute describes the span further; a key set again is replaced. After
// End it does nothing.
func (s *Span) SetAttribute(key, value string) {
	if s == nil || s.recorder == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.setAttribute(key, value)
	}
}

func (s *Span) setAttribute(key, value string) {
	key, value = cut(key, MaxText), cut(value, MaxValue)
	for i := range s.attributes {
		if s.attributes[i].key == key {
			s.attributes[i].value = value
			return
		}
	}
	if len(s.attributes) < MaxAttributes {
		s.attributes = append(s.attributes, attribute{key, value})
	}
}

// End ends the span and hands it to the recorder; err, if not nil, is why the
// work failed. Ending again does nothing.
func (s *Span) End(err error) {
	if s == nil || s.recorder == nil || !s.Sampled && err == nil {
		return
	}
	duration := time.Since(s.started)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	ended := ended{
		place: s.place, parentID: s.parentID, name: s.name, kind: s.kind,
		started: s.started, duration: duration, attributes: s.attributes,
	}
	s.mu.Unlock()
	if err != nil {
		// An error without a text must not look like success.
		if ended.failure = cut(err.Error(), MaxValue); ended.failure == "" {
			ended.failure = "error"
		}
	}
	s.recorder.enqueue(&ended)
}

// ended is a span as the queue keeps it. It does not hold on to the context.
type ended struct {
	place
	parentID   [8]byte
	name, kind string
	started    time.Time
	duration   time.Duration
	failure    string
	attributes []attribute
}

// cut makes s valid UTF-8 of at most n bytes. What it keeps of a longer text is
// a copy, so that a span does not hold on to the rest.
func cut(s string, n int) string {
	if len(s) > n {
		end := n
		for end > n-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = strings.Clone(s[:end])
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
