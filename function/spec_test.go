package function_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// The API that was promised, as an interface: it does not compile when a signature
// differs.
var (
	_ interface {
		Close(ctx context.Context)
		Invoke(ctx context.Context, wasmPath string, timeout time.Duration) ([]byte, error)
		InvokeWASI(ctx context.Context, wasmBytes []byte, timeout time.Duration, deps *function.HostDeps, m *function.WASIMetrics) ([]byte, error)
		InvokeWASIStream(ctx context.Context, wasmBytes []byte, timeout time.Duration, deps *function.HostDeps, w io.Writer, m *function.WASIMetrics) error
	} = (*function.Engine)(nil)
	_ interface {
		Create(ctx context.Context, name, description, language, source string) (*function.Function, error)
		Delete(ctx context.Context, id string) error
		DeployVersion(ctx context.Context, id string, wasmBytes []byte) (*function.FunctionVersion, error)
		Get(ctx context.Context, id string) (*function.Function, error)
		GetVersion(ctx context.Context, functionID, versionID string) (*function.FunctionVersion, error)
		Invoke(ctx context.Context, id string, timeout time.Duration) ([]byte, error)
		InvokeStream(ctx context.Context, id string, timeout time.Duration, w io.Writer) error
		InvokeStreamWithEvent(ctx context.Context, id string, timeout time.Duration, eventData []byte, w io.Writer) error
		InvokeWithEvent(ctx context.Context, id string, timeout time.Duration, eventData []byte) ([]byte, error)
		List(ctx context.Context) ([]function.Function, error)
		ListInvocations(ctx context.Context, fnID string) ([]function.FunctionInvocation, error)
		ListVersions(ctx context.Context, functionID string) ([]function.FunctionVersion, error)
		Update(ctx context.Context, id, name, description, source string) (*function.Function, error)
		Upload(ctx context.Context, name, description string, wasmBytes []byte) (*function.Function, error)
		WithTables(t *table.Engine)
		WithTracer(t *tracing.Recorder)
	} = (*function.Store)(nil)
	_ func(context.Context, function.CallerContext) context.Context                                    = function.WithCallerContext
	_ func(context.Context, string) context.Context                                                    = function.WithFlagContext
	_ func(context.Context, *function.EngineOptions) (*function.Engine, error)                         = function.NewEngine
	_ func(*sql.DB, storage.BucketAdapter, *function.Engine, *feature.Engine) (*function.Store, error) = function.NewStore
	_                                                                                                  = function.HostDeps{Storage: storage.BucketAdapter(nil), Flags: (*feature.Engine)(nil), Store: (*function.Store)(nil), Tables: (*table.Engine)(nil), Tracer: (*tracing.Recorder)(nil), DB: (*sql.DB)(nil), FnID: "", InvID: "", TraceID: ""}
	_                                                                                                  = function.WASIMetrics{PeakMemoryBytes: uint32(0), HostCalls: int(0)}
)

// Fields and JSON tags are exactly the promised ones, in the promised order.
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		value any
		want  []string
	}{
		{function.CallerContext{}, []string{"UserID string user_id", "Role string role", "TenantID string tenant_id", "Email string email", "Groups []string groups"}},
		{function.Function{}, []string{"ID string id", "Name string name", "Description string description", "Language string language", "Source string source",
			"Runtime string runtime", "Status string status", "Error string error,omitempty", "CreatedAt time.Time created_at", "UpdatedAt time.Time updated_at"}},
		{function.FunctionInvocation{}, []string{"ID string id", "FunctionID string function_id", "StartedAt time.Time started_at", "CompletedAt *time.Time completed_at,omitempty",
			"Success bool success", "Output string output,omitempty", "Error string error,omitempty", "ExecutionMs *int64 execution_ms,omitempty",
			"PeakMemoryBytes int64 peak_memory_bytes", "HostCalls int host_calls", "OutputSizeBytes int output_size_bytes", "TraceID string trace_id,omitempty"}},
		{function.FunctionVersion{}, []string{"ID string id", "FunctionID string function_id", "Version int version", "Source string source,omitempty", "CreatedAt time.Time created_at"}},
	} {
		typ := reflect.TypeOf(c.value)
		var got []string
		for i := range typ.NumField() {
			f := typ.Field(i)
			got = append(got, f.Name+" "+f.Type.String()+" "+f.Tag.Get("json"))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is\n%q, want\n%q", typ, got, c.want)
		}
	}
}

func TestEngine(t *testing.T) {
	ctx := t.Context()
	e, err := function.NewEngine(ctx, nil)
	must(t, err)
	defer e.Close(ctx)

	var m function.WASIMetrics
	out, err := e.InvokeWASI(ctx, helloWASM(t), 5*second, nil, &m)
	must(t, err)
	if string(out) != "hello from Go\n" || m.PeakMemoryBytes < 1<<20 {
		t.Errorf("InvokeWASI gave %q, %+v", out, m)
	}
	var buf bytes.Buffer
	must(t, e.InvokeWASIStream(ctx, helloWASM(t), 5*second, &function.HostDeps{}, &buf, nil))
	if buf.String() != "hello from Go\n" {
		t.Errorf("InvokeWASIStream wrote %q", buf.String())
	}
	plain := filepath.Join(t.TempDir(), "plain.wasm")
	must(t, os.WriteFile(plain, testguest.WAT(t, `(module (memory (export "memory") 1) (data (i32.const 8) "plain")
		(func (export "handle") (result i32 i32) (i32.const 8) (i32.const 5)))`), 0o600))
	out, err = e.Invoke(ctx, plain, second)
	must(t, err)
	if string(out) != "plain" {
		t.Errorf("Invoke gave %q", out)
	}
	if _, err := e.Invoke(ctx, plain+".missing", second); !errors.Is(err, function.ErrNotFound) {
		t.Errorf("Invoke of no file: %v", err)
	}
	hello := filepath.Join(t.TempDir(), "hello.wasm")
	must(t, os.WriteFile(hello, helloWASM(t), 0o600))
	if _, err := e.Invoke(ctx, hello, second); !errors.Is(err, function.ErrInvalidArtifact) {
		t.Errorf("Invoke of a command, which exports no handle: %v", err)
	}
	if _, err := e.InvokeWASI(ctx, []byte("not wasm"), second, nil, nil); !errors.Is(err, function.ErrInvalidArtifact) {
		t.Errorf("InvokeWASI of text: %v", err)
	}
	packed := testguest.WAT(t, `(module (memory (export "memory") 1) (data (i32.const 8) "packed")
		(func (export "handle") (result i64) (i64.const 0x0000000800000006)))`)
	out, err = e.InvokeWASI(ctx, packed, second, nil, nil)
	must(t, err)
	if string(out) != "packed" {
		t.Errorf("packed result gave %q", out)
	}
}

func TestStreaming(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Upload(ctx, "echo", "", echoWASM(t))
	must(t, err)
	arrivals := &clock{start: time.Now()}
	must(t, w.InvokeStreamWithEvent(ctx, "echo", 10*second, []byte(`{"do":"ticks","count":3,"millis":300}`), arrivals))
	if len(arrivals.at) != 3 || arrivals.at[2]-arrivals.at[0] < 500*time.Millisecond {
		t.Errorf("three lines 300 ms apart arrived at %v", arrivals.at)
	}
	// A reader that goes away ends the function.
	err = w.InvokeStreamWithEvent(ctx, "echo", 10*second, []byte(`{"do":"ticks","count":1000,"millis":1}`), failingWriter{})
	if !errors.Is(err, function.ErrCancelled) {
		t.Errorf("failing writer: %v", err)
	}
}

type clock struct {
	start time.Time
	at    []time.Duration
}

func (c *clock) Write(p []byte) (int, error) {
	c.at = append(c.at, time.Since(c.start))
	return len(p), nil
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }
