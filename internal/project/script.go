package project

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"flagbase.dev/internal/bundle"
)

// Source is the one source a JavaScript or TypeScript project is deployed as.
type Source struct {
	Code string
	// Language is what Code is written in: JavaScript when it was bundled.
	Language Language
	// Files is how many files went into it.
	Files int
	// Warnings are what the bundler noticed, each with its place.
	Warnings []string
}

// Source reads the script of an artifact. One that imports nothing is given as it was written, so that what
// a person finds on the server is what they wrote; otherwise it and everything it imports are bundled into one
// JavaScript module. The error names file, line and column of what does not parse.
func (a *Artifact) Source(ctx context.Context) (*Source, error) {
	if !a.Script {
		return nil, fmt.Errorf("source of %q: it is a WebAssembly module", a.Project.Name)
	}
	out, err := bundle.Bundle(ctx, a.Path)
	if err != nil {
		return nil, err
	}
	s := &Source{Code: string(out.Code), Language: JavaScript, Files: len(out.Inputs)}
	for _, w := range out.Warnings {
		s.Warnings = append(s.Warnings, w.Error())
	}
	// The types of a .tsx file need a parser that a server, which knows no file names, cannot choose.
	if len(out.Inputs) > 1 || filepath.Ext(a.Path) == ".tsx" {
		return s, nil
	}
	source, err := os.ReadFile(a.Path)
	if err != nil {
		return nil, err
	}
	s.Code, s.Language = string(source), a.Project.Language
	return s, nil
}
