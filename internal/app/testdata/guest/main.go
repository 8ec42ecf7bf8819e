// A guest for tests that does what its event says.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	event, _ := io.ReadAll(os.Stdin)
	word, rest, _ := strings.Cut(string(event), " ")
	switch word {
	case "ticks": // so many lines, a second apart
		n, _ := strconv.Atoi(rest)
		for i := range n {
			if i > 0 {
				time.Sleep(time.Second)
			}
			fmt.Printf("tick %d\n", i+1)
		}
	case "sleep":
		d, _ := time.ParseDuration(rest)
		time.Sleep(d)
		fmt.Print("awake")
	case "spin":
		for {
		}
	case "fail": // output first, then the failure
		fmt.Print("before ")
		fmt.Fprintln(os.Stderr, "it went wrong")
		os.Exit(3)
	case "fail-silent":
		fmt.Fprintln(os.Stderr, "it went wrong")
		os.Exit(3)
	case "hoard":
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
		}
	case "flood":
		w := bufio.NewWriter(os.Stdout)
		for {
			fmt.Fprintln(w, strings.Repeat("x", 1000))
		}
	case "bytes":
		os.Stdout.Write([]byte{0xff, 0xfe, 0, 1, 2})
	case "log":
		fmt.Fprintln(os.Stderr, rest)
	default:
		os.Stdout.Write(event)
	}
}
