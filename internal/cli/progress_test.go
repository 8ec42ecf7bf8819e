package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDeployProgressLine(t *testing.T) {
	began := time.Now()
	p := &deployProgress{name: "hello", sentAt: began}
	for _, step := range []struct {
		sent, total int64
		after       time.Duration
		want        string
	}{
		{0, 0, 0, "The server checks and compiles hello: 0.0 s"}, // a script is sent at once
		{0, 4 << 20, 0, "Sending hello: 0 B of 4.0 MiB, 0 %"},
		{1 << 20, 4 << 20, 0, "Sending hello: 1.0 MiB of 4.0 MiB, 25 %"},
		{4 << 20, 4 << 20, 1240 * time.Millisecond, "The server checks and compiles hello: 1.2 s"},
	} {
		p.upload(step.sent, step.total)
		p.sentAt = began
		if got := p.line(began.Add(step.after)); got != step.want {
			t.Errorf("%q, want %q", got, step.want)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The line is drawn again and again, and gone at the end; what is over at once draws none.
func TestDeployProgressIsDrawn(t *testing.T) {
	var screen lockedBuffer
	p := newDeployProgress(&screen, "hel\x1blo")
	p.upload(1, 2)
	for deadline := time.Now().Add(10 * time.Second); strings.Count(screen.String(), "Sending") < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("drawn: %q", screen.String())
		}
	}
	p.stop()
	if s := screen.String(); !strings.HasSuffix(s, "50 %\r\x1b[K") || strings.Contains(s, "hel\x1b") {
		t.Errorf("drawn: %q", s)
	}
	var none lockedBuffer
	p = newDeployProgress(&none, "hello")
	p.stop()
	if none.String() != "" {
		t.Errorf("drawn: %q", none.String())
	}
	var nobody *deployProgress
	nobody.upload(1, 2)
	nobody.stop()
}
