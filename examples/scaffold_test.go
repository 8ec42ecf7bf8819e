package examples_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flagbase.dev/internal/project"
)

// TestScaffolds takes what "flagbase fn init" writes all the way: built, deployed,
// invoked.
func TestScaffolds(t *testing.T) {
	// The projects lie outside this repository, so its npm tools have to be found
	// as installed ones are.
	bin, err := filepath.Abs("../node_modules/.bin")
	check(t, err)
	t.Setenv("PATH", os.Getenv("PATH")+string(os.PathListSeparator)+bin)
	f := open(t)
	events := map[project.Language]string{project.AssemblyScript: "Ada", project.C: "Ada", project.WAT: "Ada"}
	for _, language := range project.Languages() {
		t.Run(string(language), func(t *testing.T) {
			f := *f
			f.t = t
			name := "hello-" + string(language)
			dir := filepath.Join(t.TempDir(), name)
			_, err := project.Init(dir, "", language)
			check(t, err)
			a, err := project.Build(t.Context(), dir, nil)
			if errors.Is(err, project.ErrNoToolchain) {
				t.Skipf("NOT TESTED: scaffold for %s: %v", language, err)
			}
			check(t, err)
			data, err := os.ReadFile(a.Path)
			check(t, err)
			if a.Script {
				_, err = f.store.Create(t.Context(), name, "", string(language), string(data))
			} else {
				_, err = f.store.Upload(t.Context(), name, "", data)
			}
			check(t, err)
			event, ok := events[language]
			if !ok {
				event = `{"name":"Ada"}`
			}
			if res := f.invoke(name, event); !strings.Contains(string(res.Output), "Hello, Ada") {
				t.Errorf("output %q, log %q", res.Output, res.Log)
			}
		})
	}
}
