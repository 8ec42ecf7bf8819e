package function

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
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

// tail is the last 4 KiB of the log, from the start of a line where there is one.
func (l *logBuffer) tail() string {
	b := l.bytes()
	if len(b) > tailBytes {
		b = b[len(b)-tailBytes:]
		for len(b) > 0 && !utf8.RuneStart(b[0]) {
			b = b[1:]
		}
	}
	return text(b)
}

const redacted = "[secret]"

// redact replaces secrets in s, also where they stand in base64 or in a URL. A
// secret of fewer than 4 bytes is left: replacing it would only garble the text.
func redact(s string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue
		}
		for _, form := range []string{
			secret,
			base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawStdEncoding.EncodeToString([]byte(secret)),
			base64.URLEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)),
			url.QueryEscape(secret),
			url.PathEscape(secret),
		} {
			s = strings.ReplaceAll(s, form, redacted)
		}
	}
	return s
}

// redactError replaces secrets in an Error. Its cause, which repeats them, goes.
func redactError(err error, secrets []string) error {
	e, ok := err.(*Error)
	if !ok || len(secrets) == 0 {
		return err
	}
	return &Error{Code: e.Code, Message: redact(e.Message, secrets), ExitCode: e.ExitCode, Stderr: redact(e.Stderr, secrets)}
}
