package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ConfigFile is the name of the file that describes a function's project.
const ConfigFile = "function.json"

// Language is what a function is written in.
type Language string

// The languages that a project can be written in. Wasm is a module that was
// built elsewhere.
const (
	Go             Language = "go"
	JavaScript     Language = "javascript"
	TypeScript     Language = "typescript"
	AssemblyScript Language = "assemblyscript"
	C              Language = "c"
	WAT            Language = "wat"
	Wasm           Language = "wasm"
)

// Languages lists what Init can make, in the order in which help shows it.
var languages = []Language{Go, JavaScript, TypeScript, AssemblyScript, C, WAT}

// Languages returns the languages that Init can make a project for.
func Languages() []Language { return append([]Language(nil), languages...) }

// ParseLanguage understands a language's name and its usual short form: js, ts,
// golang, as, asc.
func ParseLanguage(s string) (Language, error) {
	switch s := strings.ToLower(strings.TrimSpace(s)); s {
	case "go", "golang":
		return Go, nil
	case "js", "javascript":
		return JavaScript, nil
	case "ts", "typescript":
		return TypeScript, nil
	case "as", "asc", "assemblyscript":
		return AssemblyScript, nil
	case "c", "wat", "wasm":
		return Language(s), nil
	}
	return "", fmt.Errorf("unknown language %q: use go, js, ts, assemblyscript, c or wat", s)
}

// Script reports whether flagbase runs the language from source, so that there
// is nothing to compile before a deploy.
func (l Language) Script() bool { return l == JavaScript || l == TypeScript }

// Mode is how a Go project is built.
type Mode string

// Auto lets Build decide by the program. A command runs main once per
// invocation; a reactor exports a handler that is called after init ran.
const (
	Auto    Mode = "auto"
	Command Mode = "command"
	Reactor Mode = "reactor"
)

// Project is one function's source, or a finished module.
type Project struct {
	// Dir is the folder, as an absolute path.
	Dir string
	// Name is the function's name, or a suggestion made from the path.
	Name string
	// Language is what Entry is written in.
	Language Language
	// Entry is relative to Dir, with forward slashes: the main package of a Go
	// project ("."), otherwise the source file or the .wasm file.
	Entry string
	// Mode is Auto unless function.json says otherwise.
	Mode Mode
}

// EntryPath returns the entry's path on this machine.
func (p *Project) EntryPath() string { return filepath.Join(p.Dir, filepath.FromSlash(p.Entry)) }

// ErrNoProject matches the failure of Detect when a path holds nothing that
// could be a function.
var ErrNoProject = errors.New("nothing here is a function")

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckName reports what is wrong with a function's name.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("function name %q: use 1 to 63 of a-z, 0-9 and hyphen, not starting with a hyphen", name)
	}
	return nil
}

// SuggestName makes a function's name of any text; "function" when nothing of
// it can be used.
func SuggestName(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := b.String()
	if len(name) > 63 {
		name = name[:63]
	}
	if name = strings.Trim(name, "-"); name == "" {
		return "function"
	}
	return name
}

type config struct {
	Name     string `json:"name"`
	Language string `json:"language"`
	Entry    string `json:"entry,omitempty"`
	Mode     Mode   `json:"mode,omitempty"`
}

// readConfig returns nil without an error when the folder has no config file.
func readConfig(dir string) (*config, error) {
	path := filepath.Join(dir, ConfigFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := &config{}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields() // a misspelt member would silently do nothing
	if err := decoder.Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Name != "" {
		if err := CheckName(c.Name); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	switch c.Mode {
	case "":
		c.Mode = Auto
	case Auto, Command, Reactor:
	default:
		return nil, fmt.Errorf("%s: mode %q: use auto, command or reactor", path, c.Mode)
	}
	if c.Entry != "" && !filepath.IsLocal(filepath.FromSlash(c.Entry)) {
		return nil, fmt.Errorf("%s: entry %q has to lie inside the project", path, c.Entry)
	}
	return c, nil
}
