//go:build wasip1

// Command canary looks for what another invocation left, reports, and then spreads its event
// all over its memory. It is built as a command and as a reactor.
package main

import (
	crand "crypto/rand"
	"fmt"
	"io"
	"math/rand"
	randv2 "math/rand/v2"
	"os"
	"strings"
	"unsafe"
)

// What a reactor has made when its snapshot is taken.
var (
	name  string
	kept  = map[string]string{"own": "value"}
	heap  [][]byte
	queue = make(chan string, 100)
)

//go:wasmexport handle
func handle() { main() }

func main() {
	foreign := scan()
	if name != "" || len(kept) != 1 || len(heap) != 0 || len(queue) != 0 || os.Getenv("LEFT") != "" {
		foreign++
	}
	var random [8]byte
	_, _ = crand.Read(random[:])
	// (math/rand's sources have 2^31 seeds only: among 100,000 two would be the same.)
	seeded := randv2.New(randv2.NewPCG(randv2.Uint64(), randv2.Uint64()))
	fmt.Printf("%d %x %x %x %x\n", foreign, rand.Uint64(), randv2.Uint64(), random, seeded.Uint64())
	event, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	text := string(event)
	name = text
	kept[text] = text
	queue <- text
	_ = os.Setenv("LEFT", text)
	for range 20 {
		heap = append(heap, []byte(strings.Repeat(text, 20)))
	}
	done := make(chan int)
	for range 4 {
		go func() { done <- deep(20, event) }()
	}
	for range 4 {
		<-done
	}
	switch event[0] {
	case 't':
		panic(text)
	case 'x':
		os.Exit(3)
	case 'l':
		for {
		}
	}
}

// deep leaves event on a stack.
//
//go:noinline
func deep(n int, event []byte) int {
	var here [256]byte
	copy(here[:], event)
	if n > 0 {
		n = deep(n-1, here[:])
	}
	return n + int(here[17])
}

func memoryPages() int32

// scan looks for an event in memory, where it is the letter U+01E9 a hundred times.
func scan() (n int) {
	const letters, odd = 0xA9C7A9C7A9C7A9C7, 0xC7A9C7A9C7A9C7A9
	for at := uintptr(8192); at < uintptr(memoryPages())<<16; at += 32 {
		if w := *(*uint64)(unsafe.Add(nil, at)); w == letters || w == odd {
			n++
		}
	}
	return n
}
