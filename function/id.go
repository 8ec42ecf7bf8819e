package function

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// Ids start with what they name and sort by time. No function name contains "_",
// so an id is never taken for a name.
const (
	functionPrefix   = "fn_"
	versionPrefix    = "ver_"
	invocationPrefix = "inv_"
)

// lastID is the time in the latest id: Unix milliseconds and 12 bits of their parts.
var lastID atomic.Int64

// newID is prefix and a UUID version 7 (RFC 9562, section 5.7, method 3: twelve more
// bits of time) as 32 hexadecimal digits. Ids of one process rise strictly. The other
// 62 bits are of the runtime's ChaCha8 generators, which the operating system seeds.
func newID(prefix string) string {
	now := time.Now()
	ms := now.UnixMilli()
	t := ms<<12 | (now.UnixNano()-ms*1e6)<<12/1e6
	for {
		last := lastID.Load()
		if t <= last {
			t = last + 1
		}
		if lastID.CompareAndSwap(last, t) {
			break
		}
	}
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(t>>12)<<16|0x7000|uint64(t&0xfff))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()&^(3<<62)|2<<62)
	var text [40]byte
	n := copy(text[:], prefix)
	hex.Encode(text[n:], id[:])
	return string(text[:n+32])
}

func isID(prefix, s string) bool {
	hex, ok := strings.CutPrefix(s, prefix)
	return ok && len(hex) == 32 && strings.Trim(hex, "0123456789abcdef") == ""
}
