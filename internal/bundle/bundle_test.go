package bundle_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flagbase.dev/internal/bundle"
)

func TestTransformExportsTheHandler(t *testing.T) {
	for name, c := range map[string]struct{ language, source, want string }{
		"types are stripped":      {"typescript", "interface E { n: number }\nexport function handle(e: E): number { return e.n }", "handle\n};"},
		"default export":          {"typescript", "export default { fetch(r: Request): Response { return new Response('x') } }", "default"},
		"declared only":           {"javascript", "function handle(e) { return e }", "$flagbase_handle"},
		"declared as a constant":  {"typescript", "const handle = async (e: unknown) => e", "$flagbase_handle"},
		"CommonJS":                {"javascript", "module.exports = { handle(e) { return e } }", "default"},
		"JSX":                     {"tsx", "const h = (t: string, p: any) => t;\n/** @jsx h */\nexport const handle = () => <b/>;", "handle"},
		"no handler at all":       {"javascript", "globalThis.x = 1", "$flagbase_handle"},
		"decorators and using":    {"typescript", "const d = (v: any, c: any) => v; class A { @d m() {} }\nexport function handle() { using x = null; return new A() }", "handle"},
		"import of types is gone": {"typescript", "import type { X } from './x'; export const handle = (e: X) => e", "handle"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := bundle.Transform(t.Context(), "hello.ts", c.source, c.language)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(out.Code), c.want) {
				t.Errorf("want %q in:\n%s", c.want, out.Code)
			}
			if !strings.Contains(string(out.SourceMap), `"hello.ts"`) {
				t.Errorf("the source map does not name the file: %s", out.SourceMap)
			}
		})
	}
}

func TestTransformSaysWhereASourceIsWrong(t *testing.T) {
	_, err := bundle.Transform(t.Context(), "a.ts", "export const handle = () => {\n  let x: = 5;\n}", "typescript")
	var e *bundle.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	if e.File != "a.ts" || e.Line != 2 || e.Column != 10 || e.LineText != "  let x: = 5;" || e.Message == "" {
		t.Errorf("got %+v", e)
	}
	if _, err := bundle.Transform(t.Context(), "a", "x", "cobol"); !errors.Is(err, bundle.ErrLanguage) {
		t.Errorf("got %v", err)
	}
}

func TestTransformReadsNoFiles(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.js")
	if err := os.WriteFile(secret, []byte("export default 'secret'"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{
		"import x from " + quote(secret) + "; export const handle = () => x",
		"export const handle = () => import(" + quote(secret) + ")",
		"export const handle = () => require(" + quote(secret) + ")",
		"export * from " + quote("file://"+secret),
		"import x from './bundle.go'; export const handle = () => x",
		"import z from 'zod'; export const handle = () => z",
		"import z from 'data:text/javascript,export default 1'; export const handle = () => z",
	} {
		out, err := bundle.Transform(t.Context(), "a.js", source, "javascript")
		if err == nil || !strings.Contains(err.Error(), "deployed as one file") {
			t.Errorf("%s: %v %+v", source, err, out)
		}
	}
	for _, url := range []string{"file://" + secret, secret, "secret.js"} {
		out, err := bundle.Transform(t.Context(), "a.js", "export const handle = () => 1\n//# sourceMappingURL="+url, "javascript")
		if err != nil || len(out.Warnings) > 0 || strings.Contains(string(out.SourceMap), "secret") {
			t.Errorf("%s: %v %+v", url, err, out)
		}
	}
}

func TestSourcesThatNestTooDeepAreRefused(t *testing.T) {
	for name, source := range map[string]string{
		"arrows":        "export const handle = " + strings.Repeat("a=>", 100_000) + "a",
		"parentheses":   "export const handle = " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000),
		"blocks":        strings.Repeat("{", 100_000) + strings.Repeat("}", 100_000),
		"functions":     strings.Repeat("function f(){", 100_000) + strings.Repeat("}", 100_000),
		"operators":     "x=" + strings.Repeat("!", 400_000) + "a",
		"words":         "x=" + strings.Repeat("typeof ", 400_000) + "a",
		"lines":         "x=" + strings.Repeat("!\n", 400_000) + "a",
		"else":          strings.Repeat("if(a){}else ", 400_000) + ";",
		"conditions":    "x=" + strings.Repeat("a?a:", 400_000) + "a",
		"templates":     "x=" + strings.Repeat("`${", 100_000) + "a" + strings.Repeat("}`", 100_000),
		"types":         "let x: " + strings.Repeat("A<", 100_000) + "A" + strings.Repeat(">", 100_000),
		"after a regex": "x=/[\"'`]/;x=" + strings.Repeat("a=>", 100_000) + "a",
	} {
		_, err := bundle.Transform(t.Context(), "deep.ts", source, "typescript")
		if err == nil || !strings.Contains(err.Error(), "nests deeper") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLargeButFlatSourcesPass(t *testing.T) {
	var b strings.Builder
	b.WriteString("const data = [\n")
	for range 20_000 {
		b.WriteString("  { a: -1, b: [!0, 'it''s'.length ? 1 : 2], re: /[({]/g },\n")
	}
	b.WriteString("]\n")
	source := strings.ReplaceAll(b.String(), "'it''s'", `"it's"`)
	b.Reset()
	for i := range 20_000 {
		fmt.Fprintf(&b, "function f%d() {\n  const x = a => a + 1\n  let y = x(1) ? 2 : 3\n  if (y) y = -y\n  else y = !y\n  return `t${y}`\n}\n", i)
	}
	if _, err := bundle.Transform(t.Context(), "big.js", source+b.String()+"export function handle() {}", "javascript"); err != nil {
		t.Fatal(err)
	}
}

func TestBundleProject(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "package.json", `{"name":"p","main":"src/start.ts"}`)
	write(t, dir, "src/start.ts", "import { twice } from './lib/twice'\nimport words from './words.json'\nimport greet from 'greeter'\nfunction handle(e: number) { return greet(words[0]) + twice(e) }\n")
	write(t, dir, "src/lib/twice.ts", "export const twice = (n: number): number => n * 2\n")
	write(t, dir, "src/words.json", `["hi"]`)
	write(t, dir, "node_modules/greeter/package.json", `{"name":"greeter","main":"i.js"}`)
	write(t, dir, "node_modules/greeter/i.js", "module.exports = (w) => w + '!'")
	out, err := bundle.Bundle(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"$flagbase_handle", "n * 2", `"hi"`, `w + "!"`} {
		if !strings.Contains(string(out.Code), want) {
			t.Errorf("no %q in:\n%s", want, out.Code)
		}
	}
	if got := strings.Join(out.Inputs, " "); got != "node_modules/greeter/i.js src/lib/twice.ts src/start.ts src/words.json" {
		t.Errorf("inputs: %s", got)
	}
	if !strings.Contains(string(out.SourceMap), `"src/start.ts"`) {
		t.Errorf("source map: %s", out.SourceMap)
	}
}

func TestBundleNamesWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"package":  {"import z from 'zod'\nexport const handle = () => z", `zod`},
		"built-in": {"import fs from 'node:fs'\nexport const handle = () => fs", "built-in modules of Node"},
		"file":     {"import x from './gone'\nexport const handle = () => x", `./gone`},
		"syntax":   {"\nexport const handle = (", "index.ts:2:"},
	} {
		dir := t.TempDir()
		write(t, dir, "index.ts", c.source)
		_, err := bundle.Bundle(t.Context(), dir)
		var e *bundle.Error
		if !errors.As(err, &e) || e.File != "index.ts" || e.Line == 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bundle.Bundle(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "no entry found") {
		t.Errorf("empty folder: %v", err)
	}
}

func TestCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bundle.Transform(ctx, "a.js", "1", "javascript"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// FuzzTransform: whatever the source, it ends with a module or an error.
func FuzzTransform(f *testing.F) {
	f.Add("export function handle() {}", false)
	f.Add("x=`${`${1}`}`;/[/]/;'\\", true)
	f.Add("a=>(b=>{", true)
	f.Fuzz(func(t *testing.T, source string, typescript bool) {
		language := "javascript"
		if typescript {
			language = "typescript"
		}
		out, err := bundle.Transform(context.Background(), "f", source, language)
		if (err == nil) == (out == nil) {
			t.Fatalf("%v %v", out, err)
		}
	})
}

func quote(s string) string { return `"` + s + `"` }

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
