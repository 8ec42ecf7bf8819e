package app

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
)

// The documented configuration is one that loads, and says the defaults.
func TestDocumentedConfiguration(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(doc)
	if block == nil {
		t.Fatal("docs/configuration.md has no example")
	}
	path := filepath.Join(t.TempDir(), "flagbase.yaml")
	if err := os.WriteFile(path, block[1], 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(&Sources{File: path, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Secrets) != 1 || c.Secrets["stripe-key"].Env != "STRIPE_KEY" {
		t.Errorf("secrets: %+v", c.Secrets)
	}
	c.Secrets = nil
	if want := Defaults(); !reflect.DeepEqual(c, want) {
		t.Errorf("the documentation says\n%+v, the defaults are\n%+v", c, want)
	}
}
