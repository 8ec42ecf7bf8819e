// Package bundle turns what people write (TypeScript, JSX, several files, npm
// packages) into the one ES module that the JavaScript engine runs, with esbuild.
//
// The result always has its handler among its exports: scripts that only declare a
// function handle at their top level get it exported as $flagbase_handle.
package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Output is one ES module.
type Output struct {
	Code      []byte
	SourceMap []byte   // revision 3; without the sources' text
	Inputs    []string // files that went in, relative to the entry's project, sorted
	Warnings  []Error
}

// Error is what esbuild has against a source, at a place in the user's file.
type Error struct {
	File     string // as the user named it; "" when no place is known
	Line     int    // from 1
	Column   int    // from 1, in bytes
	Message  string
	LineText string // the line of the source
}

func (e *Error) Error() string {
	if e.File == "" {
		return e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// ErrLanguage says that a language is not one of javascript, typescript, jsx, tsx.
var ErrLanguage = errors.New("language is not one of javascript, typescript, jsx, tsx")

// mapComment finds the comments that name a source map. esbuild opens file: URLs in
// them, whatever the source's namespace; only data: URLs are for strangers.
var mapComment = regexp.MustCompile(`[#@] sourceMappingURL=(data:)?`)

// maxSource bounds one source. esbuild takes some 100 bytes of memory for each of its bytes.
const maxSource = 16 << 20

var languages = map[string]api.Loader{
	"javascript": api.LoaderJS, "typescript": api.LoaderTS,
	"jsx": api.LoaderJSX, "tsx": api.LoaderTSX,
}

// Transform turns one source, that imports nothing, into an ES module. name is the
// file errors and stacks speak of. It reads no files, so that it is safe for sources
// of strangers. The error is an *Error when the source is at fault.
func Transform(ctx context.Context, name, source, language string) (*Output, error) {
	loader, ok := languages[language]
	if !ok {
		return nil, fmt.Errorf("bundle %s: language %q: %w", name, language, ErrLanguage)
	}
	if err := check(name, source); err != nil {
		return nil, err
	}
	source = mapComment.ReplaceAllStringFunc(source, func(c string) string {
		if strings.HasSuffix(c, "=data:") {
			return c
		}
		return strings.Replace(c, "=", " ", 1)
	})
	build := func(footer string) api.BuildOptions {
		o := options()
		o.EntryPoints = []string{name}
		o.TsconfigRaw = "{}"
		o.Plugins = []api.Plugin{alone(name, source+footer, loader)}
		return o
	}
	return run(ctx, build)
}

// Bundle turns entry, a file, or the entry of the project folder entry, and
// everything it imports into one ES module. A folder's entry is what its
// package.json names as "main" or "module", else index or main in src or in the
// folder itself. The error is an *Error when a source is at fault.
func Bundle(ctx context.Context, entry string) (*Output, error) {
	file, err := entryFile(entry)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", entry, err)
	}
	root := filepath.Dir(abs)
	if info, err := os.Stat(entry); err == nil && info.IsDir() {
		if root, err = filepath.Abs(entry); err != nil {
			return nil, fmt.Errorf("bundle %s: %w", entry, err)
		}
	}
	build := func(footer string) api.BuildOptions {
		o := options()
		o.EntryPoints = []string{abs}
		o.AbsWorkingDir = root
		o.Plugins = []api.Plugin{sources(abs, footer)}
		return o
	}
	return run(ctx, build)
}

func options() api.BuildOptions {
	return api.BuildOptions{
		Bundle:         true,
		Write:          false,
		Outfile:        "function.js",
		Format:         api.FormatESModule,
		Platform:       api.PlatformBrowser, // no node: built-ins
		Conditions:     []string{"workerd", "worker"},
		MainFields:     []string{"module", "main"},
		Target:         api.ES2024,
		Charset:        api.CharsetASCII,
		Sourcemap:      api.SourceMapExternal,
		SourcesContent: api.SourcesContentExclude,
		Metafile:       true,
		LogLevel:       api.LogLevelSilent,
		LogLimit:       20,
	}
}

// footer exports a handler that was declared and not exported. typeof makes the
// names safe when they were not declared at all.
const footer = "\nexport const $flagbase_handle = typeof handle === \"function\" ? handle : undefined;\n"

// run builds, and builds again with the footer when the module exports no handler.
func run(ctx context.Context, build func(footer string) api.BuildOptions) (*Output, error) {
	out, exports, err := once(ctx, build(""))
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(exports, func(e string) bool { return e == "default" || e == "handle" || e == "fetch" }) {
		return out, nil
	}
	out, _, err = once(ctx, build(footer))
	return out, err
}

func once(ctx context.Context, o api.BuildOptions) (*Output, []string, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	build, failed := api.Context(o)
	if failed != nil {
		return nil, nil, fmt.Errorf("bundle: %w", first(failed.Errors))
	}
	defer build.Dispose()
	stop := context.AfterFunc(ctx, build.Cancel)
	defer stop()
	result := build.Rebuild()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if len(result.Errors) > 0 {
		return nil, nil, first(result.Errors)
	}
	out := &Output{}
	for _, f := range result.OutputFiles {
		if strings.HasSuffix(f.Path, ".map") {
			out.SourceMap = bytes.ReplaceAll(f.Contents, []byte(`["`+namespace+`:`), []byte(`["`))
		} else if strings.HasSuffix(f.Path, ".js") {
			out.Code = f.Contents
		}
	}
	if out.Code == nil {
		return nil, nil, errors.New("bundle: esbuild gave no script")
	}
	for _, w := range result.Warnings {
		out.Warnings = append(out.Warnings, *problem(w))
	}
	var meta struct {
		Inputs  map[string]json.RawMessage `json:"inputs"`
		Outputs map[string]struct {
			EntryPoint string   `json:"entryPoint"`
			Exports    []string `json:"exports"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
		return nil, nil, fmt.Errorf("bundle: read esbuild's metafile: %w", err)
	}
	for name := range meta.Inputs {
		out.Inputs = append(out.Inputs, strings.TrimPrefix(name, namespace+":"))
	}
	slices.Sort(out.Inputs)
	var exports []string
	for _, o := range meta.Outputs {
		if o.EntryPoint != "" {
			exports = o.Exports
		}
	}
	return out, exports, nil
}

func first(messages []api.Message) error {
	if len(messages) == 0 {
		return errors.New("esbuild failed without a message")
	}
	return problem(messages[0])
}

func problem(m api.Message) *Error {
	e := &Error{Message: m.Text}
	if m.Location != nil {
		m.Location.File = strings.TrimPrefix(m.Location.File, namespace+":")
		e.File, e.Line, e.Column, e.LineText = m.Location.File, m.Location.Line, m.Location.Column+1, m.Location.LineText
	}
	return e
}

// namespace is what esbuild shows before the name of a source that is no file.
const namespace = "function"

// alone gives esbuild the one source there is, in a namespace of its own because it
// is no file, and refuses every import.
func alone(name, source string, loader api.Loader) api.Plugin {
	return api.Plugin{Name: "alone", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.Kind == api.ResolveEntryPoint {
				return api.OnResolveResult{Path: name, Namespace: namespace}, nil
			}
			return api.OnResolveResult{}, fmt.Errorf("import %q: this function was deployed as one file and can import nothing; deploy its folder instead", args.Path)
		})
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: namespace}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
			return api.OnLoadResult{Contents: &source, Loader: loader}, nil
		})
	}}
}

// sources checks each file before esbuild parses it, adds footer to the entry and
// names the node: built-ins that functions lack.
func sources(entry, footer string) api.Plugin {
	return api.Plugin{Name: "sources", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: "^node:"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			return api.OnResolveResult{}, fmt.Errorf("import %q: functions have no built-in modules of Node", args.Path)
		})
		b.OnLoad(api.OnLoadOptions{Filter: `\.[cm]?[jt]sx?$`, Namespace: "file"}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			raw, err := os.ReadFile(args.Path)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			source := string(raw)
			if err := check(filepath.Base(args.Path), source); err != nil {
				return api.OnLoadResult{}, err
			}
			if args.Path == entry {
				source += footer
			}
			loader := loaderOf(args.Path)
			return api.OnLoadResult{Contents: &source, Loader: loader, ResolveDir: filepath.Dir(args.Path)}, nil
		})
	}}
}

func loaderOf(path string) api.Loader {
	switch filepath.Ext(path) {
	case ".ts", ".mts", ".cts":
		return api.LoaderTS
	case ".tsx":
		return api.LoaderTSX
	}
	return api.LoaderJSX
}

var entryNames = []string{
	"src/index.ts", "src/index.tsx", "src/index.js", "src/index.mjs", "src/main.ts", "src/main.js",
	"index.ts", "index.tsx", "index.js", "index.mjs", "main.ts", "main.js",
	"handler.ts", "handler.js", "function.ts", "function.js",
}

func entryFile(entry string) (string, error) {
	info, err := os.Stat(entry)
	if err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	if !info.IsDir() {
		return entry, nil
	}
	if raw, err := os.ReadFile(filepath.Join(entry, "package.json")); err == nil {
		var pkg struct{ Module, Main string }
		if err := json.Unmarshal(raw, &pkg); err != nil {
			return "", fmt.Errorf("bundle %s: package.json: %w", entry, err)
		}
		for _, name := range []string{pkg.Module, pkg.Main} {
			if name != "" {
				return filepath.Join(entry, filepath.FromSlash(name)), nil
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("bundle %s: %w", entry, err)
	}
	for _, name := range entryNames {
		path := filepath.Join(entry, filepath.FromSlash(name))
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("bundle %s: no entry found: name it as \"main\" in package.json, or call it index.ts or index.js", entry)
}
