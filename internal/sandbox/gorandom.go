package sandbox

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
)

// The Go runtime draws its random numbers, and those of math/rand's functions, from
// ChaCha8 generators that it seeds once, when it starts. In a snapshot they would give
// every instance the same numbers. Each is, since Go 1.22, an internal/chacha8rand.State
// in memory:
//
//	buf  [32]uint64 // output not yet used
//	seed [4]uint64
//	i, n uint32     // of buf: next, and end
//	c    uint32     // block counter: 0, 4, 8 or 12
//
// which is easily recognised, because buf follows from seed and c.
const (
	goRandomSeed = 32 * 8
	goRandomI    = goRandomSeed + 4*8
	goRandomSize = goRandomI + 3*4

	goRandomWords  = 32 // of a block
	goRandomBlock  = 4  // what c counts a block as
	goRandomReseed = 4  // words of the fourth block that become the next seed
)

// findGoRandom gives the addresses of the generators in memory.
func findGoRandom(memory []byte) (found []uint32) {
	for at := 0; at+goRandomSize <= len(memory); at += 8 {
		state := memory[at : at+goRandomSize]
		i, n, c := binary.LittleEndian.Uint32(state[goRandomI:]), binary.LittleEndian.Uint32(state[goRandomI+4:]), binary.LittleEndian.Uint32(state[goRandomI+8:])
		if n < goRandomWords-goRandomReseed || n > goRandomWords || i > n || c > 3*goRandomBlock || c%goRandomBlock != 0 {
			continue
		}
		if isGoRandom(state, int(c/goRandomBlock), int(n)) {
			found = append(found, uint32(at))
		}
	}
	return found
}

func isGoRandom(state []byte, block, n int) bool {
	g := rand.NewChaCha8([32]byte(state[goRandomSeed:]))
	for range block * goRandomWords {
		g.Uint64()
	}
	for i := range n {
		if g.Uint64() != binary.LittleEndian.Uint64(state[8*i:]) {
			return false
		}
	}
	return true
}

// reseedGo gives each generator a state of its own.
func reseedGo(g *guest, addresses []uint32) {
	for _, at := range addresses {
		var state [goRandomSize]byte
		seed := state[goRandomSeed : goRandomSeed+32]
		_, _ = crand.Read(seed) // never fails
		fresh := rand.NewChaCha8([32]byte(seed))
		for i := range goRandomWords {
			binary.LittleEndian.PutUint64(state[8*i:], fresh.Uint64())
		}
		binary.LittleEndian.PutUint32(state[goRandomI+4:], goRandomWords)
		g.wasm.Memory().Write(at, state[:])
	}
}
