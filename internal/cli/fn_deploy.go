package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flagbase.dev/client"
	"flagbase.dev/internal/project"
	"github.com/spf13/cobra"
)

func (c *command) fnInitCommand() *cobra.Command {
	var language, name string
	cmd := &cobra.Command{
		Use: "init NAME", Short: "Make the folder of a new function",
		Long:    "Make a folder with a function that builds without a network. NAME is the folder; its last part is the function's name unless --name gives another.",
		Example: "flagbase fn init hello --lang go\nflagbase fn init greet --lang ts", Args: args("NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			l, err := project.ParseLanguage(language)
			if err != nil {
				return misuse(cmd, err)
			}
			p, err := project.Init(names[0], name, l)
			if err != nil {
				return err
			}
			out := map[string]any{"name": p.Name, "dir": p.Dir, "language": p.Language, "entry": p.Entry}
			return c.print(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "Made the function %s in %s (%s)\n\nNext:\n  flagbase fn deploy %s\n  flagbase fn invoke %s --data '{\"name\":\"Ada\"}'\n",
					p.Name, filepath.Join(names[0], filepath.FromSlash(p.Entry)), p.Language, names[0], p.Name)
			})
		},
	}
	cmd.Flags().StringVarP(&language, "lang", "l", "go", "go, js, ts, assemblyscript, c or wat")
	cmd.Flags().StringVar(&name, "name", "", "the function's name (default: the folder's)")
	return cmd
}

// built is what a deploy sends.
type built struct {
	name string
	path string // of the file that was built or taken
	code *client.Code
}

// build makes what the folder or file at path deploys. Compilers report to the person as they go.
func (c *command) build(cmd *cobra.Command, path string, opts *project.BuildOptions) (*built, error) {
	if !c.json {
		opts.Progress = cmd.ErrOrStderr()
	}
	a, err := project.Build(cmd.Context(), path, opts)
	if err != nil {
		return nil, buildError(err)
	}
	b := &built{name: a.Project.Name, path: a.Path}
	if !a.Script {
		wasm, err := os.ReadFile(a.Path)
		if err != nil {
			return nil, fmt.Errorf("read the module: %w", err)
		}
		b.code = &client.Code{Artifact: wasm}
		return b, nil
	}
	b.code, err = c.script(cmd, a)
	return b, err
}

func buildError(err error) error {
	var compile *project.CompileError
	if errors.As(err, &compile) && compile.Output != "" && !strings.Contains(err.Error(), strings.TrimSpace(compile.Output)) {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(compile.Output))
	}
	return err
}

// script is the source a script project deploys.
func (c *command) script(cmd *cobra.Command, a *project.Artifact) (*client.Code, error) {
	source, err := a.Source(cmd.Context())
	if err != nil {
		return nil, err
	}
	for _, w := range source.Warnings {
		c.progress(cmd, "warning: %s", plain(w))
	}
	if source.Files > 1 {
		c.progress(cmd, "bundled %d files into one, %s", source.Files, size(int64(len(source.Code))))
	}
	return &client.Code{Source: source.Code, Language: string(source.Language)}, nil
}

func (c *command) fnBuildCommand() *cobra.Command {
	var output string
	var debug bool
	cmd := &cobra.Command{
		Use: "build [DIR]", Short: "Build a function: source to WebAssembly, or to one script",
		Long:    "Build the function in DIR, or in this folder. deploy builds by itself; this is for looking at the result or deploying it elsewhere.",
		Example: "flagbase fn build\nflagbase fn build hello --output hello.wasm", Args: args("[DIR]"),
		RunE: func(cmd *cobra.Command, names []string) error {
			b, err := c.build(cmd, firstOf(strings.Join(names, ""), "."), &project.BuildOptions{Output: output, Debug: debug})
			if err != nil {
				return err
			}
			content := b.code.Artifact
			if content == nil {
				content = []byte(b.code.Source)
				if output == "" {
					output = filepath.Join(filepath.Dir(b.path), "build", b.name+".js")
				}
				if err := writeBundle(output, content); err != nil {
					return err
				}
				b.path = output
			}
			out := map[string]any{"name": b.name, "path": b.path, "bytes": len(content)}
			return c.print(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "%s  %s\n", b.path, size(int64(len(content))))
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write (default build/NAME.wasm or build/NAME.js in the function's folder)")
	cmd.Flags().BoolVar(&debug, "debug", false, "keep symbols and debug information")
	return cmd
}

func writeBundle(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

func (c *command) fnDeployCommand() *cobra.Command {
	var name, description string
	cmd := &cobra.Command{
		Use: "deploy [DIR|FILE]", Short: "Deploy a function, new or as a new version",
		Long: `Deploy a folder or a file: .wasm, .js, .ts, .go, .c, .wat. Sources are built first. A name that exists gets a
new version, which runs from now on; an artifact that does not compile changes nothing.`,
		Example: "flagbase fn deploy\nflagbase fn deploy hello.ts\nflagbase fn deploy build/hello.wasm --name hello", Args: args("[DIR|FILE]"),
		RunE: func(cmd *cobra.Command, names []string) error {
			if name != "" {
				if err := project.CheckName(name); err != nil {
					return misuse(cmd, err)
				}
			}
			api, err := c.client(cmd)
			if err != nil {
				return err
			}
			b, err := c.build(cmd, firstOf(strings.Join(names, ""), "."), &project.BuildOptions{})
			if err != nil {
				return err
			}
			b.name = firstOf(name, b.name)
			began := time.Now()
			progress := c.watchDeploy(cmd, b.name)
			b.code.Progress = progress.upload
			d, err := deploy(cmd.Context(), api, b, description)
			progress.stop()
			if err != nil {
				return err
			}
			return c.print(cmd, d, func(w io.Writer) {
				what := "new version of"
				if d.Created {
					what = "new function"
				}
				fmt.Fprintf(w, "Deployed %s %s: %s, %s, in %s\n", what, d.Function.Name, versionText(d.Version), size(int64(d.Bytes)), took(time.Since(began)))
			})
		},
	}
	cmd.Flags().StringVarP(&name, "name", "n", "", "the function's name (default: function.json's, else the folder's or file's)")
	cmd.Flags().StringVar(&description, "description", "", "what the function is for")
	return cmd
}

// deployed is the result of a deploy.
type deployed struct {
	Function *client.Function `json:"function"`
	Version  int              `json:"version"`
	Created  bool             `json:"created"`
	Bytes    int              `json:"bytes"`
}

// deploy creates the function or, when it is there, adds a version. Creating first asks no question whose
// answer could change before the next request.
func deploy(ctx context.Context, api *client.Client, b *built, description string) (*deployed, error) {
	d := &deployed{Bytes: len(b.code.Artifact) + len(b.code.Source)}
	f, err := api.CreateFunction(ctx, b.name, b.code, &client.CreateOptions{Description: description})
	if err == nil {
		d.Function, d.Version, d.Created = f, f.ActiveVersion, true
		return d, nil
	}
	if !client.HasCode(err, "already_exists") {
		return nil, err
	}
	v, err := api.DeployVersion(ctx, b.name, b.code)
	if err != nil {
		return nil, err
	}
	if description != "" {
		if _, err := api.UpdateFunction(ctx, b.name, &client.FunctionUpdate{Description: &description}); err != nil {
			return nil, err
		}
	}
	if d.Function, err = api.Function(ctx, b.name); err != nil {
		return nil, err
	}
	d.Version = v.Version
	return d, nil
}
