// Package sandbox runs WebAssembly modules that nobody trusts. It is the only
// importer of wazero and knows no flagbase service: it turns bytes into a
// [Module], a module into an [Instance] with hard limits, and an instance's end
// into one of a few errors.
//
// A module is prepared once ([Runtime.Prepare]: scanned, rewritten, compiled)
// and is cached by the SHA-256 of its bytes. A call takes an instance that is in
// exactly the state the module starts from ([Module.Acquire]), calls its exports
// and gives it back ([Instance.Release]). What the instance ran in is then restored
// exactly, where that is possible, and kept for the next. A [Snapshot] is another
// state to start from.
//
// The context given to Acquire bounds everything the instance does. When it ends
// the guest is stopped, whatever it is doing: the rewritten code pauses after a
// bounded amount of work (Rewrite.Meter in package wasmbin), and every host call
// returns when the context ends.
package sandbox
