package server

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"flagbase.dev/function"
)

// serveStream invokes a function and passes its output on as it is written, as it is or, when the client
// accepts text/event-stream, as server-sent events.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	c, err := s.newCall(w, r, r.PathValue("id"))
	if err != nil {
		s.problem(r.Context(), err).write(w)
		return
	}
	if acceptsEvents(r.Header) {
		c.streamEvents()
		return
	}
	c.streamRaw()
}

// acceptsEvents reports whether the client asked for server-sent events by name.
func acceptsEvents(h http.Header) bool {
	for _, list := range h.Values("Accept") {
		for item := range strings.SplitSeq(list, ",") {
			kind, _, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// rawStream passes output on unchanged, flushed write by write. Its header goes out with the first byte:
// until then a failure can still be a status.
type rawStream struct {
	c       *call
	w       *responseWriter
	started bool
}

func (c *call) streamRaw() {
	w := asResponseWriter(c.w)
	out := &rawStream{c: c, w: w}
	c.req.Stdout = out
	result, err := c.do()
	switch {
	case err != nil && !out.started:
		c.problem(err).write(w)
	case err != nil:
		p := c.problem(err)
		h := w.Header()
		h.Set(http.TrailerPrefix+headerError, p.Code)
		h.Set(http.TrailerPrefix+headerErrorDetail, headerText(p.Detail))
		if p.ExitCode != nil {
			h.Set(http.TrailerPrefix+headerExitCode, strconv.Itoa(*p.ExitCode))
		}
	case !out.started:
		c.answer(result)
	}
}

func (o *rawStream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !o.started {
		o.started = true
		h := o.w.Header()
		h.Set("Content-Type", streamType(p))
		streamHeader(h)
		o.w.WriteHeader(http.StatusOK)
	}
	n, err := o.w.Write(p)
	if err == nil {
		err = o.w.flush()
	}
	return n, err
}

// streamHeader tells whoever is between us and the client not to hold output back.
func streamHeader(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
}

// streamType is the content type of a stream, from its first piece: text unless it cannot be.
func streamType(first []byte) string {
	if utf8.Valid(first[:completeUTF8(first)]) {
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// completeUTF8 is how much of p ends with a whole character: a write may end inside one.
func completeUTF8(p []byte) int {
	for back := 1; back <= min(utf8.UTFMax-1, len(p)); back++ {
		b := p[len(p)-back]
		if utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(p[len(p)-back:]) {
				return len(p) - back
			}
			break
		}
	}
	return len(p)
}

// headerText makes text fit for a header: one line of visible ASCII, at most 1 KiB.
func headerText(text string) string {
	var b strings.Builder
	for _, r := range text {
		if b.Len() >= 1<<10 {
			break
		}
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case r < 0x20 || r > 0x7e:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func asResponseWriter(w http.ResponseWriter) *responseWriter {
	if rw, ok := w.(*responseWriter); ok {
		return rw
	}
	panic("server: a handler ran outside Server.ServeHTTP")
}

// doneEvent is the data of the event that ends a stream of events.
type doneEvent struct {
	InvocationID string  `json:"invocation_id"`
	Version      int     `json:"version"`
	DurationMs   float64 `json:"duration_ms"`
}

func doneOf(result *function.InvokeResult) doneEvent {
	return doneEvent{
		InvocationID: result.InvocationID,
		Version:      result.Version,
		DurationMs:   float64(result.Duration.Microseconds()) / 1000,
	}
}
