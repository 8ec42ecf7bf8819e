package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"flagbase.dev/auth"
	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/internal/database"
	"flagbase.dev/server"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// Options are what Run needs besides the configuration.
type Options struct {
	// Config is the configuration. Defaults to Defaults().
	Config *Config
	// AdminKey overrides the key in the data directory; it is FLAGBASE_ADMIN_KEY's value.
	AdminKey string
	// Log gets the server's log. Defaults to standard error.
	Log io.Writer
	// Version is the program's, for the OpenAPI document. Defaults to "dev".
	Version string
	// Worker are the arguments that make this program run CompileWorker. Modules are then compiled in
	// limited processes of their own. Defaults to none: they are compiled in this process.
	Worker []string
	// Started is called once the server takes requests. Defaults to nothing.
	Started func(*Running)
}

// Running describes a server that takes requests.
type Running struct {
	URL         string   // how a client on this machine reaches it
	Addr        net.Addr // what it listens on, with the port it got
	AdminKey    string   // the key that may do everything
	KeyFile     string   // where the key is; "" when the environment gave it
	KeyCreated  bool     // whether this start made the key
	StartupTime time.Duration
	DataDir     string
}

// Run starts a server and serves until ctx ends, then shuts down in order: not ready, no new connections,
// running requests end (up to Config.ShutdownTimeout), what is in memory is written. It returns nil after
// an orderly shutdown.
func Run(ctx context.Context, opts *Options) error {
	a, err := start(ctx, opts)
	if err != nil {
		return err
	}
	return a.serve(ctx)
}

// app is the running parts; close ends them in reverse order.
type app struct {
	opts     Options
	config   *Config
	log      *slog.Logger
	began    time.Time
	listener net.Listener
	key      *adminKey
	server   *server.Server
	closers  []closer
}

type closer struct {
	name  string
	close func(context.Context) error
}

func (a *app) onClose(name string, close func(context.Context) error) {
	a.closers = append(a.closers, closer{name, close})
}

// start opens everything, in the order in which the parts need each other.
func start(ctx context.Context, opts *Options) (_ *app, err error) {
	a := &app{began: time.Now()}
	if opts != nil {
		a.opts = *opts
	}
	if a.opts.Log == nil {
		a.opts.Log = os.Stderr
	}
	a.config = a.opts.Config
	if a.config == nil {
		a.config = Defaults()
	}
	if err := a.config.validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	a.log = newLogger(a.opts.Log, a.config)
	defer func() {
		if err != nil {
			a.close(context.WithoutCancel(ctx))
		}
	}()
	for _, warning := range a.config.Warnings {
		a.log.Warn(warning)
	}
	lock, err := lockData(a.config.Data)
	if err != nil {
		return nil, err
	}
	a.onClose("data directory", func(context.Context) error { return lock.Unlock() })
	if err := a.listen(ctx); err != nil {
		return nil, err
	}
	if a.key, err = loadAdminKey(a.config.Data, a.opts.AdminKey); err != nil {
		return nil, err
	}
	if a.key.warning != "" {
		a.log.Warn(a.key.warning)
	}
	if err := a.open(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// listen takes the address before anything else is opened: the engine must know it, to keep functions off it.
func (a *app) listen(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", a.config.Addr)
	if err != nil {
		return listenError(a.config.Addr, err)
	}
	// Closing it twice is harmless, and http.Server closes it first.
	a.onClose("listener", func(context.Context) error { _ = listener.Close(); return nil })
	a.listener = listener
	if !a.config.loopback() {
		a.log.Warn("listening beyond this machine without TLS: put a proxy with TLS in front, or keys travel in the clear", "addr", listener.Addr().String())
	}
	return nil
}

func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: the port is in use; stop the program that has it or choose another with --addr (port 0 picks a free one)", addr)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("listen on %s: this user may not use that port; choose one above 1023 with --addr", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s: this machine does not have that address; choose another with --addr", addr)
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}

// open makes the rooms and joins them.
func (a *app) open(ctx context.Context) error {
	c := a.config
	db, err := database.OpenSQLite(ctx, c.path("flagbase.db"))
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	a.onClose("database", func(context.Context) error { return db.Close() })

	parts, err := a.openData(ctx, db)
	if err != nil {
		return err
	}
	secrets, err := openSecrets(c.Secrets)
	if err != nil {
		return err
	}
	var compile func(context.Context, []byte, string) error
	if len(a.opts.Worker) > 0 {
		compile = (&compiler{worker: a.opts.Worker, limits: limitsOf}).compile
	}
	engine, err := function.NewEngine(ctx, &function.EngineOptions{
		CodeCacheDir:       c.cacheDir(),
		CodeCacheBytes:     int64(c.Cache.Size),
		Compiler:           compile,
		Logger:             a.log,
		Secrets:            secrets,
		MemoryLimitBytes:   int64(c.Limits.Memory),
		TotalMemoryBytes:   int64(c.Limits.TotalMemory),
		OutputLimitBytes:   int64(c.Limits.Output),
		LogLimitBytes:      int64(c.Limits.Log),
		EventLimitBytes:    int64(c.Limits.Event),
		ArtifactLimitBytes: int64(c.Limits.Artifact),
		Timeout:            c.Limits.Timeout,
		MaxCallDepth:       c.Limits.CallDepth,
		ComputeLimit:       c.Limits.Compute,
		MaxConcurrency:     c.Limits.Concurrency,
		MaxQueue:           orNone(c.Limits.Queue),
		QueueTimeout:       c.Limits.QueueTime,
		HistoryAge:         orNone(c.History.Age),
		HistoryPerFunction: orNone(c.History.PerFunction),
		Fetch: &function.FetchPolicy{
			AllowHosts:   c.Fetch.AllowHosts,
			AllowPrivate: c.Fetch.AllowPrivate,
			Deny:         []string{a.listener.Addr().String()},
		},
	})
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	a.onClose("engine", func(ctx context.Context) error { engine.Close(ctx); return nil })
	store, err := function.NewStore(db, parts.bucket, engine, parts.flags)
	if err != nil {
		return fmt.Errorf("open the functions: %w", err)
	}
	store.WithTables(parts.tables)
	store.WithTracer(parts.tracer)
	a.onClose("functions", store.Close)

	keys := auth.NewKeys()
	keys.Add(a.key.key, auth.Principal{Name: "admin", Role: auth.RoleAdmin})
	a.server, err = server.New(&server.Options{
		Functions:          store,
		Flags:              parts.flags,
		Tables:             parts.tables,
		Bucket:             parts.bucket,
		Tracer:             parts.tracer,
		Keys:               keys,
		PublicFunctions:    c.PublicFunctions,
		Logger:             a.log,
		Version:            a.opts.Version,
		EventLimitBytes:    int64(c.Limits.Event),
		ArtifactLimitBytes: int64(c.Limits.Artifact),
		ObjectLimitBytes:   int64(c.Limits.Object),
		MaxTimeout:         c.Limits.MaxTimeout,
	})
	return err
}

// orNone turns the 0 of a setting into the negative number by which the rooms mean it; their own 0 is the
// default.
func orNone[T int | time.Duration](setting T) T {
	if setting == 0 {
		return -1
	}
	return setting
}

// parts are the rooms whose truth is in the database.
type parts struct {
	flags  *feature.Engine
	tables *table.Engine
	bucket *storage.Local
	tracer *tracing.Recorder
}

func (a *app) openData(ctx context.Context, db *sql.DB) (*parts, error) {
	var p parts
	var err error
	if p.flags, err = feature.NewEngine(ctx, db); err != nil {
		return nil, fmt.Errorf("open the flags: %w", err)
	}
	if p.tables, err = table.NewEngine(ctx, db); err != nil {
		return nil, fmt.Errorf("open the tables: %w", err)
	}
	if p.bucket, err = storage.OpenLocal(ctx, a.config.path("buckets"), db); err != nil {
		return nil, fmt.Errorf("open the buckets: %w", err)
	}
	a.onClose("buckets", func(context.Context) error { return p.bucket.Close() })
	if p.tracer, err = tracing.NewRecorder(ctx, db, &tracing.Options{Logger: a.log, TracesPerSecond: orNone(a.config.TracesPerSecond)}); err != nil {
		return nil, fmt.Errorf("open the traces: %w", err)
	}
	a.onClose("traces", p.tracer.Close)
	return &p, nil
}

// serve takes requests until ctx ends or the listener breaks.
func (a *app) serve(ctx context.Context) error {
	// Requests outlive ctx: they get the shutdown's time to end before base cancels them.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	web := a.server.HTTPServer(base)
	failed := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- web.Serve(a.listener) })
	a.server.SetReady(true)
	if a.opts.Started != nil {
		a.opts.Started(a.running())
	}

	var serveErr error
	select {
	case <-ctx.Done():
		a.log.Info("shutting down", "timeout", a.config.ShutdownTimeout.String())
		a.server.SetReady(false)
		time.Sleep(a.config.ShutdownDelay) // a load balancer's time to notice
		a.stop(web, cancel)
	case err := <-failed:
		serveErr = fmt.Errorf("serve on %s: %w", a.config.Addr, err)
		a.server.SetReady(false)
		cancel()
		_ = web.Close() // it has failed already
	}
	serving.Wait()
	return errors.Join(serveErr, a.close(context.WithoutCancel(ctx)))
}

// stop lets running requests end, then cancels what is left and gives it a moment to notice.
func (a *app) stop(web *http.Server, cancel context.CancelFunc) {
	ctx, done := context.WithTimeout(context.Background(), a.config.ShutdownTimeout)
	defer done()
	if web.Shutdown(ctx) == nil {
		return
	}
	a.log.Warn("some requests did not end in time; cancelling them")
	cancel()
	ctx, done = context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	if web.Shutdown(ctx) != nil {
		_ = web.Close() // cuts the connections; there is nothing left to try
	}
}

// close ends the parts, last opened first. One that fails does not keep the others open.
func (a *app) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i].close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close the %s: %w", a.closers[i].name, err))
		}
	}
	a.closers = nil
	return errors.Join(errs...)
}

func (a *app) running() *Running {
	return &Running{
		URL:         localURL(a.listener.Addr()),
		Addr:        a.listener.Addr(),
		AdminKey:    a.key.key,
		KeyFile:     a.key.file,
		KeyCreated:  a.key.created,
		StartupTime: time.Since(a.began),
		DataDir:     a.config.Data,
	}
}

// localURL is how this machine reaches addr: an unspecified address is not one to connect to.
func localURL(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return "http://" + addr.String()
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(tcp.Port))
}
