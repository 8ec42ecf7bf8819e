package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flagbase.dev/client"
)

// Example_invoke runs a function and tells its failure from its output.
func Example_invoke() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Flagbase-Version", "1")
		fmt.Fprint(w, "Hello, Ada!") // stands for a flagbase server with a function "hello"
	}))
	defer server.Close()

	c, err := client.New(&client.Options{URL: server.URL, Token: "fb_..."})
	if err != nil {
		panic(err)
	}
	result, err := c.Invoke(context.Background(), "hello", &client.InvokeOptions{Event: []byte(`{"name":"Ada"}`), Timeout: time.Second})
	switch {
	case client.HasCode(err, "deadline_exceeded"):
		fmt.Println("it took too long")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(string(result.Output))
	}
	// Output: Hello, Ada!
}

// answering is a client of a server that answers everything in one way.
func answering(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(&client.Options{URL: server.URL, Token: "secret-key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestProblemsBecomeErrors(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(502)
		fmt.Fprint(w, `{"title":"Bad Gateway","status":502,"code":"function_error","detail":"it failed","exit_code":3,"stderr":"oh\n","invocation_id":"i"}`)
	})
	_, err := c.Invoke(t.Context(), "f", nil)
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 502 || e.Code != "function_error" || *e.ExitCode != 3 || e.Stderr != "oh\n" || e.InvocationID != "i" || e.RetryAfter != 3*time.Second {
		t.Fatalf("got %+v", e)
	}
	if err.Error() != "function_error: it failed" {
		t.Fatalf("reads %q", err)
	}
}

func TestAnswersOfOthers(t *testing.T) {
	for name, test := range map[string]struct {
		status     int
		kind, body string
		want       string
	}{
		"a proxy's page":     {502, "text/html", "<h1>Bad\n  Gateway</h1>", "http_502: the answer is not flagbase's (HTTP 502): <h1>Bad Gateway</h1>"},
		"a broken problem":   {500, "application/problem+json", "{", "http_500: the answer is not flagbase's"},
		"nothing":            {503, "", "", "Service Unavailable"},
		"another JSON":       {200, "application/json", "[]", "is not flagbase's"},
		"a page for success": {200, "text/html", "<html>", "is not flagbase's"},
	} {
		c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", test.kind)
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		})
		if _, err := c.Functions(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRedirectsAreNotFollowed: the key goes nowhere but to the server that was named.
func TestRedirectsAreNotFollowed(t *testing.T) {
	leaked := false
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { leaked = r.Header.Get("Authorization") != "" }))
	defer other.Close()
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	if _, err := c.Functions(t.Context()); err == nil || !strings.Contains(err.Error(), "redirects to "+other.URL) || leaked {
		t.Fatalf("%v, leaked: %v", err, leaked)
	}
}

func TestAStreamThatBreaksOffIsNoSuccess(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	var out bytes.Buffer
	if _, err := c.InvokeStream(t.Context(), "f", nil, &out); err == nil || out.String() != "half" || !strings.Contains(err.Error(), "broke off after 4 bytes") {
		t.Fatalf("%q %v", &out, err)
	}
}

func TestAWebHandlersStatusIsAResult(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Flagbase-Version", "2")
		w.Header().Set("Content-Type", "application/problem+json") // the function's own
		w.WriteHeader(404)
		fmt.Fprint(w, `{"code":"mine"}`)
	})
	r, err := c.Invoke(t.Context(), "f", nil)
	if err != nil || r.Status != 404 || r.Version != 2 || string(r.Output) != `{"code":"mine"}` {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestURLsThatAreNone(t *testing.T) {
	for _, bad := range []string{"127.0.0.1:8080", "ftp://x", "http://", "http://user:pass@x", "http://x?y", "://"} {
		if _, err := client.New(&client.Options{URL: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		} else if strings.Contains(err.Error(), "pass@") && bad == "http://user:pass@x" {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	if _, err := client.New(&client.Options{Token: "a\r\nX: y"}); err == nil || strings.Contains(err.Error(), "X: y") {
		t.Errorf("a token with a line break: %v", err)
	}
}

// TestPathsKeepNames: what people call things does not change which path is asked.
func TestPathsKeepNames(t *testing.T) {
	var got string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.EscapedPath()
		_ = json.NewEncoder(w).Encode(map[string]any{})
	})
	for name, want := range map[string]string{
		"plain": "/v1/flags/plain", "a/b": "/v1/flags/a%2Fb", "..": "/v1/flags/%2E%2E", ".": "/v1/flags/%2E", "a b?c#d%": "/v1/flags/a%20b%3Fc%23d%25",
	} {
		if _, err := c.Flag(t.Context(), name); err != nil || got != want {
			t.Errorf("%q asked for %s, %v", name, got, err)
		}
	}
}

func TestDeployProgress(t *testing.T) {
	received := int64(0)
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		received, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"name":"big","active_version":1}`)
	})
	var last, total int64
	code := &client.Code{Artifact: make([]byte, 3<<20), Progress: func(sent, of int64) {
		if sent <= last || sent > of {
			t.Errorf("%d bytes of %d after %d", sent, of, last)
		}
		last, total = sent, of
	}}
	if _, err := c.CreateFunction(t.Context(), "big", code, nil); err != nil {
		t.Fatal(err)
	}
	if last != total || total != received || received < 3<<20 {
		t.Errorf("%d of %d bytes were sent, %d received", last, total, received)
	}
}
