package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sync/singleflight"

	"flagbase.dev/internal/wasmbin"
)

// features is what guests may use: WebAssembly 2.0 with extended constant
// expressions and tail calls. Threads stay off because memory.atomic.wait parks a
// goroutine that no deadline reaches; exception handling stays off because wazero
// copies the whole stack at each try_table. See RATIONALE.md.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesTailCall

// Config sizes a Runtime. Zero values give the defaults.
type Config struct {
	// MaxModuleBytes is the largest module accepted. Defaults to 64 MiB.
	MaxModuleBytes int64
	// MaxMemoryPages is the most memory, in pages of 64 KiB, any instance may be
	// given. Defaults to 65536 (4 GiB); an instance's own limit is smaller.
	MaxMemoryPages uint32
	// Memory bounds what all instances together may have; growth beyond it is
	// refused. Defaults to NewLedger(0), the runtime's own.
	Memory *Ledger
	// KeepModules is how many prepared modules are kept although nobody holds
	// them. Defaults to 64.
	KeepModules int
}

// Runtime prepares modules and holds the host modules they import. All its
// modules share those, and nothing else.
type Runtime struct {
	config Config
	wazero wazero.Runtime
	flight singleflight.Group

	compiling chan struct{} // holds a token for each compilation under way

	// live is held for reading by all that uses wazero's runtime: instances and
	// compilations. Closing it under them would unmap the code and the memory that
	// they run on, which ends the process.
	live     sync.RWMutex
	closing  sync.Once
	stopping atomic.Bool // guests end at their next pause

	mu      sync.Mutex
	host    map[string]map[string]HostFunc
	modules map[[sha256.Size]byte]weak.Pointer[Module]
	recent  []*Module // newest last; keeps modules from being collected
}

// NewRuntime makes a Runtime that offers guests WASI preview 1 (stdio, clocks,
// randomness, arguments; no files, no sockets). The caller closes it.
func NewRuntime(ctx context.Context, config *Config) (*Runtime, error) {
	r := &Runtime{
		host:    make(map[string]map[string]HostFunc),
		modules: make(map[[sha256.Size]byte]weak.Pointer[Module]),

		compiling: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
	}
	if config != nil {
		r.config = *config
	}
	if r.config.MaxModuleBytes == 0 {
		r.config.MaxModuleBytes = 64 << 20
	}
	if r.config.MaxMemoryPages == 0 {
		r.config.MaxMemoryPages = 1 << 16
	}
	if r.config.Memory == nil {
		r.config.Memory = NewLedger(0)
	}
	if r.config.KeepModules == 0 {
		r.config.KeepModules = 64
	}
	r.wazero = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCoreFeatures(features).
		// Rewriting moves code, which debug information does not follow; and the
		// reader of it is not made for hostile input.
		WithDebugInfoEnabled(false))
	if err := r.Register(ctx, wasiModule()); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	return r, nil
}

// Register offers guests a host module. Call it before the first Prepare of a
// module that imports it; a name can be registered once.
func (r *Runtime) Register(ctx context.Context, m HostModule) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.host[m.Name]; ok {
		return fmt.Errorf("register host module %q: already registered", m.Name)
	}
	b := r.wazero.NewHostModuleBuilder(m.Name)
	funcs := make(map[string]HostFunc, len(m.Funcs))
	for _, fn := range m.Funcs {
		export(b, fn)
		funcs[fn.Name] = fn
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("register host module %q: %w", m.Name, err)
	}
	r.host[m.Name] = funcs
	return nil
}

// Close waits until every instance is released and frees all compiled code. From
// then on nothing new begins (ErrClosed). When ctx ends before the guests do they are
// stopped, as by a deadline; a host call is waited for.
func (r *Runtime) Close(ctx context.Context) (err error) {
	r.closing.Do(func() {
		quiet := make(chan struct{})
		go func() {
			r.live.Lock() // for good
			close(quiet)
		}()
		select {
		case <-quiet:
		case <-ctx.Done():
			r.stopping.Store(true)
			<-quiet
		}
		r.mu.Lock()
		r.recent = nil
		r.mu.Unlock()
		err = r.wazero.Close(context.WithoutCancel(ctx))
	})
	return err
}

// Prepare scans, rewrites and compiles wasm. The same bytes are compiled once:
// calls that come meanwhile wait for it, later ones get the same Module. An error
// that is the module's fault wraps ErrInvalidModule.
//
// Compilation itself cannot be cancelled; when ctx ends Prepare returns, and the
// compilation finishes for whoever asks next.
func (r *Runtime) Prepare(ctx context.Context, wasm []byte) (*Module, error) {
	sum := sha256.Sum256(wasm)
	if m := r.prepared(sum); m != nil {
		return m, nil
	}
	done := r.flight.DoChan(string(sum[:]), func() (any, error) {
		if m := r.prepared(sum); m != nil {
			return m, nil
		}
		m, err := r.compile(context.WithoutCancel(ctx), sum, wasm)
		if err != nil {
			return nil, err
		}
		r.keep(m)
		return m, nil
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, ctx.Err())
	case res := <-done:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(*Module), nil
	}
}

func (r *Runtime) prepared(sum [sha256.Size]byte) *Module {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.modules[sum].Value()
}

// keep remembers m: weakly by its hash, and strongly as one of the most recent.
// When nobody holds a module any more its compiled code is freed.
func (r *Runtime) keep(m *Module) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.modules[m.sum] = weak.Make(m)
	r.recent = append(r.recent, m)
	if over := len(r.recent) - r.config.KeepModules; over > 0 {
		clear(r.recent[:over])
		r.recent = r.recent[over:]
	}
	sum, compiled := m.sum, m.compiled
	runtime.AddCleanup(m, func(sum [sha256.Size]byte) {
		_ = compiled.Close(context.Background())
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.modules[sum].Value() == nil {
			delete(r.modules, sum)
		}
	}, sum)
}

func (r *Runtime) compile(ctx context.Context, sum [sha256.Size]byte, wasm []byte) (m *Module, err error) {
	if !r.live.TryRLock() {
		return nil, ErrClosed
	}
	defer r.live.RUnlock()
	defer func() {
		// A module that the scan lets pass and the compiler falls over must not take
		// the process with it: nobody above this goroutine could recover.
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("%w: it cannot be compiled: %v", ErrInvalidModule, p)
		}
	}()
	info, err := wasmbin.Scan(wasm, &wasmbin.Limits{MaxBytes: int(r.config.MaxModuleBytes), MaxMemoryPages: r.config.MaxMemoryPages})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidModule, err)
	}
	if info.GrowsUnboundedTable {
		return nil, fmt.Errorf("%w: the module grows a table that states no maximum; give the table one of at most 100,000 elements", ErrInvalidModule)
	}
	if err := r.checkImports(info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidModule, err)
	}
	_, blank := info.ActiveData()
	rewritten, err := info.Rewrite(&wasmbin.Rewrite{Meter: true, BlankData: blank, StartExport: startExport, ExportGlobals: globalExport})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidModule, err)
	}
	// A few at a time, so that a core is left for those who run. One goroutine each:
	// a panic in another goroutine of the compiler could not be recovered.
	r.compiling <- struct{}{}
	defer func() { <-r.compiling }()
	compiled, err := r.wazero.CompileModule(experimental.WithCompilationWorkers(ctx, 1), rewritten)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrInvalidModule, err)
	}
	return newModule(r, sum, info, compiled), nil
}

// checkImports refuses what no host module offers, in the words of whoever built
// the module.
func (r *Runtime) checkImports(info *wasmbin.Module) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, im := range info.Imports {
		name := im.Module + "." + im.Name
		if im.Kind != wasmbin.Function {
			return fmt.Errorf("module imports the %s %s, but only functions can be imported", im.Kind, name)
		}
		fn, ok := r.host[im.Module][im.Name]
		if !ok {
			return fmt.Errorf("module imports %s, which flagbase does not provide", name)
		}
		if params, results := types(im.Type.Params), types(im.Type.Results); !sameTypes(params, fn.Params) || !sameTypes(results, fn.Results) {
			return fmt.Errorf("module imports %s as %s, but it is %s", name, signature(params, results), signature(fn.Params, fn.Results))
		}
	}
	return nil
}

func signature(params, results []ValueType) string {
	list := func(types []ValueType) string {
		s := "("
		for i, t := range types {
			if i > 0 {
				s += " "
			}
			s += api.ValueTypeName(t)
		}
		return s + ")"
	}
	return list(params) + "->" + list(results)
}

// Hash is the SHA-256 of a module's bytes, in hex.
func Hash(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}
