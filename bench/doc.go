// Command bench measures flagbase beside its peers, all in one run, and prints one
// table of ratios. It is a module of its own, so that no peer becomes a dependency of
// the product.
//
// The machine it runs on may be shared and noisy: only the ratios of one run mean
// anything. Each subject is run in turns with the others, and the median of its rounds
// is shown.
package main
