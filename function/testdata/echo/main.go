// Command echo is a guest that does what its event says: {"do": ...}.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

type event struct {
	Do      string
	Text    string
	Count   int
	Millis  int
	Code    int
	Request json.RawMessage
}

var leftover string // must be empty at the start of every invocation

func main() {
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var e event
	if err := json.Unmarshal(b, &e); err != nil {
		os.Stdout.Write(b)
		return
	}
	fmt.Fprintln(os.Stderr, "doing", e.Do)
	switch e.Do {
	case "echo":
		fmt.Print(leftover, e.Text)
		leftover = e.Text
	case "ticks":
		for i := range e.Count {
			fmt.Println("tick", i)
			time.Sleep(time.Duration(e.Millis) * time.Millisecond)
		}
	case "loop":
		for {
		}
	case "fib":
		fmt.Println(fib(e.Count))
	case "sleep":
		time.Sleep(time.Hour)
	case "allocate":
		var keep [][]byte
		for {
			keep = append(keep, make([]byte, 1<<20))
			keep[len(keep)-1][5] = 1
		}
	case "flood":
		line := make([]byte, 1<<16)
		for {
			os.Stdout.Write(line)
		}
	case "logflood":
		line := make([]byte, 1<<16)
		for range 64 {
			os.Stderr.Write(line)
		}
		fmt.Print("done")
	case "exit":
		fmt.Print("partial")
		fmt.Fprintln(os.Stderr, e.Text)
		os.Exit(e.Code)
	case "panic":
		panic(e.Text)
	case "files":
		_, err := os.ReadFile("/etc/passwd")
		fmt.Print(err)
	}
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}
