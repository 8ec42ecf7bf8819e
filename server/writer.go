package server

import (
	"net/http"
	"time"
)

// writePiece is how much is written under one write deadline: a client must take this much in
// writeTimeout, or its connection is closed.
const writePiece = 64 << 10

// responseWriter gives every write a deadline of its own and remembers what was answered. A deadline for
// the whole response, as http.Server.WriteTimeout sets it, would cut long streams.
type responseWriter struct {
	http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	status  int  // 0 until the header was sent
	fresh   bool // the deadline was set for the header, and nothing was written since
}

// Unwrap lets http.ResponseController reach the connection.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) extend() { _ = w.rc.SetWriteDeadline(time.Now().Add(w.timeout)) }

func (w *responseWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	w.extend()
	w.fresh = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	written := 0
	for {
		piece := p[written:min(len(p), written+writePiece)]
		if !w.fresh {
			w.extend()
		}
		w.fresh = false
		n, err := w.ResponseWriter.Write(piece)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

func (w *responseWriter) flush() error {
	w.extend()
	return w.rc.Flush()
}
