package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"flagbase.dev/client"
	"flagbase.dev/internal/testguest"
)

// runAsMain makes the test binary the program itself, so that tests can start and kill the real thing.
const runAsMain = "FLAGBASE_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	// The environment of the process that compiles is empty.
	if os.Getenv(runAsMain) != "" || len(os.Args) > 1 && os.Args[1] == "compile-worker" {
		os.Unsetenv(runAsMain)
		main()
		return
	}
	os.Exit(m.Run())
}

// command is the program with arguments, and nothing in its environment that could decide for it.
func command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FLAGBASE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, runAsMain+"=1")
	return cmd
}

type process struct {
	*exec.Cmd
	api    *client.Client
	url    string
	stderr *bytes.Buffer
}

// startProcess starts a server in dir, whose data is in dir/flagbase-data, and waits until it takes requests.
func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{Cmd: command(context.Background(), dir, "start", "--addr", "127.0.0.1:0", "--json"), stderr: &bytes.Buffer{}}
	p.Stderr = p.stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	var started struct {
		URL string `json:"url"`
	}
	if err := json.NewDecoder(stdout).Decode(&started); err != nil {
		t.Fatalf("start: %v\n%s", err, p.stderr)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	key, err := os.ReadFile(filepath.Join(dir, "flagbase-data", "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	p.url = started.URL
	if p.api, err = client.New(&client.Options{URL: p.url, Token: strings.TrimSpace(string(key))}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	p.api.Close()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
}

func guest(t *testing.T) *client.Code {
	return &client.Code{Artifact: testguest.Go(t, "internal/app/testdata/guest", false)}
}

// TestKilledServer: what was acknowledged is there after kill -9, and what was running is recorded as cut short.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	p := startProcess(t, dir)
	if _, err := p.api.CreateFunction(ctx, "guest", guest(t), nil); err != nil {
		t.Fatal(err)
	}
	ok, err := p.api.Invoke(ctx, "guest", &client.InvokeOptions{Event: []byte("first")})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = p.api.Invoke(context.Background(), "guest", &client.InvokeOptions{Event: []byte("sleep 1m")})
	}()
	running := ""
	for deadline := time.Now().Add(10 * time.Second); running == ""; time.Sleep(20 * time.Millisecond) {
		page, err := p.api.Invocations(ctx, "guest", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, inv := range page.Invocations {
			if inv.CompletedAt == nil {
				running = inv.ID
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the running invocation is not in the list")
		}
	}
	if _, err := p.api.DeployVersion(ctx, "guest", guest(t)); err != nil {
		t.Fatal(err)
	}
	p.kill(t) // at once after the deploy was acknowledged

	p = startProcess(t, dir)
	f, err := p.api.Function(ctx, "guest")
	if err != nil || f.ActiveVersion != 2 || f.Status != "ready" {
		t.Fatalf("after the crash: %+v, %v", f, err)
	}
	if versions, err := p.api.Versions(ctx, "guest"); err != nil || len(versions) != 2 {
		t.Fatalf("after the crash: %+v, %v", versions, err)
	}
	for _, version := range []int{1, 2} {
		if r, err := p.api.Invoke(ctx, "guest", &client.InvokeOptions{Event: []byte("again"), Version: version}); err != nil || string(r.Output) != "again" {
			t.Fatalf("version %d after the crash: %v", version, err)
		}
	}
	if inv, err := p.api.Invocation(ctx, ok.InvocationID); err != nil || !inv.Success || inv.Output != "first" {
		t.Fatalf("the finished invocation: %+v, %v", inv, err)
	}
	inv, err := p.api.Invocation(ctx, running)
	if err != nil || inv.Success || inv.CompletedAt == nil || !strings.HasPrefix(inv.Error, "interrupted") {
		t.Fatalf("the invocation that was cut short: %+v, %v", inv, err)
	}
}

// TestKilledAgainAndAgain kills the server right after each acknowledged deploy.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	for round := 1; round <= 4; round++ {
		p := startProcess(t, dir)
		source := &client.Code{Source: "export const handle = () => 'round " + string(rune('0'+round)) + "';"}
		if round == 1 {
			if _, err := p.api.CreateFunction(ctx, "f", source, nil); err != nil {
				t.Fatal(err)
			}
		} else {
			r, err := p.api.Invoke(ctx, "f", nil)
			if want := "round " + string(rune('0'+round-1)); err != nil || string(r.Output) != want {
				t.Fatalf("after kill %d: %v, %v, want %s", round-1, r, err, want)
			}
			if v, err := p.api.DeployVersion(ctx, "f", source); err != nil || v.Version != round {
				t.Fatalf("round %d: %+v %v", round, v, err)
			}
		}
		p.kill(t)
	}
}

// TestStreamThroughTheCommand: lines printed a second apart are seen a second apart, through
// `fn invoke --stream` and through curl.
func TestStreamThroughTheCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startProcess(t, dir)
	if _, err := p.api.CreateFunction(t.Context(), "guest", guest(t), nil); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "flagbase-data", "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]*exec.Cmd{
		"flagbase": command(t.Context(), dir, "fn", "invoke", "guest", "--data", "ticks 3", "--stream", "--url", p.url),
	}
	if curl, err := exec.LookPath("curl"); err == nil {
		commands["curl"] = exec.CommandContext(t.Context(), curl, "-sSN", "-H", "Authorization: Bearer "+strings.TrimSpace(string(key)), "-d", "ticks 3", p.url+"/v1/functions/guest/invoke/stream")
	}
	for name, cmd := range commands {
		t.Run(name, func(t *testing.T) {
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var times []time.Time
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				times = append(times, time.Now())
			}
			if err := cmd.Wait(); err != nil || len(times) != 3 {
				t.Fatalf("%d lines, %v", len(times), err)
			}
			for i := 1; i < 3; i++ {
				if gap := times[i].Sub(times[i-1]); gap < 700*time.Millisecond || gap > 1300*time.Millisecond {
					t.Errorf("line %d came %v after the one before", i+1, gap)
				}
			}
		})
	}
}

// TestTerminated: SIGTERM lets a running invocation end, and the exit code is 0.
func TestTerminated(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGTERM to send")
	}
	t.Parallel()
	p := startProcess(t, t.TempDir())
	if _, err := p.api.CreateFunction(t.Context(), "guest", guest(t), nil); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := p.api.Invoke(context.Background(), "guest", &client.InvokeOptions{Event: []byte("sleep 1s")})
		result <- err
	}()
	time.Sleep(400 * time.Millisecond)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("the running invocation: %v", err)
	}
	if err := p.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.stderr)
	}
}

// TestFirstStartShowsTheKeyOnce, for people.
func TestFirstStartShowsTheKeyOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for start, want := range []string{"shown this once", "admin key: in "} {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := command(ctx, dir, "start", "--addr", "127.0.0.1:0")
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		lines := bufio.NewScanner(stdout)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "data:") {
			text.WriteString(lines.Text() + "\n")
		}
		cancel()
		_ = cmd.Wait()
		if shown := strings.Contains(text.String(), "fb_"); !strings.Contains(text.String(), want) || !strings.Contains(text.String(), "ready at http://127.0.0.1:") || shown != (start == 0) {
			t.Errorf("start %d says:\n%s", start+1, &text)
		}
	}
}
