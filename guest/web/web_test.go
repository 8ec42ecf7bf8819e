package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"flagbase.dev/guest/guesttest"
	"flagbase.dev/guest/invocation"
	"flagbase.dev/guest/web"
)

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{who}", func(w http.ResponseWriter, r *http.Request) {
		caller, _ := invocation.GetCaller()
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		_, _ = fmt.Fprintf(w, "<html>%s %s %s %s %s</html>", r.PathValue("who"), r.FormValue("q"), r.Host, r.Header.Get("X-A"), caller.UserID)
		w.Header().Set("Too-Late", "yes")
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.Copy(w, r.Body)
		w.(http.Flusher).Flush()
	})
	mux.HandleFunc("DELETE /gone", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if _, err := w.Write([]byte("x")); err == nil {
			panic("a body was written after 204")
		}
	})
	mux.HandleFunc("PUT /silent", func(http.ResponseWriter, *http.Request) {})
	web.Handle(mux)
}

func TestHandler(t *testing.T) {
	host := guesttest.New(t)
	host.SetCaller(invocation.Caller{UserID: "ada"})
	r := func(method, url, body string) *http.Request {
		r := httptest.NewRequest(method, url, strings.NewReader(body))
		r.Header.Set("X-A", "b")
		r.Header.Set("Content-Type", "application/x-thing")
		return r
	}
	tests := []struct {
		request           *http.Request
		status            int
		contentType, body string
	}{
		{r("GET", "http://shop.example/hello/bob?q=1%202", ""), 200, "text/html; charset=utf-8", "<html>bob 1 2 shop.example b ada</html>"},
		{r("HEAD", "http://shop.example/hello/bob", ""), 200, "text/html; charset=utf-8", ""},
		{r("POST", "/echo", "\x00\xff"), 201, "application/x-thing", "\x00\xff"},
		{r("DELETE", "/gone", ""), 204, "", ""},
		{r("PUT", "/silent", ""), 200, "", ""},
		{r("GET", "/nothing", ""), 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{r("GET", "/echo", ""), 405, "text/plain; charset=utf-8", "Method Not Allowed\n"},
	}
	for _, test := range tests {
		got := host.Request(test.request)
		body, _ := io.ReadAll(got.Body)
		if got.StatusCode != test.status || string(body) != test.body || got.Header.Get("Content-Type") != test.contentType {
			t.Errorf("%s %s: %d %q %q, want %d %q %q", test.request.Method, test.request.URL, got.StatusCode, got.Header.Get("Content-Type"), body, test.status, test.contentType, test.body)
		}
	}
	got := host.Request(r("GET", "/hello/x", ""))
	if len(got.Header.Values("Set-Cookie")) != 2 || got.Header.Get("Too-Late") != "" {
		t.Errorf("headers %v", got.Header)
	}
}
