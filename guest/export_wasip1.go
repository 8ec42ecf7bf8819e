//go:build wasip1

package guest

import (
	"unsafe"

	"flagbase.dev/guest/internal/abi"
)

// output keeps the returned bytes reachable until the host has copied them.
var output []byte

// handle is what flagbase calls for an event. It returns pointer<<32 | length
// of the output.
//
//go:wasmexport handle
func handle() uint64 {
	out, err := serve()
	if err != nil {
		abi.Exit("error: " + err.Error())
	}
	output = out
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(output))))<<32 | uint64(len(output))
}
