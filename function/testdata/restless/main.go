//go:build wasip1

// Command restless does for ever what the first byte of its event says. It is built as a command and as
// a reactor.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

//go:wasmimport flagbase table_put
func tablePut(table string, data string) int32

//go:wasmimport flagbase fn_invoke_event
func invoke(name string, event string) int32

//go:wasmimport flagbase http_fetch
func fetch(request string) int32

var before int // must be 0 when an invocation begins

//go:wasmexport handle
func handle() { main() }

func main() {
	before++
	event, _ := io.ReadAll(os.Stdin)
	mode, text, _ := strings.Cut(string(event), " ")
	for round := 0; ; round++ {
		switch mode {
		case "right":
			fmt.Print("right ", before, text)
			return
		case "spin":
			before += round
		case "sleep":
			time.Sleep(time.Hour)
		case "random":
			_, _ = rand.Read(make([]byte, 1<<16))
		case "grow":
			_ = strings.Repeat(text, 1000)
		case "put":
			tablePut("restless", `{"round":1}`)
		case "invoke":
			invoke("sleeper", text)
		case "fetch":
			fetch(`{"url":"` + text + `"}`)
		}
	}
}
