// Package egress makes the HTTP requests that functions ask for, and is the wall
// between a function and the network the server stands in.
//
// A function may reach public hosts, or those its policy lists, and no address
// of the host itself, its private networks or its cloud's metadata service. The
// address is checked when the connection is made, after name resolution, each
// time: a name that resolved to a public address a moment ago, a redirect, or an
// unusual spelling of an address ends at the same check. URLs whose host is
// written in a form that software reads differently (octal, hexadecimal, short
// or percent-encoded addresses, user names, backslashes) are refused before.
//
// Errors name hosts as the function wrote them, never the addresses they
// resolved to: those are the server's knowledge.
package egress
