package sandbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"flagbase.dev/internal/wasmbin"
)

// ErrCompiler says that a module could not be compiled for a reason that is the
// machine's: a process that does not start, a disk that is full.
var ErrCompiler = errors.New("the compiler cannot run")

// features is what guests may use: WebAssembly 2.0 with extended constant
// expressions and tail calls. Threads stay off because memory.atomic.wait parks a
// goroutine that no deadline reaches; exception handling stays off because wazero
// copies the whole stack at each try_table. See RATIONALE.md.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesTailCall

// runtimeConfig is of every wazero runtime, in whatever process: code compiled by one
// is run by another.
func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(features).
		// Rewriting moves code, which debug information does not follow; and the
		// reader of it is not made for hostile input.
		WithDebugInfoEnabled(false)
}

// openCode sets up what compiles and keeps code outside of wazero's memory.
func (r *Runtime) openCode() (err error) {
	log, limit := r.config.Log, r.config.CacheBytes
	if log == nil {
		log = slog.Default()
	}
	if limit == 0 {
		limit = defaultCacheBytes
	}
	if r.config.Compile == nil {
		r.config.Compile = CompileTo
	}
	r.code, err = openCache(r.config.CacheDir, limit, log)
	return err
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
	find := func() *loaded { return nil }
	if r.code != nil {
		// Beside scan and rewrite, which take as long.
		find = beside(func() *loaded { return r.fromCache(entryName(sum)) })
		defer func() {
			if l := find(); l != nil && (m == nil || m.compiled != l.compiled) {
				_ = l.compiled.Close(ctx)
			}
		}()
	}
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
	prepared := beside(func() *Module { return newModule(r, sum, info, nil) })
	_, blank := info.ActiveData()
	rewritten, err := info.Rewrite(&wasmbin.Rewrite{Meter: true, BlankData: blank, StartExport: startExport, ResumeExport: resumeExport, ExportGlobals: globalExport})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidModule, err)
	}
	compiled, err := r.machineCode(ctx, sum, rewritten, find)
	if err != nil {
		return nil, err
	}
	m = prepared()
	m.compiled = compiled
	return m, nil
}

// beside runs f in a goroutine of its own. What it returns waits for the result; a panic of
// f's comes out there.
func beside[T any](f func() T) func() T {
	var value T
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		value = f()
	}()
	return func() T {
		<-done
		if panicked != nil {
			panic(panicked)
		}
		return value
	}
}

// loaded is machine code from the cache, and the hash of what it was compiled from.
type loaded struct {
	compiled  wazero.CompiledModule
	rewritten [sha256.Size]byte
}

// fromCache gives nil when there is nothing that can be used.
func (r *Runtime) fromCache(entry string) *loaded {
	e := r.code.open(entry)
	if e == nil {
		return nil
	}
	defer e.file.Close()
	compiled, err := r.load(e.without, e.wazeroName(), e.linkTo)
	if err != nil {
		// Of a machine with another processor, perhaps.
		r.code.log.Debug("compiled code in the cache cannot be used; compiling again", "file", e.path, "err", err)
		return nil
	}
	e.touch()
	return &loaded{compiled, e.rewritten}
}

// machineCode gives what the cache has, or compiles.
func (r *Runtime) machineCode(ctx context.Context, sum [sha256.Size]byte, rewritten []byte, find func() *loaded) (wazero.CompiledModule, error) {
	if r.code == nil {
		return r.compileHere(ctx, rewritten)
	}
	whole := sha256.Sum256(rewritten)
	// An entry of other bytes is what another version of the rewriter left.
	if l := find(); l != nil && l.rewritten == whole {
		return l.compiled, nil
	}
	without, err := stub(rewritten, whole)
	if err != nil {
		return nil, err
	}
	return r.compileAside(ctx, entryName(sum), rewritten, whole, without)
}

// load makes wazero take machine code from the file that put puts in place. It never
// compiles: wazero asks the context before it compiles a function, and this one is over.
func (r *Runtime) load(without []byte, name string, put func(path string) error) (wazero.CompiledModule, error) {
	done, err := r.code.offer(name, put)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return r.wazero.CompileModule(experimental.WithCompilationWorkers(ctx, 2), without)
}

// compileHere compiles in this process, for this process.
func (r *Runtime) compileHere(ctx context.Context, rewritten []byte) (wazero.CompiledModule, error) {
	// A few at a time, so that a core is left for those who run. One goroutine each:
	// a panic in another goroutine of the compiler could not be recovered.
	r.compiling <- struct{}{}
	defer func() { <-r.compiling }()
	compiled, err := r.wazero.CompileModule(experimental.WithCompilationWorkers(ctx, 1), rewritten)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrInvalidModule, err)
	}
	return compiled, nil
}

// compileAside has the code written to a file, loads it from there and keeps the file.
func (r *Runtime) compileAside(ctx context.Context, entry string, rewritten []byte, whole [sha256.Size]byte, without []byte) (wazero.CompiledModule, error) {
	select {
	case r.compiling <- struct{}{}:
	case <-r.abort:
		return nil, ErrClosed
	}
	defer func() { <-r.compiling }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-r.abort:
			cancel()
		case <-ctx.Done():
		}
	}()
	c := r.code
	dir, err := os.MkdirTemp(c.run, "out-")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompiler, err)
	}
	defer os.RemoveAll(dir)
	if err := r.config.Compile(ctx, rewritten, dir); err != nil {
		if ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, err
	}
	file, err := onlyChild(dir)
	if err == nil {
		file, err = onlyChild(file)
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Lstat(file); err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("it wrote %s, which is no file", file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompiler, err)
	}
	written, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompiler, err)
	}
	name := filepath.Base(file)
	compiled, err := r.load(without, name, (&cached{file: written, path: file}).linkTo)
	_ = written.Close()
	if err != nil {
		return nil, fmt.Errorf("%w: what it wrote cannot be loaded: %w", ErrCompiler, err)
	}
	if c.root != "" {
		err := c.sign(file, entry, name, whole, without)
		if err == nil {
			err = c.keep(file, entry)
		}
		if err != nil {
			c.log.Warn("compiled code is not kept: the next start compiles again", "cache", c.root, "err", err)
		}
	}
	return compiled, nil
}

// CompileTo compiles a rewritten module and leaves a file in dir, which is empty before: what
// Config.Compile does, in whatever process it does it. Where the module is at fault
// the error wraps ErrInvalidModule; where the machine is, ErrCompiler.
func CompileTo(ctx context.Context, rewritten []byte, dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it cannot be compiled: %v", ErrInvalidModule, p)
		}
	}()
	without, err := stub(rewritten, sha256.Sum256(rewritten))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidModule, err)
	}
	code, err := compileTo(ctx, rewritten, filepath.Join(dir, "code"))
	if err != nil {
		return err
	}
	// The code goes by the name of the stub, which compiling that finds out.
	name, err := compileTo(ctx, without, filepath.Join(dir, "stub"))
	if err != nil {
		return err
	}
	place := filepath.Join(dir, filepath.Base(filepath.Dir(name)))
	err = os.Mkdir(place, 0o700)
	err = errors.Join(err, os.Rename(code, filepath.Join(place, filepath.Base(name))))
	err = errors.Join(err, os.RemoveAll(filepath.Join(dir, "code")), os.RemoveAll(filepath.Join(dir, "stub")))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCompiler, err)
	}
	return nil
}

// compileTo gives the file that wazero wrote below dir.
func compileTo(ctx context.Context, wasm []byte, dir string) (string, error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrCompiler, err)
	}
	defer cache.Close(ctx)
	rt := wazero.NewRuntimeWithConfig(ctx, runtimeConfig().WithCompilationCache(cache))
	defer rt.Close(ctx)
	if _, err := rt.CompileModule(experimental.WithCompilationWorkers(ctx, 1), wasm); err != nil {
		var errno syscall.Errno
		if errors.As(err, &errno) && errno != syscall.ENOMEM {
			return "", fmt.Errorf("%w: %w", ErrCompiler, err)
		}
		return "", fmt.Errorf("%w: %w", ErrInvalidModule, err)
	}
	file, err := onlyChild(dir)
	if err == nil {
		file, err = onlyChild(file)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrCompiler, err)
	}
	return file, nil
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
