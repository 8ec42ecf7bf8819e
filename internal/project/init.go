package project

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:generate go run ./packguest ../../guest guest.txtar

// guestArchive is the guest SDK's source; go generate keeps it current.
//
//go:embed guest.txtar
var guestArchive []byte

// templates holds one archive per language. They are archives because a go.mod
// or a _test.go file of a template must not count as one of this module's.
//
//go:embed templates/*.txtar
var templates embed.FS

// guestDir is where a Go project keeps its copy of the guest SDK.
const guestDir = "internal/flagbase-guest"

// ErrExists matches the failure of Init when a file that it would write is
// there already.
var ErrExists = errors.New("already exists")

// Init writes a new project into dir, which it makes when needed, and returns
// it. An empty name is taken from dir. A Go project brings the guest SDK's
// sources along and builds without a network. Nothing is overwritten: when one
// of its files exists, Init writes none and the error matches ErrExists.
func Init(dir, name string, language Language) (*Project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = SuggestName(filepath.Base(abs))
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	files, err := scaffold(name, language)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(abs, filepath.FromSlash(f.Name))); err == nil {
			return nil, fmt.Errorf("init %q: %s %w in %s", name, f.Name, ErrExists, abs)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("init %q: %w", name, err)
		}
	}
	for _, f := range files {
		path := filepath.Join(abs, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("init %q: %w", name, err)
		}
		if err := writeNew(path, f.Data); err != nil {
			return nil, fmt.Errorf("init %q: %w", name, err)
		}
	}
	return Detect(abs)
}

func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// scaffold returns the files of a new project.
func scaffold(name string, language Language) ([]txtar.File, error) {
	b, err := templates.ReadFile("templates/" + string(language) + ".txtar")
	if err != nil {
		return nil, fmt.Errorf("init %q: there is no template for language %q: use one of %v", name, language, languages)
	}
	files := txtar.Parse([]byte(strings.ReplaceAll(string(b), "{{name}}", name))).Files
	c := config{Name: name, Language: string(language)}
	switch language {
	case Go:
		c.Entry, c.Mode = ".", Auto
		for _, f := range txtar.Parse(guestArchive).Files {
			f.Name = guestDir + "/" + f.Name
			files = append(files, f)
		}
	case AssemblyScript:
		c.Entry = "assembly/index.ts"
	default:
		c.Entry = files[0].Name // a template's first file is its entry
	}
	encoded, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(files, txtar.File{Name: ConfigFile, Data: append(encoded, '\n')}), nil
}
