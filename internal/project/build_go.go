package project

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// handlers are the exports that make a module a reactor.
var handlers = []string{"handle", "handle_http"}

// registrations are the functions of the guest SDK that register a handler, by
// import path.
var registrations = map[string][]string{
	"flagbase.dev/guest":     {"HandleEvent", "HandleJSON"},
	"flagbase.dev/guest/web": {"Handle"},
}

var goEnv = []string{"GOOS=wasip1", "GOARCH=wasm"}

func (b *builder) goModule(ctx context.Context, output string) error {
	tool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("go is %w: get Go 1.24 or later from https://go.dev/dl", ErrNoToolchain)
	}
	target := "./" + strings.TrimPrefix(b.p.Entry, "./")
	mode, reason, err := b.goMode(ctx, tool, target)
	if err != nil {
		return err
	}
	b.artifact.Mode, b.artifact.Reason = mode, reason
	b.progress("building %s as a %s: %s", b.p.Name, mode, reason)
	args := []string{"build", "-trimpath", "-o", output}
	if mode == Reactor {
		args = append(args, "-buildmode=c-shared")
	}
	if !b.opts.Debug {
		args = append(args, "-ldflags=-s -w")
	}
	_, err = b.run(ctx, "go build", goEnv, tool, append(args, target)...)
	return err
}

// goMode decides between a command and a reactor.
//
// The rule: the program is a reactor when a package that is linked into it, its
// own or a dependency outside the standard library, has a //go:wasmexport of
// handle or handle_http; else it is a command. Importing flagbase.dev/guest or
// flagbase.dev/guest/web therefore makes a reactor, and importing only the
// packages of services leaves a command. It looks at what the compiler would
// link for wasip1, so build tags and dead files do not mislead it. function.json
// overrides it.
func (b *builder) goMode(ctx context.Context, tool, target string) (Mode, string, error) {
	packages, err := b.goList(ctx, tool, target)
	if err != nil {
		return "", "", err
	}
	main := packages[len(packages)-1] // go list puts a package after what it depends on
	if main.Name != "main" {
		return "", "", fmt.Errorf("%s is package %s: a function is a main package; name its folder as the entry in %s", target, main.Name, ConfigFile)
	}
	mode, reason := b.p.Mode, "as "+ConfigFile+" says"
	if mode == Auto {
		mode, reason = Command, "no package of it exports handle or handle_http"
		for _, p := range packages {
			name, err := p.handler()
			if err != nil {
				return "", "", err
			}
			if name != "" {
				mode, reason = Reactor, fmt.Sprintf("%s exports %s", p.ImportPath, name)
				break
			}
		}
	}
	if mode == Reactor {
		if err := main.checkRegistration(); err != nil {
			return "", "", err
		}
	}
	return mode, reason, nil
}

type goPackage struct {
	ImportPath, Dir, Name string
	Standard              bool
	GoFiles               []string
}

func (b *builder) goList(ctx context.Context, tool, target string) ([]goPackage, error) {
	out, err := b.run(ctx, "go list", goEnv, tool, "list", "-deps", "-json=ImportPath,Dir,Name,Standard,GoFiles", target)
	if err != nil {
		return nil, err
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("decode the answer of go list: %w", err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("go list names no package for %s", target)
	}
	return packages, nil
}

// handler returns the handler that the package exports to the host, or "".
func (p *goPackage) handler() (string, error) {
	if p.Standard {
		return "", nil
	}
	for _, file := range p.GoFiles {
		source, err := os.ReadFile(filepath.Join(p.Dir, file))
		if err != nil {
			return "", err
		}
		if !bytes.Contains(source, []byte("//go:wasmexport")) {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue // the compiler says it better
		}
		if name := exported(parsed); name != "" {
			return name, nil
		}
	}
	return "", nil
}

// exported looks for the directive where the compiler obeys it: in the comment
// directly before a function.
func exported(file *ast.File) string {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Doc == nil {
			continue
		}
		for _, c := range f.Doc.List {
			directive, ok := strings.CutPrefix(c.Text, "//go:wasmexport ")
			if !ok {
				continue
			}
			for _, name := range handlers {
				if strings.TrimSpace(directive) == name {
					return name
				}
			}
		}
	}
	return ""
}

// checkRegistration refuses a reactor that registers its handler in main: it
// would compile, and then fail every invocation.
func (p *goPackage) checkRegistration() error {
	for _, name := range p.GoFiles {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			continue // the compiler says it better
		}
		imported := sdkImports(file)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "main" || f.Recv != nil || f.Body == nil {
				continue
			}
			if call := findRegistration(f.Body, imported); call != nil {
				position := set.Position(call.Pos())
				return fmt.Errorf("%s:%d: the handler is registered in main, which does not run in a reactor: move the call to func init(), or set \"mode\": \"command\" in %s", name, position.Line, ConfigFile)
			}
		}
	}
	return nil
}

// sdkImports maps the name that a file uses for a package of the SDK to the
// functions of it that register a handler.
func sdkImports(file *ast.File) map[string][]string {
	imported := map[string][]string{}
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, "`\"")
		functions, ok := registrations[path]
		if !ok {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = functions
	}
	return imported
}

func findRegistration(body ast.Node, imported map[string][]string) (found *ast.CallExpr) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found != nil {
			return found == nil
		}
		fun := call.Fun
		if index, ok := fun.(*ast.IndexExpr); ok { // HandleJSON[In, Out]
			fun = index.X
		} else if index, ok := fun.(*ast.IndexListExpr); ok {
			fun = index.X
		}
		selector, ok := fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok {
			for _, name := range imported[x.Name] {
				if selector.Sel.Name == name {
					found = call
				}
			}
		}
		return true
	})
	return found
}
