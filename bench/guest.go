package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"flagbase.dev/bench/guests"
)

const helloEvent = `{"name":"world"}`

// What the guests answer.
var (
	wantHello = &answerOf{"hello from Go\n", true}
	wantJS    = &answerOf{`{"hello":"world","length":5}`, true}
	wantInit  = &answerOf{"1234 1234\n", true}
)

// answerOf is what all subjects of a case have to give. The zero value takes it from
// the first that is asked; a known one is safe for concurrent use.
type answerOf struct {
	text  string
	known bool
}

// check compares what a subject gave, unless it failed already.
func (a *answerOf) check(got []byte, err error) error {
	switch {
	case err != nil:
		return err
	case !a.known:
		if len(got) == 0 {
			return errors.New("gave no answer")
		}
		a.text, a.known = string(got), true
	case string(got) != a.text:
		return fmt.Errorf("gave %.200q, want %.200q", got, a.text)
	}
	return nil
}

// goGuest builds a Go program of the repository for WASI, as a command or as a reactor.
func (b *bench) goGuest(dir string, reactor bool) ([]byte, error) {
	out := filepath.Join(b.dir, filepath.Base(dir)+".wasm")
	args := []string{"build", "-trimpath", "-o", out}
	if reactor {
		args = append(args, "-buildmode=c-shared")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = filepath.Join(b.root, filepath.FromSlash(dir))
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w\n%s", dir, err, said)
	}
	return os.ReadFile(out)
}

func (b *bench) helloGo() ([]byte, error) { return b.goGuest("function/testdata/hello", false) }

const wat2wasm = `
require("wabt")().then(wabt => {
  const m = wabt.parseWat("guest.wat", require("fs").readFileSync(0, "utf8"), {multi_value: true, simd: true, bulk_memory: true});
  process.stdout.write(Buffer.from(m.toBinary({}).buffer));
}).catch(e => { console.error(String(e.message || e)); process.exit(1); });
`

// watGuest translates guests/NAME.wat with npm's wabt, which the repository installs.
func (b *bench) watGuest(name string) ([]byte, error) {
	text, err := guests.Files.ReadFile(name + ".wat")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("node", "-e", wat2wasm)
	cmd.Dir = b.root
	cmd.Stdin = bytes.NewReader(text)
	var said strings.Builder
	cmd.Stderr = &said
	wasm, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("translate %s.wat (has `npm ci` run?): %w\n%s", name, err, said.String())
	}
	return wasm, nil
}

// script gives guests/NAME.js.
func script(name string) string {
	text, err := guests.Files.ReadFile(name + ".js")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}
