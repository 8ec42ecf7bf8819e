package app

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"flagbase.dev/function"
)

// Secret is a value that the functions it is granted to may read, by its name. Exactly
// one of Value, Env and File says where it comes from.
type Secret struct {
	Value     string   // the value itself
	Env       string   // a variable of the environment that holds it
	File      string   // a file that holds it; a newline at its end is not part of it
	Functions []string // names of functions, or "*" for all
}

// setSecret takes a setting secrets.NAME.FIELD of the configuration file.
func setSecret(secrets map[string]*Secret, key string, value any) error {
	rest := strings.TrimPrefix(key, "secrets.")
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 {
		return fmt.Errorf("a secret is a section with value, env or file, and functions")
	}
	name := rest[:dot]
	s := secrets[name]
	if s == nil {
		s = &Secret{}
		secrets[name] = s
	}
	return set(map[string]any{"value": &s.Value, "env": &s.Env, "file": &s.File, "functions": &s.Functions}, rest[dot+1:], value)
}

// openSecrets reads the values. Its errors name a secret, never what it is.
func openSecrets(secrets map[string]*Secret) (*vault, error) {
	v := &vault{values: make(map[string]granted, len(secrets))}
	for name, s := range secrets {
		sources := 0
		for _, source := range []string{s.Value, s.Env, s.File} {
			if source != "" {
				sources++
			}
		}
		if sources != 1 {
			return nil, fmt.Errorf("secrets.%s: it needs exactly one of value, env and file", name)
		}
		if len(s.Functions) == 0 {
			return nil, fmt.Errorf("secrets.%s: functions names no function, so none could read it; list names, or \"*\"", name)
		}
		value := s.Value
		switch {
		case s.Env != "":
			var ok bool
			if value, ok = os.LookupEnv(s.Env); !ok || value == "" {
				return nil, fmt.Errorf("secrets.%s: the environment has no %s", name, s.Env)
			}
		case s.File != "":
			b, err := os.ReadFile(s.File)
			if err != nil {
				return nil, fmt.Errorf("secrets.%s: %w", name, err)
			}
			value = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		}
		v.values[name] = granted{value, s.Functions}
	}
	return v, nil
}

// vault gives functions their secrets; it implements function.SecretSource.
type vault struct{ values map[string]granted }

type granted struct {
	value     string
	functions []string
}

func (v *vault) Secret(_ context.Context, _, functionName, name string) (string, error) {
	g, ok := v.values[name]
	if !ok || !slices.Contains(g.functions, "*") && !slices.Contains(g.functions, functionName) {
		return "", function.ErrNotFound
	}
	return g.value, nil
}
