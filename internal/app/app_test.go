package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flagbase.dev/client"
	"flagbase.dev/internal/app"
	"flagbase.dev/internal/testguest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if app.RunTestWorker() {
		return
	}
	goleak.VerifyTestMain(m)
}

// server is a running flagbase and a client of it.
type server struct {
	*app.Running
	api  *client.Client
	log  *logBuffer
	stop func() error // shuts it down and returns what Run returned
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func config(t testing.TB, change func(*app.Config)) *app.Config {
	c := app.Defaults()
	c.Addr, c.Data = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	if change != nil {
		change(c)
	}
	return c
}

// run starts a server on a free port; the test's end stops it.
func run(t testing.TB, c *app.Config) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{log: &logBuffer{}}
	started, ended := make(chan *app.Running, 1), make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, &app.Options{Config: c, Log: s.log, Started: func(r *app.Running) { started <- r }})
	}()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	select {
	case s.Running = <-started:
	case err := <-ended:
		cancel()
		t.Fatalf("start: %v\n%s", err, s.log)
	}
	api, err := client.New(&client.Options{URL: s.URL, Token: s.AdminKey})
	if err != nil {
		t.Fatal(err)
	}
	s.api = api
	t.Cleanup(func() {
		api.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := s.stop(); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

func guest(t testing.TB) []byte { return testguest.Go(t, "internal/app/testdata/guest", false) }

func (s *server) deployGuest(t testing.TB) {
	t.Helper()
	if _, err := s.api.CreateFunction(t.Context(), "guest", &client.Code{Artifact: guest(t)}, nil); err != nil {
		t.Fatal(err)
	}
}

// do sends a request with the key and returns the response with its body read.
func (s *server) do(t testing.TB, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.AdminKey)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// problem checks that an answer is a problem document of that status and code.
func problem(t testing.TB, resp *http.Response, body string, status int, code string) map[string]any {
	t.Helper()
	if resp.StatusCode != status || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %d %s %s, want a problem with status %d", resp.StatusCode, resp.Header.Get("Content-Type"), body, status)
	}
	var p map[string]any
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if p["code"] != code || p["status"] != float64(status) {
		t.Fatalf("got %s, want code %s", body, code)
	}
	if detail, _ := p["detail"].(string); len(detail) < 10 {
		t.Fatalf("the detail says nothing: %s", body)
	}
	return p
}

func TestFirstStartMakesAKeyAndLaterStartsKeepIt(t *testing.T) {
	t.Parallel()
	c := config(t, nil)
	s := run(t, c)
	file := filepath.Join(c.Data, "admin.key")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if !s.KeyCreated || s.KeyFile != file || info.Mode().Perm() != 0o600 || !strings.HasPrefix(s.AdminKey, "fb_") {
		t.Fatalf("first start: %+v, mode %v", s.Running, info.Mode())
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again := run(t, c)
	if again.KeyCreated || again.AdminKey != s.AdminKey {
		t.Fatalf("second start: %+v", again.Running)
	}
	if strings.Contains(s.log.String()+again.log.String(), s.AdminKey) {
		t.Fatal("the key is in the log")
	}
}

func TestKeyFromTheEnvironmentReplacesTheFile(t *testing.T) {
	t.Parallel()
	c := config(t, nil)
	if err := app.Run(t.Context(), &app.Options{Config: c, AdminKey: "short", Log: io.Discard}); err == nil || !strings.Contains(err.Error(), "FLAGBASE_ADMIN_KEY") {
		t.Fatalf("a short key: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	const key = "a key from elsewhere"
	err := app.Run(ctx, &app.Options{Config: c, AdminKey: strings.ReplaceAll(key, " ", "-"), Log: io.Discard, Started: func(r *app.Running) {
		if r.AdminKey != "a-key-from-elsewhere" || r.KeyFile != "" {
			t.Errorf("running with %+v", r)
		}
		cancel()
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "admin.key")); err == nil {
		t.Fatal("a key file was written although the environment gave the key")
	}
}

func TestALooseKeyFileIsWarnedAbout(t *testing.T) {
	t.Parallel()
	c := config(t, nil)
	s := run(t, c)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(c.Data, "admin.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again := run(t, c); !strings.Contains(again.log.String(), "can be read by others") {
		t.Fatalf("no warning in %q", again.log)
	}
}

func TestTwoServersCannotShareADataDirectory(t *testing.T) {
	t.Parallel()
	c := config(t, nil)
	run(t, c)
	err := app.Run(t.Context(), &app.Options{Config: c, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "another flagbase server is using it") || !strings.Contains(err.Error(), c.Data) {
		t.Fatalf("second server: %v", err)
	}
}

func TestAPortInUseIsExplained(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	err := app.Run(t.Context(), &app.Options{Log: io.Discard, Config: config(t, func(c *app.Config) { c.Addr = s.Addr.String() })})
	if err == nil || !strings.Contains(err.Error(), "port is in use") || !strings.Contains(err.Error(), "--addr") {
		t.Fatalf("second server on %s: %v", s.Addr, err)
	}
}

func TestADataDirectoryThatIsAFileIsExplained(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := app.Run(t.Context(), &app.Options{Log: io.Discard, Config: config(t, func(c *app.Config) { c.Data = filepath.Join(file, "data") })})
	if err == nil || !strings.Contains(err.Error(), "--data") {
		t.Fatalf("got %v", err)
	}
}

func TestShutdownLetsARunningInvocationEnd(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	s.deployGuest(t)
	result := make(chan string, 1)
	go func() {
		r, err := s.api.Invoke(context.Background(), "guest", &client.InvokeOptions{Event: []byte("sleep 1s")})
		if err != nil {
			result <- err.Error()
			return
		}
		result <- string(r.Output)
	}()
	time.Sleep(300 * time.Millisecond)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := <-result; got != "awake" {
		t.Fatalf("the running invocation got %q", got)
	}
}

func TestShutdownHasALimit(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, func(c *app.Config) { c.ShutdownTimeout = 300 * time.Millisecond }))
	s.deployGuest(t)
	failed := make(chan error, 1)
	go func() {
		_, err := s.api.Invoke(context.Background(), "guest", &client.InvokeOptions{Event: []byte("spin")})
		failed <- err
	}()
	time.Sleep(300 * time.Millisecond)
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Fatalf("shutdown took %v", d)
	}
	if err := <-failed; err == nil {
		t.Fatal("an endless invocation succeeded")
	}
}
