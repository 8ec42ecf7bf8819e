package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"flagbase.dev/client"
	"flagbase.dev/internal/app"
	"github.com/spf13/cobra"
)

// client makes the API client: flags, then environment, then defaults.
func (c *command) client(cmd *cobra.Command) (*client.Client, error) {
	address := firstOf(c.url, os.Getenv("FLAGBASE_URL"), client.DefaultURL)
	token := firstOf(c.token, os.Getenv("FLAGBASE_TOKEN"))
	if token == "" {
		var err error
		if token, err = localToken(address); err != nil {
			return nil, err
		}
	}
	api, err := client.New(&client.Options{URL: address, Token: strings.TrimSpace(token), UserAgent: "flagbase-cli/" + Version()})
	if err != nil {
		return nil, misuse(cmd, errors.New(strings.TrimPrefix(err.Error(), "client: ")))
	}
	return api, nil
}

// localToken is the key in ./flagbase-data, for a server on this machine only: a key must not be sent to
// whatever address a variable happens to hold.
func localToken(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || !isLoopback(u.Hostname()) {
		return "", nil
	}
	file := filepath.Join(app.Defaults().Data, app.AdminKeyFile)
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the key: %w; pass another with --token", err)
	}
	return strings.TrimSpace(string(content)), nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// readData reads what --data and its like name: a text as it is, @file, or - for standard input.
func readData(cmd *cobra.Command, value string) ([]byte, error) {
	switch {
	case value == "-":
		return io.ReadAll(cmd.InOrStdin())
	case strings.HasPrefix(value, "@"):
		return os.ReadFile(value[1:])
	default:
		return []byte(value), nil
	}
}

// confirm asks a person before something is lost; without a terminal nobody is there to ask, and a script
// that says rm means it.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes || !isTerminal(cmd.InOrStdin()) {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(cmd.InOrStdin(), &answer); err != nil && answer == "" {
		return errors.New("nothing was deleted")
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return errors.New("nothing was deleted")
	}
	return nil
}
