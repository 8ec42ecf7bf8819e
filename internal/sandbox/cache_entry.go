package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// An entry of the cache is the file that wazero wrote, as it is, and behind it what wazero's
// reader never reaches:
//
//	code       what wazero reads
//	stub       the module that wazero is to load the code for; see stub
//	name       32 bytes: the name wazero looks for, which is in hex
//	rewritten  32 bytes: SHA-256 of the rewritten module the code was compiled from
//	code size  8 bytes, little endian
//	stub size  8 bytes, little endian
//	magic      8 bytes
//	mac        32 bytes: HMAC-SHA256 over the entry's own name and all before mac
//
// All that is behind the code, and not before it, so that the file itself can be linked into
// the place where wazero looks.
type trailer struct {
	name      [sha256.Size]byte
	rewritten [sha256.Size]byte
	code      int64
	stub      int64
}

const (
	entryMagic  = "FBCODE\x00\x01"
	signedSize  = 2*sha256.Size + 8 + 8 + 8
	trailerSize = signedSize + sha256.Size
)

// wazeroName is the name of the file that wazero looks for.
func (t *trailer) wazeroName() string { return hex.EncodeToString(t.name[:]) }

// signed is the part of the trailer that the code authenticates, too.
func (t *trailer) signed() []byte {
	b := make([]byte, 0, trailerSize)
	b = append(b, t.name[:]...)
	b = append(b, t.rewritten[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.code))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.stub))
	return append(b, entryMagic...)
}

// parseTrailer reads the end of a file of size bytes.
func parseTrailer(b []byte, size int64) (*trailer, error) {
	if len(b) != trailerSize || size < trailerSize {
		return nil, errors.New("it is cut short")
	}
	t := &trailer{
		code: int64(binary.LittleEndian.Uint64(b[2*sha256.Size:])),
		stub: int64(binary.LittleEndian.Uint64(b[2*sha256.Size+8:])),
	}
	copy(t.name[:], b)
	copy(t.rewritten[:], b[sha256.Size:])
	if !bytes.Equal(t.signed(), b[:signedSize]) {
		return nil, errors.New("it is none of this version")
	}
	if rest := size - trailerSize; t.code < 0 || t.stub < 0 || t.code > rest || t.stub != rest-t.code {
		return nil, fmt.Errorf("it says %d and %d bytes and has %d", t.code, t.stub, rest)
	}
	return t, nil
}

// mac authenticates code and stub, which body begins with, and the trailer as the entry of
// that name.
func mac(key []byte, entry string, body io.Reader, t *trailer) ([]byte, error) {
	h := hmac.New(sha256.New, key)
	name := sha256.Sum256([]byte(entry)) // of one length, so that nothing can move into what follows
	h.Write(name[:])
	// A buffer of its own: the copies that io.Copy would make are garbage of the size of the code.
	n, err := io.CopyBuffer(h, struct{ io.Reader }{io.LimitReader(body, t.code+t.stub)}, make([]byte, 128<<10))
	if err == nil && n != t.code+t.stub {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	h.Write(t.signed())
	return h.Sum(nil), nil
}

// readEntry verifies the entry of that name, size bytes in f.
func readEntry(key []byte, entry string, f io.ReaderAt, size int64) (*trailer, error) {
	if size < trailerSize {
		return nil, errors.New("it is cut short")
	}
	end := make([]byte, trailerSize)
	if _, err := f.ReadAt(end, size-trailerSize); err != nil {
		return nil, err
	}
	t, err := parseTrailer(end, size)
	if err != nil {
		return nil, err
	}
	sum, err := mac(key, entry, io.NewSectionReader(f, 0, t.code+t.stub), t)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(sum, end[signedSize:]) {
		return nil, errors.New("it is not what this server wrote")
	}
	return t, nil
}
