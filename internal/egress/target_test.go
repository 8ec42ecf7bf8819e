package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// The wall must have a gate: public addresses pass. They are checked, not
// connected to.
func TestPublicAddressesPass(t *testing.T) {
	c := New(nil)
	for _, addr := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "168.63.129.15", "168.63.129.17",
		"198.17.255.255", "198.20.0.0", "223.255.255.254", "2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "2003::1",
	} {
		a := netip.MustParseAddr(addr)
		if err := c.checkAddr("example.com", 443, netip.AddrPortFrom(a, 443)); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		host := addr
		if a.Is6() {
			host = "[" + addr + "]"
		}
		at, err := parseTarget("https://" + host + "/")
		if err != nil {
			t.Errorf("%s: %v", addr, err)
		} else if err := c.checkHost(at); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestTargetIsCanonical(t *testing.T) {
	for raw, want := range map[string]string{
		"HTTPS://Example.COM.:443/a?b#c":           "https://example.com/a?b",
		"http://example.com":                       "http://example.com",
		"http://example.com:8080":                  "http://example.com:8080",
		"http://b\u00fccher.example/\u00fc":        "http://xn--bcher-kva.example/%C3%BC",
		"http://a_b.example/%2F":                   "http://a_b.example/%2F",
		"http://1.2.3.4.:80/":                      "http://1.2.3.4/",
		"http://[2606:4700:0:0::1111]/":            "http://[2606:4700::1111]/",
		"http://[2606:4700::1111]:8080/":           "http://[2606:4700::1111]:8080/",
		"http://3com.example/a@b:c?u=http://x@y/z": "http://3com.example/a@b:c?u=http://x@y/z",
	} {
		at, err := parseTarget(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			continue
		}
		if got := at.url.String(); got != want {
			t.Errorf("%q is read as %q, want %q", raw, got, want)
		}
	}
}

func TestURLIsBoundedAsWrittenAndAsSent(t *testing.T) {
	for _, path := range []string{strings.Repeat("a", maxURL), strings.Repeat("\u00e9", maxURL/4)} {
		if _, err := parseTarget("http://example.com/" + path); !errors.Is(err, ErrRefused) {
			t.Errorf("%d bytes of path: %v, want it refused", len(path), err)
		}
	}
	if _, err := parseTarget("http://example.com/" + strings.Repeat("a", maxURL-100)); err != nil {
		t.Error(err)
	}
}

// FuzzTarget holds the URL that is sent against the host that was checked: they
// must be the same to whoever reads it next, and reading must be stable.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"http://example.com/", "https://u@h/", "http://[::1]:80/", "http://127.1/", "http://\uff11.1.1.1/", "http://a%2e/", "http://x:80:80", "http:\\\\x", "http://xn--a/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		at, err := parseTarget(raw)
		if err != nil {
			return
		}
		sent := at.url.String()
		u, err := url.Parse(sent)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", raw, sent, err)
		}
		if u.Hostname() != at.host || u.User != nil {
			t.Fatalf("%q: checked %q, sent to %q", raw, at.host, u.Hostname())
		}
		again, err := parseTarget(sent)
		if err != nil || again.origin() != at.origin() || again.url.String() != sent {
			t.Fatalf("%q becomes %q, which becomes %v, %v", raw, sent, again, err)
		}
		if addr, err := netip.ParseAddr(at.host); (err == nil) != at.addr.IsValid() || err == nil && addr != at.addr {
			t.Fatalf("%q: host %q, address %v", raw, at.host, at.addr)
		}
	})
}
