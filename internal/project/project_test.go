package project_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"flagbase.dev/internal/project"
)

// write lays out a folder from a txtar archive.
func write(t *testing.T, dir, archive string) string {
	t.Helper()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := f.Data
		if strings.HasSuffix(f.Name, ".wasm") {
			data = []byte("\x00asm\x01\x00\x00\x00")
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDetect(t *testing.T) {
	tests := []struct {
		name, archive, path string
		fn                  string
		language            project.Language
		entry               string
		wantErr             string
	}{
		{"go module", "-- go.mod --\nmodule x\n-- main.go --\npackage main\n", "", "my-shop", project.Go, ".", ""},
		{"go file", "-- main.go --\npackage main\n", "main.go", "my-shop", project.Go, ".", ""},
		{"js file", "-- Send Mail.js --\n", "Send Mail.js", "send-mail", project.JavaScript, "Send Mail.js", ""},
		{"mts file", "-- a.mts --\n", "a.mts", "a", project.TypeScript, "a.mts", ""},
		{"tsx file", "-- a.TSX --\n", "a.TSX", "a", project.TypeScript, "a.TSX", ""},
		{"wasm file", "-- a.wasm --\n", "a.wasm", "a", project.Wasm, "a.wasm", ""},
		{"wat file", "-- a.wat --\n", "a.wat", "a", project.WAT, "a.wat", ""},
		{"file of no kind", "-- a.txt --\n", "a.txt", "", "", "", "nothing here is a function"},
		{"package.json main", "-- package.json --\n{\"name\":\"@acme/Pay_Out\",\"main\":\"lib/run.mjs\"}\n-- lib/run.mjs --\n", "", "pay-out", project.JavaScript, "lib/run.mjs", ""},
		{"package.json main is build output", "-- package.json --\n{\"main\":\"dist/index.js\"}\n-- src/index.ts --\n", "", "my-shop", project.TypeScript, "src/index.ts", ""},
		{"package.json points outside", "-- package.json --\n{\"main\":\"../../etc/x.js\"}\n", "", "", "", "", "nothing here is a function"},
		{"package.json without entry", "-- package.json --\n{}\n", "", "", "", "", "nothing here is a function"},
		{"package.json broken", "-- package.json --\n{\n", "", "", "", "", "package.json"},
		{"conventional", "-- index.js --\n-- other.js --\n", "", "my-shop", project.JavaScript, "index.js", ""},
		{"only script beside its test and types", "-- run.ts --\n-- run.test.ts --\n-- x.d.ts --\n-- a.config.js --\n", "", "my-shop", project.TypeScript, "run.ts", ""},
		{"two scripts", "-- a.js --\n-- b.js --\n", "", "", "", "", "a.js, b.js"},
		{"only module", "-- a.wasm --\n-- README.md --\n", "", "my-shop", project.Wasm, "a.wasm", ""},
		{"empty", "-- README.md --\n", "", "", "", "", "nothing here is a function"},
		{"absent", "", "absent", "", "", "", "absent"},
		{"config", "-- function.json --\n{\"name\":\"pay\",\"language\":\"js\",\"entry\":\"b.js\"}\n-- a.js --\n-- b.js --\n", "", "pay", project.JavaScript, "b.js", ""},
		{"config as path", "-- function.json --\n{\"language\":\"go\",\"entry\":\"./cmd/fn\"}\n-- cmd/fn/main.go --\npackage main\n", "function.json", "my-shop", project.Go, "cmd/fn", ""},
		{"config without language", "-- function.json --\n{\"entry\":\"a.wat\"}\n-- a.wat --\n", "", "my-shop", project.WAT, "a.wat", ""},
		{"config misspelt", "-- function.json --\n{\"nam\":\"x\"}\n", "", "", "", "", "unknown field"},
		{"config bad name", "-- function.json --\n{\"name\":\"Pay Out\"}\n", "", "", "", "", "a-z, 0-9 and hyphen"},
		{"config bad mode", "-- function.json --\n{\"language\":\"go\",\"mode\":\"fast\"}\n", "", "", "", "", "auto, command or reactor"},
		{"config mode of js", "-- function.json --\n{\"entry\":\"a.js\",\"mode\":\"command\"}\n-- a.js --\n", "", "", "", "", "mode is for Go"},
		{"config entry outside", "-- function.json --\n{\"entry\":\"../x.js\"}\n", "", "", "", "", "inside the project"},
		{"config entry absent", "-- function.json --\n{\"entry\":\"x.js\"}\n", "", "", "", "", "x.js"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := write(t, filepath.Join(t.TempDir(), "My Shop"), test.archive)
			p, err := project.Detect(filepath.Join(dir, test.path))
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("got %+v, %v; want an error with %q", p, err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != test.fn || p.Language != test.language || p.Entry != test.entry || p.Dir != dir {
				t.Fatalf("got %+v; want name %q, language %q, entry %q, dir %q", p, test.fn, test.language, test.entry, dir)
			}
		})
	}
}

func TestDetectErrorsCanBeTold(t *testing.T) {
	dir := t.TempDir()
	if _, err := project.Detect(dir); !errors.Is(err, project.ErrNoProject) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := project.Detect(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent path: %v", err)
	}
	text := filepath.Join(dir, "a.wasm")
	if err := os.WriteFile(text, []byte("(module)"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := project.Detect(text); err == nil || !strings.Contains(err.Error(), "not a WebAssembly module") {
		t.Errorf("text named .wasm: %v", err)
	}
}

func TestSuggestNameIsAlwaysAName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if name := project.SuggestName(rapid.String().Draw(t, "text")); project.CheckName(name) != nil {
			t.Fatalf("suggested %q", name)
		}
	})
}

func TestInitMakesWhatDetectFinds(t *testing.T) {
	for _, language := range project.Languages() {
		dir := filepath.Join(t.TempDir(), "first-try")
		p, err := project.Init(dir, "", language)
		if err != nil {
			t.Errorf("%s: %v", language, err)
			continue
		}
		if p.Name != "first-try" || p.Language != language {
			t.Errorf("%s: detected as %+v", language, p)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "README.md")); err != nil || strings.Contains(string(b), "{{") {
			t.Errorf("%s: README %q, %v", language, b, err)
		}
		if p, err := project.Init(dir, "", language); !errors.Is(err, project.ErrExists) {
			t.Errorf("%s: a second Init gave %+v, %v", language, p, err)
		}
	}
}

func TestInitOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "README.md")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := project.Init(dir, "pay", project.Go); !errors.Is(err, project.ErrExists) {
		t.Fatalf("got %v", err)
	}
	if b, _ := os.ReadFile(mine); string(b) != "mine" {
		t.Fatalf("README is now %q", b)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Fatalf("a refused Init left %v", entries)
	}
	if _, err := project.Init(t.TempDir(), "Bad Name", project.Go); err == nil {
		t.Fatal("a bad name was accepted")
	}
	if _, err := project.Init(t.TempDir(), "x", project.Wasm); err == nil {
		t.Fatal("there is a scaffold for wasm")
	}
}
