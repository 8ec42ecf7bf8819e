package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

// misuseError is a command that was not given what it takes: exit code 2.
type misuseError struct {
	command string
	err     error
}

func (e *misuseError) Error() string { return e.err.Error() }
func (e *misuseError) Unwrap() error { return e.err }

func misuse(cmd *cobra.Command, err error) error {
	return &misuseError{command: cmd.CommandPath(), err: err}
}

func misusef(cmd *cobra.Command, format string, args ...any) error {
	return misuse(cmd, fmt.Errorf(format, args...))
}

func isMisuse(err error) bool {
	var m *misuseError
	return errors.As(err, &m)
}

// reportError tells people, or with --json programs, what went wrong.
func (c *command) reportError(w io.Writer, err error) {
	failure := client.ErrorOf(err)
	if c.json {
		c.reportJSON(w, err, failure)
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "Interrupted.")
		return
	}
	first, rest, _ := strings.Cut(err.Error(), "\n")
	fmt.Fprintln(w, "Error: "+plain(first))
	if rest != "" { // a compiler's output
		writeIndented(w, rest)
	}
	var m *misuseError
	if errors.As(err, &m) {
		fmt.Fprintf(w, "Run \"%s --help\" for how to use it.\n", m.command)
	}
	if failure == nil {
		return
	}
	for _, f := range failure.Fields {
		if !strings.Contains(failure.Detail, f.Message) {
			fmt.Fprintf(w, "  %s: %s\n", plain(f.Location), plain(f.Message))
		}
	}
	if failure.ExitCode != nil && *failure.ExitCode != 0 {
		fmt.Fprintf(w, "The function exited with code %d.\n", *failure.ExitCode)
	}
	if failure.Stderr != "" {
		fmt.Fprintln(w, "The end of its log:")
		writeIndented(w, failure.Stderr)
	}
	if failure.InvocationID != "" {
		fmt.Fprintf(w, "Invocation %s\n", failure.InvocationID)
	}
	if hint := hintFor(failure); hint != "" {
		fmt.Fprintln(w, hint)
	}
}

func (c *command) reportJSON(w io.Writer, err error, failure *client.Error) {
	if failure == nil {
		code := "failed"
		if isMisuse(err) {
			code = "misuse"
		}
		failure = &client.Error{Code: code, Detail: err.Error()}
	}
	line, _ := json.Marshal(map[string]any{"error": failure}) // strings and numbers only
	fmt.Fprintln(w, string(line))
}

// hintFor says what to try next.
func hintFor(e *client.Error) string {
	switch e.Code {
	case "unauthorized":
		return "Here, pass it with --token or FLAGBASE_TOKEN."
	case "too_many_invocations":
		return "Try again in a moment."
	}
	return ""
}

// writeIndented writes text for people, two spaces in, without a terminal's control characters.
func writeIndented(w io.Writer, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(w, "  "+plain(line))
	}
}
