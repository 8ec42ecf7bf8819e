// Package cli is the flagbase command: a server (start) and a client of its API (all the others).
//
// Results go to standard output, everything else to standard error. With --json a result is one JSON value
// and an error one JSON line. The exit code is 0 when all went well, 1 when it failed, 2 when the command
// was misused.
package cli
