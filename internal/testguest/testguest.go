// Package testguest builds guests for tests: Go programs with the go command, WAT
// with npm's wabt, which `make test` installs. What it built is kept for the life of
// the test process.
package testguest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var cache sync.Map // string -> *built

type built struct {
	once sync.Once
	wasm []byte
	err  string
}

func build(t testing.TB, key string, make func(out string) error) []byte {
	t.Helper()
	v, _ := cache.LoadOrStore(key, &built{})
	b := v.(*built)
	b.once.Do(func() {
		dir, err := os.MkdirTemp("", "guest")
		if err == nil {
			defer func() { _ = os.RemoveAll(dir) }()
			out := filepath.Join(dir, "guest.wasm")
			if err = make(out); err == nil {
				b.wasm, err = os.ReadFile(out)
			}
		}
		if err != nil {
			b.err = err.Error()
		}
	})
	if b.err != "" {
		t.Fatalf("build guest: %s", b.err)
	}
	return b.wasm
}

// Root is the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

type failure struct {
	err    error
	output string
}

func (f *failure) Error() string { return f.err.Error() + "\n" + f.output }

func run(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return &failure{err, out.String()}
	}
	return nil
}

// Go builds the program in dir, relative to the repository, as a WASI command, or as
// a reactor.
func Go(t testing.TB, dir string, reactor bool) []byte {
	t.Helper()
	args := []string{"build", "-trimpath"}
	if reactor {
		args = append(args, "-buildmode=c-shared")
	}
	return build(t, strings.Join(args, " ")+dir, func(out string) error {
		cmd := exec.Command("go", append(args, "-o", out, ".")...)
		cmd.Dir = filepath.Join(Root(), dir)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		return run(cmd)
	})
}

const wat2wasm = `
const fs = require("fs");
require("wabt")().then(wabt => {
  const m = wabt.parseWat("guest.wat", fs.readFileSync(0, "utf8"), {multi_value: true, bulk_memory: true, tail_call: true, simd: true, reference_types: true, extended_const: true});
  fs.writeFileSync(process.argv[1], Buffer.from(m.toBinary({write_debug_names: true}).buffer));
}).catch(e => { console.error(String(e.message || e)); process.exit(1); });
`

// WAT translates a module in the text format.
func WAT(t testing.TB, text string) []byte {
	t.Helper()
	if _, err := os.Stat(filepath.Join(Root(), "node_modules", "wabt")); err != nil {
		t.Fatal("npm's wabt is not installed: run `make deps`")
	}
	return build(t, text, func(out string) error {
		cmd := exec.Command("node", "-e", wat2wasm, out)
		cmd.Dir = Root()
		cmd.Stdin = strings.NewReader(text)
		return run(cmd)
	})
}
