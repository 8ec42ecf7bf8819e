package server

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"

	"flagbase.dev/auth"
)

// exchange is one request and its answer: the writer, the body and the context that handlers get, in one
// piece of memory.
type exchange struct {
	context.Context
	rc   http.ResponseController
	w    responseWriter
	body slowBody

	principal auth.Principal
	known     bool // whether there is a principal

	identify sync.Once
	id       string
}

type exchangeKey struct{}

// Value makes the exchange findable from the contexts that descend from it.
func (x *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return x
	}
	return x.Context.Value(key)
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// requestID names the request in the log and in what a caller is told of a failure. It is made when it is
// first asked for: most requests are never spoken of.
func requestID(ctx context.Context) string {
	x := exchangeOf(ctx)
	if x == nil {
		return ""
	}
	x.identify.Do(func() { x.id = rand.Text() })
	return x.id
}

// principal is who sent the request; ok is false for an anonymous caller of a public function.
func principal(ctx context.Context) (p auth.Principal, ok bool) {
	if x := exchangeOf(ctx); x != nil {
		return x.principal, x.known
	}
	return auth.Principal{}, false
}
