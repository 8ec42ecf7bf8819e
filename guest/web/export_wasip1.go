//go:build wasip1

package web

import (
	"os"
	"unsafe"

	"flagbase.dev/guest/internal/abi"
	"flagbase.dev/guest/internal/registry"
)

// output keeps the response reachable until the host has copied it.
var output []byte

// handleHTTP is what flagbase calls for a request. It returns
// pointer<<32 | length of the response envelope.
//
//go:wasmexport handle_http
func handleHTTP() uint64 {
	if registry.Web == nil {
		abi.Exit("error: " + errNoHandler.Error())
	}
	envelope, err := abi.Event()
	if err != nil {
		abi.Exit("error: read request: " + err.Error())
	}
	// The host reads the response from what is written and returned; what a
	// handler prints belongs to the log.
	os.Stdout = os.Stderr
	out, err := registry.Web(envelope)
	if err != nil {
		abi.Exit("error: " + err.Error())
	}
	output = out
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(output))))<<32 | uint64(len(output))
}

// Main says that a web handler is not a command: flagbase runs main only of
// commands. Natively it serves the handler.
func Main() {
	abi.Exit("error: a web handler is not a command: build it with \"flagbase fn build\" or with -buildmode=c-shared")
}
