package function

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"flagbase.dev/internal/database"
)

// Languages of functions that are deployed as source.
const (
	languageJavaScript = "javascript"
	languageTypeScript = "typescript"
	languageWASM       = "wasm"
)

// deployTimeout bounds what of a deployment runs guest code: evaluating a script,
// initialising a reactor.
const deployTimeout = 10 * time.Second

// artifact is what a deployment brings: WebAssembly, or source.
type artifact struct {
	function string // name
	language string
	source   string // of a script
	wasm     []byte // of a module
}

func (a *artifact) runtime() string {
	if a.language == languageWASM {
		return RuntimeWASM
	}
	return RuntimeQuickJS
}

// Create persists a new JavaScript or TypeScript function record and validates it
// synchronously: its source becomes version 1. language is "javascript" or
// "typescript". For Go/WASM functions, use Upload instead.
//
// Source that does not compile or evaluate is kept, so that it can be mended: the
// function comes back with status "error" beside an error that wraps
// ErrInvalidArtifact and says where it is wrong. A name that is taken gives
// ErrConflict, unless its function never became ready.
func (s *Store) Create(ctx context.Context, name, description, language, source string) (*Function, error) {
	const op = "create function"
	if language != languageJavaScript && language != languageTypeScript {
		return nil, fail(ErrInvalid, "%s: language %q is neither \"javascript\" nor \"typescript\"; upload WebAssembly for others", op, language)
	}
	return s.deployFirst(ctx, op, name, description, &artifact{language: language, source: source})
}

// Upload persists a pre-compiled WASM artifact as version 1 of a new function. The
// caller is responsible for compiling source to WASI preview1 WASM (e.g. via
// `flagbase fn build`). A module that is refused leaves nothing behind; the error
// wraps ErrInvalidArtifact and says what is wrong with it.
func (s *Store) Upload(ctx context.Context, name, description string, wasmBytes []byte) (*Function, error) {
	return s.deployFirst(ctx, "upload function", name, description, &artifact{language: languageWASM, wasm: wasmBytes})
}

// DeployVersion uploads a new WASM artifact for an existing function, makes it the
// active version, and records a new version entry. An artifact that is refused
// leaves the active version as it was.
func (s *Store) DeployVersion(ctx context.Context, id string, wasmBytes []byte) (*FunctionVersion, error) {
	const op = "deploy version"
	f, err := s.find(ctx, op, id)
	if err != nil {
		return nil, err
	}
	return s.deployNext(ctx, op, f, &artifact{language: languageWASM, wasm: wasmBytes})
}

// DeploySource is DeployVersion for source. language is "javascript" or "typescript";
// "" is the language the function has. Versions of a function may differ in language,
// and a WebAssembly function may get a version that is a script.
func (s *Store) DeploySource(ctx context.Context, id, language, source string) (*FunctionVersion, error) {
	const op = "deploy version"
	f, err := s.find(ctx, op, id)
	if err != nil {
		return nil, err
	}
	if language == "" {
		language = f.Language
	}
	if language != languageJavaScript && language != languageTypeScript {
		return nil, fail(ErrInvalid, "%s: source is \"javascript\" or \"typescript\", not %q", op, language)
	}
	return s.deployNext(ctx, op, f, &artifact{language: language, source: source})
}

// Update recompiles a JavaScript or TypeScript function from new source and stores a
// new version, which becomes active. It also renames and describes the function: an
// empty name leaves the name as it is, an empty source leaves the versions as they
// are. When the source does not compile nothing is changed.
func (s *Store) Update(ctx context.Context, id, name, description, source string) (*Function, error) {
	const op = "update function"
	f, err := s.find(ctx, op, id)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = f.Name
	} else if err := checkName(op, name); err != nil {
		return nil, err
	}
	if name != f.Name {
		if _, err := s.find(ctx, op, name); err == nil {
			return nil, fail(ErrConflict, "%s: there is a function %q already", op, name)
		}
	}
	if source != "" {
		if f.Language == languageWASM {
			return nil, fail(ErrInvalid, "%s: %q is a WebAssembly function; deploy a module instead of source", op, f.Name)
		}
		if _, err := s.deployNext(ctx, op, f, &artifact{language: f.Language, source: source}); err != nil {
			return nil, err
		}
	}
	defer s.catalog.forget(f.ID, false)
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE flagbase_functions SET name = ?, description = ?, updated_at = ? WHERE id = ?`,
			name, description, database.Micros(time.Now()), f.ID)
		return err
	})
	if err != nil {
		if other, findErr := s.find(ctx, op, name); findErr == nil && other.ID != f.ID {
			return nil, fail(ErrConflict, "%s: there is a function %q already", op, name)
		}
		return nil, s.broken(ctx, op, err)
	}
	return s.Get(ctx, f.ID)
}

// Activate makes an earlier (or later) version the one that is invoked: a rollback.
// The version is made ready first, so that a rotten artifact changes nothing.
func (s *Store) Activate(ctx context.Context, id string, version int) (*FunctionVersion, error) {
	const op = "activate version"
	f, err := s.find(ctx, op, id)
	if err != nil {
		return nil, err
	}
	unlock, err := s.lockDeploys(ctx, op, f.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	v, err := s.version(ctx, op, f.ID, f.Name, `version = ?`, version)
	if err != nil {
		return nil, err
	}
	l, err := s.function(ctx, op, f.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.program(ctx, op, l, version); err != nil {
		return nil, err
	}
	defer s.catalog.forget(f.ID, false)
	err = s.db.Write(ctx, func(tx *sql.Tx) error { return activate(ctx, tx, v) })
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return &v.FunctionVersion, nil
}

func activate(ctx context.Context, tx *sql.Tx, v *storedVersion) error {
	_, err := tx.ExecContext(ctx, `UPDATE flagbase_functions
		SET active_version = ?, language = ?, runtime = ?, source = ?, status = ?, error = '', updated_at = ? WHERE id = ?`,
		v.Version, v.language, v.runtime, v.Source, StatusReady, database.Micros(time.Now()), v.FunctionID)
	return err
}

// deployFirst reserves the name, makes the artifact ready and records version 1.
func (s *Store) deployFirst(ctx context.Context, op, name, description string, a *artifact) (*Function, error) {
	if err := checkName(op, name); err != nil {
		return nil, err
	}
	if err := s.checkArtifact(op, name, a); err != nil {
		return nil, err
	}
	f, fresh, err := s.reserve(ctx, op, name, description, a)
	if err != nil {
		return nil, err
	}
	unlock, err := s.lockDeploys(ctx, op, f.ID)
	if err != nil {
		s.abandon(context.WithoutCancel(ctx), f, fresh && a.language == languageWASM, err)
		return nil, err
	}
	defer unlock()
	if _, err := s.commit(ctx, op, f, a); err != nil {
		s.abandon(context.WithoutCancel(ctx), f, fresh && a.language == languageWASM, err)
		if a.language == languageWASM {
			return nil, err
		}
		failed, getErr := s.Get(context.WithoutCancel(ctx), f.ID)
		if getErr != nil {
			failed = nil
		}
		return failed, err
	}
	return s.Get(ctx, f.ID)
}

func (s *Store) deployNext(ctx context.Context, op string, f *stored, a *artifact) (*FunctionVersion, error) {
	if err := s.checkArtifact(op, f.Name, a); err != nil {
		return nil, err
	}
	unlock, err := s.lockDeploys(ctx, op, f.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	v, err := s.commit(ctx, op, f, a)
	if err != nil {
		return nil, err
	}
	return &v.FunctionVersion, nil
}

func (s *Store) checkArtifact(op, name string, a *artifact) error {
	size := int64(len(a.source) + len(a.wasm))
	if size == 0 {
		return fail(ErrInvalidArtifact, "%s: %q has no code: it is empty", op, name)
	}
	if limit := s.engine.options.ArtifactLimitBytes; size > limit {
		return fail(ErrTooLarge, "%s: %q has %d bytes, the limit is %d", op, name, size, limit)
	}
	return nil
}

// reserve inserts the function with status "compiling", or takes over one that
// never became ready. fresh says that it was not there.
func (s *Store) reserve(ctx context.Context, op, name, description string, a *artifact) (f *stored, fresh bool, err error) {
	now := time.Now()
	conflict := fail(ErrConflict, "%s: there is a function %q already; deploy a new version of it instead", op, name)
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		existing, err := scanFunction(tx.QueryRowContext(ctx, `SELECT `+functionColumns+` FROM flagbase_functions WHERE name = ?`, name))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			fresh = true
			f = &stored{Function: Function{ID: newID(functionPrefix), Name: name}}
			_, err = tx.ExecContext(ctx, `INSERT INTO flagbase_functions (`+functionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, ?, ?)`,
				f.ID, name, description, a.language, a.source, a.runtime(), StatusCompiling, database.Micros(now), database.Micros(now))
			return err
		case err != nil:
			return err
		case existing.Status != StatusError || existing.active != 0:
			return conflict
		}
		f = existing
		_, err = tx.ExecContext(ctx, `UPDATE flagbase_functions SET description = ?, language = ?, source = ?, runtime = ?, status = ?, error = '', updated_at = ? WHERE id = ?`,
			description, a.language, a.source, a.runtime(), StatusCompiling, database.Micros(now), f.ID)
		return err
	})
	if errors.Is(err, ErrConflict) {
		return nil, false, conflict
	}
	if err != nil {
		return nil, false, s.broken(ctx, op, err)
	}
	return f, fresh, nil
}

// abandon ends a first deployment that failed.
func (s *Store) abandon(ctx context.Context, f *stored, remove bool, cause error) {
	ctx, cancel := context.WithTimeout(ctx, deployTimeout)
	defer cancel()
	_ = s.db.Write(ctx, func(tx *sql.Tx) error {
		if remove {
			_, err := tx.ExecContext(ctx, `DELETE FROM flagbase_functions WHERE id = ? AND active_version = 0`, f.ID)
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE flagbase_functions SET status = ?, error = ?, updated_at = ? WHERE id = ? AND active_version = 0`,
			StatusError, cause.Error(), database.Micros(time.Now()), f.ID)
		return err
	})
}

// commit makes the artifact ready, durable and then, in one transaction, the active
// version. A crash anywhere leaves the version before it live.
func (s *Store) commit(ctx context.Context, op string, f *stored, a *artifact) (*storedVersion, error) {
	what := op + " " + f.Name
	a.function = f.Name
	ready, err := s.prepare(ctx, what, a)
	if err != nil {
		return nil, err
	}
	v := &storedVersion{
		FunctionVersion: FunctionVersion{ID: newID(versionPrefix), FunctionID: f.ID, Source: a.source, CreatedAt: time.Now().UTC().Truncate(time.Microsecond)},
		language:        a.language, runtime: a.runtime(),
	}
	err = s.record(ctx, what, v, a.wasm)
	s.catalog.forget(f.ID, false)
	if err != nil {
		if v.artifact != "" {
			s.dropArtifact(context.WithoutCancel(ctx), v.artifact)
		}
		if errors.Is(err, ErrNotFound) {
			return nil, err
		}
		return nil, s.broken(ctx, what, err)
	}
	if l, err := s.function(context.WithoutCancel(ctx), op, f.ID); err == nil {
		s.catalog.keepReady(l.resident, v.Version, ready)
	}
	return v, nil
}

// record stores the artifact and then inserts v and makes it the active version.
func (s *Store) record(ctx context.Context, what string, v *storedVersion, wasm []byte) (err error) {
	if wasm != nil {
		s.engine.artifacts.RLock()
		defer s.engine.artifacts.RUnlock()
		if v.artifact, err = s.keepArtifact(ctx, wasm); err != nil {
			return err
		}
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var exists bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM flagbase_functions WHERE id = ?)`, v.FunctionID).Scan(&exists); err != nil {
			return err
		}
		if !exists {
			return fail(ErrNotFound, "%s: the function was deleted meanwhile", what)
		}
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) + 1 FROM flagbase_versions WHERE function_id = ?`, v.FunctionID).Scan(&v.Version); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO flagbase_versions (`+versionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			v.ID, v.FunctionID, v.Version, v.language, v.runtime, v.Source, v.artifact, database.Micros(v.CreatedAt)); err != nil {
			return err
		}
		return activate(ctx, tx, v)
	})
}
