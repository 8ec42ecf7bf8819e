package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxURL is the most bytes in a URL, as written and as sent.
const maxURL = 8192

// target is a URL whose host was read and is written in one canonical way, so
// that what is checked is what is connected to.
type target struct {
	url  *url.URL
	host string     // lower case ASCII, no final dot; an address as netip writes it
	addr netip.Addr // valid where the host is an address
	port uint16
}

func (t *target) origin() string {
	return t.url.Scheme + "://" + net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

// parseTarget reads an absolute http or https URL. Its errors are ErrRefused.
func parseTarget(raw string) (*target, error) {
	t, err := readTarget(raw)
	if err != nil {
		return nil, refuse("the URL " + err.Error())
	}
	return t, nil
}

// readTarget refuses whatever one piece of software could read in another way
// than the next. Its errors continue the sentence "the URL ...".
func readTarget(raw string) (*target, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("is longer than %d bytes", maxURL)
	}
	for _, r := range raw {
		if r <= ' ' || r == 0x7f || r == '\\' {
			return nil, fmt.Errorf("holds %q; white space, control characters and backslashes must be percent-encoded", r)
		}
	}
	// url.Parse decodes percent signs in the host; nobody needs them there but
	// to hide what the host is. The authority ends at the first of /?#.
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("is not absolute; begin it with https://")
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	switch {
	case strings.Contains(authority, "@"):
		return nil, errors.New("holds a user name; send credentials in the Authorization header")
	case strings.Contains(authority, "%"):
		return nil, errors.New("has a percent sign in its host")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("is neither http:// nor https://")
	}
	if u.User != nil || u.Opaque != "" || u.Host == "" {
		return nil, errors.New("has no host")
	}
	t := &target{url: u, port: 80}
	if u.Scheme == "https" {
		t.port = 443
	}
	if strings.HasSuffix(u.Host, ":") {
		return nil, errors.New("has a colon and no port")
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' {
			return nil, errors.New("has a port that is not a number from 1 to 65535")
		}
		t.port = uint16(n)
	}
	if strings.HasPrefix(u.Host, "[") {
		addr, err := netip.ParseAddr(u.Hostname())
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return nil, errors.New("has brackets around something that is no IPv6 address")
		}
		t.addr, t.host = addr, addr.String()
	} else if t.host, t.addr, err = canonicalHost(u.Hostname()); err != nil {
		return nil, err
	}
	// Written back, so that the connection, the Host header and TLS see the same.
	u.Host = t.host
	if t.addr.Is6() {
		u.Host = "[" + t.host + "]"
	}
	if t.port != defaultPort(u.Scheme) {
		u.Host = net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
	}
	u.Fragment, u.RawFragment = "", ""
	if len(u.String()) > maxURL { // escaping made it longer
		return nil, fmt.Errorf("is longer than %d bytes", maxURL)
	}
	return t, nil
}

func defaultPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// canonicalHost returns a host name in lower-case ASCII without a final dot, and
// its address where it is an IPv4 address in the one accepted spelling.
func canonicalHost(host string) (string, netip.Addr, error) {
	none := netip.Addr{}
	if !isASCII(host) {
		// Maps full-width digits, other dots and the like to what they stand for.
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", none, errors.New("has a host that is no valid international name")
		}
		host = ascii
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" || len(host) > 253 {
		return "", none, errors.New("has a host that is empty or longer than 253 bytes")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return "", none, errors.New("has a host with an empty or overlong part")
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return "", none, fmt.Errorf("has a host with the character %q", c)
			}
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() {
		return addr.String(), addr, nil
	}
	// A name that ends in a number is an IPv4 address to browsers and to many C
	// libraries (https://url.spec.whatwg.org/#ends-in-a-number-checker):
	// 2130706433, 127.1, 0177.0.0.1 and 0x7f.1 are all 127.0.0.1.
	if isNumber(labels[len(labels)-1]) {
		return "", none, errors.New("has a host that looks like an address; write it as four decimal numbers, such as 192.0.2.1")
	}
	return host, none, nil
}

// isNumber is strict about nothing: 08 and 0x are numbers to somebody.
func isNumber(label string) bool {
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isLocalName reports whether the name means this machine by definition (RFC
// 6761, section 6.3) or by custom, whatever a resolver says.
func isLocalName(host string) bool {
	switch host {
	case "localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback", "loopback":
		return true
	}
	return strings.HasSuffix(host, ".localhost")
}
