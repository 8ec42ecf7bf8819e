package tracing

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// SpanContext is the place of a span: what its children, also in other
// processes, must know. The zero value is no place.
type SpanContext struct {
	TraceID [16]byte
	SpanID  [8]byte
	// Sampled says that the span is recorded.
	Sampled bool
}

// IsValid reports whether both ids are there; all zeros is no id.
func (c SpanContext) IsValid() bool { return c.TraceID != [16]byte{} && c.SpanID != [8]byte{} }

// Traceparent returns the value of a W3C traceparent header, version 00, or ""
// for a context that is not valid.
func (c SpanContext) Traceparent() string {
	if !c.IsValid() {
		return ""
	}
	b := make([]byte, 0, traceparentLen)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.TraceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.SpanID[:])
	if c.Sampled {
		b = append(b, "-01"...)
	} else {
		b = append(b, "-00"...)
	}
	return string(b)
}

// TraceIDString returns the trace id as 32 lower-case hexadecimal digits, or ""
// when there is none.
func (c SpanContext) TraceIDString() string {
	if c.TraceID == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(c.TraceID[:])
}

// traceparentLen is the length of "00-" trace "-" span "-" flags.
const traceparentLen = 2 + 1 + 32 + 1 + 16 + 1 + 2

// ParseTraceparent reads the value of a W3C traceparent header. It reports false
// for a value the specification calls invalid: then the receiver starts a trace
// of its own. Of a version above 00 it reads the fields of version 00, as the
// specification asks, and accepts further fields after them.
func ParseTraceparent(s string) (SpanContext, bool) {
	var c SpanContext
	var version, flags [1]byte
	switch {
	case len(s) < traceparentLen, s[2] != '-', s[35] != '-', s[52] != '-':
		return SpanContext{}, false
	case !decodeHex(version[:], s[:2]), version[0] == 0xff:
		return SpanContext{}, false
	case version[0] == 0 && len(s) != traceparentLen:
		return SpanContext{}, false
	case len(s) > traceparentLen && s[traceparentLen] != '-':
		return SpanContext{}, false
	case !decodeHex(c.TraceID[:], s[3:35]), !decodeHex(c.SpanID[:], s[36:52]), !decodeHex(flags[:], s[53:55]):
		return SpanContext{}, false
	case !c.IsValid():
		return SpanContext{}, false
	}
	c.Sampled = flags[0]&1 != 0
	return c, true
}

// decodeHex fills dst from lower-case hexadecimal digits; the specification
// allows no others.
func decodeHex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range s {
		var d byte
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			d = c - '0'
		case 'a' <= c && c <= 'f':
			d = c - 'a' + 10
		default:
			return false
		}
		dst[i/2] = dst[i/2]<<4 | d
	}
	return true
}

// place is what a context carries: a span of this process or a remote parent.
type place struct {
	SpanContext
	functionID, invocationID string
	local                    bool // of this process
	root                     bool // its parent, if any, is in another process
}

type placeKey struct{}

func placeOf(ctx context.Context) *place {
	p, _ := ctx.Value(placeKey{}).(*place)
	return p
}

// FromContext returns the place of the span that ctx is in, or of the remote
// parent set by [ContextWith], or the zero value.
func FromContext(ctx context.Context) SpanContext {
	if p := placeOf(ctx); p != nil {
		return p.SpanContext
	}
	return SpanContext{}
}

// ContextWith returns a context whose next span is a child of c, a span of
// another process. With a c that is not valid the next span begins a trace.
func ContextWith(ctx context.Context, c SpanContext) context.Context {
	return context.WithValue(ctx, placeKey{}, &place{SpanContext: c})
}

// newTraceID and newSpanID use the runtime's ChaCha8 generators, one per thread
// and seeded by the operating system: no lock, no system call, and ids nobody
// outside can foretell.
//
// A trace id begins with its time, 48 bits of Unix milliseconds: traces that are written
// together are neighbours in the index then. The other 80 bits are random, which is more
// than Trace Context level 2 asks for.
func newTraceID(now time.Time) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16|rand.Uint64()>>48)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

func newSpanID() (id [8]byte) {
	for id == [8]byte{} {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
