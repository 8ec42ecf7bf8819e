package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"flagbase.dev/auth"
	"flagbase.dev/function"
	"flagbase.dev/server"
	"flagbase.dev/storage"
	_ "modernc.org/sqlite"
)

// Example serves flagbase's API from a program of one's own.
func Example() {
	ctx := context.Background()
	db, _ := sql.Open("sqlite", ":memory:")
	defer db.Close()
	engine, _ := function.NewEngine(ctx, nil)
	defer engine.Close(ctx)
	store, err := function.NewStore(db, storage.NewMemory(), engine, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	keys := auth.NewKeys()
	keys.Add("a-secret-key", auth.Principal{Name: "me", Role: auth.RoleAdmin})

	s, err := server.New(&server.Options{Functions: store, Keys: keys, PublicFunctions: []string{"*"}})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	web := s.HTTPServer(ctx)
	go func() { _ = web.Serve(listener) }()
	defer web.Close()
	s.SetReady(true)

	if _, err := store.Create(ctx, "greet", "", "javascript", `export const handle = (name) => "Hello, " + name + "!"`); err != nil {
		panic(err)
	}
	resp, err := http.Post("http://"+listener.Addr().String()+"/fn/greet", "application/json", strings.NewReader(`"Ada"`))
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	fmt.Println(resp.StatusCode, string(body))
	// Output: 200 Hello, Ada!
}
