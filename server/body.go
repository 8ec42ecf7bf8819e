package server

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// firstBuffer is what is set aside for a body before its bytes arrive.
const firstBuffer = 64 << 10

// slowBody reads a request body under a minimum rate: the client has bodyGrace, and then must have sent
// minBodyRate bytes for every further second. Without it, a client that sends a byte now and then holds a
// connection and its buffers for as long as it likes.
type slowBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	start time.Time
	grace time.Duration
	rate  int64 // bytes per second
	read  int64
	done  bool
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.done {
		return b.ReadCloser.Read(p)
	}
	if b.start.IsZero() {
		b.start = time.Now()
	}
	allowed := b.grace + time.Duration(b.read)*time.Second/time.Duration(b.rate)
	_ = b.rc.SetReadDeadline(b.start.Add(allowed)) // a connection without deadlines has none to miss
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err != nil {
		b.done = true
		if err == io.EOF {
			// net/http watches the connection for a disconnect from here on; an old deadline would look like one.
			_ = b.rc.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// Close ends the deadline with the body.
func (b *slowBody) Close() error {
	if !b.done {
		b.done = true
		_ = b.rc.SetReadDeadline(time.Now().Add(b.grace))
	}
	return b.ReadCloser.Close()
}

// readBody reads at most limit bytes, or says that there are more.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if n := r.ContentLength; n >= 0 && n <= firstBuffer {
		// net/http ends the body at its length.
		buf := make([]byte, n)
		if _, err := io.ReadFull(r.Body, buf); err != nil {
			return nil, err
		}
		return buf, nil
	}
	// The length is the client's claim: it earns a first buffer, not all of it before a byte has come.
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), firstBuffer)) + bytes.MinRead)
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
