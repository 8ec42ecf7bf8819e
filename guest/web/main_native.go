//go:build !wasip1

package web

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"flagbase.dev/guest/internal/abi"
	"flagbase.dev/guest/internal/registry"
)

// Main serves the registered handler on 127.0.0.1, port $PORT or 8000, so that
// "go run ." shows it in a browser. In flagbase it is never called: a reactor
// does not run main.
func Main() {
	handler, ok := registry.WebHandler.(http.Handler)
	if !ok {
		abi.Exit("error: " + errNoHandler.Error())
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		abi.Exit("error: " + err.Error())
	}
	fmt.Fprintf(os.Stderr, "serving on http://%s\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	abi.Exit("error: " + server.Serve(listener).Error())
}
