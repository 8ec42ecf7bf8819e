package server

import (
	"io"
	"net/http"
)

func (s *Server) healthRoutes() {
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, "ok\n") })
	s.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			newProblem(http.StatusServiceUnavailable, CodeUnavailable,
				"The server is starting or shutting down; ask again in a moment.").withHeader("Retry-After", "1").write(w)
			return
		}
		writeText(w, "ready\n")
	})
	s.mux.Handle("GET /metrics", s.metrics.handler())
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text)
}
