package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeDocument puts the results of the last `make bench` and `make soak` into
// docs/performance.md, between its markers, and draws docs/performance.svg.
func writeDocument(root, results string) error {
	r, err := readReport(results)
	if err != nil {
		return err
	}
	long, err := readReport(soakPath(results))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		r.merge(long)
	}
	if r.Quick {
		return fmt.Errorf("%s is of a smoke run or a short soak, whose numbers mean nothing: run `make bench` and `make soak` first", filepath.Dir(results))
	}
	path := filepath.Join(root, "docs", "performance.md")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(b)
	for name, content := range map[string]string{"goals": r.goalsMarkdown(), "machine": r.machineMarkdown(), "tables": r.tablesMarkdown()} {
		if text, err = between(text, name, content); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs", "performance.svg"), []byte(r.picture()), 0o644)
}

func readReport(path string) (*report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// merge adds what another run measured.
func (r *report) merge(other *report) {
	r.Quick = r.Quick || other.Quick
	r.Tables = append(r.Tables, other.Tables...)
	for _, g := range other.Goals {
		at := slices.IndexFunc(r.Goals, func(own goal) bool { return own.Key == g.Key })
		if at >= 0 {
			r.Goals[at] = g
		}
	}
}

// between replaces what is between the markers of that name.
func between(text, name, content string) (string, error) {
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	head, rest, ok := strings.Cut(text, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("it has no markers %q and %q", strings.TrimSpace(begin), end)
	}
	return head + begin + content + end + tail, nil
}

func (r *report) goalsMarkdown() string {
	var s strings.Builder
	s.WriteString("| measure | goal | measured | |\n|---|---|---|---|\n")
	for i := range r.Goals {
		c := r.Goals[i].cells()
		fmt.Fprintf(&s, "| %s | %s | %s | %s |\n", c[0], c[1], c[2], c[3])
	}
	return s.String()
}

func (r *report) machineMarkdown() string {
	m := &r.Machine
	var names []string
	for name := range m.Versions {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] += " " + strings.TrimPrefix(m.Versions[name], name)
	}
	return fmt.Sprintf("Measured on %s: %s; %s.\n", r.When.Format("2006-01-02"), m, strings.Join(names, ", "))
}

func (r *report) tablesMarkdown() string {
	var s strings.Builder
	for i := range r.Tables {
		t := &r.Tables[i]
		heads, cells := t.cells()
		fmt.Fprintf(&s, "\n### %s: %s\n\n%s\n\n| | %s |\n|---|%s\n", t.Group, t.Title, t.Compares, strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
		last := ""
		for j, row := range t.Rows {
			if row.Case != last {
				last = row.Case
				fmt.Fprintf(&s, "| **%s** |%s\n", row.Case, strings.Repeat(" |", len(heads)))
			}
			fmt.Fprintf(&s, "| %s | %s |\n", row.Subject, strings.Join(cells[j], " | "))
		}
	}
	s.WriteString("\n")
	for _, n := range r.Notes {
		fmt.Fprintf(&s, "Note: %s\n\n", n)
	}
	return s.String()
}
