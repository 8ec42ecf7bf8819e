// Buildall builds every example into examples/build, which git ignores:
//
//	go run ./examples/buildall
//
// An example whose compiler is not installed is named on stderr and left out;
// with -strict that is a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"flagbase.dev/internal/project"
)

func main() {
	strict := flag.Bool("strict", false, "fail when a compiler is not installed")
	dir := flag.String("dir", "examples", "the folder of the examples")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *strict); err != nil {
		fmt.Fprintln(os.Stderr, "buildall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, strict bool) error {
	readmes, err := filepath.Glob(filepath.Join(dir, "*", "README.md"))
	if err != nil {
		return err
	}
	if len(readmes) == 0 {
		return fmt.Errorf("no examples in %s", dir)
	}
	var failed error
	for _, readme := range readmes {
		folder := filepath.Dir(readme)
		output := filepath.Join(dir, "build", filepath.Base(folder)+".wasm")
		a, err := project.Build(ctx, folder, &project.BuildOptions{Output: output, Progress: os.Stdout})
		switch {
		case errors.Is(err, project.ErrNoToolchain) && !strict:
			fmt.Fprintf(os.Stderr, "NOT BUILT: %v\n", err)
		case err != nil:
			failed = errors.Join(failed, err)
		case a.Script:
			fmt.Printf("%s is deployed from its source\n", a.Path)
		}
	}
	return failed
}
