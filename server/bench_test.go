package server_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"flagbase.dev/auth"
	"flagbase.dev/function"
	"flagbase.dev/internal/database"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/server"
	"flagbase.dev/storage"
	"flagbase.dev/tracing"
)

// benchServer is a server as the program composes it, with a module whose handle
// returns a constant and a script that answers with JSON.
func benchServer(b *testing.B) *server.Server {
	b.Helper()
	ctx := context.Background()
	ok := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	db, err := database.OpenSQLite(ctx, filepath.Join(b.TempDir(), "bench.db"))
	ok(err)
	tracer, err := tracing.NewRecorder(ctx, db, nil)
	ok(err)
	engine, err := function.NewEngine(ctx, nil)
	ok(err)
	bucket := storage.NewMemory()
	store, err := function.NewStore(db, bucket, engine, nil)
	ok(err)
	store.WithTracer(tracer)
	b.Cleanup(func() {
		_ = store.Close(ctx)
		engine.Close(ctx)
		_ = tracer.Close(ctx)
		_ = db.Close()
	})
	keys := auth.NewKeys()
	keys.Add(key, auth.Principal{Name: "admin", Role: auth.RoleAdmin})
	s, err := server.New(&server.Options{Functions: store, Bucket: bucket, Tracer: tracer, Keys: keys,
		Logger: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	ok(err)
	_, err = store.Upload(ctx, "constant", "", testguest.WAT(b, `(module (memory (export "memory") 1) (data (i32.const 8) "{\"ok\":true}")
		(func (export "handle") (result i32 i32) (i32.const 8) (i32.const 11)))`))
	ok(err)
	_, err = store.Create(ctx, "hello", "", "javascript", `export function handle(event) { return { hello: event.name ?? "world" } }`)
	ok(err)
	return s
}

// discard is a ResponseWriter that costs nothing of its own.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func (d *discard) SetReadDeadline(time.Time) error  { return nil }
func (d *discard) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkInvoke is the handler alone: what lies between net/http and the guest.
func BenchmarkInvoke(b *testing.B) {
	s := benchServer(b)
	for _, name := range []string{"constant", "hello"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			body := []byte(`{"name":"you"}`)
			template, _ := http.NewRequest("POST", "http://localhost/v1/functions/"+name+"/invoke", nil)
			template.Header.Set("Authorization", "Bearer "+key)
			template.ContentLength = int64(len(body))
			w := &discard{}
			for b.Loop() {
				r := *template
				r.Body = io.NopCloser(bytes.NewReader(body))
				w.header, w.status = make(http.Header), 0
				s.ServeHTTP(w, &r)
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}

// BenchmarkHTTP is the same over connections that are kept, with the cheapest client
// there can be: GOMAXPROCS x 8 of them at once.
func BenchmarkHTTP(b *testing.B) {
	s := benchServer(b)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web := s.HTTPServer(context.Background())
	go func() { _ = web.Serve(listener) }()
	b.Cleanup(func() { _ = web.Close() })
	for _, name := range []string{"constant", "hello"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8)
			var mu sync.Mutex
			var took []time.Duration
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", listener.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				request := []byte("POST /v1/functions/" + name + "/invoke HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key +
					"\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n" + `{"name":"you"}`)
				answers := bufio.NewReader(conn)
				var mine []time.Duration
				for pb.Next() {
					start := time.Now()
					if _, err := conn.Write(request); err != nil {
						b.Error(err)
						return
					}
					answer, err := http.ReadResponse(answers, nil)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					if answer.StatusCode != http.StatusOK {
						b.Error(answer.Status)
						return
					}
					mine = append(mine, time.Since(start))
				}
				mu.Lock()
				took = append(took, mine...)
				mu.Unlock()
			})
			if n := len(took); n > 0 {
				slices.Sort(took)
				b.ReportMetric(float64(took[n/2].Microseconds()), "p50-us")
				b.ReportMetric(float64(took[n*99/100].Microseconds()), "p99-us")
			}
		})
	}
}
