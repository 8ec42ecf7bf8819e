package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/app"
)

func yaml(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flagbase.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadConfigPrecedence(t *testing.T) {
	file := yaml(t, `
addr: 127.0.0.1:1111
data: from-file
public_functions: [hello, "*"]
limits:
  memory: 64MiB
  timeout: 5s
  concurrency: 7
fetch:
  allow_private: [10.0.0.0/8]
`)
	c, err := app.LoadConfig(&app.Sources{
		File:    file,
		Environ: []string{"FLAGBASE_ADDR=127.0.0.1:2222", "FLAGBASE_DATA=from-env", "FLAGBASE_LIMITS_MAX_TIMEOUT=1m", "FLAGBASE_FETCH_ALLOW_HOSTS=a.example, b.example", "FLAGBASE_TOKEN=x", "HOME=/"},
		Flags:   map[string]string{"addr": "127.0.0.1:3333"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:3333" || c.Data != "from-env" || len(c.PublicFunctions) != 2 || c.Limits.Memory != 64<<20 ||
		c.Limits.Timeout != 5*time.Second || c.Limits.MaxTimeout != time.Minute || c.Limits.Concurrency != 7 ||
		len(c.Fetch.AllowPrivate) != 1 || len(c.Fetch.AllowHosts) != 2 || c.Fetch.AllowHosts[1] != "b.example" {
		t.Fatalf("got %+v", c)
	}
	if c.Limits.Output != 6<<20 || c.LogLevel != "info" || len(c.Warnings) != 0 {
		t.Fatalf("defaults or warnings: %+v", c)
	}
}

func TestLoadConfigErrorsNameTheKey(t *testing.T) {
	for _, test := range []struct{ name, yaml, env, flag, want string }{
		{name: "unknown key", yaml: "adress: 1", want: "adress: there is no such setting"},
		{name: "misspelt key", yaml: "adr: x:1", want: "did you mean addr?"},
		{name: "unknown nested key", yaml: "limits:\n  memori: 1MiB", want: "limits.memori: there is no such setting; did you mean limits.memory?"},
		{name: "section as value", yaml: "limits: 5", want: "limits is a section"},
		{name: "bad size", yaml: "limits: {memory: lots}", want: "limits.memory: lots is not a size"},
		{name: "bad duration", yaml: "limits: {timeout: 5}", want: "limits.timeout: 5 is not a duration"},
		{name: "bad list", yaml: "public_functions: [1]", want: "public_functions: 1 in the list is not a text"},
		{name: "not YAML", yaml: "addr: [", want: "flagbase.yaml"},
		{name: "twice", yaml: "addr: a:1\naddr: b:2", want: "already"},
		{name: "bad address", yaml: "addr: nowhere", want: `addr: "nowhere" is not host:port`},
		{name: "too much memory", yaml: "limits: {memory: 8GiB}", want: "limits.memory"},
		{name: "bad environment", env: "FLAGBASE_LIMITS_CALL_DEPTH=many", want: "FLAGBASE_LIMITS_CALL_DEPTH: many is not a whole number"},
		{name: "bad flag", flag: "nowhere", want: "addr"},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := &app.Sources{File: yaml(t, test.yaml), Environ: []string{test.env}, Flags: map[string]string{}}
			if test.flag != "" {
				from.Flags["addr"] = test.flag
			}
			_, err := app.LoadConfig(from)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q in it", err, test.want)
			}
		})
	}
	if _, err := app.LoadConfig(&app.Sources{File: "/no/such/file.yaml"}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Fatalf("a file that is not there: %v", err)
	}
}

func TestAStrangersVariableIsNoError(t *testing.T) {
	// Kubernetes sets these for a service named flagbase.
	c, err := app.LoadConfig(&app.Sources{Environ: []string{"FLAGBASE_PORT=tcp://10.0.0.1:8080", "FLAGBASE_SERVICE_HOST=10.0.0.1", "FLAGBASE_ADRR=:80"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "did you mean FLAGBASE_ADDR?") {
		t.Fatalf("warnings: %q", c.Warnings)
	}
}
