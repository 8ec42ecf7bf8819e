package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"flagbase.dev/internal/app"
	"github.com/charmbracelet/fang"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitMisuse = 2
)

// workerCommand is the command by which a server starts this program to compile a module. It is none for
// people, and runs before anything that people's commands need.
const workerCommand = "compile-worker"

// Main runs the command with os.Args' rest and returns the exit code.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == workerCommand {
		return app.CompileWorker(stdin, stderr, args[1:])
	}
	c := &command{}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := fang.Execute(ctx, root,
		fang.WithVersion(Version()),
		fang.WithErrorHandler(func(w io.Writer, _ fang.Styles, err error) { c.reportError(w, err) }),
	)
	switch {
	case err == nil:
		return exitOK
	case isMisuse(err):
		return exitMisuse
	default:
		return exitFailed
	}
}

// command is one run of the program: the flags that every command has.
type command struct {
	json  bool
	url   string
	token string
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "flagbase",
		Short: "Run functions safely, next to the data they need",
		Long: `flagbase stores, versions and runs functions, each invocation in a fresh WebAssembly sandbox, with
flags, tables, buckets and traces beside them.

Start a server in one terminal and deploy to it from another.`,
		Example: `# a server on 127.0.0.1:8080, data in ./flagbase-data
flagbase start

# a function in Go, from nothing to an answer
flagbase fn init hello --lang go
flagbase fn deploy hello
flagbase fn invoke hello --data '{"name":"Ada"}'`,
		Args: cobra.ArbitraryArgs,
		RunE: showHelp,
	}
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON instead of text for people")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misuse(cmd, err) })
	root.AddCommand(c.startCommand(), c.fnCommand(), c.flagCommand(), c.tableCommand(), c.bucketCommand(), c.traceCommand(), c.versionCommand())
	return root
}

// group is a command that only holds others. Cobra would answer an unknown one among them with help and
// success.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = showHelp
	cmd.AddCommand(children...)
	return cmd
}

func showHelp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	text := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])
	cmd.SuggestionsMinimumDistance = 2 // letters
	if close := cmd.SuggestionsFor(args[0]); len(close) > 0 {
		text += "; did you mean " + strings.Join(close, " or ") + "?"
	}
	return misuse(cmd, errors.New(text))
}

// clientGroup is a group whose commands talk to a server.
func (c *command) clientGroup(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.PersistentFlags().StringVar(&c.url, "url", "", "the server's address (FLAGBASE_URL; default http://127.0.0.1:8080)")
	cmd.PersistentFlags().StringVar(&c.token, "token", "", "API key (FLAGBASE_TOKEN; default, for a server on this machine, ./flagbase-data/admin.key)")
	return group(cmd, children...)
}

// args checks the positional arguments, which names lists as the usage line does: "NAME [VERSION]".
func args(names string) cobra.PositionalArgs {
	fields := strings.Fields(names)
	least := 0
	for _, f := range fields {
		if !strings.HasPrefix(f, "[") {
			least++
		}
	}
	return func(cmd *cobra.Command, given []string) error {
		switch {
		case len(given) < least:
			return misuse(cmd, fmt.Errorf("%s is missing", fields[len(given)]))
		case len(given) > len(fields):
			return misuse(cmd, fmt.Errorf("%q is one argument too many", given[len(fields)]))
		}
		return nil
	}
}

// Version is the program's version, as the build recorded it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "dev"
	}
	return version
}
