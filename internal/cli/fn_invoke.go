package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

func (c *command) fnInvokeCommand() *cobra.Command {
	var data, caller, version, flagContext, contentType string
	var timeout time.Duration
	var stream bool
	cmd := &cobra.Command{
		Use: "invoke NAME", Aliases: []string{"call"}, Short: "Invoke a function",
		Long: `Invoke a function and write its output, byte for byte, to standard output. When the function fails, the
reason and the end of its log go to standard error and the exit code is 1.`,
		Example: `flagbase fn invoke hello --data '{"name":"Ada"}'
flagbase fn invoke resize --data @photo.jpg > small.jpg
flagbase fn invoke ticker --stream
flagbase fn invoke hello --version 2 --caller '{"user_id":"u1","role":"admin"}'`,
		Args: args("NAME"), ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, names []string) error {
			opts := &client.InvokeOptions{Timeout: timeout, FlagContext: flagContext, ContentType: contentType}
			var err error
			if version != "" {
				if opts.Version, err = parseVersion(cmd, version); err != nil {
					return err
				}
			}
			if timeout < 0 {
				return misusef(cmd, "a timeout cannot be negative")
			}
			if opts.Caller, err = callerText(cmd, caller); err != nil {
				return err
			}
			if opts.Event, err = readData(cmd, data); err != nil {
				return fmt.Errorf("read the event: %w", err)
			}
			if opts.ContentType == "" && len(opts.Event) > 0 && json.Valid(opts.Event) {
				opts.ContentType = "application/json"
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			if stream {
				return c.invokeStream(cmd, api, names[0], opts)
			}
			result, err := api.Invoke(cmd.Context(), names[0], opts)
			if err != nil {
				return err
			}
			return c.writeResult(cmd, result)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&data, "data", "d", "", "the event: a text, @file, or - for standard input")
	f.StringVar(&contentType, "content-type", "", "the event's content type (default application/json if it is JSON)")
	f.BoolVar(&stream, "stream", false, "write the output as it comes")
	f.StringVar(&version, "version", "", "the version to invoke (default: the active one)")
	f.StringVar(&caller, "caller", "", "who the function is told has called it: JSON with user_id, role, tenant_id, email, groups")
	f.StringVar(&flagContext, "flag-context", "", "flag:variant that records are written under")
	f.DurationVar(&timeout, "timeout", 0, "how long the function may take, such as 5s (default: the server's)")
	return cmd
}

// callerText checks --caller here, where the person is told that it is their quoting, and puts it on one
// line, as a header must be.
func callerText(cmd *cobra.Command, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return "", misusef(cmd, "--caller is not a JSON object: %v", err)
	}
	line := strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(text)
	return line, nil
}

func (c *command) writeResult(cmd *cobra.Command, result *client.InvokeResult) error {
	if !c.json {
		return writeOutput(cmd, result.Output)
	}
	return c.print(cmd, resultJSON(result), nil)
}

func writeOutput(cmd *cobra.Command, output []byte) error {
	w := cmd.OutOrStdout()
	if _, err := w.Write(output); err != nil {
		return err
	}
	if len(output) > 0 && output[len(output)-1] != '\n' && isTerminal(w) {
		fmt.Fprintln(cmd.ErrOrStderr()) // so that the prompt starts on a line of its own; the output stays exact
	}
	return nil
}

// resultJSON is an invocation as --json shows it: JSON output as it is, text as a string, other bytes in
// base64.
func resultJSON(r *client.InvokeResult) map[string]any {
	out := map[string]any{
		"invocation_id": r.InvocationID,
		"traceparent":   r.Traceparent,
		"status":        r.Status,
		"content_type":  r.ContentType,
	}
	if r.Version != 0 {
		out["version"] = r.Version
	}
	switch {
	case strings.HasPrefix(r.ContentType, "application/json") && json.Valid(r.Output):
		out["output"] = json.RawMessage(r.Output)
	case utf8.Valid(r.Output):
		out["output"] = string(r.Output)
	default:
		out["output_base64"] = base64.StdEncoding.EncodeToString(r.Output)
	}
	return out
}

// invokeStream writes output as it comes. With --json each piece is a line {"output": ...}, and the last
// line tells about the invocation.
func (c *command) invokeStream(cmd *cobra.Command, api *client.Client, name string, opts *client.InvokeOptions) error {
	w := cmd.OutOrStdout()
	if c.json {
		w = &jsonPieces{w: w}
	}
	result, err := api.InvokeStream(cmd.Context(), name, opts, w)
	if err != nil {
		return c.withLog(cmd, api, err)
	}
	if !c.json {
		return nil
	}
	line, err := json.Marshal(map[string]any{"invocation_id": result.InvocationID, "traceparent": result.Traceparent, "status": result.Status})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(line))
	return err
}

// withLog adds the end of the invocation's log to an error whose trailer could not carry it.
func (c *command) withLog(cmd *cobra.Command, api *client.Client, err error) error {
	failure := client.ErrorOf(err)
	if failure == nil || failure.Stderr != "" || failure.InvocationID == "" {
		return err
	}
	if log, logErr := api.Logs(cmd.Context(), failure.InvocationID); logErr == nil {
		failure.Stderr = tail(string(log), 4<<10)
	}
	return err
}

// tail is the last n bytes of text, from the start of a line where there is one.
func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	if _, rest, ok := strings.Cut(text, "\n"); ok {
		return rest
	}
	return strings.ToValidUTF8(text, "")
}

// jsonPieces writes each piece of a stream as a JSON line.
type jsonPieces struct{ w io.Writer }

func (j *jsonPieces) Write(p []byte) (int, error) {
	piece := map[string]string{}
	if utf8.Valid(p) {
		piece["output"] = string(p)
	} else {
		piece["output_base64"] = base64.StdEncoding.EncodeToString(p)
	}
	line, err := json.Marshal(piece)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintln(j.w, string(line)); err != nil {
		return 0, err
	}
	return len(p), nil
}
