// Command fetch copies quickjs.wasm from node_modules to where package quickjs
// embeds it from, after checking that it is the file that package was written for.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"flagbase.dev/internal/quickjs"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fetch quickjs.wasm:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	from := filepath.Join(root, "node_modules", "quickjs-wasi", "quickjs.wasm")
	to := filepath.Join(root, "internal", "quickjs", "dist", "quickjs.wasm")
	wasm, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing: run `npm ci` first", from)
	}
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(wasm); hex.EncodeToString(sum[:]) != quickjs.WasmSHA256 {
		return fmt.Errorf("%s has SHA-256 %x, want %s (quickjs-wasi 3.6.2): run `npm ci`", from, sum, quickjs.WasmSHA256)
	}
	if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, wasm) {
		return nil // leave its time alone, so that nothing is built again
	}
	tmp := to + ".tmp"
	if err := os.WriteFile(tmp, wasm, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// moduleRoot is the nearest folder upwards that holds a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this inside the flagbase repository")
		}
		dir = parent
	}
}
