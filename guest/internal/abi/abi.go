// Package abi is the border to flagbase: on wasip1 the host module "flagbase",
// natively a Host that a test has installed. The packages above it turn its
// bytes and JSON into Go types.
package abi

// Host stands in for flagbase where a program runs natively. op is the name of
// the host function, args are its arguments in the order of the ABI: text and
// data as they are, numbers as decimal text. The result is what result_read
// would give; "1" and "0" are flag_eval's answers.
type Host interface {
	HostCall(op string, args ...[]byte) ([]byte, error)
}
