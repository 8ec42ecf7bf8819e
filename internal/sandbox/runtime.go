package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sync/singleflight"
)

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
	// IdleBytes is about how much of the machine's memory restored guests may hold that
	// wait for their next use, and IdleTime how long one waits before it is closed.
	// Default to 256 MiB and a minute; with negative IdleBytes none is kept.
	IdleBytes int64
	IdleTime  time.Duration
	// KeepModules is how many prepared modules are kept although nobody holds
	// them. Defaults to 64.
	KeepModules int
	// CacheDir keeps compiled code on disk, so that another process need not compile it
	// again. Processes may share it; it has to belong to their user alone, mode 0700.
	// Defaults to "": nothing is kept.
	CacheDir string
	// CacheBytes is how much is kept there; what was not used for the longest time
	// goes. Defaults to 1 GiB.
	CacheBytes int64
	// Compile does what CompileTo does in a process of its own, with limits on memory and time, and
	// fails as CompileTo does. Defaults to nil: modules are compiled in this process.
	Compile func(ctx context.Context, rewritten []byte, dir string) error
	// Log gets what is wrong with the cache. Defaults to slog.Default().
	Log *slog.Logger
}

// Runtime prepares modules and holds the host modules they import. All its
// modules share those, and nothing else.
type Runtime struct {
	config Config
	wazero wazero.Runtime
	flight singleflight.Group

	compiling chan struct{} // holds a token for each compilation under way
	code      *codeCache    // nil: code is compiled here and not kept
	abort     chan struct{} // closed to end compilations in other processes

	// live is held for reading by all that uses wazero's runtime: instances and
	// compilations. Closing it under them would unmap the code and the memory that
	// they run on, which ends the process.
	live     sync.RWMutex
	closing  sync.Once
	stopping atomic.Bool // guests end at their next pause

	pools pools // of restored guests

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

		compiling: make(chan struct{}, max(1, min(runtime.NumCPU(), runtime.GOMAXPROCS(0))/2)),
		abort:     make(chan struct{}),
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
	if r.config.IdleBytes == 0 {
		r.config.IdleBytes = 256 << 20
	}
	if r.config.IdleTime == 0 {
		r.config.IdleTime = time.Minute
	}
	r.pools.maxBytes, r.pools.maxAge = uint64(max(r.config.IdleBytes, 0)), r.config.IdleTime
	if r.config.KeepModules == 0 {
		r.config.KeepModules = 64
	}
	engine := runtimeConfig()
	if r.config.CacheDir != "" || r.config.Compile != nil {
		if err := r.openCode(); err != nil {
			return nil, err
		}
		engine = engine.WithCompilationCache(r.code.wazero)
	}
	r.wazero = wazero.NewRuntimeWithConfig(ctx, engine)
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
			close(r.abort)
			<-quiet
		}
		r.pools.close()
		r.mu.Lock()
		r.recent = nil
		r.mu.Unlock()
		err = r.wazero.Close(context.WithoutCancel(ctx))
		if r.code != nil {
			err = errors.Join(err, r.code.wazero.Close(context.WithoutCancel(ctx)), r.code.close())
		}
	})
	return err
}

// Prepare scans, rewrites and compiles wasm. The same bytes are compiled once:
// calls that come meanwhile wait for it, later ones get the same Module. An error
// that is the module's fault wraps ErrInvalidModule.
//
// A caller does not cancel a compilation; when ctx ends Prepare returns, and the
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

// Hash is the SHA-256 of a module's bytes, in hex.
func Hash(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}
