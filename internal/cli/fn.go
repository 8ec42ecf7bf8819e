package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"flagbase.dev/client"
	"github.com/spf13/cobra"
)

func (c *command) fnCommand() *cobra.Command {
	return c.clientGroup(&cobra.Command{
		Use: "fn", Aliases: []string{"function", "functions"}, Short: "Make, deploy and invoke functions",
		Example: "flagbase fn deploy hello.ts\nflagbase fn invoke hello --data '{\"name\":\"Ada\"}'\nflagbase fn logs hello --follow",
	},
		c.fnInitCommand(), c.fnBuildCommand(), c.fnDeployCommand(),
		c.fnListCommand(), c.fnGetCommand(), c.fnRemoveCommand(), c.fnVersionsCommand(), c.fnRollbackCommand(),
		c.fnInvokeCommand(), c.fnLogsCommand(), c.fnInvocationsCommand(),
	)
}

// completeFunctions offers the names of functions to the shell.
func (c *command) completeFunctions(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	api, err := c.client(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	functions, err := api.Functions(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, f := range functions {
		names = append(names, f.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (c *command) fnListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List functions", Example: "flagbase fn ls\nflagbase fn ls --json", Args: args(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			functions, err := api.Functions(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(cmd, list(functions), func(w io.Writer) {
				if len(functions) == 0 {
					fmt.Fprintln(w, "No functions yet. Deploy one: flagbase fn deploy FILE")
					return
				}
				var rows [][]string
				for _, f := range functions {
					rows = append(rows, []string{f.Name, f.Language, f.Status, versionText(f.ActiveVersion), ago(f.UpdatedAt, time.Now()), oneLine(f.Description, 50)})
				}
				writeTable(w, []string{"NAME", "LANGUAGE", "STATUS", "VERSION", "UPDATED", "DESCRIPTION"}, rows)
			})
		},
	}
}

func versionText(v int) string {
	if v == 0 {
		return "-"
	}
	return "v" + strconv.Itoa(v)
}

func (c *command) fnGetCommand() *cobra.Command {
	var source bool
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Show a function", Args: args("NAME"), ValidArgsFunction: c.completeFunctions,
		Example: "flagbase fn get hello\nflagbase fn get hello --source > hello.ts",
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			f, err := api.Function(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			if source && !c.json {
				_, err := io.WriteString(cmd.OutOrStdout(), f.Source)
				return err
			}
			return c.print(cmd, f, func(w io.Writer) { writeFunction(w, f) })
		},
	}
	cmd.Flags().BoolVar(&source, "source", false, "print the source and nothing else (JavaScript and TypeScript)")
	return cmd
}

func writeFunction(w io.Writer, f *client.Function) {
	now := time.Now()
	writeFields(w,
		"Name", f.Name, "ID", f.ID, "Description", f.Description, "Language", f.Language, "Runtime", f.Runtime,
		"Status", f.Status, "Error", f.Error, "Version", versionText(f.ActiveVersion),
		"Created", ago(f.CreatedAt, now), "Updated", ago(f.UpdatedAt, now))
}

func (c *command) fnRemoveCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm NAME", Aliases: []string{"delete"}, Short: "Delete a function, its versions and its invocations",
		Example: "flagbase fn rm hello --yes", Args: args("NAME"), ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			f, err := api.Function(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			if err := confirm(cmd, yes, fmt.Sprintf("Delete the function %q with all its versions and invocations?", f.Name)); err != nil {
				return err
			}
			if err := api.DeleteFunction(cmd.Context(), f.ID); err != nil {
				return err
			}
			return c.print(cmd, map[string]any{"deleted": f.Name, "id": f.ID}, func(w io.Writer) { fmt.Fprintf(w, "Deleted %s\n", f.Name) })
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (c *command) fnVersionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "versions NAME", Short: "List a function's versions", Example: "flagbase fn versions hello",
		Args: args("NAME"), ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			f, err := api.Function(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			versions, err := api.Versions(cmd.Context(), f.ID)
			if err != nil {
				return err
			}
			out := map[string]any{"function": f.Name, "active_version": f.ActiveVersion, "versions": list(versions)}
			return c.print(cmd, out, func(w io.Writer) {
				var rows [][]string
				for _, v := range versions {
					active := ""
					if v.Version == f.ActiveVersion {
						active = "active"
					}
					rows = append(rows, []string{versionText(v.Version), ago(v.CreatedAt, time.Now()), v.ID, active})
				}
				writeTable(w, []string{"VERSION", "DEPLOYED", "ID", ""}, rows)
			})
		},
	}
}

func (c *command) fnRollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rollback NAME [VERSION]", Short: "Make an earlier version the one that runs",
		Long:    "Make a version the one that runs: the one before the active version, or the one named. Going forward again works the same way.",
		Example: "flagbase fn rollback hello\nflagbase fn rollback hello 3", Args: args("NAME [VERSION]"), ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, names []string) error {
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			f, err := api.Function(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			target := 0
			if len(names) == 2 {
				if target, err = parseVersion(cmd, names[1]); err != nil {
					return err
				}
			} else if target, err = versionBefore(cmd.Context(), api, f); err != nil {
				return err
			}
			v, err := api.ActivateVersion(cmd.Context(), f.ID, target)
			if err != nil {
				return err
			}
			out := map[string]any{"function": f.Name, "active_version": v.Version, "previous_version": f.ActiveVersion}
			return c.print(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "%s runs %s now (it ran %s)\n", f.Name, versionText(v.Version), versionText(f.ActiveVersion))
			})
		},
	}
}

func parseVersion(cmd *cobra.Command, text string) (int, error) {
	if len(text) > 1 && text[0] == 'v' {
		text = text[1:]
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 {
		return 0, misusef(cmd, "%q is not a version; versions are 1, 2, 3, ...", text)
	}
	return v, nil
}

func versionBefore(ctx context.Context, api *client.Client, f *client.Function) (int, error) {
	versions, err := api.Versions(ctx, f.ID)
	if err != nil {
		return 0, err
	}
	before := 0
	for _, v := range versions {
		if v.Version < f.ActiveVersion {
			before = max(before, v.Version)
		}
	}
	if before == 0 {
		return 0, fmt.Errorf("%s runs %s, and there is no version before it", f.Name, versionText(f.ActiveVersion))
	}
	return before, nil
}
