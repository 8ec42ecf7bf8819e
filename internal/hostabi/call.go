package hostabi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"flagbase.dev/feature"
	"flagbase.dev/internal/egress"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// MaxResultBytes is the most bytes one host call may yield, and the largest object or
// event one may take.
const MaxResultBytes = 32 << 20

// Services are what host calls reach. A nil one answers "not available to this
// function".
type Services struct {
	Buckets   storage.BucketAdapter
	Flags     *feature.Engine
	FlagsFor  func(ctx context.Context, c *Call) *feature.Context // makes Call.Flags where that is nil
	Tables    *table.Engine
	Tracer    *tracing.Recorder
	Functions Functions
	Fetch     *egress.Client
	Metrics   Metrics
	Secrets   Secrets
}

// Functions invokes another function by id or name, on behalf of the invocation
// ctx belongs to.
type Functions interface {
	InvokeFunction(ctx context.Context, idOrName string, event []byte) ([]byte, error)
}

// Metrics takes the custom metrics guests publish.
type Metrics interface {
	Publish(ctx context.Context, m Metric) error
}

// Metric is one value of a custom metric.
type Metric struct {
	Name         string
	Value        float64
	Tags         json.RawMessage // a JSON object, "{}" when there are none
	FunctionID   string
	InvocationID string
}

// Secrets gives the value of a secret that the function was granted. It returns
// ErrNoSecret for an absent and for a foreign one alike.
type Secrets interface {
	Secret(ctx context.Context, functionID, name string) (string, error)
}

// ErrNoSecret says that the function has no secret of that name.
var ErrNoSecret = errors.New("no such secret, or it is not granted to this function")

// Call is one invocation, as its host calls see it. It serves one goroutine.
type Call struct {
	Services     *Services
	FunctionID   string
	InvocationID string
	TraceID      string           // 32 hex digits
	Event        []byte           // what event_read gives
	Caller       []byte           // JSON of the caller, nil when there is none
	Flags        *feature.Context // whom flags are evaluated for; nil: as Services.FlagsFor says
	FlagTag      string           // "flagKey:variantKey": tags new records
	Log          func(level slog.Level, message string)

	// HostCalls counts the calls so far.
	HostCalls int
	// SecretValues are the secrets handed to the guest; they must not reach a
	// log, an error or a trace.
	SecretValues []string

	result, failure []byte
	spans           int // begun so far
}

// flags is whom flags are evaluated for.
func (c *Call) flags(ctx context.Context) *feature.Context {
	if c.Flags == nil && c.Services.FlagsFor != nil {
		c.Flags = c.Services.FlagsFor(ctx, c)
	}
	return c.Flags
}

// publicError is an error whose text may be shown to a guest.
type publicError interface{ PublicMessage() string }

// shown are the errors of services whose text is written for users.
var shown = []error{
	storage.ErrNotFound, storage.ErrInvalidName, storage.ErrTooLarge,
	feature.ErrNotFound, feature.ErrInvalid, feature.ErrTypeMismatch,
	table.ErrNotFound, table.ErrInvalid, table.ErrConflict,
	egress.ErrRefused, egress.ErrInvalid, egress.ErrTooLarge, egress.ErrFailed,
	ErrNoSecret, errRequest,
	context.DeadlineExceeded, context.Canceled,
}

// errRequest wraps what is wrong with the arguments of a call.
var errRequest = errors.New("bad request")

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errRequest, fmt.Errorf(format, args...))
}

// message is what a guest may know of err. A message of unknown origin could name
// a path, an address or a secret of the host, so it stays in the host's log.
func (c *Call) message(op string, err error) string {
	var public publicError
	if errors.As(err, &public) {
		return op + ": " + public.PublicMessage()
	}
	for _, known := range shown {
		if errors.Is(err, known) {
			return op + ": " + err.Error()
		}
	}
	slog.Error("host call failed", "op", op, "function", c.FunctionID, "invocation", c.InvocationID, "error", c.Redact(err.Error()))
	return op + ": the service failed; the operator's log says more"
}
