// Command flagbase runs a flagbase server and talks to one.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"flagbase.dev/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
