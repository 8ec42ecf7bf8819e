package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

func (c *command) fnInvocationsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "invocations NAME", Aliases: []string{"inv"}, Short: "List a function's invocations, newest first",
		Example: "flagbase fn invocations hello\nflagbase fn invocations hello --limit 1000 --json", Args: args("NAME"), ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, names []string) error {
			if limit < 1 {
				return misusef(cmd, "--limit must be 1 or more")
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			invocations, err := newest(cmd.Context(), api, names[0], limit)
			if err != nil {
				return err
			}
			return c.print(cmd, list(invocations), func(w io.Writer) {
				if len(invocations) == 0 {
					fmt.Fprintf(w, "%s has not been invoked yet.\n", plain(names[0]))
					return
				}
				var rows [][]string
				for _, inv := range invocations {
					rows = append(rows, []string{
						inv.ID, ago(inv.StartedAt, time.Now()), status(&inv), milliseconds(inv.ExecutionMs), milliseconds(inv.ComputeMs), size(inv.PeakMemoryBytes),
						strconv.Itoa(inv.HostCalls), size(int64(inv.OutputSizeBytes)), inv.TraceID,
					})
				}
				writeTable(w, []string{"ID", "STARTED", "STATUS", "TIME", "CPU", "MEMORY", "HOST CALLS", "OUTPUT", "TRACE"}, rows)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many")
	return cmd
}

func newest(ctx context.Context, api *client.Client, name string, limit int) ([]client.Invocation, error) {
	var invocations []client.Invocation
	for inv, err := range api.AllInvocations(ctx, name) {
		if err != nil {
			return nil, err
		}
		if invocations = append(invocations, *inv); len(invocations) == limit {
			break
		}
	}
	return invocations, nil
}

// status is how an invocation ended, in a word: its error begins with the code.
func status(inv *client.Invocation) string {
	switch {
	case inv.CompletedAt == nil:
		return "running"
	case inv.Success:
		return "ok"
	}
	code, _, ok := strings.Cut(inv.Error, ":")
	if !ok || strings.Contains(code, " ") {
		return "failed"
	}
	return code
}

func milliseconds(ms *int64) string {
	if ms == nil {
		return "-"
	}
	if *ms < 1000 {
		return strconv.FormatInt(*ms, 10) + " ms" // whole milliseconds are what is recorded
	}
	return took(time.Duration(*ms) * time.Millisecond)
}

func (c *command) fnLogsCommand() *cobra.Command {
	var follow bool
	var limit int
	var invocation string
	cmd := &cobra.Command{
		Use: "logs NAME", Short: "Show what a function's invocations logged",
		Long:    "Show the log of the newest invocations, oldest of them first. With --follow, go on with those that end from now on.",
		Example: "flagbase fn logs hello\nflagbase fn logs hello --follow\nflagbase fn logs hello --invocation ID", Args: args("NAME"), ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, names []string) error {
			if limit < 0 {
				return misusef(cmd, "--limit cannot be negative")
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			logs := &logPrinter{c: c, cmd: cmd, api: api, shown: map[string]bool{}}
			if invocation != "" {
				inv, err := api.Invocation(cmd.Context(), invocation)
				if err != nil {
					return err
				}
				return logs.show(inv)
			}
			if err := logs.showNewest(names[0], limit); err != nil || !follow {
				return err
			}
			return logs.follow(names[0])
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on")
	f.IntVar(&limit, "limit", 20, "how many invocations to begin with")
	f.StringVar(&invocation, "invocation", "", "only the invocation with this id")
	return cmd
}

// logPrinter writes the logs of invocations, each once.
type logPrinter struct {
	c     *command
	cmd   *cobra.Command
	api   *client.Client
	shown map[string]bool
}

func (l *logPrinter) showNewest(name string, limit int) error {
	// At least a page, so that follow knows which of its first page are old.
	invocations, err := newest(l.cmd.Context(), l.api, name, max(limit, 100))
	if err != nil {
		return err
	}
	for i, inv := range slices.Backward(invocations) {
		if i >= limit {
			l.shown[inv.ID] = inv.CompletedAt != nil
			continue
		}
		if inv.CompletedAt == nil {
			continue // its log comes with its end
		}
		if err := l.show(&inv); err != nil {
			return err
		}
	}
	return nil
}

// follow asks for new invocations every half second until the person has seen enough. A server that is
// away for a moment (a restart) does not end it.
func (l *logPrinter) follow(name string) error {
	const every = 500 * time.Millisecond
	ctx := l.cmd.Context()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil // Ctrl-C is how following ends
		case <-time.After(every):
		}
		page, err := l.api.Invocations(ctx, name, nil)
		if err != nil {
			failures++
			if ctx.Err() == nil && (client.ErrorOf(err) != nil || failures > 20) {
				return err
			}
			continue
		}
		failures = 0
		for _, inv := range slices.Backward(page.Invocations) {
			if inv.CompletedAt == nil || l.shown[inv.ID] {
				continue
			}
			if err := l.show(&inv); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (l *logPrinter) show(inv *client.Invocation) error {
	log, err := l.api.Logs(l.cmd.Context(), inv.ID)
	if err != nil {
		return err
	}
	l.shown[inv.ID] = true
	w := l.cmd.OutOrStdout()
	if l.c.json {
		line, err := json.Marshal(map[string]any{"invocation": inv, "log": string(log)})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(w, string(line))
		return err
	}
	fmt.Fprintf(w, "%s  %s  %s  %s\n", inv.StartedAt.Local().Format("2006-01-02 15:04:05"), inv.ID, status(inv), milliseconds(inv.ExecutionMs))
	if len(log) > 0 {
		writeIndented(w, string(log))
	}
	if !inv.Success && inv.Error != "" {
		writeIndented(w, inv.Error)
	}
	return nil
}
