// Command report reads the output of go test -json as it comes and prints what a person wants
// of it: go test's summary line of each package, the output of what failed, and
// every test that was skipped with its reason. A skipped test is never counted as
// passed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
}

func main() {
	output := map[string][]string{} // by package and test
	var skipped []string
	passed, failed, broken := 0, 0, 0 // broken packages do not build, or end outside any test
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text()) // a build failure, say
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			if e.Test == "" && summary(e.Output) || e.Action == "build-output" {
				fmt.Print(e.Output)
			}
		case "pass":
			if e.Test != "" {
				passed++
			}
			delete(output, key)
		case "fail":
			if e.Test != "" {
				failed++
			} else {
				broken++
			}
			fmt.Print(strings.Join(output[key], ""))
			delete(output, key)
		case "skip":
			if e.Test != "" {
				skipped = append(skipped, key+"\n"+strings.Join(output[key], ""))
			}
			delete(output, key)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, s := range skipped {
		fmt.Printf("NOT RUN: %s", s)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, len(skipped))
	if failed+broken > 0 || passed == 0 {
		os.Exit(1)
	}
}

// summary says whether a line is one of go test's about a whole package.
func summary(line string) bool {
	for _, p := range []string{"ok  \t", "FAIL\t", "---", "?   \t", "panic:"} {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}
