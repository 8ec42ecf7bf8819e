package egress_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flagbase.dev/internal/egress"
)

// forbidden4 are addresses of this machine, of private networks, of clouds'
// metadata services, and others that lead nowhere good.
var forbidden4 = []string{
	"127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0.1.2.3",
	"10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1",
	"169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "100.100.100.200", "100.64.0.1",
	"198.18.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9", "192.88.99.1",
	"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
}

var forbidden6 = []string{
	"::", "::1", "::2", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:a9fe:a9fe",
	"64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "64:ff9b:1:ffff::1",
	"100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:db8::1",
	"2002::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "3fff::1", "3ffe::1", "5f00::1",
	"fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::a9fe:a9fe", "fec0::1", "feff::1", "ff02::1", "ff0e::1",
	"::ffff:8.8.8.8", "4000::1", "8000::1",
}

// spellings4 are ways to write an IPv4 address that some software understands.
func spellings4(addr string) []string {
	a := netip.MustParseAddr(addr).As4()
	n := binary.BigEndian.Uint32(a[:])
	hi, lo := n>>16, n&0xffff
	return []string{
		addr,
		addr + ".",
		fmt.Sprintf("%d", n),
		fmt.Sprintf("%d.", n),
		fmt.Sprintf("0x%x", n),
		fmt.Sprintf("0X%X", n),
		fmt.Sprintf("0%o", n),
		fmt.Sprintf("0%o.0%o.0%o.0%o", a[0], a[1], a[2], a[3]),
		fmt.Sprintf("%04d.%03d.%03d.%03d", a[0], a[1], a[2], a[3]),
		fmt.Sprintf("0x%x.0x%x.0x%x.0x%x", a[0], a[1], a[2], a[3]),
		fmt.Sprintf("%d.%d", a[0], n&0xffffff),
		fmt.Sprintf("%d.%d.%d", a[0], a[1], lo),
		fmt.Sprintf("0x%x.%d.0%o.%d", a[0], a[1], a[2], a[3]),
		fmt.Sprintf("%%%x%s", addr[0], addr[1:]),
		strings.ReplaceAll(addr, ".", "%2e"),
		strings.ReplaceAll(addr, ".", "\u3002"), // ideographic full stop
		strings.ReplaceAll(addr, ".", "\uff0e"), // full-width full stop
		fullWidth(addr),
		circled(addr),
		"example.com@" + addr,
		"user:pass@" + addr,
		fmt.Sprintf("[::%x:%x]", hi, lo),
		fmt.Sprintf("[::ffff:%s]", addr),
		fmt.Sprintf("[::ffff:%x:%x]", hi, lo),
		fmt.Sprintf("[0000:0000:0000:0000:0000:FFFF:%04X:%04X]", hi, lo),
		fmt.Sprintf("[64:ff9b::%s]", addr),
		fmt.Sprintf("[64:ff9b:1::%x:%x]", hi, lo),
		fmt.Sprintf("[2002:%x:%x::1]", hi, lo),
		fmt.Sprintf("[2001:0:%x:%x::1]", hi, lo),
		fmt.Sprintf("[fe80::5efe:%s]", addr),
		fmt.Sprintf("[%s]", addr),
	}
}

func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r - '0' + '\uff10'
		}
		return r
	}, s)
}

func circled(s string) string {
	return strings.Map(func(r rune) rune {
		if '1' <= r && r <= '9' {
			return r - '1' + '\u2460'
		}
		return r
	}, s)
}

// otherURLs take a port with %[1]d.
var otherURLs = []string{
	"http://localhost:%[1]d/", "http://LOCALHOST:%[1]d/", "http://LocalHost.:%[1]d/", "http://localhost.localdomain:%[1]d/",
	"http://foo.localhost:%[1]d/", "http://a.b.LOCALHOST:%[1]d/", "http://foo.localhost.:%[1]d/", "http://ip6-localhost:%[1]d/",
	"http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:%[1]d/", // circled letters
	"http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54:%[1]d/", // full-width letters
	"http://loca\u00adlhost:%[1]d/",                                        // soft hyphen
	"http://%%6c%%6f%%63%%61%%6c%%68%%6f%%73%%74:%[1]d/", "http://loc%%61lhost:%[1]d/",
	"http://localhost%%00.example.com:%[1]d/", "http://localhost%%2eexample.com:%[1]d/",
	"http://localhost:%[1]d\\@example.com/", "http://example.com\\@localhost:%[1]d/", "http:\\\\localhost:%[1]d\\",
	"http:/\\localhost:%[1]d/", "http://example.com:80@localhost:%[1]d/", "http://@localhost:%[1]d/", "http://:@127.0.0.1:%[1]d/",
	"http://127.0.0.1:%[1]d#@example.com/", "http://127.0.0.1:%[1]d?@example.com/", "http://example.com#@127.0.0.1:%[1]d/\n",
	"http://127.0.0.1:%[1]d\t/", "http://127.0.0\t.1:%[1]d/", "http://127.0.0.1\n:%[1]d/", " http://127.0.0.1:%[1]d/", "http:// 127.0.0.1:%[1]d/",
	"http://127.0.0.1\r\nHost: x:%[1]d/", "\thttp://localhost:%[1]d", "http://127.0.0.1\u00a0:%[1]d/", "http://127.0.0.1\u200b:%[1]d/",
	"HTTP://127.0.0.1:%[1]d/", "hTTp://127.0.0.1:%[1]d", "https://127.0.0.1:%[1]d/", "HTTPS://[::1]:%[1]d/",
	"http:127.0.0.1:%[1]d/", "http:/127.0.0.1:%[1]d/", "http:///127.0.0.1:%[1]d/", "http:////127.0.0.1:%[1]d/", "//127.0.0.1:%[1]d/", "127.0.0.1:%[1]d",
	"http://[::1%%25lo]:%[1]d/", "http://[::1%%lo]:%[1]d/", "http://[fe80::1%%25eth0]:%[1]d/", "http://[fe80::1%%251]:%[1]d/", "http://[::1%%250]:%[1]d/",
	"http://[::1]]:%[1]d/", "http://[[::1]]:%[1]d/", "http://[::1:%[1]d/", "http://::1:%[1]d/", "http://[0:0:0:0:0:0:0:1]:%[1]d/", "http://[0000::0001]:%[1]d/",
	"http://[::1].:%[1]d/", "http://[::1]x:%[1]d/", "http://[localhost]:%[1]d/", "http://[v1.x]:%[1]d/", "http://[]:%[1]d/",
	"http://127.0.0.1..:%[1]d/", "http://.127.0.0.1:%[1]d/", "http://127..0.1:%[1]d/", "http://127.0.0.1.0x:%[1]d/", "http://127.0.0.256:%[1]d/",
	"http://0:%[1]d/", "http://0x0:%[1]d/", "http://00:%[1]d/", "http://0.0:%[1]d/", "http://127.1:%[1]d/", "http://127.0.1:%[1]d/", "http://1:%[1]d/",
	"http://4294967296:%[1]d/", "http://6425673729:%[1]d/", "http://0x17f000001:%[1]d/",
	"ftp://127.0.0.1:%[1]d/", "file:///etc/passwd", "gopher://127.0.0.1:%[1]d/_x", "unix:///var/run/docker.sock", "data:text/plain,x", "jar:http://127.0.0.1:%[1]d/",
	"ws://127.0.0.1:%[1]d/", "http+unix://%%2Fvar%%2Frun/", "dict://127.0.0.1:%[1]d/", "javascript:1", "", "http://", "http://:%[1]d/", "http:", "://127.0.0.1:%[1]d/",
	"http://127.0.0.1:0%[1]d/", "http://127.0.0.1:+%[1]d/", "http://127.0.0.1:/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:%[1]d:80/", "http://127.0.0.1:\uff18\uff10/",
}

// canary is a server on loopback that nobody may reach.
func canary(t *testing.T) (port int, hits *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hits = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			hits.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		if hits.Load() > 0 {
			t.Errorf("a server on loopback was reached %d times", hits.Load())
		}
	})
	return l.Addr().(*net.TCPAddr).Port, hits
}

func forbiddenURLs(port int, dns *nameServer) []string {
	var urls []string
	for _, addr := range forbidden4 {
		for _, host := range spellings4(addr) {
			urls = append(urls, fmt.Sprintf("http://%s:%d/", host, port))
		}
	}
	for _, addr := range forbidden6 {
		urls = append(urls,
			fmt.Sprintf("http://[%s]:%d/", addr, port),
			fmt.Sprintf("https://[%s]/", strings.ToUpper(addr)))
	}
	for i, addr := range append(append([]string{}, forbidden4...), forbidden6...) {
		if strings.HasPrefix(addr, "::ffff:") && strings.Contains(addr, "8.8") {
			continue // as an answer of DNS it is the public address 8.8.8.8
		}
		name := fmt.Sprintf("name%d.test", i)
		dns.add(name, addr)
		urls = append(urls, fmt.Sprintf("http://%s:%d/", name, port))
	}
	for _, form := range otherURLs {
		if strings.Contains(form, "%[1]d") {
			form = fmt.Sprintf(form, port)
		} else {
			form = strings.ReplaceAll(form, "%%", "%")
		}
		urls = append(urls, form)
	}
	return urls
}

func TestEveryForbiddenSpellingIsRefused(t *testing.T) {
	port, _ := canary(t)
	dns := newNameServer()
	urls := forbiddenURLs(port, dns)
	if len(urls) < 200 {
		t.Fatalf("only %d spellings", len(urls))
	}
	c := egress.New(nil)
	c.SetResolver(dns.resolver())
	t.Cleanup(c.Close)
	for _, u := range urls {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := c.Do(ctx, &egress.Request{URL: u})
		cancel()
		if !errors.Is(err, egress.ErrRefused) {
			t.Errorf("%q: %v, want it refused", u, err)
		}
	}
	t.Logf("%d spellings refused", len(urls))
}

// Every spelling again, as what an allowed server redirects to.
func TestEveryForbiddenSpellingIsRefusedAfterARedirect(t *testing.T) {
	port, _ := canary(t)
	dns := newNameServer()
	urls := forbiddenURLs(port, dns)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Written by hand: http.Redirect would tidy the URL.
		w.Header()["Location"] = []string{r.Header.Get("X-To")}
		w.WriteHeader(http.StatusFound)
	}))
	defer server.Close()
	at, _ := url.Parse(server.URL)
	c := egress.New(&egress.Policy{AllowPrivate: []string{at.Host}})
	c.SetResolver(dns.resolver())
	defer c.Close()
	refused := 0
	for _, u := range urls {
		if strings.ContainsAny(u, "\r\n\t") || u != strings.TrimSpace(u) {
			continue // cannot stand in a header
		}
		if ref, err := url.Parse(u); u == "" || err == nil && ref.Scheme == "" && !strings.HasPrefix(u, "//") {
			continue // a path on the same server
		}
		resp, err := c.Do(t.Context(), &egress.Request{URL: server.URL, Header: map[string][]string{"X-To": {u}}})
		if !errors.Is(err, egress.ErrRefused) {
			t.Errorf("redirect to %q: %+v, %v, want it refused", u, resp, err)
		}
		refused++
	}
	if refused < 200 {
		t.Errorf("only %d spellings", refused)
	}
}

// A name that led to an allowed address a moment ago leads elsewhere now.
func TestRebinding(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // the next request looks the name up again
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	dns := newNameServer()
	dns.add("rebind.test", "127.0.0.1")
	dns.then["rebind.test"] = []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("10.0.0.1")}
	c := egress.New(&egress.Policy{AllowPrivate: []string{"127.0.0.1/32"}}) // stands for a public address
	c.SetResolver(dns.resolver())
	defer c.Close()

	target := "http://rebind.test:" + port
	if _, err := c.Do(t.Context(), &egress.Request{URL: target}); err != nil {
		t.Fatalf("first request: %v", err)
	}
	if n := dns.asked("rebind.test"); n != 1 {
		t.Errorf("one request looked the name up %d times; between two look-ups the answer can change", n)
	}
	_, err := c.Do(t.Context(), &egress.Request{URL: target})
	if !errors.Is(err, egress.ErrRefused) {
		t.Errorf("second request: %v, want it refused", err)
	}
}

func TestErrorsNameNoResolvedAddress(t *testing.T) {
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, plainPort, _ := net.SplitHostPort(plain.Listener.Addr().String())
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	defer secure.Close()
	_, securePort, _ := net.SplitHostPort(secure.Listener.Addr().String())

	dns := newNameServer()
	dns.add("inside.test", "10.11.12.13")
	dns.add("down.test", "127.0.0.1")
	c := egress.New(&egress.Policy{AllowPrivate: []string{"down.test"}})
	c.SetResolver(dns.resolver())
	defer c.Close()
	tests := []struct{ name, url, want string }{
		{"private", "http://inside.test/", "no public address"},
		{"connection refused", fmt.Sprintf("http://down.test:%d/", port), "refused the connection"},
		{"unknown name", "http://absent.test/", "is not a known host"},
		{"no TLS", "https://down.test:" + plainPort + "/", "does not speak TLS"},
		{"foreign certificate", "https://down.test:" + securePort + "/", "certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.Do(t.Context(), &egress.Request{URL: tt.url})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, address := range []string{"10.11.12.13", "127.0.0.1", ":53", "::1"} {
					if strings.Contains(e.Error(), address) {
						t.Errorf("%q names %s", e, address)
					}
				}
			}
		})
	}
}

func TestOwnListenersAreAlwaysRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	own := netip.MustParseAddrPort(server.Listener.Addr().String())
	anywhere := netip.AddrPortFrom(netip.IPv6Unspecified(), own.Port())
	allow := []string{"127.0.0.1", "127.0.0.0/8", "localhost", "own.test", "0.0.0.0", "::/0", "0.0.0.0/0"}
	dns := newNameServer()
	dns.add("own.test", "127.0.0.1")
	urls := []string{
		server.URL, "http://localhost:%d", "http://own.test:%d", "http://0.0.0.0:%d", "http://[::ffff:127.0.0.1]:%d", "http://[::]:%d",
	}
	refused := func(t *testing.T, c *egress.Client) {
		c.SetResolver(dns.resolver())
		defer c.Close()
		for _, u := range urls {
			if strings.Contains(u, "%d") {
				u = fmt.Sprintf(u, own.Port())
			}
			if _, err := c.Do(t.Context(), &egress.Request{URL: u}); !errors.Is(err, egress.ErrRefused) {
				t.Errorf("%s: %v, want it refused", u, err)
			}
		}
	}
	t.Run("exact", func(t *testing.T) {
		refused(t, egress.New(&egress.Policy{AllowPrivate: allow, DenyAddrs: []netip.AddrPort{own}}))
	})
	t.Run("on every address", func(t *testing.T) {
		refused(t, egress.New(&egress.Policy{AllowPrivate: allow, DenyAddrs: []netip.AddrPort{anywhere}}))
	})
	t.Run("known later", func(t *testing.T) {
		c := egress.New(&egress.Policy{AllowPrivate: allow})
		if _, err := c.Do(t.Context(), &egress.Request{URL: server.URL}); err != nil {
			t.Fatalf("before: %v", err)
		}
		c.Deny(own)
		refused(t, c)
	})
	t.Run("another port is allowed", func(t *testing.T) {
		c := egress.New(&egress.Policy{AllowPrivate: allow, DenyAddrs: []netip.AddrPort{netip.AddrPortFrom(own.Addr(), own.Port()+1)}})
		defer c.Close()
		if _, err := c.Do(t.Context(), &egress.Request{URL: server.URL}); err != nil {
			t.Error(err)
		}
	})
}
