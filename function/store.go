package function

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"flagbase.dev/feature"
	"flagbase.dev/internal/database"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// Store manages function lifecycle: persistence, compilation, and invocation. It
// is safe for concurrent use. A database belongs to one Store at a time: opening a
// second one takes what the first is doing for what a crash left behind.
type Store struct {
	db      *database.DB
	bucket  storage.BucketAdapter
	engine  *Engine
	flags   *feature.Engine
	tables  *table.Engine
	tracer  *tracing.Recorder
	history *history

	flight singleflight.Group

	catalog catalog

	mu      sync.Mutex
	deploys map[string]*deployLock // one deploy of a function at a time
}

// NewStore opens the store of functions kept in db and bucket, and migrates the
// schema it needs. flags may be nil. What a crash left half done is put right:
// invocations that were cut short are recorded as interrupted.
//
// db is a SQLite database; bucket holds artifacts, in the reserved bucket
// "flagbase-artifacts", beside the buckets functions use.
func NewStore(db *sql.DB, bucket storage.BucketAdapter, engine *Engine, flags *feature.Engine) (*Store, error) {
	const op = "new store"
	ctx := context.Background()
	if db == nil || bucket == nil || engine == nil {
		return nil, fail(ErrInvalid, "%s: a database, a bucket and an engine are needed", op)
	}
	d, err := database.Use(ctx, db)
	if err != nil {
		return nil, fail(ErrInternal, "%s: %w", op, err)
	}
	if err := markInterrupted(ctx, d); err != nil {
		return nil, fail(ErrInternal, "%s: %w", op, err)
	}
	s := &Store{
		db: d, bucket: bucket, engine: engine, flags: flags,
		history: engine.history(d),
		catalog: catalog{residents: make(map[string]*resident)},
		deploys: make(map[string]*deployLock),
	}
	if err := s.failHalfDeployed(ctx); err != nil {
		return nil, fail(ErrInternal, "%s: %w", op, err)
	}
	s.history.watch()
	return s, nil
}

// WithTables injects the table engine so WASM functions can call table host
// functions. Call it before the first invocation.
func (s *Store) WithTables(t *table.Engine) {
	s.tables = t
	s.catalog.forgetAll()
}

// WithTracer injects the distributed tracing recorder. Call it before the first
// invocation.
func (s *Store) WithTracer(t *tracing.Recorder) {
	s.tracer = t
	s.catalog.forgetAll()
}

// Close writes what is left of the invocation history. The store's engine, database
// and bucket stay open: they are the caller's.
func (s *Store) Close(ctx context.Context) error {
	s.history.keep.close()
	if err := s.history.flush(ctx); err != nil {
		return s.broken(ctx, "close store", err)
	}
	return nil
}

// broken wraps a failure of the database or bucket.
func (s *Store) broken(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return interrupted(op, ctx.Err())
	}
	return &Error{Code: ErrInternal.Code, Message: op + ": the database or bucket failed", Cause: err}
}

const maxName = 63

func checkName(op, name string) error {
	valid := name != "" && len(name) <= maxName && name[0] != '-'
	for _, c := range []byte(name) {
		valid = valid && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !valid {
		return fail(ErrInvalid, "%s: %q is not a name: use 1 to %d of a-z, 0-9 and \"-\", and start with a letter or digit", op, name, maxName)
	}
	return nil
}

const functionColumns = `id, name, description, language, source, runtime, status, error, active_version, created_at, updated_at`

// stored is a Function as the database has it.
type stored struct {
	Function
	active int
}

func scanFunction(row scanner) (*stored, error) {
	var f stored
	var created, updated int64
	if err := row.Scan(&f.ID, &f.Name, &f.Description, &f.Language, &f.Source, &f.Runtime, &f.Status, &f.Error, &f.active, &created, &updated); err != nil {
		return nil, err
	}
	f.CreatedAt, f.UpdatedAt = database.FromMicros(created), database.FromMicros(updated)
	return &f, nil
}

// find gives the function with that id or name, or ErrNotFound.
func (s *Store) find(ctx context.Context, op, idOrName string) (*stored, error) {
	column := "name"
	if isID(functionPrefix, idOrName) {
		column = "id"
	}
	f, err := scanFunction(s.db.SQL().QueryRowContext(ctx, `SELECT `+functionColumns+` FROM flagbase_functions WHERE `+column+` = ?`, idOrName))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fail(ErrNotFound, "%s: there is no function %q", op, idOrName)
	}
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return f, nil
}

// Get returns the function with that id or name, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (*Function, error) {
	f, err := s.find(ctx, "get function", id)
	if err != nil {
		return nil, err
	}
	return &f.Function, nil
}

// ActiveVersion returns the number of the version that is invoked, or ErrNotReady
// when none ever became ready.
func (s *Store) ActiveVersion(ctx context.Context, id string) (int, error) {
	const op = "get active version"
	f, err := s.find(ctx, op, id)
	if err != nil {
		return 0, err
	}
	if f.active == 0 {
		return 0, notReady(op, f)
	}
	return f.active, nil
}

// List returns all functions, by name.
func (s *Store) List(ctx context.Context) ([]Function, error) {
	const op = "list functions"
	rows, err := s.db.SQL().QueryContext(ctx, `SELECT `+functionColumns+` FROM flagbase_functions ORDER BY name`)
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	defer func() { _ = rows.Close() }()
	list := []Function{}
	for rows.Next() {
		f, err := scanFunction(rows)
		if err != nil {
			return nil, s.broken(ctx, op, err)
		}
		list = append(list, f.Function)
	}
	if err := rows.Err(); err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return list, nil
}

const versionColumns = `id, function_id, version, language, runtime, source, artifact, created_at`

// storedVersion is a FunctionVersion as the database has it.
type storedVersion struct {
	FunctionVersion
	language, runtime, artifact string
}

func scanVersion(row scanner) (*storedVersion, error) {
	var v storedVersion
	var created int64
	if err := row.Scan(&v.ID, &v.FunctionID, &v.Version, &v.language, &v.runtime, &v.Source, &v.artifact, &created); err != nil {
		return nil, err
	}
	v.CreatedAt = database.FromMicros(created)
	return &v, nil
}

// ListVersions returns all deployment versions for a function, oldest first.
func (s *Store) ListVersions(ctx context.Context, functionID string) ([]FunctionVersion, error) {
	const op = "list versions"
	f, err := s.find(ctx, op, functionID)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.SQL().QueryContext(ctx, `SELECT `+versionColumns+` FROM flagbase_versions WHERE function_id = ? ORDER BY version`, f.ID)
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	defer func() { _ = rows.Close() }()
	list := []FunctionVersion{}
	for rows.Next() {
		v, err := scanVersion(rows)
		if err != nil {
			return nil, s.broken(ctx, op, err)
		}
		list = append(list, v.FunctionVersion)
	}
	if err := rows.Err(); err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return list, nil
}

// GetVersion returns a single version record by ID, including source snapshot.
func (s *Store) GetVersion(ctx context.Context, functionID, versionID string) (*FunctionVersion, error) {
	const op = "get version"
	f, err := s.find(ctx, op, functionID)
	if err != nil {
		return nil, err
	}
	v, err := s.version(ctx, op, f.ID, f.Name, `id = ?`, versionID)
	if err != nil {
		return nil, err
	}
	return &v.FunctionVersion, nil
}

// version gives the version of a function that matches where, or ErrNotFound.
func (s *Store) version(ctx context.Context, op, functionID, name, where string, arg any) (*storedVersion, error) {
	v, err := scanVersion(s.db.SQL().QueryRowContext(ctx, `SELECT `+versionColumns+` FROM flagbase_versions WHERE function_id = ? AND `+where, functionID, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fail(ErrNotFound, "%s: function %q has no version %v", op, name, arg)
	}
	if err != nil {
		return nil, s.broken(ctx, op, err)
	}
	return v, nil
}

func notReady(op string, f *stored) error {
	switch f.Status {
	case StatusCompiling:
		return fail(ErrNotReady, "%s: the first version of %q is still compiling", op, f.Name)
	default:
		return fail(ErrNotReady, "%s: no version of %q is ready: %s", op, f.Name, f.Error)
	}
}

// Delete removes a function with its versions, artifacts and history. Invocations
// that run finish.
func (s *Store) Delete(ctx context.Context, id string) error {
	const op = "delete function"
	f, err := s.find(ctx, op, id)
	if err != nil {
		return err
	}
	unlock, err := s.lockDeploys(ctx, op, f.ID)
	if err != nil {
		return err
	}
	defer unlock()
	// Most of a long history goes first and in pieces: in one transaction it would make
	// all other writers wait.
	if err := s.history.deleteAll(ctx, f.ID); err != nil {
		return s.broken(ctx, op, err)
	}
	var artifacts []string
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		artifacts = nil
		rows, err := tx.QueryContext(ctx, `SELECT artifact FROM flagbase_versions WHERE function_id = ?`, f.ID)
		if err != nil {
			return err
		}
		for rows.Next() {
			var artifact string
			if err := rows.Scan(&artifact); err != nil {
				return errors.Join(err, rows.Close())
			}
			if artifact != "" {
				artifacts = append(artifacts, artifact)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, table := range []string{"flagbase_invocations", "flagbase_invocation_blocks", "flagbase_versions"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE function_id = ?`, f.ID); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM flagbase_functions WHERE id = ?`, f.ID)
		return err
	})
	s.catalog.forget(f.ID, err == nil)
	if err != nil {
		return s.broken(ctx, op, err)
	}
	for _, a := range artifacts {
		s.dropArtifact(context.WithoutCancel(ctx), a) // the function is gone, whoever waits
	}
	return nil
}

// failHalfDeployed ends first deployments that a crash cut short.
func (s *Store) failHalfDeployed(ctx context.Context) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE flagbase_functions SET status = ?, error = ?, updated_at = ? WHERE status = ?`,
			StatusError, "the server stopped during the deployment; deploy again", database.Micros(time.Now()), StatusCompiling)
		return err
	})
}

// deployLock lets one deployment of a function at a time through.
type deployLock struct {
	held  chan struct{}
	users int // that hold it or wait; nobody: it is forgotten
}

// lockDeploys serialises deployments of one function. Waiting ends with ctx.
func (s *Store) lockDeploys(ctx context.Context, op, functionID string) (unlock func(), err error) {
	s.mu.Lock()
	l := s.deploys[functionID]
	if l == nil {
		l = &deployLock{held: make(chan struct{}, 1)}
		s.deploys[functionID] = l
	}
	l.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(s.deploys, functionID)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, interrupted(op+": waiting for another deployment", ctx.Err())
	}
}

func numbered(name string, version int) string { return fmt.Sprintf("%s v%d", name, version) }
