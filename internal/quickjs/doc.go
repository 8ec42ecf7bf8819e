// Package quickjs runs JavaScript functions on the sandbox: QuickJS-NG, compiled to
// WebAssembly, with a prelude of our own that gives scripts console, the flagbase
// object, fetch and the types around it, timers and crypto.
//
// A script is an ES module that exports a handler:
//
//	export default { fetch(request, env, ctx) { ... } }
//	export function handle(event, context) { ... }
//
// Compile evaluates it once, without access to the host, and keeps a snapshot of the
// instance. Run calls the handler in an instance made from that snapshot. Whatever
// belongs to one invocation reaches the guest after the snapshot (see invoke in
// prelude/90_main.js); Math.random is given a new state in each instance.
//
// # Output
//
// The output of an invocation is the Response; else the returned value, strings and
// bytes as they are and anything else as JSON; else, when it returned nothing, the
// lines of console.log. With Call.Stdout set those lines are written there as they
// come, followed by the returned value. All of console is the invocation's log, with
// one exception: lines that are the output are in the log as well.
package quickjs
