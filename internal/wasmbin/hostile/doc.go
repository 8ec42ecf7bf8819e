// Package hostile is a collection of small WebAssembly modules that hurt whoever reads them without care: claims that have no
// bytes behind them, sizes past every reason, shapes that a compiler works on for minutes. Tests of every door that lets
// modules in use it.
package hostile
