package app

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"flagbase.dev/internal/sandbox"
)

// Exit codes of a worker, besides 0; any other is a crash.
const (
	exitModule  = 65 // the module cannot be compiled
	exitMachine = 74
)

// CompileWorker compiles one module, in a process that does nothing else: no guest that the
// compiler falls over, or never ends with, takes the server with it. It limits this process, reads a length
// (8 bytes, little endian) and as many bytes of a rewritten module from stdin, and leaves the code in
// a directory. args are the directory, the bytes of address space and the seconds of CPU time it may
// use. The result is the exit code; a sentence goes to stderr.
//
// When stdin ends, because whoever asked was killed, so does the process.
func CompileWorker(stdin io.Reader, stderr io.Writer, args []string) int {
	err := compileWorker(stdin, args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, sandbox.ErrInvalidModule):
		fmt.Fprintln(stderr, strings.TrimPrefix(err.Error(), sandbox.ErrInvalidModule.Error()+": "))
		return exitModule
	}
	fmt.Fprintln(stderr, strings.TrimPrefix(err.Error(), sandbox.ErrCompiler.Error()+": "))
	return exitMachine
}

func compileWorker(stdin io.Reader, args []string) error {
	if len(args) != 3 {
		return errors.New("this command is started by a server, with a directory, bytes and seconds")
	}
	dir := args[0]
	memory, err := strconv.ParseUint(args[1], 10, 63)
	if err != nil {
		return err
	}
	cpu, err := strconv.ParseUint(args[2], 10, 31)
	if err != nil {
		return err
	}
	if err := limitProcess(memory, cpu); err != nil {
		return fmt.Errorf("limit the compiler: %w", err)
	}
	// Address space is more than memory; and collecting late beats failing.
	debug.SetMemoryLimit(int64(memory / 2))
	var size [8]byte
	if _, err := io.ReadFull(stdin, size[:]); err != nil {
		return fmt.Errorf("read the module: %w", err)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > memory {
		return fmt.Errorf("%w: it has %d bytes, and compiling it may take %d", sandbox.ErrInvalidModule, n, memory)
	}
	rewritten := make([]byte, n)
	if _, err := io.ReadFull(stdin, rewritten); err != nil {
		return fmt.Errorf("read the module: %w", err)
	}
	go func() {
		_, _ = stdin.Read(make([]byte, 1)) // returns when the other end is closed
		os.Exit(exitMachine)
	}()
	return sandbox.CompileTo(context.Background(), rewritten, dir)
}
