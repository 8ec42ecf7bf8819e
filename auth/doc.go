// Package auth knows who is calling: it makes API keys, and tells which
// principal a presented key belongs to.
//
// A key is 256 bits of randomness with a recognisable prefix. Only its SHA-256
// is kept, so that a memory dump or a log of the key set gives no usable key
// away. A plain hash, not a password hash, is right here: nobody can guess 256
// random bits, however fast the hash.
package auth
