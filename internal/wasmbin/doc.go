// Package wasmbin reads and rewrites WebAssembly binaries: pure functions over bytes, no runtime.
//
// [Scan] is the wall in front of the compiler. A runtime trusts the counts a module claims and spends time and memory in
// proportion to them: 15 bytes are enough to kill a process. Scan reads the whole structure first, checks every count against
// the bytes that are left and against a budget before anything is allocated, and answers what it refuses with a sentence.
// It does not check operand types: a module that passes may still be refused by the compiler, but cheaply.
//
// [Module.Rewrite] compiles pauses into the module: function entries, loop heads and bulk operations count the guest's work
// down (meter.go; path.go and price.go say by how much), and after each quantum it leaves to the host, which lets it go on or stops it.
//
// The format is that of the WebAssembly core specification 3.0 (https://webassembly.github.io/spec/core/binary/), less what
// wazero 1.12.0 does not run: garbage-collected types, several memories, 64-bit memories, relaxed SIMD.
package wasmbin
