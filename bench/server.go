package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"flagbase.dev/client"
)

// process is a server that runs beside the benchmark.
type process struct {
	cmd  *exec.Cmd
	addr string
	log  bytes.Buffer
	gone chan struct{} // closed when it has ended
}

// token is the key of the servers that are started here.
const token = "fb_benchmarkbenchmarkbenchmarkbenchmarkbenchma"

// startProcess starts a server on a free port, which command is told, and waits until
// ready answers with 200, or at all when it is a path of the peers.
func startProcess(ready string, command func(addr string) *exec.Cmd) (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{addr: listener.Addr().String(), gone: make(chan struct{})}
	_ = listener.Close()
	p.cmd = command(p.addr)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.gone) }()
	if err := p.wait(ready); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), err, p.log.String())
	}
	return p, nil
}

func (p *process) wait(path string) error {
	c := &http.Client{Timeout: time.Second}
	defer c.CloseIdleConnections()
	for start := time.Now(); time.Since(start) < time.Minute; {
		select {
		case <-p.gone:
			return errors.New("it ended at once")
		case <-time.After(2 * time.Millisecond):
		}
		res, err := c.Get("http://" + p.addr + path)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if path == "/" || res.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("it did not become ready in a minute")
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.gone:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// server is the flagbase binary as a user runs it, with authentication and history.
type server struct {
	*process
	data string
	root string
	api  *client.Client
}

func (b *bench) startServer() (*server, error) {
	data, err := os.MkdirTemp(b.dir, "data")
	if err != nil {
		return nil, err
	}
	s := &server{data: data, root: b.root}
	return s, s.start()
}

// start starts the server, on what it had before.
func (s *server) start() (err error) {
	s.process, err = startProcess("/readyz", func(addr string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(s.root, "bin", "flagbase"), "start", "--addr", addr, "--data", s.data)
		cmd.Env = append(os.Environ(), "FLAGBASE_ADMIN_KEY="+token)
		return cmd
	})
	if err == nil {
		s.api, err = client.New(&client.Options{URL: "http://" + s.addr, Token: token})
	}
	return err
}

func (s *server) deployScript(ctx context.Context, name, source string) error {
	_, err := s.api.CreateFunction(ctx, name, &client.Code{Source: source, Language: "javascript"}, nil)
	return err
}

func (s *server) deployModule(ctx context.Context, name string, wasm []byte) error {
	_, err := s.api.CreateFunction(ctx, name, &client.Code{Artifact: wasm}, nil)
	return err
}

// invoke calls a function once and says how long it took.
func (s *server) invoke(ctx context.Context, name, event string, answer *answerOf) (time.Duration, error) {
	start := time.Now()
	res, err := s.api.Invoke(ctx, name, &client.InvokeOptions{Event: []byte(event)})
	took := time.Since(start)
	if err != nil {
		return took, err
	}
	return took, answer.check(res.Output, nil)
}

// invokePath is where a function is invoked.
func invokePath(name string) string { return "/v1/functions/" + name + "/invoke" }
