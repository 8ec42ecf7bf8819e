package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// BuildOptions of Build. The zero value is useful.
type BuildOptions struct {
	// Output is where the module is written. Defaults to build/NAME.wasm in the
	// project's folder.
	Output string
	// Progress receives a line at the start and the end of a compilation.
	// Defaults to none.
	Progress io.Writer
	// Debug keeps symbols and debug information. Defaults to false.
	Debug bool
	// Env is added to the compiler's environment, as "NAME=value".
	Env []string
}

// Artifact is what can be deployed.
type Artifact struct {
	Project *Project
	// Path is the file to deploy: a WebAssembly module or, for JavaScript and
	// TypeScript, the entry, which internal/bundle turns into one script.
	Path string
	// Script says that Path is JavaScript or TypeScript source.
	Script bool
	// Mode is how a Go project was built: Command or Reactor.
	Mode Mode
	// Reason says why that mode was chosen, for the user.
	Reason string
}

// ErrNoToolchain matches the failure of Build when a compiler is not installed.
// The message says how to get it.
var ErrNoToolchain = errors.New("not installed")

// CompileError is source that does not compile.
type CompileError struct {
	// Tool is the compiler, for example "go build".
	Tool string
	// Output is what the compiler said.
	Output string
	// Cause is the compiler's exit.
	Cause error
}

func (e *CompileError) Error() string {
	if e.Output == "" {
		return fmt.Sprintf("%s failed: %v", e.Tool, e.Cause)
	}
	return fmt.Sprintf("%s failed:\n%s", e.Tool, strings.TrimRight(e.Output, "\n"))
}

// Unwrap returns the compiler's exit, or the context's error when that ended it.
func (e *CompileError) Unwrap() error { return e.Cause }

// Build makes the project at path deployable. A finished module and a script
// are returned as they are; the rest is compiled: Go with the go command, C with
// clang, AssemblyScript with asc and WAT with wat2wasm. A failed build leaves
// the output of an earlier one as it was.
//
// The error is a *CompileError with what the compiler said, matches
// ErrNoToolchain when there is none, or is Detect's.
func Build(ctx context.Context, path string, opts *BuildOptions) (*Artifact, error) {
	if opts == nil {
		opts = &BuildOptions{}
	}
	p, err := Detect(path)
	if err != nil {
		return nil, err
	}
	a := &Artifact{Project: p, Path: p.EntryPath(), Script: p.Language.Script()}
	if a.Script || p.Language == Wasm {
		return a, nil
	}
	a.Path = opts.Output
	if a.Path == "" {
		a.Path = filepath.Join(p.Dir, "build", p.Name+".wasm")
	}
	if a.Path, err = filepath.Abs(a.Path); err != nil {
		return nil, err
	}
	b := &builder{p: p, opts: opts, artifact: a}
	compile := map[Language]func(context.Context, string) error{Go: b.goModule, C: b.c, WAT: b.wat, AssemblyScript: b.assemblyScript}[p.Language]
	if err := b.produce(ctx, compile); err != nil {
		return nil, fmt.Errorf("build %q: %w", p.Name, err)
	}
	return a, nil
}

type builder struct {
	p        *Project
	opts     *BuildOptions
	artifact *Artifact
}

// produce lets compile write a temporary file and puts it in place when that
// succeeded.
func (b *builder) produce(ctx context.Context, compile func(ctx context.Context, output string) error) error {
	start := time.Now()
	if err := os.MkdirAll(filepath.Dir(b.artifact.Path), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(b.artifact.Path), ".build-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	output := filepath.Join(dir, "module.wasm")
	if err := compile(ctx, output); err != nil {
		return err
	}
	if err := checkWasm(output); err != nil {
		return err
	}
	info, err := os.Stat(output)
	if err != nil {
		return err
	}
	if err := os.Rename(output, b.artifact.Path); err != nil {
		return err
	}
	b.progress("built %s, %d KiB, in %s", b.artifact.Path, (info.Size()+1023)/1024, time.Since(start).Round(100*time.Millisecond))
	return nil
}

func (b *builder) progress(format string, args ...any) {
	if b.opts.Progress != nil {
		_, _ = fmt.Fprintf(b.opts.Progress, format+"\n", args...) // progress that cannot be shown is no failure
	}
}

// run runs a compiler in the project's folder and returns its stdout.
func (b *builder) run(ctx context.Context, tool string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.p.Dir
	cmd.Env = append(append(os.Environ(), b.opts.Env...), env...)
	cmd.WaitDelay = 5 * time.Second // a compiler's children may hold its output open
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cause := context.Cause(ctx); cause != nil {
		return nil, &CompileError{Tool: tool, Cause: cause}
	}
	if err != nil {
		output := stderr.String()
		if output == "" {
			output = stdout.String()
		}
		return nil, &CompileError{Tool: tool, Output: output, Cause: err}
	}
	return stdout.Bytes(), nil
}

// lookNode finds a tool in the node_modules of the project or of a folder above
// it, or else on the PATH.
func lookNode(dir, tool string) (string, bool) {
	for d := dir; ; d = filepath.Dir(d) {
		if path, err := exec.LookPath(filepath.Join(d, "node_modules", ".bin", tool)); err == nil {
			return path, true
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	path, err := exec.LookPath(tool)
	return path, err == nil
}
