package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Detect says what a file or folder is. A folder is read in this order:
// function.json; go.mod or Go files; package.json with its source, module or
// main member; then a conventional entry (index, main or src/index and so on)
// or else the only source file of its kind.
//
// The error matches ErrNoProject when there is nothing, and fs.ErrNotExist when
// the path does not exist.
func Detect(path string) (*Project, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return detectDir(abs)
	}
	if filepath.Base(abs) == ConfigFile {
		return detectDir(filepath.Dir(abs))
	}
	return detectFile(abs)
}

var extensions = map[string]Language{
	".js": JavaScript, ".mjs": JavaScript, ".cjs": JavaScript, ".jsx": JavaScript,
	".ts": TypeScript, ".mts": TypeScript, ".cts": TypeScript, ".tsx": TypeScript,
	".go": Go, ".c": C, ".wat": WAT, ".wasm": Wasm,
}

func languageOf(file string) Language { return extensions[strings.ToLower(filepath.Ext(file))] }

func detectFile(path string) (*Project, error) {
	dir, base := filepath.Split(path)
	p := &Project{
		Dir:      filepath.Clean(dir),
		Name:     SuggestName(strings.TrimSuffix(base, filepath.Ext(base))),
		Language: languageOf(base),
		Entry:    base,
		Mode:     Auto,
	}
	switch p.Language {
	case Go:
		// One file of a package cannot be built without the others.
		return detectDir(p.Dir)
	case Wasm:
		return p, checkWasm(path)
	case "":
		if checkWasm(path) == nil { // a module under another name
			p.Language = Wasm
			return p, nil
		}
		return nil, fmt.Errorf("%s: %w: flagbase takes .go, .js, .mjs, .ts, .mts, .tsx, .c, .wat and .wasm files", path, ErrNoProject)
	}
	return p, nil
}

// checkWasm looks at the first bytes, so that a text file or an object of
// another kind is told apart before anything is sent to a server.
func checkWasm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	header := make([]byte, 8)
	if _, err := io.ReadFull(f, header); err != nil || !bytes.HasPrefix(header, []byte("\x00asm")) {
		return fmt.Errorf("%s is not a WebAssembly module: it does not begin with \\0asm", path)
	}
	return nil
}

func detectDir(dir string) (*Project, error) {
	p := &Project{Dir: dir, Name: SuggestName(filepath.Base(dir)), Mode: Auto}
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	if c != nil {
		return p, fromConfig(p, c)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sources := map[Language][]string{}
	has := map[string]bool{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		has[e.Name()] = true
		if isSource(e.Name()) {
			l := languageOf(e.Name())
			sources[l] = append(sources[l], e.Name())
		}
	}
	if has["go.mod"] || len(sources[Go]) > 0 {
		p.Language, p.Entry = Go, "."
		return p, nil
	}
	if has["package.json"] {
		return p, fromPackageJSON(p)
	}
	if entry := conventional(dir); entry != "" {
		p.Language, p.Entry = languageOf(entry), entry
		return p, nil
	}
	for _, l := range []Language{TypeScript, JavaScript, WAT, C, Wasm} {
		switch files := sources[l]; {
		case len(files) == 1:
			p.Language, p.Entry = l, files[0]
			return p, nil
		case len(files) > 1:
			return nil, fmt.Errorf("%s holds %d %s files (%s): name one, or say which in %s", dir, len(files), l, strings.Join(files, ", "), ConfigFile)
		}
	}
	return nil, fmt.Errorf("%s: %w: no %s, go.mod, package.json, or source file", dir, ErrNoProject, ConfigFile)
}

// isSource leaves out what lies beside sources: tests, types, settings.
func isSource(name string) bool {
	if languageOf(name) == "" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return false
	}
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	for _, suffix := range []string{".test", ".spec", ".d", ".config", "_test"} {
		if strings.HasSuffix(stem, suffix) {
			return false
		}
	}
	return true
}

func fromConfig(p *Project, c *config) error {
	path := filepath.Join(p.Dir, ConfigFile)
	if c.Name != "" {
		p.Name = c.Name
	}
	p.Mode = c.Mode
	if c.Language != "" {
		l, err := ParseLanguage(c.Language)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		p.Language = l
	}
	p.Entry = filepath.ToSlash(filepath.Clean(c.Entry))
	switch {
	case c.Entry == "" && p.Language == Go:
		p.Entry = "."
	case c.Entry == "" && p.Language.Script():
		p.Entry = conventional(p.Dir)
	case c.Entry == "" && p.Language == AssemblyScript:
		p.Entry = "assembly/index.ts"
	case c.Entry == "":
		return fmt.Errorf("%s: say which file is the entry", path)
	}
	if p.Entry == "" {
		return fmt.Errorf("%s: no index or main file found: say which file is the entry", path)
	}
	if p.Language == "" {
		p.Language = languageOf(p.Entry)
	}
	if p.Language == "" {
		return fmt.Errorf("%s: say which language %q is", path, p.Entry)
	}
	if p.Mode != Auto && p.Language != Go {
		return fmt.Errorf("%s: mode is for Go projects", path)
	}
	if _, err := os.Stat(p.EntryPath()); err != nil {
		return fmt.Errorf("%s: entry: %w", path, err)
	}
	if p.Language == Wasm {
		return checkWasm(p.EntryPath())
	}
	return nil
}

func fromPackageJSON(p *Project) error {
	path := filepath.Join(p.Dir, "package.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var manifest struct{ Name, Source, Module, Main string }
	if err := json.Unmarshal(b, &manifest); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if manifest.Name != "" {
		_, name, scoped := strings.Cut(manifest.Name, "/")
		if !scoped {
			name = manifest.Name
		}
		p.Name = SuggestName(name)
	}
	for _, entry := range []string{manifest.Source, manifest.Module, manifest.Main} {
		// main often names build output that does not exist yet.
		local := filepath.Clean(filepath.FromSlash(entry))
		if entry == "" || !filepath.IsLocal(local) || !languageOf(local).Script() {
			continue
		}
		if _, err := os.Stat(filepath.Join(p.Dir, local)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		p.Language, p.Entry = languageOf(local), filepath.ToSlash(local)
		return nil
	}
	if entry := conventional(p.Dir); entry != "" {
		p.Language, p.Entry = languageOf(entry), entry
		return nil
	}
	return fmt.Errorf("%s: %w: its source, module and main name no JavaScript or TypeScript file that exists, and there is no index or main file", path, ErrNoProject)
}

// conventional finds the entry of a script project by its usual names.
func conventional(dir string) string {
	for _, folder := range []string{"", "src/"} {
		for _, stem := range []string{"index", "main"} {
			for _, ext := range []string{".ts", ".mts", ".tsx", ".js", ".mjs", ".jsx", ".cjs"} {
				entry := folder + stem + ext
				if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(entry))); err == nil && info.Mode().IsRegular() {
					return entry
				}
			}
		}
	}
	return ""
}
