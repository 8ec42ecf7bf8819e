package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"flagbase.dev/internal/testguest"
)

// An entry that is authentic and of another rewritten module, as a version with another rewriter
// leaves it, is not used: what it made of the module is other code.
func TestEntryOfAnotherRewriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	compiled := 0
	open := func() *Runtime {
		rt, err := NewRuntime(t.Context(), &Config{CacheDir: dir, Compile: func(ctx context.Context, rewritten []byte, dir string) error {
			compiled++
			return CompileTo(ctx, rewritten, dir)
		}})
		if err != nil {
			t.Fatal(err)
		}
		return rt
	}
	call := func(rt *Runtime, wasm []byte) uint64 {
		m, err := rt.Prepare(t.Context(), wasm)
		if err != nil {
			t.Fatal(err)
		}
		inst, err := m.Acquire(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer inst.Release()
		res, err := inst.Call("f")
		if err != nil {
			t.Fatal(err)
		}
		return res[0]
	}
	mine := testguest.WAT(t, `(module (func (export "f") (result i32) (i32.const 1)))`)
	other := testguest.WAT(t, `(module (func (export "f") (result i32) (i32.const 2)))`)
	rt := open()
	call(rt, other)
	path := func(wasm []byte) string { return filepath.Join(rt.code.entries, entryName(sha256.Sum256(wasm))) }
	entry, err := os.ReadFile(path(other))
	if err != nil {
		t.Fatal(err)
	}
	end := len(entry) - trailerSize
	tr, err := parseTrailer(entry[end:], int64(len(entry)))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := mac(rt.code.key, filepath.Base(path(mine)), bytes.NewReader(entry), tr)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(mine), append(append(entry[:end:end], tr.signed()...), sum...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(rt, mine); got != 1 || compiled != 2 {
		t.Errorf("it gives %d, compiled %d", got, compiled)
	}
	if err := rt.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	rt = open()
	if got := call(rt, mine); got != 1 || compiled != 2 {
		t.Errorf("afterwards it gives %d, compiled %d", got, compiled)
	}
	if err := rt.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// FuzzReadEntry: of what is in a file, only what was signed for that name is accepted.
func FuzzReadEntry(f *testing.F) {
	key, name := bytes.Repeat([]byte("k"), keySize), "entry"
	signed := func(code []byte) []byte {
		t := &trailer{code: int64(len(code)) / 2, stub: int64(len(code)+1) / 2}
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
		if err != nil || got.code+got.stub != int64(len(b)-trailerSize) || !bytes.HasSuffix(b, append(got.signed(), sum...)) {
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
