package main

import (
	"embed"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed peers/*
var peerFiles embed.FS

// node is Node's HTTP server.
func (b *bench) node() (*process, error) {
	text, err := peerFiles.ReadFile("peers/node.js")
	if err != nil {
		return nil, err
	}
	return startProcess("/", func(addr string) *exec.Cmd {
		_, port, _ := strings.Cut(addr, ":")
		return exec.Command("node", "-e", string(text), "--", port)
	})
}

// workerd is the runtime of Cloudflare's workers, with the script of flagbase's row.
func (b *bench) workerd() (*process, error) {
	path, err := workerdPath(b.root)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "workerd")
	if err != nil {
		return nil, err
	}
	config, err := peerFiles.ReadFile("peers/worker.capnp")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "worker.capnp"), config, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "hello_fetch.js"), []byte(script("hello_fetch")), 0o600); err != nil {
		return nil, err
	}
	return startProcess("/", func(addr string) *exec.Cmd {
		return exec.Command(path, "serve", filepath.Join(dir, "worker.capnp"), "--socket-addr", "http="+addr)
	})
}

// behindHTTP puts Go's HTTP server in front of a subject, which has to be safe for
// concurrent use. It runs in this process.
func behindHTTP(s *subject, answer *answerOf) (addr string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if err := s.run(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, answer.text)
	})}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), func() { _ = server.Close() }, nil
}
