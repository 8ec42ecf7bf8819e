package cli

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

func (c *command) traceCommand() *cobra.Command {
	return c.clientGroup(&cobra.Command{
		Use: "trace", Aliases: []string{"traces"}, Short: "See where invocations spent their time",
		Example: "flagbase trace ls --function hello\nflagbase trace get 4bf92f3577b34da6a3ce929d0e0e4736",
	}, c.traceListCommand(), c.traceGetCommand())
}

func (c *command) traceListCommand() *cobra.Command {
	var opts client.TraceOptions
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List traces, newest first", Example: "flagbase trace ls --function hello", Args: args(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Limit < 1 {
				return misusef(cmd, "--limit must be 1 or more")
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			traces, err := api.Traces(cmd.Context(), &opts)
			if err != nil {
				return err
			}
			return c.print(cmd, list(traces), func(w io.Writer) {
				if len(traces) == 0 {
					fmt.Fprintln(w, "No traces yet; every invocation makes one.")
					return
				}
				var rows [][]string
				for _, t := range traces {
					state := "ok"
					if t.Error != "" {
						state = oneLine(t.Error, 50)
					}
					rows = append(rows, []string{t.TraceID, t.Name, ago(t.StartedAt, time.Now()), took(t.Duration), strconv.Itoa(t.Spans), state})
				}
				writeTable(w, []string{"TRACE", "NAME", "STARTED", "TIME", "SPANS", "STATUS"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&opts.Function, "function", "", "only traces this function took part in")
	cmd.Flags().IntVar(&opts.Limit, "limit", 20, "how many")
	return cmd
}

func (c *command) traceGetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Draw a trace: its spans as a tree, their time as bars",
		Example: "flagbase trace get 4bf92f3577b34da6a3ce929d0e0e4736", Args: args("ID"),
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			spans, err := api.Trace(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			out := map[string]any{"trace_id": names[0], "spans": list(spans)}
			return c.print(cmd, out, func(w io.Writer) { drawTrace(w, spans) })
		},
	}
}
