// Package function stores, versions and runs functions: WebAssembly modules and
// JavaScript or TypeScript that other people wrote.
//
// An [Engine] runs code. A [Store] keeps functions in a SQL database, their
// artifacts in a bucket, runs the active version of each (or any other) and records
// every invocation. Each invocation starts from exactly the state the deployment
// left, in a sandbox of its own, under a deadline and limits on memory, output and
// log; it reaches the services beside it (flags, tables, buckets, other functions,
// outgoing HTTP, metrics, secrets) through the host module "flagbase".
//
// # What a function is
//
//   - A WASI command exports _start: main runs once an invocation, the event is
//     standard input, standard output is the output and standard error the log.
//   - A reactor or a plain module exports handle, of type ()->(), ()->(i32 i32)
//     with the address and length of the output, or ()->i64 with the address in the
//     upper and the length in the lower half. Its output is what it wrote to
//     standard output followed by what it returned. _initialize runs first where it
//     is exported.
//   - JavaScript and TypeScript export (or define) handle(event, context), or
//     export default { fetch(request) }.
//
// # Errors
//
// Errors are matched with [errors.Is] against the Err values of this package, and
// with [errors.As] against [*Error], which carries a stable code and, when the
// function itself failed, its exit code and the end of its log.
package function
