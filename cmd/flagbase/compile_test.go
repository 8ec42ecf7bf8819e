package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flagbase.dev/client"
)

// files are those below dir, by path.
func files(t *testing.T, dir string) map[string]os.FileInfo {
	t.Helper()
	found := map[string]os.FileInfo{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			found[path] = info
		}
		return nil // what a process has just removed is not there
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestRestartCompilesNothing: a server that starts where another ended serves what that one
// deployed from the very files that one wrote, also when it was killed.
func TestRestartCompilesNothing(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	cache := filepath.Join(dir, "flagbase-data", "cache")
	p := startProcess(t, dir)
	script := &client.Code{Source: "export const handle = () => 'from a script';"}
	if _, err := p.api.CreateFunction(ctx, "guest", guest(t), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.api.CreateFunction(ctx, "script", script, nil); err != nil {
		t.Fatal(err)
	}
	p.kill(t)
	entries := files(t, cache)
	for round := range 3 {
		p = startProcess(t, dir)
		if r, err := p.api.Invoke(ctx, "guest", &client.InvokeOptions{Event: []byte("again")}); err != nil || string(r.Output) != "again" {
			t.Fatalf("round %d: %v, %v", round, r, err)
		}
		if r, err := p.api.Invoke(ctx, "script", nil); err != nil || string(r.Output) != "from a script" {
			t.Fatalf("round %d: %v, %v", round, r, err)
		}
		// Deploying the same again compiles nothing either.
		if _, err := p.api.DeployVersion(ctx, "guest", guest(t)); err != nil {
			t.Fatal(err)
		}
		p.kill(t)
		kept := 0
		for path, info := range files(t, cache) {
			if before, ok := entries[path]; ok && strings.Contains(path, "-wazero-") && !strings.Contains(path, "-run-") {
				kept++
				if !os.SameFile(before, info) {
					t.Errorf("round %d: %s was written again", round, path)
				}
			}
		}
		if kept != 2 {
			t.Errorf("round %d: %d entries, want the module's and that of the JavaScript engine", round, kept)
		}
	}
	// A start cleans up after those that were killed: garbage does not grow.
	startProcess(t, dir)
	runs, err := filepath.Glob(filepath.Join(cache, "flagbase-run-*.lock"))
	if err != nil || len(runs) != 2 {
		t.Errorf("there are %q, want two of the server that runs (%v)", runs, err)
	}
}

// children are the processes whose parent is pid.
func children(pid int) []string {
	var found []string
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == fmt.Sprint(pid) {
			found = append(found, filepath.Base(filepath.Dir(path)))
		}
	}
	return found
}

// TestKilledServerLeavesNoCompiler: killed while it compiles, the server takes the process that
// compiles with it.
func TestKilledServerLeavesNoCompiler(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc shows processes on Linux only")
	}
	t.Parallel()
	code := guest(t)
	for round := range 3 {
		p := startProcess(t, t.TempDir())
		go func() { _, _ = p.api.CreateFunction(context.Background(), "guest", code, nil) }()
		var workers []string
		for deadline := time.Now().Add(20 * time.Second); len(workers) == 0; time.Sleep(time.Millisecond) {
			if workers = children(p.Process.Pid); time.Now().After(deadline) {
				t.Fatal("no process compiles")
			}
		}
		time.Sleep(time.Duration(round) * 50 * time.Millisecond)
		p.kill(t)
		for deadline := time.Now().Add(20 * time.Second); slices.ContainsFunc(workers, isRunning); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: %q still run", round, workers)
			}
		}
	}
}

func isRunning(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// TestTerminatedWhileCompiling: a server that shuts down while it compiles ends in order.
func TestTerminatedWhileCompiling(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGTERM to send")
	}
	t.Parallel()
	p, code := startProcess(t, t.TempDir()), guest(t)
	done := make(chan error, 1)
	go func() {
		_, err := p.api.CreateFunction(context.Background(), "guest", code, nil)
		done <- err
	}()
	time.Sleep(200 * time.Millisecond)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil && !strings.Contains(err.Error(), "refused") {
		t.Errorf("the deployment under way: %v", err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v\n%s", err, p.stderr)
	}
}
