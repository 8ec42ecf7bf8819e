package project_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/project"
)

// offline is the environment of a machine that reaches no module proxy and has
// never downloaded anything.
func offline(t *testing.T) []string {
	return []string{"GOPROXY=off", "GOFLAGS=-mod=mod", "GONOSUMDB=*", "GOMODCACHE=" + t.TempDir(), "GOTOOLCHAIN=local", "GOWORK=off"}
}

func TestGoScaffoldBuildsAndTestsOffline(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hello")
	if _, err := project.Init(dir, "", project.Go); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	env := offline(t)
	var progress bytes.Buffer
	a, err := project.Build(t.Context(), dir, &project.BuildOptions{Env: env, Progress: &progress})
	if err != nil {
		t.Fatal(err)
	}
	if a.Mode != project.Reactor || a.Script || a.Path != filepath.Join(dir, "build", "hello.wasm") {
		t.Errorf("artifact %+v", a)
	}
	for _, export := range []string{"_initialize", "handle"} {
		if !bytes.Contains(read(t, a.Path), []byte(export)) {
			t.Errorf("the module does not export %s", export)
		}
	}
	if !strings.Contains(progress.String(), "building hello as a reactor: flagbase.dev/guest exports handle\n") {
		t.Errorf("progress %q", progress.String())
	}
	if err := os.RemoveAll(filepath.Join(dir, "build")); err != nil {
		t.Fatal(err)
	}
	if after := tree(t, dir); after != before {
		t.Errorf("the build changed the project:\n%s\n%s", before, after)
	}
	cmd := exec.Command("go", "test", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go test of the scaffold: %v\n%s", err, out)
	}
}

// fakeSDK stands in for the guest SDK where only the rule matters.
const fakeSDK = `
-- go.mod --
module fn
go 1.24
require flagbase.dev/guest v0.0.0
replace flagbase.dev/guest => ./sdk
-- sdk/go.mod --
module flagbase.dev/guest
go 1.24
-- sdk/guest.go --
package guest
func HandleEvent(func()) {}
func HandleJSON[T any](func(T)) {}
-- sdk/export.go --
//go:build wasip1

package guest

//go:wasmexport handle
func handle() {}
-- sdk/flag/flag.go --
package flag
func Bool() bool { return true }
`

func TestGoModeFollowsWhatIsLinked(t *testing.T) {
	tests := map[string]struct {
		source  string
		mode    project.Mode
		wantErr string
	}{
		"plain main":            {"-- main.go --\npackage main\nfunc main() { println(1) }\n", project.Command, ""},
		"services only":         {"-- main.go --\npackage main\nimport \"flagbase.dev/guest/flag\"\nfunc main() { flag.Bool() }\n", project.Command, ""},
		"sdk handler":           {"-- main.go --\npackage main\nimport \"flagbase.dev/guest\"\nfunc init() { guest.HandleEvent(nil) }\nfunc main() {}\n", project.Reactor, ""},
		"handler in a package":  {"-- main.go --\npackage main\nimport _ \"fn/h\"\nfunc main() {}\n-- h/h.go --\npackage h\nimport \"flagbase.dev/guest\"\nfunc init() { guest.HandleEvent(nil) }\n", project.Reactor, ""},
		"own export":            {"-- main.go --\npackage main\n\n//go:wasmexport handle\nfunc handle() {}\nfunc main() {}\n", project.Reactor, ""},
		"own web export":        {"-- main.go --\npackage main\n\n// handle is it.\n//\n//go:wasmexport handle_http\nfunc h() {}\nfunc main() {}\n", project.Reactor, ""},
		"another export":        {"-- main.go --\npackage main\n\n//go:wasmexport handler\nfunc handler() {}\nfunc main() {}\n", project.Command, ""},
		"directive in a string": {"-- main.go --\npackage main\nconst s = `\n//go:wasmexport handle\n`\nfunc main() { println(s) }\n", project.Command, ""},
		"file of another GOOS":  {"-- main.go --\npackage main\nfunc main() {}\n-- x_linux.go --\npackage main\n\n//go:wasmexport handle\nfunc handle() {}\n", project.Command, ""},
		"config says command":   {"-- function.json --\n{\"language\":\"go\",\"mode\":\"command\"}\n-- main.go --\npackage main\nimport \"flagbase.dev/guest\"\nfunc main() { guest.HandleEvent(nil) }\n", project.Command, ""},
		"registered in main":    {"-- main.go --\npackage main\nimport fb \"flagbase.dev/guest\"\nfunc main() {\n\tfb.HandleJSON[int](nil)\n}\n", "", "main.go:4: the handler is registered in main"},
		"not a main package":    {"-- x.go --\npackage x\n", "", "is package x"},
		"does not compile":      {"-- main.go --\npackage main\nfunc main() { undefinedThing() }\n", "", "undefined: undefinedThing"},
		"missing dependency":    {"-- main.go --\npackage main\nimport _ \"example.com/absent\"\nfunc main() {}\n", "", "example.com/absent"},
	}
	env := offline(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), fakeSDK+test.source)
			output := filepath.Join(t.TempDir(), "deep", "out.wasm")
			a, err := project.Build(t.Context(), dir, &project.BuildOptions{Output: output, Env: env, Debug: true})
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("got %+v, %v; want an error with %q", a, err, test.wantErr)
				}
				if files, _ := os.ReadDir(filepath.Dir(output)); len(files) != 0 {
					t.Errorf("a failed build left %v", files)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Mode != test.mode {
				t.Errorf("built as %s (%s), want %s", a.Mode, a.Reason, test.mode)
			}
			entry := map[project.Mode]string{project.Command: "_start", project.Reactor: "_initialize"}[test.mode]
			if !bytes.Contains(read(t, output), []byte(entry)) {
				t.Errorf("the module has no %s", entry)
			}
		})
	}
}

func TestCompileErrorKeepsTheCompilersWords(t *testing.T) {
	dir := write(t, t.TempDir(), "-- go.mod --\nmodule x\ngo 1.24\n-- main.go --\npackage main\nfunc main() { nope() }\n")
	_, err := project.Build(t.Context(), dir, nil)
	var compile *project.CompileError
	if !errors.As(err, &compile) || compile.Tool != "go build" || !strings.Contains(compile.Output, "main.go:2:15: undefined: nope") {
		t.Fatalf("got %v", err)
	}
}

func TestAFailedBuildKeepsTheEarlierModule(t *testing.T) {
	dir := write(t, t.TempDir(), "-- go.mod --\nmodule x\ngo 1.24\n-- main.go --\npackage main\nfunc main() { nope() }\n-- build/x.wasm --\n")
	output := filepath.Join(dir, "build", "x.wasm")
	before := read(t, output)
	if _, err := project.Build(t.Context(), dir, &project.BuildOptions{Output: output}); err == nil {
		t.Fatal("it built")
	}
	if !bytes.Equal(read(t, output), before) {
		t.Fatal("the earlier module is gone")
	}
}

func TestBuildSaysHowToGetWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("WASI_SDK_PATH", "")
	tests := map[string]string{
		"-- main.go --\npackage main\n": "https://go.dev/dl",
		"-- a.wat --\n(module)\n":       "npm install wabt",
		"-- main.c --\nint x;\n":        "apt install clang",
		"-- function.json --\n{\"language\":\"assemblyscript\"}\n-- assembly/index.ts --\n": "npm install assemblyscript",
	}
	for archive, want := range tests {
		_, err := project.Build(t.Context(), write(t, t.TempDir(), archive), nil)
		if !errors.Is(err, project.ErrNoToolchain) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", archive, err, want)
		}
	}
}

func TestBuildEndsWithItsContext(t *testing.T) {
	dir := write(t, t.TempDir(), "-- go.mod --\nmodule x\ngo 1.24\n-- main.go --\npackage main\nfunc main() {}\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := project.Build(ctx, dir, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestScriptsAndModulesAreReturnedAsTheyAre(t *testing.T) {
	dir := write(t, t.TempDir(), "-- a.ts --\nexport {}\n-- b.wasm --\n")
	for file, script := range map[string]bool{"a.ts": true, "b.wasm": false} {
		a, err := project.Build(t.Context(), filepath.Join(dir, file), nil)
		if err != nil || a.Script != script || a.Path != filepath.Join(dir, file) {
			t.Errorf("%s: %+v, %v", file, a, err)
		}
	}
}

func TestGuestArchiveIsCurrent(t *testing.T) {
	out, err := exec.Command("go", "run", "./packguest", "-check", "../../guest", "guest.txtar").CombinedOutput()
	if err != nil {
		t.Fatalf("%s", out)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tree is the names and contents of a folder's files.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b.WriteString(strings.TrimPrefix(path, dir) + "\n" + string(read(t, path)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
