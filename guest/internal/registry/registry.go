// Package registry keeps the handlers of a program where both the exports that
// flagbase calls and the test host find them.
package registry

// Event is the handler of events, nil until one is registered.
var Event func(event []byte) ([]byte, error)

// Web serves one request envelope (docs/host-abi.md, handle_http), nil until a
// handler is registered.
var Web func(request []byte) (response []byte, err error)

// WebHandler is the registered http.Handler. It is of type any so that a
// function without a web handler does not carry net/http.
var WebHandler any
