package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"flagbase.dev/auth"
	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
	"github.com/danielgtaylor/huma/v2"
)

// Options are what a Server is made of. Functions and Keys are required; a nil Flags, Tables, Bucket or
// Tracer leaves that part of the API out (its paths answer 404).
type Options struct {
	Functions *function.Store
	Flags     *feature.Engine
	Tables    *table.Engine
	Bucket    storage.BucketAdapter
	Tracer    *tracing.Recorder
	Keys      *auth.Keys

	// PublicFunctions are the names of functions whose /fn/{name} needs no key; "*" means all of them.
	// Defaults to none.
	PublicFunctions []string
	// Logger gets failures that are flagbase's own, and one line per request at debug level.
	// Defaults to slog.Default().
	Logger *slog.Logger
	// Version is what the OpenAPI document calls the API's version. Defaults to "dev".
	Version string

	EventLimitBytes    int64         // largest event; defaults to 6 MiB
	ArtifactLimitBytes int64         // largest artifact or source; defaults to 64 MiB
	ObjectLimitBytes   int64         // largest object put over HTTP; defaults to 5 GiB
	MaxTimeout         time.Duration // longest Flagbase-Timeout; defaults to 15 minutes

	HeaderTimeout time.Duration // for a request's header; defaults to 10 s
	IdleTimeout   time.Duration // for a connection between requests; defaults to 2 minutes
	BodyGrace     time.Duration // head start of a body before MinBodyRate counts; defaults to 20 s
	MinBodyRate   int64         // bytes per second a client must send; defaults to 4 KiB
	WriteTimeout  time.Duration // for a client to take 64 KiB of the answer; defaults to 30 s
}

func (o *Options) withDefaults() *Options {
	d := *o
	setDefault(&d.Logger, slog.Default())
	setDefault(&d.Version, "dev")
	setDefault(&d.EventLimitBytes, 6<<20)
	setDefault(&d.ArtifactLimitBytes, 64<<20)
	setDefault(&d.ObjectLimitBytes, 5<<30)
	setDefault(&d.MaxTimeout, 15*time.Minute)
	setDefault(&d.HeaderTimeout, 10*time.Second)
	setDefault(&d.IdleTimeout, 2*time.Minute)
	setDefault(&d.BodyGrace, 20*time.Second)
	setDefault(&d.MinBodyRate, 4<<10)
	setDefault(&d.WriteTimeout, 30*time.Second)
	return &d
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server answers flagbase's HTTP API. It is an http.Handler; [Server.HTTPServer] wraps it with the
// timeouts that go with it.
type Server struct {
	opts    *Options
	log     *slog.Logger
	mux     *http.ServeMux
	api     huma.API
	metrics *metrics
	public  map[string]bool
	ready   atomic.Bool
	names   sync.Map      // what callers call a function -> *functionMetrics
	uploads chan struct{} // bounds the artifacts held in memory at once
}

// New makes a Server. It is not ready (see [Server.SetReady]) until told so.
func New(opts *Options) (*Server, error) {
	if opts == nil || opts.Functions == nil || opts.Keys == nil {
		return nil, errors.New("server: Options.Functions and Options.Keys are required")
	}
	s := &Server{
		opts:    opts.withDefaults(),
		mux:     http.NewServeMux(),
		metrics: newMetrics(),
		public:  map[string]bool{},
		uploads: make(chan struct{}, 4),
	}
	s.log = s.opts.Logger
	for _, name := range s.opts.PublicFunctions {
		s.public[name] = true
	}
	s.api = s.newAPI()
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.healthRoutes()
	s.functionRoutes()
	s.invokeRoutes()
	s.invocationRoutes()
	if s.opts.Flags != nil {
		s.flagRoutes()
		s.ofrepRoutes()
	}
	if s.opts.Tables != nil {
		s.tableRoutes()
	}
	if s.opts.Bucket != nil {
		s.bucketRoutes()
	}
	if s.opts.Tracer != nil {
		s.traceRoutes()
	}
	s.documentRoutes()
	s.mux.HandleFunc("/", s.miss)
}

// SetReady says whether /readyz answers 200 (true) or 503 (false), so that a load balancer sends no more
// requests while the server winds down.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// HTTPServer is an http.Server for s with the limits a server on a network needs. Every request's context
// descends from base: when base ends, running invocations are cancelled.
func (s *Server) HTTPServer(base context.Context) *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.opts.HeaderTimeout,
		IdleTimeout:       s.opts.IdleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return base },
	}
}

// dispatch sends an authenticated request where it belongs. Paths that end in a part the caller chooses
// freely (an object's key, a web handler's path) are taken apart here: ServeMux would redirect "a//b" to
// "a/b", which is another key.
func (s *Server) dispatch(w *responseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	switch {
	case strings.HasPrefix(path, "/fn/"):
		s.serveWeb(w, r)
	case s.opts.Bucket != nil && isObjectPath(path):
		s.serveObject(w, r)
	case !cleanPath(path):
		newProblem(http.StatusNotFound, CodeNotFound,
			"There is nothing at this path: it has empty, \".\" or \"..\" segments. Percent-encode a slash inside a name as %2F.").write(w)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

func cleanPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//") &&
		!strings.Contains(path, "/./") && !strings.Contains(path, "/../") &&
		!strings.HasSuffix(path, "/.") && !strings.HasSuffix(path, "/..")
}

// methods are those that anything at all is served under.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete}

// miss answers for paths no other pattern matched: 405 if another method would have found something.
func (s *Server) miss(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	probe := *r
	for _, method := range methods {
		probe.Method = method
		if _, pattern := s.mux.Handler(&probe); pattern != "" && pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		methodNotAllowed(r.Method, allowed).write(w)
		return
	}
	detail := "There is nothing at this path; GET /openapi.json lists what there is."
	if strings.HasSuffix(r.URL.Path, "/") && len(r.URL.Path) > 1 {
		detail = "There is nothing at this path; it may exist without the slash at its end."
	}
	newProblem(http.StatusNotFound, CodeNotFound, detail).write(w)
}

func methodNotAllowed(method string, allowed []string) *Problem {
	list := strings.Join(allowed, ", ")
	return newProblem(http.StatusMethodNotAllowed, CodeMethodNotAllowed,
		"This path does not take "+method+"; it takes "+list+".").withHeader("Allow", list)
}
