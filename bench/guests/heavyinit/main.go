//go:build wasip1

// Command heavyinit is a reactor whose work is nearly all in its init: tables that
// programs build before main, such as those of routes, encodings or templates.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

var (
	table   = map[string]int{}
	pattern *regexp.Regexp
)

func init() {
	for i := range 2000 {
		table["key-"+strconv.Itoa(i)] = i
	}
	pattern = regexp.MustCompile(`^([a-z]+)-(\d+)$`)
}

//go:wasmexport handle
func handle() {
	m := pattern.FindStringSubmatch("key-1234")
	fmt.Fprintln(os.Stdout, m[2], table[m[0]])
}

func main() {}
