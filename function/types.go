package function

import (
	"context"
	"database/sql"
	"time"

	"flagbase.dev/feature"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// What Function.Status may be.
const (
	StatusReady     = "ready"     // a version is active and can be invoked
	StatusError     = "error"     // no version ever became ready; Function.Error says why
	StatusCompiling = "compiling" // the first deployment is under way
)

// What Function.Runtime may be.
const (
	RuntimeWASM    = "wasm"
	RuntimeQuickJS = "quickjs"
)

// Function is a stored, potentially compiled, user function.
type Function struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"` // 1 to 63 of a-z, 0-9 and "-", unique
	Description string    `json:"description"`
	Language    string    `json:"language"` // javascript, typescript or wasm
	Source      string    `json:"source"`   // of the active version; empty for wasm
	Runtime     string    `json:"runtime"`  // wasm or quickjs
	Status      string    `json:"status"`   // ready, error or compiling
	Error       string    `json:"error,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// FunctionVersion records a single deployment of a function.
type FunctionVersion struct {
	ID         string    `json:"id"`
	FunctionID string    `json:"function_id"`
	Version    int       `json:"version"` // 1, 2, 3, ... of this function
	Source     string    `json:"source,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
}

// FunctionInvocation records a single execution of a function.
type FunctionInvocation struct {
	ID              string     `json:"id"`
	FunctionID      string     `json:"function_id"`
	StartedAt       time.Time  `json:"started_at"`
	CompletedAt     *time.Time `json:"completed_at,omitempty"` // nil while it runs
	Success         bool       `json:"success"`
	Output          string     `json:"output,omitempty"`       // its first 64 KiB
	Error           string     `json:"error,omitempty"`        // starts with the code of the error
	ExecutionMs     *int64     `json:"execution_ms,omitempty"` // wall time
	PeakMemoryBytes int64      `json:"peak_memory_bytes"`
	HostCalls       int        `json:"host_calls"`
	OutputSizeBytes int        `json:"output_size_bytes"` // of the whole output
	TraceID         string     `json:"trace_id,omitempty"`
}

// Invocation is a FunctionInvocation and what is recorded beside it.
type Invocation struct {
	FunctionInvocation
	Version   int    `json:"version"`          // the one that ran
	ComputeMs *int64 `json:"cpu_ms,omitempty"` // in the guest's own code, of the wall time; nil while it runs
}

// HostDeps are the flagbase services exposed to WASM functions via the "flagbase"
// host module. A nil one answers guests that it is not available.
type HostDeps struct {
	Storage storage.BucketAdapter
	Flags   *feature.Engine
	Store   *Store        // for fn_invoke; may be nil to break init cycle
	Tables  *table.Engine // may be nil when tables feature is not wired
	Tracer  *tracing.Recorder
	DB      *sql.DB // for custom metrics; may be nil
	FnID    string  // current function ID (for metric tagging)
	InvID   string  // current invocation ID (for metric tagging)
	TraceID string  // current trace ID propagated from context
}

// WASIMetrics holds performance counters captured during a single WASM invocation.
type WASIMetrics struct {
	PeakMemoryBytes uint32 `json:"peak_memory_bytes"` // most linear memory the guest had
	HostCalls       int    `json:"host_calls"`        // calls of the "flagbase" host module
}

// CallerContext holds the identity of the user who triggered a function invocation.
type CallerContext struct {
	UserID   string   `json:"user_id"`
	Role     string   `json:"role"`
	TenantID string   `json:"tenant_id"`
	Email    string   `json:"email"`
	Groups   []string `json:"groups"`
}

type callerKey struct{}
type flagContextKey struct{}

// WithCallerContext injects a CallerContext into the execution context. Guests
// read it with get_caller_context, and flags are evaluated for it.
func WithCallerContext(ctx context.Context, cc CallerContext) context.Context {
	return context.WithValue(ctx, callerKey{}, cc)
}

// WithFlagContext names the variant of a flag the execution belongs to, as
// "flagKey:variantKey". Records that guests insert into tables are tagged with it.
func WithFlagContext(ctx context.Context, flagCtx string) context.Context {
	return context.WithValue(ctx, flagContextKey{}, flagCtx)
}

func callerFrom(ctx context.Context) (CallerContext, bool) {
	cc, ok := ctx.Value(callerKey{}).(CallerContext)
	return cc, ok
}

func flagContextFrom(ctx context.Context) string {
	s, _ := ctx.Value(flagContextKey{}).(string)
	return s
}
