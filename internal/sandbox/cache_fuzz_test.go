package sandbox

import (
	"bytes"
	"testing"
)

// FuzzReadEntry: of what is in a file, only what was signed for that name is accepted.
func FuzzReadEntry(f *testing.F) {
	key, name := bytes.Repeat([]byte("k"), keySize), "entry"
	signed := func(code []byte) []byte {
		t := &trailer{length: int64(len(code))}
		sum, err := mac(key, name, bytes.NewReader(code), t)
		if err != nil {
			f.Fatal(err)
		}
		return append(append(bytes.Clone(code), t.signed()...), sum...)
	}
	good := signed([]byte("machine code"))
	if _, err := readEntry(key, name, bytes.NewReader(good), int64(len(good))); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(signed(nil))
	f.Add(good[1:])
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readEntry(key, name, bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		sum, err := mac(key, name, bytes.NewReader(b), got)
		if err != nil || got.length != int64(len(b)-trailerSize) || !bytes.HasSuffix(b, append(got.signed(), sum...)) {
			t.Fatalf("accepted: %+v, %v", got, err)
		}
		if _, err := readEntry(key, "other", bytes.NewReader(b), int64(len(b))); err == nil {
			t.Fatal("accepted under another name")
		}
	})
}

// FuzzStub: whatever the bytes, no panic, and no more than they give.
func FuzzStub(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x0a\x04\x01\x02\x00\x0b"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x0a\x06\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := stub(b, [32]byte{}); err == nil && len(out) > 64+8*len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(out))
		}
	})
}
