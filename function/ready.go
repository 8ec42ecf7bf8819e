package function

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/storage"
)

// artifactBucket holds modules by the SHA-256 of their bytes.
const artifactBucket = "flagbase-artifacts"

// loadTimeout bounds making a stored version ready again. It does not follow the
// caller's deadline, because others wait for the same version.
const loadTimeout = time.Minute

// prepare compiles an artifact and tries it: a module is instantiated and
// initialised, a script evaluated, both without any service at hand.
func (s *Store) prepare(ctx context.Context, op string, a *artifact) (program, error) {
	if a.wasm == nil {
		// Compiling QuickJS, once, is not the script's time. compileScript says what fails.
		_ = s.engine.quickjs.Prepare(ctx)
		ctx, cancel := context.WithTimeout(ctx, deployTimeout)
		defer cancel()
		return s.engine.compileScript(ctx, op, a.language, a.source)
	}
	module, err := s.engine.wasm.Prepare(ctx, a.wasm)
	if err != nil {
		return nil, invalidArtifact(op, err)
	}
	p, err := newModuleProgram(module, len(a.wasm), entryAny)
	if err != nil {
		return nil, fail(ErrInvalidArtifact, "%s: %w", op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, deployTimeout)
	defer cancel()
	if err := p.try(ctx, a.function, s.engine.memoryPages()); err != nil {
		return nil, invalidArtifact(op, err)
	}
	return p, nil
}

// try instantiates the module once and initialises it, without any service at hand.
// Invocations start from the state this leaves, where it can be kept.
func (p *moduleProgram) try(ctx context.Context, function string, memoryPages uint32) error {
	log := newLog(tailBytes)
	inst, err := p.module.Acquire(ctx, &sandbox.InstanceOptions{Stderr: log, MemoryPages: memoryPages, Args: []string{function}})
	if err != nil {
		return err
	}
	defer inst.Release()
	if !p.initialize || p.command {
		return nil
	}
	if _, err := inst.Call("_initialize"); err != nil {
		return fmt.Errorf("initialising the module (_initialize) failed; what needs flagbase services belongs into the handler: %w%s", err, lastLine(tail(log.bytes())))
	}
	if p.initialized, err = inst.Snapshot(nil); err != nil && !errors.Is(err, sandbox.ErrNoSnapshot) {
		return err
	}
	return nil
}

// program gives a version ready to run, from memory or made ready now.
func (s *Store) program(ctx context.Context, op string, f *live, version int) (program, error) {
	if p := f.ready(version); p != nil {
		return p, nil
	}
	done := s.flight.DoChan(numbered(f.id, version), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		if p := f.ready(version); p != nil {
			return p, nil
		}
		p, err := s.load(ctx, op, f, version)
		if err != nil {
			return nil, err
		}
		s.catalog.keepReady(f.resident, version, p)
		return p, nil
	})
	select {
	case <-ctx.Done():
		return nil, interrupted(op, ctx.Err())
	case res := <-done:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(program), nil
	}
}

// load makes a stored version ready.
func (s *Store) load(ctx context.Context, op string, f *live, version int) (program, error) {
	v, err := s.version(ctx, op, f.id, f.name, `version = ?`, version)
	if err != nil {
		return nil, err
	}
	a := &artifact{function: f.name, language: v.language, source: v.Source}
	if v.artifact != "" {
		if a.wasm, err = s.loadArtifact(ctx, op, numbered(f.name, v.Version), v.artifact); err != nil {
			// The function may have been deleted since it was looked up.
			if _, gone := s.find(ctx, op, f.id); errors.Is(gone, ErrNotFound) {
				return nil, fail(ErrNotFound, "%s: there is no function %q", op, f.name)
			}
			return nil, err
		}
	}
	return s.prepare(ctx, op+" "+numbered(f.name, v.Version), a)
}

// keepArtifact stores a module durably under its hash.
func (s *Store) keepArtifact(ctx context.Context, wasm []byte) (string, error) {
	hash := sandbox.Hash(wasm)
	return hash, storage.WriteAll(ctx, s.bucket, artifactBucket, hash, wasm)
}

// loadArtifact reads a module back and checks that it is the one that was stored.
func (s *Store) loadArtifact(ctx context.Context, op, name, hash string) ([]byte, error) {
	wasm, err := storage.ReadAll(ctx, s.bucket, artifactBucket, hash, s.engine.options.ArtifactLimitBytes)
	if err != nil {
		return nil, &Error{Code: ErrNotReady.Code, Message: fmt.Sprintf("%s: the artifact of %s cannot be read; activate another version or deploy again", op, name), Cause: err}
	}
	if sandbox.Hash(wasm) != hash {
		return nil, &Error{Code: ErrNotReady.Code, Message: fmt.Sprintf("%s: the artifact of %s is damaged; activate another version or deploy again", op, name)}
	}
	return wasm, nil
}

// dropArtifact deletes a module that no version uses any more. A failure leaves an
// orphan, never a version without its artifact: a deployment of the same bytes that
// has not recorded its version yet is waited for.
func (s *Store) dropArtifact(ctx context.Context, hash string) {
	s.engine.artifacts.Lock()
	defer s.engine.artifacts.Unlock()
	var used bool
	err := s.db.SQL().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM flagbase_versions WHERE artifact = ?)`, hash).Scan(&used)
	if err == nil && !used {
		_ = s.bucket.Delete(ctx, artifactBucket, hash)
	}
}
