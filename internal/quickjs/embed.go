package quickjs

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
)

// WasmSHA256 is the SHA-256 of the quickjs.wasm this package drives: the one in
// npm quickjs-wasi 3.6.2.
const WasmSHA256 = "d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9"

// ErrNotEmbedded says that this binary was built without the JavaScript engine.
var ErrNotEmbedded = errors.New("this flagbase was built without its JavaScript engine: run `make build`, or `npm ci` and `go run ./internal/quickjs/fetch` before `go build`")

// dist holds quickjs.wasm once internal/quickjs/fetch has put it there. Its README
// is committed so that the pattern always matches.
//
//go:embed dist
var dist embed.FS

//go:embed prelude/*.js
var preludeFiles embed.FS

func engineWasm() ([]byte, error) {
	wasm, err := dist.ReadFile("dist/quickjs.wasm")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotEmbedded
	}
	if err != nil {
		return nil, fmt.Errorf("read the embedded JavaScript engine: %w", err)
	}
	if sum := sha256.Sum256(wasm); hex.EncodeToString(sum[:]) != WasmSHA256 {
		return nil, fmt.Errorf("the embedded quickjs.wasm has SHA-256 %x, not that of quickjs-wasi 3.6.2", sum)
	}
	return wasm, nil
}

// preludeName marks the prelude's frames in stacks; users never see them.
const preludeName = "flagbase:prelude"

// preludeSource joins the prelude's files, in order of their names, into one
// function of the four ways into the host (see env.go).
func preludeSource() ([]byte, error) {
	entries, err := preludeFiles.ReadDir("prelude")
	if err != nil {
		return nil, err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	var b strings.Builder
	b.WriteString("(function (sys, rawBytes, rawHost, rawHostBytes) {\n\"use strict\";\n")
	for _, e := range entries {
		src, err := preludeFiles.ReadFile("prelude/" + e.Name())
		if err != nil {
			return nil, err
		}
		b.Write(src)
	}
	b.WriteString("})")
	return []byte(b.String()), nil
}
