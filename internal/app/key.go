package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"flagbase.dev/auth"
)

// AdminKeyFile is the name of the file with the admin key, in the data directory.
const AdminKeyFile = "admin.key"

// minKeyLength keeps people from protecting a server with "secret".
const minKeyLength = 16

// adminKey is the key that may do everything, and where it came from.
type adminKey struct {
	key     string
	file    string // "" when the environment gave it
	created bool   // at this start: print it, once
	warning string
}

// loadAdminKey takes the key the environment gives, else the one in the data directory, else makes one and
// keeps it there.
func loadAdminKey(data, given string) (*adminKey, error) {
	if given != "" {
		if given = strings.TrimSpace(given); len(given) < minKeyLength || strings.ContainsAny(given, " \t\r\n") {
			return nil, fmt.Errorf("FLAGBASE_ADMIN_KEY: a key has at least %d characters and no spaces", minKeyLength)
		}
		return &adminKey{key: given}, nil
	}
	file := filepath.Join(data, AdminKeyFile)
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key := auth.GenerateKey()
		if err := writeKey(file, key); err != nil {
			return nil, fmt.Errorf("write the admin key: %w", err)
		}
		return &adminKey{key: key, file: file, created: true}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the admin key: %w", err)
	}
	k := &adminKey{key: strings.TrimSpace(string(content)), file: file}
	if len(k.key) < minKeyLength || strings.ContainsAny(k.key, " \t\r\n") {
		return nil, fmt.Errorf("%s holds no key; delete it and start again to have a new one made", file)
	}
	if info, err := os.Stat(file); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		k.warning = fmt.Sprintf("%s can be read by others (mode %04o); run chmod 600 on it, or delete it to have a new key made", file, info.Mode().Perm())
	}
	return k, nil
}

// writeKey makes the file whole or not at all: half a key would lock everybody out.
func writeKey(file, key string) error {
	f, err := os.CreateTemp(filepath.Dir(file), AdminKeyFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.WriteString(key + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
