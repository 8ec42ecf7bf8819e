package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// client keeps as many connections as there are workers.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}, Timeout: time.Minute}
}

func post(c *http.Client, url, token, event, answer string) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader([]byte(event)))
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", res.StatusCode, body)
	}
	return want(body, answer, err)
}

// overHTTP puts a net/http server of its own in front of a subject, so that peers pay
// for HTTP what flagbase pays.
func overHTTP(s *subject, answer string) (*subject, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if err := s.run(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, answer)
	})}
	go func() { _ = server.Serve(listener) }()
	c, url := newClient(), "http://"+listener.Addr().String()+"/"
	return &subject{Name: s.Name + " behind net/http", Isolates: s.Isolates, run: func() error {
		return post(c, url, "", helloEvent, answer)
	}, close: func() { _ = server.Close() }}, nil
}

// server is the flagbase binary, with authentication and history, as a user runs it.
type server struct {
	cmd   *exec.Cmd
	url   string
	token string
	dir   string
}

func startServer(root string) (*server, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	s := &server{url: "http://" + addr, token: "fb_benchmarkbenchmarkbenchmarkbenchmarkbenchma", dir: dir}
	s.cmd = exec.Command(filepath.Join(root, "bin", "flagbase"), "start", "--addr", addr, "--data", filepath.Join(dir, "data"))
	s.cmd.Env = append(os.Environ(), "FLAGBASE_ADMIN_KEY="+s.token)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		if res, err := http.Get(s.url + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("the server at %s did not become ready", s.url)
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// deploy writes the artifact to a file and deploys it with the command line.
func (s *server) deploy(ctx context.Context, root, name, file string, artifact []byte) error {
	path := filepath.Join(s.dir, file)
	if err := os.WriteFile(path, artifact, 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin", "flagbase"), "fn", "deploy", path, "--name", name, "--url", s.url, "--token", s.token)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("deploy %s: %w\n%s", name, err, out)
	}
	return nil
}

func (s *server) subject(name, event, answer string) *subject {
	c := newClient()
	return &subject{Name: "flagbase server, " + name, Isolates: true, run: func() error {
		return post(c, s.url+"/v1/functions/"+name+"/invoke", s.token, event, answer)
	}}
}
