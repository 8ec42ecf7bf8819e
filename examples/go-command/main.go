// Go-command counts the words of its event. It is an ordinary program: stdin is
// the event, stdout the output, stderr the log. It uses no SDK.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := count(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func count() error {
	lines, words, bytes := 0, 0, 0
	in := bufio.NewReader(os.Stdin)
	for inWord := false; ; {
		c, err := in.ReadByte()
		if err != nil { // the end
			break
		}
		bytes++
		if c == '\n' {
			lines++
		}
		space := c == ' ' || c == '\n' || c == '\t' || c == '\r'
		if !space && !inWord {
			words++
		}
		inWord = !space
	}
	fmt.Fprintf(os.Stderr, "counted %d bytes\n", bytes)
	return json.NewEncoder(os.Stdout).Encode(map[string]int{"lines": lines, "words": words, "bytes": bytes})
}
