package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flagbase.dev/internal/sandbox"
)

// compileLimits are of one compilation. The module is at fault when it goes beyond them.
type compileLimits struct {
	memory int64         // bytes of address space
	cpu    time.Duration // of all threads
	wall   time.Duration
}

// limitsOf gives a module of size bytes, rewritten, some five times the time that Go's modules take
// (0.6 s a MiB), and memory for the largest function that the scan lets pass. Of the address space
// 1.8 GiB are what the Go runtime reserves and never uses. See RATIONALE.md.
func limitsOf(size int) compileLimits {
	cpu := 20*time.Second + time.Duration(size>>20)*3*time.Second
	return compileLimits{memory: 4 << 30, cpu: cpu, wall: 4 * cpu}
}

// compiler compiles modules in processes of this program, one for each.
type compiler struct {
	worker  []string // arguments that make this program a worker; see CompileWorker
	limits  func(size int) compileLimits
	program string // another program, for tests
}

// compile is a sandbox.Config.Compile.
func (c *compiler) compile(ctx context.Context, rewritten []byte, dir string) error {
	limits := c.limits(len(rewritten))
	ctx, cancel := context.WithTimeout(ctx, limits.wall)
	defer cancel()
	program, err := c.program, error(nil)
	if program == "" {
		if program, err = self(); err != nil {
			return fmt.Errorf("%w: %w", sandbox.ErrCompiler, err)
		}
	}
	args := append(append([]string(nil), c.worker...),
		dir, strconv.FormatInt(limits.memory, 10), strconv.FormatInt(int64(limits.cpu/time.Second), 10))
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = []string{} // what this process was told is not for what it compiles
	cmd.Dir = dir
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = 5 * time.Second
	var stderr tailBuffer
	cmd.Stderr = &stderr
	// Not cmd.Stdin: the pipe stays open, and the worker ends when it closes, also because this
	// process was killed.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("%w: %w", sandbox.ErrCompiler, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: start %s to compile: %w", sandbox.ErrCompiler, program, err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		size := binary.LittleEndian.AppendUint64(nil, uint64(len(rewritten)))
		if _, err := stdin.Write(size); err == nil {
			_, _ = stdin.Write(rewritten) // a worker that does not read it says why itself
		}
	}()
	err = cmd.Wait()
	_ = stdin.Close()
	<-written
	if err == nil {
		return nil
	}
	return limits.explain(ctx, cmd.ProcessState, stderr.text(), err)
}

// explain says why a worker failed: the module's fault, the machine's, or the caller left.
func (l compileLimits) explain(ctx context.Context, state *os.ProcessState, stderr string, err error) error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{sandbox.ErrInvalidModule}, args...)...)
	}
	switch cause := ctx.Err(); {
	case errors.Is(cause, context.DeadlineExceeded):
		return invalid("compiling it took more than %s", l.wall)
	case cause != nil:
		return cause
	case state == nil:
		return fmt.Errorf("%w: %w", sandbox.ErrCompiler, err)
	case state.ExitCode() == exitModule:
		return invalid("%s", stderr)
	case state.ExitCode() == exitMachine:
		return fmt.Errorf("%w: %s", sandbox.ErrCompiler, stderr)
	case strings.Contains(stderr, "out of memory"), strings.Contains(stderr, "cannot allocate memory"),
		// The limit is that of the main thread's stack, too: where it cannot grow the system raises a fault.
		strings.HasPrefix(stderr, "SIGSEGV: segmentation violation"):
		return invalid("compiling it took more than %d MiB of memory; split its largest functions, or leave out what it does not use", l.memory>>20)
	case killed(state) && state.UserTime()+state.SystemTime() >= l.cpu-time.Second:
		return invalid("compiling it took more than %s of CPU time; split its largest functions, or leave out what it does not use", l.cpu)
	case killed(state):
		return fmt.Errorf("%w: it was killed (%s); is the machine out of memory?", sandbox.ErrCompiler, state)
	}
	first, _, _ := strings.Cut(stderr, "\n")
	return invalid("the compiler fails on it (%s): %s", state, first)
}

// self is the program that runs, also when another has taken its place on the disk.
func self() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// killed reports whether a signal ended the process.
func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// tailBuffer keeps the beginning of what is written: a crash says its reason first.
type tailBuffer struct{ b bytes.Buffer }

func (t *tailBuffer) Write(p []byte) (int, error) {
	const most = 4 << 10
	if room := most - t.b.Len(); room > 0 {
		t.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (t *tailBuffer) text() string { return strings.TrimSpace(t.b.String()) }
