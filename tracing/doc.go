// Package tracing records what an invocation did as a trace: a tree of timed
// spans that share a 128-bit id, as in W3C Trace Context
// (https://www.w3.org/TR/trace-context-2/).
//
// A [Recorder] starts spans. The span of a context is the parent of those
// started with that context, and a caller in another process hands its place
// over in a traceparent header: see [ParseTraceparent] and [ContextWith].
//
// Recording never holds up the work that is traced. An ended span goes to a
// bounded queue, from which a goroutine writes batches to SQL; when the queue is
// full, spans are dropped and counted. The goroutine lives only while there is
// something to write. Every span is recorded: the sampled bit of a caller says
// what the caller recorded, and does not hide an invocation from its owner.
package tracing
