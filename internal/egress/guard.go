package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// publicOnly refuses the special-purpose addresses of IANA's registries, and for
// IPv6 all that is not global unicast: so also IPv4-mapped and -compatible,
// NAT64, unique local (fd00:ec2::254), site-local and link-local addresses. It
// has 6to4, Teredo (in 2001::/23), documentation, CGNAT (with Alibaba's metadata
// service 100.100.100.200), 192.0.0.0/24 (with Oracle's 192.0.0.192) and
// 169.254.0.0/16 in its lists. What it lacks is added.
var publicOnly = ssrf.New(
	ssrf.WithAnyPort(), // a port says nothing about whose it is
	ssrf.WithDeniedV4Prefixes(
		netip.MustParsePrefix("168.63.129.16/32"), // Azure's host services, a public address by its number
	),
	ssrf.WithDeniedV6Prefixes(
		netip.MustParsePrefix("3ffe::/16"), // 6bone, given back (RFC 3701)
	),
)

// checkHost says before any look-up whether the policy lets t be reached. What
// it lets pass is checked again as an address when the connection is made.
func (c *Client) checkHost(t *target) error {
	if !c.rules.allowsHost(t.host, t.port) {
		return refuse("the host " + strconv.Quote(t.host) + " is not among those that may be reached")
	}
	if t.addr.IsValid() {
		// Mapped addresses have a plain spelling: nobody needs this one.
		if t.addr.Is4In6() {
			return notPublic(t.host)
		}
		return c.checkAddr(t.host, t.port, netip.AddrPortFrom(t.addr, t.port))
	}
	if isLocalName(t.host) && !c.rules.namesPrivate(t.host, t.port) {
		return notPublic(t.host)
	}
	return nil
}

// checkAddr says whether the host, at this address, may be connected to.
func (c *Client) checkAddr(host string, port uint16, to netip.AddrPort) error {
	addr := to.Addr()
	if addr.Zone() != "" {
		return notPublic(host)
	}
	addr = addr.Unmap()
	to = netip.AddrPortFrom(addr, to.Port())
	// Connecting to the unspecified address reaches this machine on most
	// systems: it is never what somebody meant to allow.
	if addr.IsUnspecified() || c.isOwnListener(to) {
		return notPublic(host)
	}
	if c.rules.namesPrivate(host, port) || c.rules.allowsRange(addr) {
		return nil
	}
	if publicOnly.SafeAddr(addr) != nil || !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return notPublic(host)
	}
	return nil
}

// notPublic does not tell an own listener from a private address, nor which
// address it was.
func notPublic(host string) error {
	return refuse("the host " + strconv.Quote(host) + " has no public address; the server's configuration can allow it")
}

func (c *Client) isOwnListener(to netip.AddrPort) bool {
	for _, own := range *c.deny.Load() {
		if own.Port() != to.Port() {
			continue
		}
		addr := own.Addr().Unmap().WithZone("")
		if addr == to.Addr() || addr.IsUnspecified() && isThisMachine(to.Addr()) {
			return true
		}
	}
	return false
}

func isThisMachine(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	// Asked each time, since addresses come and go. It is rare: only for a
	// connection to a port that is one of our own.
	list, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range list {
		if prefix, ok := a.(*net.IPNet); ok {
			if own, ok := netip.AddrFromSlice(prefix.IP); ok && own.Unmap() == addr {
				return true
			}
		}
	}
	return false
}

// dial connects to "host:port", checking each address just before it is
// connected to: no other look-up comes between.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, errors.New("the port cannot be read")
	}
	dialer := net.Dialer{
		Timeout:   10 * time.Second,
		KeepAlive: 30 * time.Second,
		Resolver:  c.resolver,
		Control: func(network, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || network != "tcp4" && network != "tcp6" {
				return notPublic(host)
			}
			return c.checkAddr(host, uint16(port), to)
		},
	}
	return dialer.DialContext(ctx, network, address)
}
