//go:build wasip1

// A reactor that draws random numbers from all a Go program has.
package main

import (
	"crypto/rand"
	"encoding/binary"
	randv1 "math/rand"
	randv2 "math/rand/v2"
)

var atInit = randv2.Uint64() + randv1.Uint64()

//go:wasmexport rand_v2
func randV2() uint64 { return randv2.Uint64() }

//go:wasmexport rand_v1
func randV1() uint64 { return randv1.Uint64() }

//go:wasmexport crypto
func crypto() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

//go:wasmexport map_order
func mapOrder() uint64 {
	m := map[uint64]bool{}
	for i := range uint64(16) {
		m[i] = true
	}
	order := atInit & 0
	for k := range m {
		order = order<<4 | k
	}
	return order
}

func main() {}
