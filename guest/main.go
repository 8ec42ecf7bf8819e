package guest

import (
	"os"

	"flagbase.dev/guest/internal/abi"
)

// Main answers one event with the registered handler: it writes the output to
// stdout, and on an error the error to stderr and exits with code 1. Call it
// from main, so that the same program also works as a command and natively
// (the event is then what stdin holds). A reactor never runs main.
func Main() {
	out, err := serve()
	if err != nil {
		abi.Exit("error: " + err.Error())
	}
	if _, err := os.Stdout.Write(out); err != nil {
		abi.Exit("error: write output: " + err.Error())
	}
}
