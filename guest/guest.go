// Package guest is the SDK for flagbase functions written in Go.
//
// A function registers its handler in init and leaves main empty:
//
//	func init() { guest.HandleEvent(handle) }
//
//	func handle(ctx *guest.Context, event []byte) ([]byte, error) {
//		return append([]byte("hello "), event...), nil
//	}
//
//	func main() { guest.Main() }
//
// Built as a reactor, which is what "flagbase fn build" does with it,
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o hello.wasm .
//
// init runs once, when the function is deployed, and each invocation starts
// from the state it left: build tables and parse templates there. No invocation
// has begun yet, so the services of flagbase, which answer for one, belong into
// the handler. main does not run in a reactor. Built without -buildmode the same program is a command
// whose main answers one event; run natively it takes the event from stdin.
//
// The services of flagbase are packages of their own: bucket, flag, table, fn,
// fetch, httpclient, metric, logs, secret and invocation. A handler of HTTP
// requests is registered with package web. A program that uses only services
// and writes to stdout needs no handler: it is a command. Package guesttest
// stands in for flagbase in ordinary "go test".
package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"flagbase.dev/guest/internal/registry"
	"flagbase.dev/guest/invocation"
)

// Context is what a handler gets besides the event. It is a context.Context
// without a deadline of its own: when the invocation's deadline passes, or its
// caller goes away, flagbase ends the function from outside.
type Context struct {
	context.Context
}

// Caller returns who caused the invocation, and false when nobody did.
func (c *Context) Caller() (invocation.Caller, bool) { return invocation.GetCaller() }

// TraceID returns the W3C trace id of the invocation, 32 hexadecimal digits.
func (c *Context) TraceID() string { return invocation.TraceID() }

// An EventHandler answers one event. The output of the invocation is what was
// written to os.Stdout followed by the returned bytes. A returned error fails
// the invocation, with its text on stderr and exit code 1; a panic fails it
// with exit code 2 and the stack.
type EventHandler func(ctx *Context, event []byte) ([]byte, error)

// HandleEvent registers the handler of the program. Call it once, from init.
// It panics on a nil handler or a second one: both are mistakes in the program
// that would otherwise show only in production.
func HandleEvent(handler EventHandler) {
	if handler == nil {
		panic("guest.HandleEvent: handler is nil")
	}
	if registry.Event != nil {
		panic("guest.HandleEvent: a handler is already registered; a function has one")
	}
	registry.Event = func(event []byte) ([]byte, error) {
		return handler(&Context{context.Background()}, event)
	}
}

// HandleJSON registers a handler whose event and output are JSON. An empty
// event leaves in at its zero value; an event that is not JSON for In fails the
// invocation without calling the handler.
func HandleJSON[In, Out any](handler func(ctx *Context, in In) (Out, error)) {
	if handler == nil {
		panic("guest.HandleJSON: handler is nil")
	}
	HandleEvent(func(ctx *Context, event []byte) ([]byte, error) {
		var in In
		if len(event) > 0 {
			if err := json.Unmarshal(event, &in); err != nil {
				return nil, fmt.Errorf("decode event: %w", err)
			}
		}
		out, err := handler(ctx, in)
		if err != nil {
			return nil, err
		}
		b, err := json.Marshal(out)
		if err != nil {
			return nil, fmt.Errorf("encode output: %w", err)
		}
		return b, nil
	})
}

var errNoHandler = errors.New("no event handler is registered: call guest.HandleEvent from an init function (main does not run in a reactor)")

// serve answers the invocation's event with the registered handler.
func serve() ([]byte, error) {
	if registry.Event == nil {
		return nil, errNoHandler
	}
	event, err := invocation.Event()
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	return registry.Event(event)
}
