package egress

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Policy says what may be reached and how much of it. The zero value allows
// every public host, with the default limits.
type Policy struct {
	// AllowHosts are the hosts that may be reached: "api.example.com",
	// "api.example.com:8443", "*.example.com" (any name below, not itself).
	// Without a port every port is meant. Defaults to every public host.
	AllowHosts []string
	// AllowPrivate are hosts that may be reached although their address is not
	// public: "host", "host:port", or a range of addresses "10.1.0.0/16" that
	// any host may have. A host needs AllowHosts as well where that is set.
	AllowPrivate []string
	// DenyAddrs are the server's own listeners. They are refused whatever
	// AllowPrivate says; an unspecified address (0.0.0.0:8080) means that port on
	// every address of this machine. See also [Client.Deny].
	DenyAddrs []netip.AddrPort
	// Timeout bounds a request with its redirects. Defaults to 30 s.
	Timeout time.Duration
	// MaxRequestBytes bounds the body sent. Defaults to 6 MiB.
	MaxRequestBytes int64
	// MaxResponseBytes bounds the body received, after decoding. Defaults to 6 MiB.
	MaxResponseBytes int64
	// MaxRedirects bounds how many redirects are followed. Defaults to 5;
	// a negative number follows none and returns the redirect.
	MaxRedirects int
}

const (
	defaultTimeout      = 30 * time.Second
	defaultBodyBytes    = 6 << 20
	defaultMaxRedirects = 5
)

// Validate reports the first entry of AllowHosts or AllowPrivate that cannot be
// understood. [New] ignores such an entry, which then allows nothing.
func (p *Policy) Validate() error {
	for _, entry := range p.AllowHosts {
		if _, err := parseHostEntry(entry); err != nil {
			return fmt.Errorf("allowed host %q: %w", entry, err)
		}
	}
	for _, entry := range p.AllowPrivate {
		if strings.Contains(entry, "/") {
			if _, err := netip.ParsePrefix(entry); err != nil {
				return fmt.Errorf("allowed private range %q: not an address range such as 10.1.0.0/16", entry)
			}
			continue
		}
		if e, err := parseHostEntry(entry); err != nil {
			return fmt.Errorf("allowed private host %q: %w", entry, err)
		} else if e.below {
			return fmt.Errorf("allowed private host %q: name each host, a wildcard is too wide here", entry)
		}
	}
	return nil
}

// hostEntry is an entry of AllowHosts or AllowPrivate.
type hostEntry struct {
	host  string // canonical
	below bool   // the names below host
	port  uint16 // 0: any
}

func parseHostEntry(entry string) (hostEntry, error) {
	var e hostEntry
	host := entry
	if addr, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil && addr.Zone() == "" {
		e.host = addr.Unmap().String()
		return e, nil
	}
	if h, port, err := net.SplitHostPort(entry); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return e, fmt.Errorf("the port is not a number from 1 to 65535")
		}
		host, e.port = h, uint16(n)
	}
	host, e.below = strings.CutPrefix(host, "*.")
	if addr, err := netip.ParseAddr(host); err == nil && !e.below && addr.Zone() == "" {
		e.host = addr.Unmap().String()
		return e, nil
	}
	canonical, _, err := canonicalHost(host)
	if err != nil {
		return e, err
	}
	e.host = canonical
	return e, nil
}

func (e hostEntry) matches(host string, port uint16) bool {
	if e.port != 0 && e.port != port {
		return false
	}
	if e.below {
		return len(host) > len(e.host)+1 && strings.HasSuffix(host, "."+e.host)
	}
	return e.host == host
}

// rules is a policy made ready.
type rules struct {
	restricted bool // AllowHosts was set, even if none of it could be understood
	hosts      []hostEntry
	private    []hostEntry
	ranges     []netip.Prefix
}

func newRules(p *Policy) rules {
	r := rules{restricted: len(p.AllowHosts) > 0}
	for _, entry := range p.AllowHosts {
		if e, err := parseHostEntry(entry); err == nil {
			r.hosts = append(r.hosts, e)
		}
	}
	for _, entry := range p.AllowPrivate {
		if strings.Contains(entry, "/") {
			if prefix, err := netip.ParsePrefix(entry); err == nil {
				r.ranges = append(r.ranges, prefix.Masked())
			}
		} else if e, err := parseHostEntry(entry); err == nil && !e.below {
			r.private = append(r.private, e)
		}
	}
	return r
}

func (r *rules) allowsHost(host string, port uint16) bool {
	return !r.restricted || matchesAny(r.hosts, host, port)
}

// namesPrivate reports whether AllowPrivate names the host.
func (r *rules) namesPrivate(host string, port uint16) bool { return matchesAny(r.private, host, port) }

func (r *rules) allowsRange(addr netip.Addr) bool {
	for _, prefix := range r.ranges {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

func matchesAny(entries []hostEntry, host string, port uint16) bool {
	for _, e := range entries {
		if e.matches(host, port) {
			return true
		}
	}
	return false
}
