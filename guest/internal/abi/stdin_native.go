//go:build !wasip1

package abi

import (
	"io"
	"os"
)

// readStdin returns what is piped in; a terminal counts as an empty event, so
// that "go run ." does not wait for someone to type.
func readStdin() ([]byte, error) {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return nil, nil
	}
	return io.ReadAll(os.Stdin)
}
