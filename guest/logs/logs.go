// Package logs writes structured lines to the invocation's log, beside what the
// function writes to stderr.
//
//	log := logs.Logger()
//	log.Info("charged", "order", id, "cents", 1250)
package logs

import (
	"bytes"
	"context"
	"log/slog"
	"sync"

	"flagbase.dev/guest/internal/abi"
)

// Levels of log_write. They are slog's four, counted from zero.
const (
	levelDebug = 0
	levelInfo  = 1
	levelWarn  = 2
	levelError = 3
)

// Write writes one line as it is, at the level nearest below.
func Write(level slog.Level, line string) { abi.Log(number(level), []byte(line)) }

// Logger returns a logger over Handler with its defaults.
func Logger() *slog.Logger { return slog.New(Handler(nil)) }

// Handler returns an slog.Handler whose records become lines of the
// invocation's log: the level travels as the line's level, the rest as one JSON
// object of msg and attributes. flagbase stamps the time. Options may be nil:
// level Info.
func Handler(options *slog.HandlerOptions) slog.Handler {
	if options == nil {
		options = &slog.HandlerOptions{}
	}
	o := *options
	replace := o.ReplaceAttr
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		if replace != nil {
			return replace(groups, a)
		}
		return a
	}
	shared := &line{}
	return &handler{line: shared, Handler: slog.NewJSONHandler(&shared.buffer, &o)}
}

// line is where the JSON of one record is put together; all handlers derived
// from one share it.
type line struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

type handler struct {
	line *line
	slog.Handler
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.buffer.Reset()
	if err := h.Handler.Handle(ctx, record); err != nil {
		return err
	}
	abi.Log(number(record.Level), bytes.TrimRight(h.line.buffer.Bytes(), "\n"))
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{line: h.line, Handler: h.Handler.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{line: h.line, Handler: h.Handler.WithGroup(name)}
}

func number(level slog.Level) uint32 {
	switch {
	case level < slog.LevelInfo:
		return levelDebug
	case level < slog.LevelWarn:
		return levelInfo
	case level < slog.LevelError:
		return levelWarn
	}
	return levelError
}
