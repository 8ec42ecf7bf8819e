// Package docs_test follows the documentation word for word.
package docs_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/testguest"
)

// The walk of the README runs as it is written, against a server that `flagbase
// start` started; only its address differs.
func TestReadmeWalk(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 9 {
		t.Fatalf("the README has %d blocks of commands", len(blocks))
	}
	var script strings.Builder
	script.WriteString("set -e\n")
	for _, b := range blocks {
		script.WriteString(b[1])
	}

	root, dir := testguest.Root(), t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "flagbase"), "./cmd/flagbase")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, filepath.Join(dir, "bin", "flagbase"), "start", "--addr", addr)
	server.Dir = dir
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
		if t.Failed() {
			t.Logf("the server said:\n%s", log.String())
		}
	}()
	for range 100 {
		if res, err := http.Get("http://" + addr + "/readyz"); err == nil {
			_ = res.Body.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}

	walk := exec.CommandContext(ctx, "bash", "-x", "-c", strings.ReplaceAll(script.String(), "127.0.0.1:8080", addr))
	walk.Dir = dir
	walk.Env = append(os.Environ(), "FLAGBASE_URL=http://"+addr)
	out, err := walk.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			t.Fatalf("the walk failed: %v\n%s\n%s", err, out, exit.Stderr)
		}
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"hello":"Ada"}`, "greeting Ada", "<h1>Hello Ada</h1>", "Hello, Ada", "tick 1\ntick 2\ntick 3\n", `{"greetings":"Ada"}`, "v2", "inv_", "new", "old",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the walk does not show %q:\n%s", want, out)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
