// Package web makes an http.Handler the function: what /fn/{name} receives, it
// serves.
//
//	func init() {
//		mux := http.NewServeMux()
//		mux.HandleFunc("GET /hello/{who}", hello)
//		web.Handle(mux)
//	}
//
//	func main() { web.Main() }
//
// Build it as a reactor (-buildmode=c-shared), which is what "flagbase fn
// build" does.
package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"flagbase.dev/guest/internal/registry"
)

// Handle registers the handler of the program. Call it once, from init. It
// panics on a nil handler or a second one.
//
// The request is complete when the handler gets it, and the response leaves
// when the handler returns: Flush does nothing, and a connection cannot be
// hijacked. What the handler writes to os.Stdout goes to the log. Who calls is
// told by invocation.GetCaller.
func Handle(handler http.Handler) {
	if handler == nil {
		panic("web.Handle: handler is nil")
	}
	if registry.Web != nil {
		panic("web.Handle: a handler is already registered; a function has one")
	}
	registry.WebHandler = handler
	registry.Web = func(envelope []byte) ([]byte, error) { return serve(handler, envelope) }
}

type requestEnvelope struct {
	Method  string              `json:"method"`
	URL     string              `json:"url"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body"` // base64 in JSON
}

type responseEnvelope struct {
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body"`
}

var errNoHandler = errors.New("no web handler is registered: call web.Handle from an init function (main does not run in a reactor)")

func serve(handler http.Handler, envelope []byte) ([]byte, error) {
	r, err := request(envelope)
	if err != nil {
		return nil, err
	}
	w := &response{header: http.Header{}}
	handler.ServeHTTP(w, r)
	out, err := json.Marshal(w.envelope(r.Method))
	if err != nil {
		return nil, fmt.Errorf("encode response: %w", err)
	}
	return out, nil
}

func request(envelope []byte) (*http.Request, error) {
	var e requestEnvelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	r, err := http.NewRequestWithContext(context.Background(), e.Method, u.String(), bytes.NewReader(e.Body))
	if err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	for name, values := range e.Headers {
		for _, v := range values {
			r.Header.Add(name, v)
		}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	r.RequestURI = u.RequestURI()
	if r.Body == nil || len(e.Body) == 0 {
		r.Body = http.NoBody // a server's request always has a body
	}
	return r, nil
}

// response collects what a handler writes, by the rules of net/http's server:
// the first write sends the header, and a content type is sniffed when none
// was set.
type response struct {
	header http.Header
	sent   http.Header // header as it was when it was sent
	status int
	body   bytes.Buffer
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 { // informational responses cannot be sent ahead
		return
	}
	w.status = status
	w.sent = w.header.Clone()
}

func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	return w.body.Write(b)
}

// Flush is there for handlers that insist on an http.Flusher.
func (w *response) Flush() { w.WriteHeader(http.StatusOK) }

func (w *response) envelope(method string) responseEnvelope {
	w.WriteHeader(http.StatusOK)
	body := w.body.Bytes()
	if w.sent.Get("Content-Type") == "" && len(body) > 0 && w.sent.Get("Content-Encoding") == "" {
		w.sent.Set("Content-Type", http.DetectContentType(body))
	}
	if method == http.MethodHead {
		if w.sent.Get("Content-Length") == "" && len(body) > 0 {
			w.sent.Set("Content-Length", strconv.Itoa(len(body)))
		}
		body = nil
	}
	return responseEnvelope{Status: w.status, Headers: w.sent, Body: body}
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}
