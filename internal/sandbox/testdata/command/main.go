// Command command is a guest that tells what it finds: how often it ran, its arguments
// and environment, the time, random numbers.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"
)

var (
	runs  int
	early = mathrand.Uint64()
)

func init() { runs++ }

func main() {
	var secret [8]byte
	_, _ = rand.Read(secret[:])
	order := slices.Collect(maps.Keys(map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true}))
	sum, each := 0, make(chan int)
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() { time.Sleep(time.Microsecond); each <- i })
	}
	go func() { group.Wait(); close(each) }()
	for i := range each {
		sum += i
	}
	fmt.Println(runs, sum, os.Args, os.Environ(), time.Now().UnixNano(), early, mathrand.Uint64(), binary.LittleEndian.Uint64(secret[:]), len(order))
	if len(os.Args) > 1 {
		os.Exit(3)
	}
}
