package cli_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/app"
	"flagbase.dev/internal/cli"
	"flagbase.dev/internal/testguest"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"flagbase": func() { os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script/*.txtar, each against a server of its own. guest.wasm is a function that
// does what its event says.
func TestScripts(t *testing.T) {
	wasm := testguest.Go(t, "internal/app/testdata/guest", false)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			url, key, stop, err := startServer(filepath.Join(env.WorkDir, ".server"))
			if err != nil {
				return err
			}
			env.Defer(stop)
			env.Setenv("FLAGBASE_URL", url)
			env.Setenv("FLAGBASE_TOKEN", key)
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPATH"} {
				out, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return err
				}
				env.Setenv(name, strings.TrimSpace(string(out)))
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "guest.wasm"), wasm, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// capture NAME REGEXP sets a variable to the first group found in the last command's output.
			"capture": func(ts *testscript.TestScript, _ bool, args []string) {
				m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
				if m == nil {
					ts.Fatalf("%s is not in the output", args[1])
				}
				ts.Setenv(args[0], m[1])
			},
		},
	})
}

func startServer(data string) (url, key string, stop func(), err error) {
	config := app.Defaults()
	config.Addr, config.Data = "127.0.0.1:0", data
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan *app.Running, 1), make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, &app.Options{Config: config, Log: io.Discard, Started: func(r *app.Running) { started <- r }})
	}()
	select {
	case r := <-started:
		return r.URL, r.AdminKey, func() { cancel(); <-ended }, nil
	case err := <-ended:
		cancel()
		return "", "", nil, err
	case <-time.After(time.Minute):
		cancel()
		return "", "", nil, context.DeadlineExceeded
	}
}
