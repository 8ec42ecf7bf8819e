package wasmbin

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// recognise returns nil for a core module of version 1, and for anything else a sentence that names what it is, where that can
// be told, and what to give instead.
func recognise(b []byte) error {
	if bytes.HasPrefix(b, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil
	}
	return &Error{Message: foreign(b), Kind: ErrNotModule}
}

func foreign(b []byte) string {
	has := func(prefix string) bool { return bytes.HasPrefix(b, []byte(prefix)) }
	switch {
	case len(b) == 0:
		return "the file is empty, a WebAssembly module is expected"
	case has("\x00asm"):
		if len(b) < 8 {
			return "the module ends in its header, it is cut off"
		}
		if b[6] == 1 && b[7] == 0 {
			return "this is a component (the WebAssembly component model), flagbase runs core modules: build for WASI preview 1" +
				" instead (Go: GOOS=wasip1 GOARCH=wasm; Rust: --target wasm32-wasip1; TinyGo: -target=wasip1)," +
				" or take the core module out of the component"
		}
		return sprintf("the module has binary version %d, flagbase runs version 1", uint32(b[4])|uint32(b[5])<<8|uint32(b[6])<<16|uint32(b[7])<<24)
	case has("\x1f\x8b"):
		return "the file is compressed with gzip, upload the .wasm inside it"
	case has("\x28\xb5\x2f\xfd"):
		return "the file is compressed with zstd, upload the .wasm inside it"
	case has("BZh"):
		return "the file is compressed with bzip2, upload the .wasm inside it"
	case has("\xfd7zXZ\x00"):
		return "the file is compressed with xz, upload the .wasm inside it"
	case has("PK\x03\x04"):
		return "the file is a zip archive, upload the .wasm inside it"
	case has("\x7fELF"):
		return "the file is a program for Linux (ELF), build it for WebAssembly instead (Go: GOOS=wasip1 GOARCH=wasm go build)"
	case has("MZ"):
		return "the file is a program for Windows, build it for WebAssembly instead (Go: GOOS=wasip1 GOARCH=wasm go build)"
	case has("\xcf\xfa\xed\xfe"), has("\xce\xfa\xed\xfe"), has("\xca\xfe\xba\xbe"), has("\xfe\xed\xfa\xcf"), has("\xfe\xed\xfa\xce"):
		return "the file is a program for macOS or a Java class, build it for WebAssembly instead (Go: GOOS=wasip1 GOARCH=wasm go build)"
	case has("!<arch>"):
		return "the file is a library archive, build a program instead (Go: package main, GOOS=wasip1 GOARCH=wasm go build)"
	case has("BC\xc0\xde"):
		return "the file is LLVM bitcode, link it to a WebAssembly module first"
	}
	head := b[:min(len(b), 512)]
	if !isText(head) {
		return "the file is not a WebAssembly module: it does not begin with the bytes 00 61 73 6d"
	}
	switch text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"); {
	case bytes.HasPrefix(text, []byte("(module")), bytes.HasPrefix(text, []byte("(component")), bytes.HasPrefix(text, []byte(";;")), bytes.HasPrefix(text, []byte("(;")):
		return "the file is WebAssembly text (.wat), translate it first: wat2wasm file.wat"
	case bytes.HasPrefix(text, []byte("<")):
		return "the file is HTML or XML, perhaps an error page that was downloaded in place of the module"
	case looksLikeScript(head):
		return "the file is JavaScript or TypeScript source, deploy it as a JavaScript function instead of a WebAssembly module"
	case bytes.HasPrefix(text, []byte("#!")):
		return "the file is a script, a WebAssembly module is expected"
	case bytes.HasPrefix(text, []byte("package ")):
		return "the file is Go source, build it first: GOOS=wasip1 GOARCH=wasm go build -o main.wasm"
	}
	return "the file is text, a WebAssembly module is expected"
}

func looksLikeScript(head []byte) bool {
	for _, word := range []string{
		"export default", "export async", "export function", "export const", "import {", "import * as", "module.exports", "require(",
		"function ", "const ", "let ", "var ", "async ", "use strict", "=>",
	} {
		if bytes.Contains(head, []byte(word)) {
			return true
		}
	}
	return false
}

func isText(head []byte) bool {
	// A character may be cut in two at the end.
	for i := 0; i < utf8.UTFMax && len(head) > 0 && !utf8.Valid(head); i++ {
		head = head[:len(head)-1]
	}
	return len(head) > 0 && utf8.Valid(head) && !bytes.ContainsFunc(head, func(c rune) bool { return c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' })
}
