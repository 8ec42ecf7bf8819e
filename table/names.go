package table

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxTableBytes = 63
	maxIDBytes    = 255
	maxTagBytes   = 255
)

func checkTable(table string) error {
	if table == "" || len(table) > maxTableBytes {
		return fmt.Errorf("%w name of a table: it has 1 to %d characters, not %d", ErrInvalid, maxTableBytes, len(table))
	}
	for i := range len(table) {
		c := table[i]
		first := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !first && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return fmt.Errorf("%w name of a table: use letters, digits, '_' and '-', beginning with a letter or '_'", ErrInvalid)
		}
	}
	return nil
}

func checkID(id string) error {
	if id == "" || len(id) > maxIDBytes || !printable(id) {
		return fmt.Errorf("%w id: it has 1 to %d bytes of UTF-8 without control characters", ErrInvalid, maxIDBytes)
	}
	return nil
}

func checkTag(tag string) error {
	if len(tag) > maxTagBytes || !printable(tag) {
		return fmt.Errorf("%w flag tag: it has at most %d bytes of UTF-8 without control characters", ErrInvalid, maxTagBytes)
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// quote shows a name from outside in a message, cut when it is long.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

// newID is a UUIDv7 (RFC 9562) in hex without dashes: milliseconds, their
// fraction in 12 bits, 62 random bits. Ids of one process sort by time to about
// a quarter of a microsecond.
func newID(at time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	ns := at.UnixNano()
	ms := ns / 1e6
	fraction := (ns % 1e6) * 4096 / 1e6
	binary.BigEndian.PutUint64(b[:8], uint64(ms)<<16|0x7000|uint64(fraction))
	b[8] = b[8]&0x3f | 0x80
	return hex.EncodeToString(b[:])
}
