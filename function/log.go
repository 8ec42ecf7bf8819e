package function

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"flagbase.dev/internal/hostabi"
)

// logBuffer is the log of one invocation: standard error, console and log_write,
// up to a limit. Beyond it the log is cut with a marker; the function goes on.
type logBuffer struct {
	limit int64

	mu   sync.Mutex // read while the invocation still writes
	kept []byte
	over bool
}

func newLog(limit int64) *logBuffer { return &logBuffer{limit: limit} }

// Write implements io.Writer and never fails.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	if room := l.limit - int64(len(l.kept)); int64(len(p)) > room {
		p, l.over = p[:room], true
	}
	l.kept = append(l.kept, p...)
	return n, nil
}

// line writes one structured line.
func (l *logBuffer) line(level slog.Level, message string) {
	fmt.Fprintf(l, "%s %s %s\n", time.Now().UTC().Format("15:04:05.000"), level, message)
}

func (l *logBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := append([]byte(nil), l.kept...)
	if l.over {
		b = append(b, fmt.Sprintf("\n[log cut at %d bytes]\n", l.limit)...)
	}
	return b
}

const tailBytes = 4 << 10

// tail is the last 4 KiB of a log.
func tail(log []byte) string {
	b := log
	if len(b) > tailBytes {
		b = b[len(b)-tailBytes:]
		for len(b) > 0 && !utf8.RuneStart(b[0]) {
			b = b[1:]
		}
	}
	return text(b)
}

// redactError replaces the secrets that call was given in an Error. Its cause, which
// repeats them, goes.
func redactError(err error, call *hostabi.Call) error {
	e, ok := err.(*Error)
	if !ok || len(call.SecretValues) == 0 {
		return err
	}
	return &Error{Code: e.Code, Message: call.Redact(e.Message), ExitCode: e.ExitCode, Stderr: call.Redact(e.Stderr)}
}
