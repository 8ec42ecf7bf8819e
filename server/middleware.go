package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// ServeHTTP bounds, authenticates, dispatches and counts a request, and turns a panic into a 500.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := &exchange{Context: r.Context(), rc: *http.NewResponseController(rw)}
	w, body, ctx := &x.w, &x.body, context.Context(x)
	*w = responseWriter{ResponseWriter: rw, rc: &x.rc, timeout: s.opts.WriteTimeout}
	r = r.WithContext(x)
	hasBody := r.Body != nil && r.Body != http.NoBody
	if hasBody {
		*body = slowBody{ReadCloser: r.Body, rc: &x.rc, grace: s.opts.BodyGrace, rate: s.opts.MinBodyRate}
		r.Body = body
	}
	w.Header()["X-Content-Type-Options"] = nosniff

	defer func() {
		if cause := recover(); cause != nil {
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			s.log.LogAttrs(ctx, slog.LevelError, "request panicked", slog.String("request_id", requestID(ctx)),
				slog.String("path", r.URL.Path), slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
			if w.status != 0 {
				panic(http.ErrAbortHandler) // half an answer is out; cutting the connection is the honest end
			}
			p := newProblem(http.StatusInternalServerError, CodeInternal,
				fmt.Sprintf("flagbase failed; the server's log has the details under request_id %s.", requestID(ctx)))
			p.RequestID = requestID(ctx)
			p.write(w)
		}
		if hasBody && !body.done {
			// net/http drains what was not read, and by itself would wait for it forever.
			_ = x.rc.SetReadDeadline(time.Now().Add(s.opts.BodyGrace))
		}
		s.metrics.answered(w.status)
		if s.log.Enabled(ctx, slog.LevelDebug) {
			s.log.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("request_id", requestID(ctx)),
				slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", w.status), slog.Duration("took", time.Since(start)))
		}
	}()

	if refused := s.authenticate(x, r); refused != nil {
		refused.write(w)
		return
	}
	s.dispatch(w, r)
}

// authenticate finds out who sent r. Everything but the health checks, the OpenAPI document and public
// functions needs a key.
func (s *Server) authenticate(x *exchange, r *http.Request) *Problem {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		if s.isPublic(r) {
			return nil
		}
		return unauthorized(`Bearer realm="flagbase"`,
			`This path needs an API key: send it as "Authorization: Bearer KEY". The server's first start wrote one to admin.key in its data directory.`)
	}
	if len(values) == 1 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			if x.principal, x.known = s.opts.Keys.Authenticate(strings.TrimSpace(token)); x.known {
				return nil
			}
		}
	}
	if s.isPublic(r) {
		return nil // the header is meant for the function, which does its own checking
	}
	return unauthorized(`Bearer realm="flagbase", error="invalid_token"`,
		`The API key in the Authorization header is not one this server knows; check that it is complete and sent as "Authorization: Bearer KEY".`)
}

func unauthorized(challenge, detail string) *Problem {
	return newProblem(http.StatusUnauthorized, CodeUnauthorized, detail).withHeader("WWW-Authenticate", challenge)
}

// nosniff is the value of a header of every answer.
var nosniff = []string{"nosniff"}

func (s *Server) isPublic(r *http.Request) bool {
	switch r.URL.EscapedPath() {
	case "/healthz", "/readyz", "/openapi.json":
		return true
	}
	if len(s.public) == 0 {
		return false
	}
	name, _, ok := webPath(r.URL.EscapedPath())
	return ok && (s.public["*"] || s.public[name])
}
