package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash/maphash"
	"sync"
)

// KeyPrefix begins every generated key, so that people and secret scanners
// recognise one.
const KeyPrefix = "fb_"

// RoleAdmin is the role of the key that the first start creates: it may do
// everything.
const RoleAdmin = "admin"

// keyBytes is the size of a key's random part: 256 bits.
const keyBytes = 32

// GenerateKey returns a new API key: [KeyPrefix] and 43 characters of unpadded
// base64url (RFC 4648, section 5), which hold 256 bits from the operating
// system's random source. It never fails: without that source the program ends.
func GenerateKey() string {
	var b [keyBytes]byte
	rand.Read(b[:]) // never returns an error since Go 1.24
	return KeyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// Principal is the one a key speaks for.
type Principal struct {
	// Name says who it is, in logs and records: "admin", "ci".
	Name string `json:"name"`
	// Role says what it may do, for instance [RoleAdmin].
	Role string `json:"role"`
}

// Keys is a set of API keys and their principals. It keeps the SHA-256 of each
// key and never the key. Make one with [NewKeys]; it is safe for concurrent use.
type Keys struct {
	// seed makes the place of a digest in byHash unpredictable from outside, so
	// that the time a lookup takes tells nothing about the digests kept here.
	seed maphash.Seed

	mu     sync.RWMutex
	byHash map[uint64][]entry
}

type entry struct {
	digest    [sha256.Size]byte
	principal Principal
}

// NewKeys returns an empty set, in which no token is known.
func NewKeys() *Keys {
	return &Keys{seed: maphash.MakeSeed(), byHash: map[uint64][]entry{}}
}

// Add makes key authenticate as p. Adding a key again replaces its principal.
// The key may have any form, as people may bring their own; an empty key is
// ignored, because it would let in every request without a token.
func (k *Keys) Add(key string, p Principal) {
	if key == "" {
		return
	}
	digest := sha256.Sum256([]byte(key))
	place := maphash.Bytes(k.seed, digest[:])
	k.mu.Lock()
	defer k.mu.Unlock()
	entries := k.byHash[place]
	for i := range entries {
		if entries[i].digest == digest {
			entries[i].principal = p
			return
		}
	}
	k.byHash[place] = append(entries, entry{digest: digest, principal: p})
}

// Authenticate returns the principal of token, and whether the token is known.
// An unknown token costs what a known one costs, and digests are compared in
// constant time.
func (k *Keys) Authenticate(token string) (Principal, bool) {
	digest := sha256.Sum256([]byte(token))
	place := maphash.Bytes(k.seed, digest[:])
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, e := range k.byHash[place] {
		if subtle.ConstantTimeCompare(e.digest[:], digest[:]) == 1 {
			return e.principal, true
		}
	}
	return Principal{}, false
}
