package egress_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flagbase.dev/internal/egress"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = log.New(io.Discard, "", 0)

// reach returns a client that may reach the servers, and nothing else of ours.
func reach(t *testing.T, p egress.Policy, servers ...*httptest.Server) *egress.Client {
	t.Helper()
	for _, s := range servers {
		at, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		p.AllowPrivate = append(p.AllowPrivate, at.Host)
	}
	c := egress.New(&p)
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestRequestArrives(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", "b")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.URL, r.Header["X-In"], r.Header.Get("User-Agent"), body)
	})
	c := reach(t, egress.Policy{}, s)
	got, err := c.Do(t.Context(), &egress.Request{
		Method: "post", URL: s.URL + "/a%2Fb?q=1&r=\u00e9#fragment",
		Header: map[string][]string{"x-in": {"1", "2"}}, Body: []byte("hello"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != http.StatusTeapot || !slices.Equal(got.Header["X-Two"], []string{"a", "b"}) {
		t.Errorf("status %d, headers %v", got.Status, got.Header)
	}
	if want := "POST /a%2Fb?q=1&r=\u00e9 [1 2] flagbase hello"; string(got.Body) != want &&
		string(got.Body) != strings.Replace(want, "\u00e9", "%C3%A9", 1) {
		t.Errorf("the server saw %q, want %q", got.Body, want)
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was used") })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	dns := newNameServer()
	dns.add("inside.test", "10.0.0.1")
	c := reach(t, egress.Policy{}, proxy)
	c.SetResolver(dns.resolver())
	if _, err := c.Do(t.Context(), &egress.Request{URL: "http://inside.test/"}); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("error %v, want it refused", err)
	}
}

func TestAllowHosts(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	dns := newNameServer()
	for _, name := range []string{"api.test", "a.wild.test", "b.a.wild.test", "wild.test", "notwild.test", "ported.test", "other.test", "xn--bcher-kva.test"} {
		dns.add(name, "127.0.0.1")
	}
	c := egress.New(&egress.Policy{
		AllowHosts:   []string{"API.test.", "*.wild.test", "ported.test:" + port, "other.test:1", "b\u00fccher.test", "not a host"},
		AllowPrivate: []string{"127.0.0.0/8"},
	})
	defer c.Close()
	c.SetResolver(dns.resolver())
	for host, allowed := range map[string]bool{
		"api.test": true, "Api.Test.": true, "a.wild.test": true, "b.a.wild.test": true, "ported.test": true, "B\u00dcCHER.test": true,
		"wild.test": false, "notwild.test": false, "other.test": false, "127.0.0.1": false, "api.test.evil.test": false,
	} {
		_, err := c.Do(t.Context(), &egress.Request{URL: "http://" + host + ":" + port})
		if allowed && err != nil || !allowed && !errors.Is(err, egress.ErrRefused) {
			t.Errorf("%s: error %v, allowed %v", host, err, allowed)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	good := egress.Policy{AllowHosts: []string{"a.test", "*.a.test:8080", "192.0.2.1", "[2001:db8::1]:80", "2001:db8::1"}, AllowPrivate: []string{"10.0.0.0/8", "fd00::/8", "db:5432", "::1", "[::1]:80"}}
	if err := good.Validate(); err != nil {
		t.Errorf("Validate: %v", err)
	}
	for _, p := range []egress.Policy{
		{AllowHosts: []string{"http://a.test"}}, {AllowHosts: []string{"a.test:http"}}, {AllowHosts: []string{""}}, {AllowHosts: []string{"*"}},
		{AllowPrivate: []string{"10.0.0.0/33"}}, {AllowPrivate: []string{"*.internal"}}, {AllowPrivate: []string{"127.1"}},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v is valid", p)
		}
	}
}

func TestHeaders(t *testing.T) {
	var seen http.Header
	var host string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen, host = r.Header, r.Host
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("X-End", "1")
	})
	c := reach(t, egress.Policy{}, s)
	got, err := c.Do(t.Context(), &egress.Request{URL: s.URL, Body: []byte("b"), Method: "PUT", Header: map[string][]string{
		"connection": {"x-named, close"}, "X-Named": {"1"}, "Keep-Alive": {"1"}, "TE": {"trailers"}, "Trailer": {"X"}, "Transfer-Encoding": {"chunked"},
		"Upgrade": {"websocket"}, "Proxy-Authorization": {"Basic x"}, "Proxy-Connection": {"x"}, "Content-Length": {"999"}, "Expect": {"100-continue"},
		"X-Kept": {"1"}, "Authorization": {"Bearer t"}, "User-Agent": {"mine"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Named", "Keep-Alive", "Te", "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Expect"} {
		if seen.Get(name) != "" {
			t.Errorf("the server saw %s: %q", name, seen[name])
		}
	}
	if seen.Get("X-Kept") != "1" || seen.Get("Authorization") != "Bearer t" || seen.Get("User-Agent") != "mine" || seen.Get("Content-Length") != "1" {
		t.Errorf("the server saw %v", seen)
	}
	if !strings.HasSuffix(s.URL, host) {
		t.Errorf("the server saw Host %q", host)
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "X-Hop"} {
		if got.Header[name] != nil {
			t.Errorf("the function saw %s", name)
		}
	}
	if got.Header["X-End"] == nil {
		t.Errorf("the function saw no X-End in %v", got.Header)
	}
}

func TestInvalidRequests(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the request was sent") })
	c := reach(t, egress.Policy{MaxRequestBytes: 10}, s)
	header := func(name, value string) *egress.Request {
		return &egress.Request{Header: map[string][]string{name: {value}}}
	}
	for name, req := range map[string]*egress.Request{
		"host":               header("hOsT", "other.test"),
		"name with space":    header("X Y", "1"),
		"name with newline":  header("X\r\nEvil", "1"),
		"name with colon":    header("X:", "1"),
		"empty name":         header("", "1"),
		"value with newline": header("X", "1\r\nEvil: 1"),
		"value with NUL":     header("X", "a\x00b"),
		"headers too large":  header("X", strings.Repeat("x", 70_000)),
		"method with space":  {Method: "GET / HTTP/1.1\r\nX:"},
		"CONNECT":            {Method: "connect"},
		"TRACE":              {Method: "TRACE"},
		"body too large":     {Method: "POST", Body: make([]byte, 11)},
	} {
		t.Run(name, func(t *testing.T) {
			req.URL = s.URL
			if _, err := c.Do(t.Context(), req); !errors.Is(err, egress.ErrInvalid) {
				t.Errorf("error %v, want ErrInvalid", err)
			}
		})
	}
}

func TestErrorsHideHeaderValues(t *testing.T) {
	_, err := egress.New(nil).Do(t.Context(), &egress.Request{URL: "https://example.com", Header: map[string][]string{"Authorization": {"s3cret\n"}}})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
}

func TestResponseBytesAreCountedAfterDecoding(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	z.Close()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 1<<20))
			z.Close()
		case "/exact":
			_, _ = w.Write(make([]byte, 1<<20))
		case "/more":
			_, _ = w.Write(make([]byte, 1<<20+1))
		}
	})
	c := reach(t, egress.Policy{MaxResponseBytes: 1 << 20}, s)
	if bomb.Len() > 1<<20 {
		t.Fatalf("the bomb has %d bytes", bomb.Len())
	}
	for path, want := range map[string]error{"/bomb": egress.ErrTooLarge, "/more": egress.ErrTooLarge, "/exact": nil, "/gzip": nil} {
		got, err := c.Do(t.Context(), &egress.Request{URL: s.URL + path})
		if !errors.Is(err, want) || err != nil && want == nil {
			t.Errorf("%s: error %v, want %v", path, err, want)
		}
		if want == nil && err == nil && len(got.Body) != 1<<20 {
			t.Errorf("%s: %d bytes", path, len(got.Body))
		}
	}
	// Decoding is the function's when it asks for the encoding.
	got, err := c.Do(t.Context(), &egress.Request{URL: s.URL + "/bomb", Header: map[string][]string{"Accept-Encoding": {"gzip"}}})
	if err != nil || !bytes.Equal(got.Body, bomb.Bytes()) {
		t.Errorf("raw: error %v", err)
	}
}

func TestHugeResponseHeaders(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) })
	if _, err := reach(t, egress.Policy{}, s).Do(t.Context(), &egress.Request{URL: s.URL}); !errors.Is(err, egress.ErrFailed) {
		t.Errorf("error %v, want ErrFailed", err)
	}
}

// raw is a server that answers a connection as f does, until the test ends.
func raw(t *testing.T, f func(conn net.Conn, done <-chan struct{})) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(conn, done)
			}()
		}
	}()
	t.Cleanup(func() { close(done); l.Close() })
	return l.Addr().String()
}

func TestEndsWithTheContext(t *testing.T) {
	silent := raw(t, func(_ net.Conn, done <-chan struct{}) { <-done })
	// An answer that comes before its request is none: both wait for it.
	requested := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1<<10)) }
	drip := raw(t, func(conn net.Conn, done <-chan struct{}) {
		requested(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				if _, err := io.WriteString(conn, "x"); err != nil {
					return
				}
			}
		}
	})
	headers := raw(t, func(conn net.Conn, done <-chan struct{}) {
		requested(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: ")
		<-done
	})
	loop := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
		}
		http.Redirect(w, r, "/", http.StatusFound)
	})
	c := egress.New(&egress.Policy{AllowPrivate: []string{"127.0.0.0/8"}, MaxRedirects: 1000})
	defer c.Close()
	const wait = 200 * time.Millisecond
	for name, u := range map[string]string{
		"never answers": "http://" + silent, "never ends the TLS handshake": "https://" + silent,
		"drips": "http://" + drip, "never ends its headers": "http://" + headers, "redirects for ever": loop.URL,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			began := time.Now()
			_, err := c.Do(ctx, &egress.Request{URL: u})
			if took := time.Since(began); took > wait+100*time.Millisecond {
				t.Errorf("ended %v after the deadline", took-wait)
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want DeadlineExceeded", err)
			}
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			began := time.Now()
			_, err := c.Do(ctx, &egress.Request{URL: u})
			if took := time.Since(began); took > 150*time.Millisecond || !errors.Is(err, context.Canceled) {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
	t.Run("the policy's timeout", func(t *testing.T) {
		c := egress.New(&egress.Policy{AllowPrivate: []string{"127.0.0.0/8"}, Timeout: wait})
		defer c.Close()
		began := time.Now()
		_, err := c.Do(t.Context(), &egress.Request{URL: "http://" + silent})
		if took := time.Since(began); took > wait+100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestNameServerThatNeverAnswers(t *testing.T) {
	c := egress.New(nil)
	defer c.Close()
	c.SetResolver(&net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := c.Do(ctx, &egress.Request{URL: "http://slow.test"})
	if took := time.Since(began); took > 200*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after %v: %v", took, err)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hi") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := reach(t, egress.Policy{}, s)
	for range 5 {
		if _, err := c.Do(t.Context(), &egress.Request{URL: s.URL}); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("5 requests made %d connections", n)
	}
}

func TestSwitchingProtocolsEnds(t *testing.T) {
	at := raw(t, func(conn net.Conn, done <-chan struct{}) {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		<-done
	})
	c := egress.New(&egress.Policy{AllowPrivate: []string{at}})
	defer c.Close()
	if _, err := c.Do(t.Context(), &egress.Request{URL: "http://" + at}); !errors.Is(err, egress.ErrFailed) {
		t.Errorf("error %v, want ErrFailed", err)
	}
}
