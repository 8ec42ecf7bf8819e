// Package guests holds what the benchmarks run: programs in the WebAssembly text
// format and in JavaScript, and beside it, each in a folder of its own, Go programs.
package guests

import "embed"

// Files are the programs that are no Go.
//
//go:embed *.wat *.js
var Files embed.FS
