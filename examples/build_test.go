package examples_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"flagbase.dev/internal/project"
	"flagbase.dev/internal/wasmbin"
)

// examples are the folders; languages says what each has to be detected as.
var languages = map[string]project.Language{
	"assemblyscript": project.AssemblyScript,
	"c":              project.C,
	"go-command":     project.Go,
	"go-reactor":     project.Go,
	"go-web":         project.Go,
	"js":             project.JavaScript,
	"ts":             project.TypeScript,
	"wat":            project.WAT,
}

// output is where the modules go: a folder of the test run, not examples/build,
// so that no test ever runs what an earlier build left.
var output string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if output, err = os.MkdirTemp("", "flagbase-examples-*"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(output) }()
		return m.Run()
	}())
}

type built struct {
	artifact *project.Artifact
	data     []byte // the module or the source
	err      error
}

var builds = func() map[string]func() built {
	m := map[string]func() built{}
	for name := range languages {
		m[name] = sync.OnceValue(func() built {
			a, err := project.Build(context.Background(), name, &project.BuildOptions{Output: filepath.Join(output, name+".wasm")})
			if err != nil {
				return built{err: err}
			}
			data, err := os.ReadFile(a.Path)
			return built{a, data, err}
		})
	}
	return m
}()

// build builds an example once. Without its compiler the test is skipped, which
// "make test" reports with the reason; any other failure fails it.
func build(t *testing.T, name string) built {
	t.Helper()
	b := builds[name]()
	if errors.Is(b.err, project.ErrNoToolchain) {
		t.Skipf("NOT TESTED: example %s: %v", name, b.err)
	}
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b
}

func TestBuild(t *testing.T) {
	for name, language := range languages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := build(t, name)
			if p := b.artifact.Project; p.Name != name || p.Language != language {
				t.Errorf("detected as %+v", p)
			}
			if b.artifact.Script {
				return
			}
			m, err := wasmbin.Scan(b.data, nil)
			if err != nil {
				t.Fatalf("flagbase refuses the module: %v", err)
			}
			exports := map[string]bool{}
			for _, e := range m.Exports {
				exports[e.Name] = true
			}
			for _, want := range wantExports[name] {
				if !exports[want] {
					t.Errorf("the module does not export %s", want)
				}
			}
		})
	}
}

var wantExports = map[string][]string{
	"assemblyscript": {"handle", "memory"},
	"c":              {"_start", "memory"},
	"go-command":     {"_start", "memory"},
	"go-reactor":     {"_initialize", "handle", "memory"},
	"go-web":         {"_initialize", "handle_http", "memory"},
	"wat":            {"handle", "memory"},
}

func TestEveryFolderIsTested(t *testing.T) {
	readmes, err := filepath.Glob("*/README.md")
	if err != nil || len(readmes) != len(languages) {
		t.Fatalf("%d folders with a README, %d tested: %v", len(readmes), len(languages), err)
	}
	for _, r := range readmes {
		if _, ok := languages[filepath.Dir(r)]; !ok {
			t.Errorf("%s is not tested", filepath.Dir(r))
		}
	}
}
