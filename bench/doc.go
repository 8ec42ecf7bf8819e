// Command bench measures flagbase beside its peers, all in one run, prints a table for
// each group and one of the goals, and writes all of it as JSON. It is a module of its
// own, so that no peer becomes a dependency of the product; wasmtime needs cgo.
//
//	bench [-only REGEXP] [-each DURATION] [-quick] [-out FILE]   measure
//	bench -soak N                                                N invocations of mixed guests: does anything grow?
//	bench -doc                                                   write docs/performance.md and its picture from the results
//
// The machine it runs on may be shared and noisy: only the ratios of one run mean
// anything. The subjects of a group run in turns, a few milliseconds each, so that what
// disturbs the machine disturbs all of them, and the median is what is shown.
//
// A group is a file group_*.go, a peer a file peer_*.go.
package main
