package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"flagbase.dev/auth"
)

type (
	requestIDKey struct{}
	principalKey struct{}
)

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// principal is who sent the request; ok is false for an anonymous caller of a public function.
func principal(ctx context.Context) (p auth.Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(auth.Principal)
	return p, ok
}

// ServeHTTP bounds, authenticates, dispatches and counts a request, and turns a panic into a 500.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rc := http.NewResponseController(rw)
	w := &responseWriter{ResponseWriter: rw, rc: rc, timeout: s.opts.WriteTimeout}
	body := &slowBody{ReadCloser: r.Body, rc: rc, grace: s.opts.BodyGrace, rate: s.opts.MinBodyRate}
	ctx := context.WithValue(r.Context(), requestIDKey{}, rand.Text())
	r = r.WithContext(ctx)
	hasBody := r.Body != nil && r.Body != http.NoBody
	if hasBody {
		r.Body = body
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")

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
			_ = rc.SetReadDeadline(time.Now().Add(s.opts.BodyGrace))
		}
		s.metrics.requests.WithLabelValues(statusClass(w.status)).Inc()
		if s.log.Enabled(ctx, slog.LevelDebug) {
			s.log.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("request_id", requestID(ctx)),
				slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", w.status), slog.Duration("took", time.Since(start)))
		}
	}()

	r, refused := s.authenticate(r)
	if refused != nil {
		refused.write(w)
		return
	}
	s.dispatch(w, r)
}

// authenticate finds out who sent r. Everything but the health checks, the OpenAPI document and public
// functions needs a key.
func (s *Server) authenticate(r *http.Request) (*http.Request, *Problem) {
	public := s.isPublic(r)
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		if public {
			return r, nil
		}
		return r, unauthorized(`Bearer realm="flagbase"`,
			`This path needs an API key: send it as "Authorization: Bearer KEY". The server's first start wrote one to admin.key in its data directory.`)
	}
	if len(values) == 1 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			if p, ok := s.opts.Keys.Authenticate(strings.TrimSpace(token)); ok {
				// The key ends here: a function never sees it.
				r = r.WithContext(context.WithValue(r.Context(), principalKey{}, p))
				r.Header = r.Header.Clone()
				r.Header.Del("Authorization")
				return r, nil
			}
		}
	}
	if public {
		return r, nil // the header is meant for the function, which does its own checking
	}
	return r, unauthorized(`Bearer realm="flagbase", error="invalid_token"`,
		`The API key in the Authorization header is not one this server knows; check that it is complete and sent as "Authorization: Bearer KEY".`)
}

func unauthorized(challenge, detail string) *Problem {
	return newProblem(http.StatusUnauthorized, CodeUnauthorized, detail).withHeader("WWW-Authenticate", challenge)
}

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
