package function

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"flagbase.dev/internal/egress"
	"flagbase.dev/internal/hostabi"
	"flagbase.dev/internal/quickjs"
	"flagbase.dev/internal/sandbox"
)

// EngineOptions limits what functions may use. The zero value of each field gives
// its default.
type EngineOptions struct {
	// MemoryLimitBytes is the most linear memory of one invocation, rounded down
	// to pages of 64 KiB. Defaults to 128 MiB.
	MemoryLimitBytes int64
	// TotalMemoryBytes is the most linear memory all invocations together may have;
	// beyond it they fail with ErrBusy. Defaults to half of the machine's memory.
	TotalMemoryBytes int64
	// OutputLimitBytes is the most output of one invocation; beyond it the
	// invocation fails with ErrOutputExceeded. Defaults to 6 MiB.
	OutputLimitBytes int64
	// LogLimitBytes is how much of an invocation's log is kept; the rest is cut
	// with a marker. Defaults to 256 KiB.
	LogLimitBytes int64
	// EventLimitBytes is the largest event. Defaults to 6 MiB.
	EventLimitBytes int64
	// ArtifactLimitBytes is the largest module or source. Defaults to 64 MiB.
	ArtifactLimitBytes int64
	// Timeout is the wall time of an invocation whose caller gives none.
	// Defaults to 30 s.
	Timeout time.Duration
	// ComputeLimit is how long the guest of one invocation may compute: wall time in its
	// own code, host calls and waiting not counted. Beyond it the invocation fails with
	// ErrComputeExceeded. Defaults to no limit but that of wall time.
	ComputeLimit time.Duration
	// MaxCallDepth is how deep functions may invoke each other. Defaults to 16.
	MaxCallDepth int
	// MaxConcurrency is how many invocations of one function run at once. Defaults
	// to 100.
	MaxConcurrency int
	// MaxQueue is how many more of one function may wait for their turn, in the order
	// they came; beyond it they fail with ErrBusy at once. Negative lets none wait.
	// Defaults to MaxConcurrency.
	MaxQueue int
	// QueueTimeout is how long they may wait; then they fail with ErrBusy. Defaults
	// to 1 s.
	QueueTimeout time.Duration
	// HistoryAge is how long the records of invocations are kept. Negative is for ever.
	// Defaults to 30 days.
	HistoryAge time.Duration
	// HistoryPerFunction is how many records of each function are kept, the newest.
	// Negative is all. Up to 5 % more are there until they are deleted, in the
	// background. Defaults to 100,000.
	HistoryPerFunction int
	// Fetch is where functions may send HTTP requests. Defaults to every host
	// with a public address.
	Fetch *FetchPolicy
	// Secrets gives functions the secrets they were granted. Defaults to none.
	Secrets SecretSource
	// CodeCacheDir is a directory that keeps compiled code, so that the next process need not
	// compile what this one did. Its user alone may have access to it (mode 0700); several processes may
	// share it. Defaults to none.
	CodeCacheDir string
	// CodeCacheBytes is how much is kept there; what was not used for the longest
	// time goes. Defaults to 1 GiB.
	CodeCacheBytes int64
	// Compiler compiles a module in a process of its own, with limits on memory and time: it makes
	// sandbox.CompileTo happen there and returns its error. Defaults to compiling in this process.
	Compiler func(ctx context.Context, module []byte, dir string) error
	// Logger gets what the operator should know, such as a cache that cannot be used.
	// Defaults to slog.Default().
	Logger *slog.Logger
}

// FetchPolicy says where functions may send HTTP requests. Loopback, private,
// link-local and cloud metadata addresses are refused however they are written,
// unless AllowPrivate names them.
type FetchPolicy struct {
	// AllowHosts are the hosts that may be reached, such as "api.example.com" or
	// "*.example.com". Defaults to every host.
	AllowHosts []string
	// AllowPrivate are hosts ("host" or "host:port") and networks in CIDR form
	// that may be reached although their address is not public. Defaults to none.
	AllowPrivate []string
	// Deny are addresses ("ip:port") that are never reached, whatever the other
	// fields say: the server's own listeners.
	Deny []string
}

// SecretSource gives the value of a secret to a function that was granted it, and
// an error that wraps ErrNotFound otherwise.
type SecretSource interface {
	Secret(ctx context.Context, functionID, functionName, name string) (string, error)
}

// Engine runs sandboxed code. It is safe for concurrent use.
type Engine struct {
	options EngineOptions
	wasm    *sandbox.Runtime // for modules users deploy
	script  *sandbox.Runtime // for the JavaScript engine, which imports another host module
	quickjs *quickjs.Engine
	fetch   *egress.Client
	modules *modules // that callers of InvokeWASI bring

	// artifacts is held for reading from when a deployment stores its artifact until
	// its version is recorded, and for writing while one that nothing uses is deleted.
	artifacts sync.RWMutex

	mu        sync.Mutex
	histories map[any]*history
}

// NewEngine creates an Engine. opts may be nil. The caller must call Close when
// done.
func NewEngine(ctx context.Context, opts *EngineOptions) (*Engine, error) {
	e := &Engine{histories: make(map[any]*history), modules: newModules()}
	if opts != nil {
		e.options = *opts
	}
	o := &e.options
	setDefault(&o.MemoryLimitBytes, 128<<20)
	setDefault(&o.OutputLimitBytes, 6<<20)
	setDefault(&o.LogLimitBytes, 256<<10)
	setDefault(&o.EventLimitBytes, 6<<20)
	setDefault(&o.ArtifactLimitBytes, 64<<20)
	setDefault(&o.Timeout, 30*time.Second)
	setDefault(&o.MaxCallDepth, 16)
	setDefault(&o.MaxConcurrency, 100)
	setDefault(&o.MaxQueue, o.MaxConcurrency)
	setDefault(&o.QueueTimeout, time.Second)
	setDefault(&o.HistoryAge, 30*24*time.Hour)
	setDefault(&o.HistoryPerFunction, 100_000)
	if o.MemoryLimitBytes < 1<<16 || o.MemoryLimitBytes > 4<<30-1<<16 {
		return nil, fail(ErrInvalid, "new engine: a memory limit of %d bytes is not between 64 KiB and 4 GiB", o.MemoryLimitBytes)
	}
	if o.TotalMemoryBytes < 0 || o.OutputLimitBytes < 0 || o.LogLimitBytes < 0 || o.EventLimitBytes < 0 || o.ArtifactLimitBytes < 0 ||
		o.CodeCacheBytes < 0 || o.Timeout < 0 || o.ComputeLimit < 0 || o.MaxCallDepth < 0 || o.MaxConcurrency < 0 || o.QueueTimeout < 0 {
		return nil, fail(ErrInvalid, "new engine: a limit is negative")
	}
	policy := o.Fetch
	if policy == nil {
		policy = &FetchPolicy{}
	}
	var err error
	if e.fetch, err = newFetch(policy); err != nil {
		return nil, fail(ErrInvalid, "new engine: %w", err)
	}
	config := &sandbox.Config{
		MaxModuleBytes: o.ArtifactLimitBytes, Memory: sandbox.NewLedger(uint64(o.TotalMemoryBytes)),
		CacheDir: o.CodeCacheDir, CacheBytes: o.CodeCacheBytes, Compile: o.Compiler, Log: o.Logger,
	}
	if e.wasm, err = sandbox.NewRuntime(ctx, config); err != nil {
		return nil, fail(ErrInternal, "new engine: %w", err)
	}
	err = errors.Join(e.wasm.Register(ctx, hostabi.Module()), e.wasm.Register(ctx, hostabi.EnvModule()))
	if err == nil {
		if e.script, err = sandbox.NewRuntime(ctx, config); err == nil {
			e.quickjs, err = quickjs.New(ctx, e.script)
		}
	}
	if err != nil {
		e.Close(ctx)
		return nil, fail(ErrInternal, "new engine: %w", err)
	}
	return e, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Close waits for the invocations that still run, until they end or meet their
// deadlines; when ctx ends they are stopped. Then it writes what is left of the
// history and frees all compiled code. New invocations fail from the start.
func (e *Engine) Close(ctx context.Context) {
	for _, r := range []*sandbox.Runtime{e.wasm, e.script} {
		if r != nil {
			_ = r.Close(ctx)
		}
	}
	e.modules.clear()
	e.mu.Lock()
	histories := make([]*history, 0, len(e.histories))
	for _, h := range e.histories {
		histories = append(histories, h)
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	for _, h := range histories {
		h.keep.close()
		_ = h.flush(ctx)
	}
}

// flushTimeout is what Close gives the history even when its own time is over.
const flushTimeout = 5 * time.Second

func (e *Engine) memoryPages() uint32 { return uint32(e.options.MemoryLimitBytes >> 16) }

// Invoke loads, instantiates, and calls the exported "handle" function in a WASM
// module at wasmPath, and returns its output. The execution is bounded by timeout;
// 0 means the engine's default.
func (e *Engine) Invoke(ctx context.Context, wasmPath string, timeout time.Duration) ([]byte, error) {
	const op = "invoke module"
	info, err := os.Stat(wasmPath)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fail(ErrNotFound, "%s: there is no file %s", op, wasmPath)
		}
		return nil, fail(ErrInvalid, "%s: %w", op, err)
	}
	if info.Size() > e.options.ArtifactLimitBytes {
		return nil, fail(ErrTooLarge, "%s: %s has %d bytes, the limit is %d", op, wasmPath, info.Size(), e.options.ArtifactLimitBytes)
	}
	wasm, err := os.ReadFile(wasmPath)
	if err != nil {
		return nil, fail(ErrInvalid, "%s: %w", op, err)
	}
	out := newOutput(nil, e.options.OutputLimitBytes)
	if err := e.invokeModule(ctx, op, wasm, timeout, nil, out, nil, entryHandle); err != nil {
		return out.bytes(), err
	}
	return out.bytes(), nil
}

// InvokeWASI loads and runs a WASI preview1 WASM module: main of a command, handle
// of a reactor. Its output is captured and returned, also when it fails. deps may be
// nil; m is populated with compute metrics if non-nil. timeout 0 means the engine's
// default.
//
// The module is compiled the first time. The engine keeps a copy of the bytes of up to
// 64 modules, 256 MiB together, those used last: comparing with it is what a later
// invocation costs. wasmBytes is not kept and may be changed after the call.
func (e *Engine) InvokeWASI(ctx context.Context, wasmBytes []byte, timeout time.Duration, deps *HostDeps, m *WASIMetrics) ([]byte, error) {
	out := newOutput(nil, e.options.OutputLimitBytes)
	err := e.invokeModule(ctx, "invoke module", wasmBytes, timeout, deps, out, m, entryAny)
	return out.bytes(), err
}

// InvokeWASIStream runs a WASI WASM module and writes stdout directly to w as bytes
// arrive, enabling real-time streaming to callers. m is populated with compute
// metrics if non-nil.
func (e *Engine) InvokeWASIStream(ctx context.Context, wasmBytes []byte, timeout time.Duration, deps *HostDeps, w io.Writer, m *WASIMetrics) error {
	out := newOutput(w, e.options.OutputLimitBytes)
	return e.invokeModule(ctx, "invoke module", wasmBytes, timeout, deps, out, m, entryAny)
}

// moduleOf gives the program of the module with these bytes, compiled now if need be.
func (e *Engine) moduleOf(ctx context.Context, op string, wasm []byte, entry entry) (*moduleProgram, error) {
	key := e.modules.key(wasm, entry)
	if p := e.modules.find(key, wasm); p != nil {
		return p, nil
	}
	module, err := e.wasm.Prepare(ctx, wasm)
	if err != nil {
		return nil, invalidArtifact(op, err)
	}
	p, err := newModuleProgram(module, len(wasm), entry)
	if err != nil {
		return nil, fail(ErrInvalidArtifact, "%s: %w", op, err)
	}
	e.modules.keep(key, wasm, p)
	return p, nil
}

func (e *Engine) invokeModule(ctx context.Context, op string, wasm []byte, timeout time.Duration, deps *HostDeps, out *output, m *WASIMetrics, entry entry) error {
	if timeout <= 0 {
		timeout = e.options.Timeout
	}
	// Compiling is not the guest's time, but it must not outlast it for ever.
	program, err := e.moduleOf(ctx, op, wasm, entry)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if deps == nil {
		deps = &HostDeps{}
	}
	services, err := e.services(ctx, deps)
	if err != nil {
		return err
	}
	call := &hostabi.Call{}
	if err := bind(ctx, call, services, deps.FnID, deps.InvID, deps.TraceID); err != nil {
		return err
	}
	ctx, span := deps.Tracer.Start(ctx, "invoke module", spanOptions(deps))
	call.TraceID = span.Context().TraceIDString()
	log := newLog(e.options.LogLimitBytes)
	in := &input{call: call, stdout: out, log: log, memoryPages: e.memoryPages(), function: deps.FnID, compute: e.options.ComputeLimit}
	res, err := program.run(ctx, in)
	if err == nil {
		err = out.finish(res.returned)
	}
	if m != nil {
		m.PeakMemoryBytes, m.HostCalls = res.peak, call.HostCalls
	}
	if err != nil {
		err = redactError(guestError(op, err, tail([]byte(call.Redact(string(log.bytes()))))), call)
	}
	span.End(err)
	return err
}
