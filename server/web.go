package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"flagbase.dev/function"
	"golang.org/x/net/http/httpguts"
)

// webPath takes /fn/{name} and /fn/{name}/{path...} apart. rest is as it was sent, still escaped, and
// begins with "/" unless it is empty.
func webPath(escaped string) (name, rest string, ok bool) {
	after, ok := strings.CutPrefix(escaped, "/fn/")
	if !ok {
		return "", "", false
	}
	end := strings.IndexByte(after, '/')
	if end < 0 {
		end = len(after)
	}
	name, err := url.PathUnescape(after[:end])
	if err != nil || name == "" {
		return "", "", false
	}
	return name, after[end:], true
}

// serveWeb runs a function as a web handler. The function sees the path below its own name; one that is no
// web handler gets the body as its event.
func (s *Server) serveWeb(w http.ResponseWriter, r *http.Request) {
	name, rest, ok := webPath(r.URL.EscapedPath())
	if !ok {
		newProblem(http.StatusNotFound, CodeNotFound, "The path of a function is /fn/{name}.").write(w)
		return
	}
	c, err := s.newCall(w, r, name)
	if err != nil {
		s.problem(r.Context(), err).write(w)
		return
	}
	c.req.HTTP = &function.HTTPRequest{
		Method: r.Method,
		URL:    webURL(r, rest),
		Header: webRequestHeader(r),
		Body:   c.req.Event,
	}
	result, err := c.do()
	if err != nil {
		c.problem(err).write(w)
		return
	}
	c.answer(result)
}

// webURL is the URL a function sees: the host the client asked for and the path below the function.
func webURL(r *http.Request, rest string) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	host := r.Host
	if host == "" || !httpguts.ValidHostHeader(host) {
		host = "localhost"
	}
	if rest == "" {
		rest = "/"
	}
	u := scheme + "://" + host + rest
	if r.URL.RawQuery != "" {
		u += "?" + r.URL.RawQuery
	}
	return u
}

// hopByHop are the headers that belong to one connection (RFC 9110, 7.6.1) or that net/http sets itself.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Date": true, "Host": true,
}

// dropHopByHop removes hopByHop and what Connection names from h.
func dropHopByHop(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for name := range h {
		if hopByHop[name] {
			delete(h, name)
		}
	}
}

// webRequestHeader is what of a request's header a function sees: not the connection's and not flagbase's,
// and not the key: what authenticated here ends here. The values are the request's own.
func webRequestHeader(r *http.Request) map[string][]string {
	h := make(http.Header, len(r.Header))
	_, authenticated := principal(r.Context())
	for name, values := range r.Header {
		if ownHeader(name) || authenticated && name == "Authorization" {
			continue
		}
		h[name] = values
	}
	dropHopByHop(h)
	return h
}

// ownHeader reports whether only flagbase itself sets the header: a function can neither read nor forge it.
func ownHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, "Flagbase-") || name == headerTraceparent || name == "Tracestate"
}

// writeWebResponse sends the response a function made. Nothing is sent when it returns an error: a header
// that is no header, or a status that is none, is the function's failure.
func writeWebResponse(w http.ResponseWriter, resp *function.HTTPResponse) error {
	status := resp.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status < 200 || status > 599 {
		return webError("status %d; a response's status is 200 to 599", status)
	}
	h := http.Header{}
	for name, values := range resp.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return webError("the header name %q, which HTTP does not allow", name)
		}
		if ownHeader(name) {
			continue
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return webError("a value of header %s that HTTP does not allow (control characters?)", name)
			}
			h.Add(name, value)
		}
	}
	dropHopByHop(h)
	out := w.Header()
	for name, values := range h {
		out[name] = values
	}
	// Whatever the function said: a browser must not guess a script out of its bytes.
	out.Set("X-Content-Type-Options", "nosniff")
	bodyless := status == http.StatusNoContent || status == http.StatusNotModified
	if !bodyless {
		if out.Get("Content-Type") == "" && len(resp.Body) > 0 {
			out.Set("Content-Type", outputType(resp.Body))
		}
		out.Set("Content-Length", strconv.Itoa(len(resp.Body)))
	}
	w.WriteHeader(status)
	if !bodyless {
		_, _ = w.Write(resp.Body)
	}
	return nil
}

func webError(format string, args ...any) *Problem {
	return newProblem(http.StatusBadGateway, "function_error", "The function answered with "+fmt.Sprintf(format, args...)+".")
}
