// Package hostabi is the "flagbase" host module, version 1: what a guest can ask
// of the services beside it. It turns guest memory into domain calls and back.
//
// One table of operations (ops.go) serves WebAssembly guests, where every
// operation is an imported function ([Module]), and JavaScript guests, where it is
// a bridge call ([Call.HostCall]).
//
// Everything that belongs to one invocation is in one [Call]: its event, caller,
// result and error buffers, counters and services. A host function finds it through
// the instance that called, so two functions that run at once never see each
// other's.
package hostabi
