package egress

import "net"

// SetResolver makes c look names up with r.
func (c *Client) SetResolver(r *net.Resolver) { c.resolver = r }
