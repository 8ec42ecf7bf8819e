package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flagbase.dev/function"
)

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("FROM_ENV", "e-value")
	c, err := LoadConfig(&Sources{File: write("ok.yaml", `
secrets:
  stripe-key: {value: v-value, functions: [orders, refunds]}
  from.env: {env: FROM_ENV, functions: "*"}
  from-file: {file: `+write("secret", "f-value\n")+`, functions: [orders]}
`)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := openSecrets(c.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []struct{ function, name, want string }{
		{"orders", "stripe-key", "v-value"}, {"refunds", "stripe-key", "v-value"}, {"other", "stripe-key", ""},
		{"other", "from.env", "e-value"}, {"orders", "from-file", "f-value"}, {"orders", "absent", ""},
	} {
		got, err := v.Secret(t.Context(), "fn_1", g.function, g.name)
		if got != g.want || (g.want == "") != errors.Is(err, function.ErrNotFound) {
			t.Errorf("%s reads %s: %q, %v", g.function, g.name, got, err)
		}
	}
	for text, part := range map[string]string{
		"secrets: {a: {value: x}}":                                "functions names no function",
		"secrets: {a: {value: hush, env: B, functions: [f]}}":     "exactly one of value, env and file",
		"secrets: {a: {functions: [f]}}":                          "exactly one of value, env and file",
		"secrets: {a: {env: NO_SUCH_VARIABLE, functions: [f]}}":   "NO_SUCH_VARIABLE",
		"secrets: {a: {file: /no/such/file, functions: [f]}}":     "no such file",
		"secrets: {a: {value: hush, functions: [f], grant: [f]}}": "no such setting",
		"secrets: {a: hush}":                                      "a secret is a section",
	} {
		c, err := LoadConfig(&Sources{File: write("bad.yaml", text)})
		if err == nil {
			_, err = openSecrets(c.Secrets)
		}
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
