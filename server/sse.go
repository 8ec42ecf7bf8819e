package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"flagbase.dev/function"
)

// keepAlive is how long a stream of events stays silent before a comment says that it still lives.
const keepAlive = 15 * time.Second

// eventStream passes output on as server-sent events (WHATWG HTML, 9.2). Each write of the function is one
// event; the data of all of them in a row are the output, except that the format knows one line ending:
// "\r\n" and "\r" arrive as "\n", and bytes that are no UTF-8 as U+FFFD.
type eventStream struct {
	c *call
	w *responseWriter

	mu      sync.Mutex
	started bool
	tail    []byte // a character whose rest is still to come
	lastCR  bool   // the last event's data ended with "\r": a "\n" that follows belongs to it
	timer   *time.Timer
	closed  bool
}

func (c *call) streamEvents() {
	out := &eventStream{c: c, w: asResponseWriter(c.w)}
	out.timer = time.AfterFunc(keepAlive, out.beat)
	defer out.close()
	c.req.Stdout = out
	result, err := c.do()
	out.finish(result, err)
}

func (o *eventStream) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data := append(o.tail, p...)
	whole := completeUTF8(data)
	o.tail = bytes.Clone(data[whole:])
	if err := o.data(data[:whole]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// data sends bytes as an unnamed event; the lock is held.
func (o *eventStream) data(p []byte) error {
	if o.lastCR && len(p) > 0 && p[0] == '\n' {
		p = p[1:]
		o.lastCR = false
	}
	if len(p) == 0 {
		return nil
	}
	o.lastCR = p[len(p)-1] == '\r'
	return o.send("", strings.ToValidUTF8(string(p), "\uFFFD"))
}

// send writes one event and flushes it; the lock is held.
func (o *eventStream) send(event, data string) error {
	o.start()
	_, err := o.w.Write(appendEvent(nil, event, data))
	if err == nil {
		err = o.w.flush()
	}
	o.timer.Reset(keepAlive)
	return err
}

func (o *eventStream) start() {
	if o.started {
		return
	}
	o.started = true
	h := o.w.Header()
	h.Set("Content-Type", "text/event-stream")
	streamHeader(h)
	o.w.WriteHeader(http.StatusOK)
}

// beat keeps a silent stream alive, and by writing finds out when the client is gone.
func (o *eventStream) beat() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	if o.c.invocation() != "" { // before that, the header that names the invocation cannot be sent
		o.start()
		if _, err := o.w.Write([]byte(": still running\n\n")); err == nil {
			_ = o.w.flush()
		}
	}
	o.timer.Reset(keepAlive)
}

func (o *eventStream) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.timer.Stop()
}

// finish ends the stream: with "done", with "error", or, when nothing was sent yet and it failed, with the
// problem itself. A web handler's response arrives here in one piece.
func (o *eventStream) finish(result *function.InvokeResult, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		p := o.c.problem(err)
		if !o.started {
			p.write(o.w)
			return
		}
		_ = o.data(o.tail)
		_ = o.send("error", mustJSON(p)) // a client that is gone needs no farewell
		return
	}
	rest := o.tail
	if result.HTTP != nil && !o.started {
		rest = result.HTTP.Body
	} else if !o.started && len(rest) == 0 {
		rest = result.Output
	}
	_ = o.data(rest)
	_ = o.send("done", mustJSON(doneOf(result)))
}

// appendEvent frames one event: every line of data gets its own field.
func appendEvent(dst []byte, event, data string) []byte {
	if event != "" {
		dst = append(dst, "event: "...)
		dst = append(dst, event...)
		dst = append(dst, '\n')
	}
	for {
		end := strings.IndexAny(data, "\r\n")
		dst = append(dst, "data: "...)
		if end < 0 {
			dst = append(dst, data...)
			return append(dst, "\n\n"...)
		}
		dst = append(dst, data[:end]...)
		dst = append(dst, '\n')
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types of strings and numbers
	}
	return string(b)
}
