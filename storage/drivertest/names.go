package drivertest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"flagbase.dev/storage"
)

// NaughtyKeys are keys that break stores which make paths of them.
func NaughtyKeys() []string {
	return []string{
		".", "..", "../x", "a/../../x", "/etc/passwd", "//x", "a//b", "a/", "/", "a/./b", "%2e%2e/x", "..%2fx", "..%c0%afx",
		`..\x`, `C:\x`, `\\host\share`, `a\b`, "a", "A", "a ", " a", "a.", "CON", "nul", "aux.txt", "-rf", "~", "$HOME", "*", "?", "a:b", "a|b", `"`, "'", "`", ";",
		"caf\u00e9", "cafe\u0301", "K", "\u212a", "\ufeff", "\u202e", "日本語", "😀", "line\nbreak", "cr\rlf", "tab\t", "\x01", "\x7f", "' OR 1=1 --", "%", "_", "a%b",
		strings.Repeat("k", 1024), strings.Repeat("é", 512), strings.Repeat("../", 341) + "x", "\U0010ffff",
	}
}

func naughtyKeys(t *testing.T, b storage.BucketAdapter) {
	keys := NaughtyKeys()
	for _, key := range keys {
		put(t, b, "b", key, "content of "+key)
	}
	for _, key := range keys {
		want(t, b, "b", key, "content of "+key)
	}
	slices.Sort(keys)
	var listed []string
	p, err := b.List(t.Context(), "b", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range p.Objects {
		listed = append(listed, o.Key)
	}
	if !slices.Equal(listed, keys) {
		t.Errorf("listed %q\nwant %q", listed, keys)
	}
	for _, key := range keys {
		p, err := b.List(t.Context(), "b", &storage.ListOptions{Prefix: key, Limit: 1})
		if err != nil || len(p.Objects) != 1 || p.Objects[0].Key != key {
			t.Errorf("prefix %.80q: %+v, %v", key, p, err)
		}
		if err := b.Delete(t.Context(), "b", key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
		wantAbsent(t, b, "b", key)
	}
}

func refusedNames(t *testing.T, b storage.BucketAdapter) {
	check := func(bucket, key string) {
		t.Helper()
		_, err := b.Put(t.Context(), bucket, key, strings.NewReader("x"), nil)
		_, _, getErr := b.Get(t.Context(), bucket, key)
		_, headErr := b.Head(t.Context(), bucket, key)
		for op, err := range map[string]error{"Put": err, "Get": getErr, "Head": headErr, "Delete": b.Delete(t.Context(), bucket, key)} {
			if !errors.Is(err, storage.ErrInvalidName) {
				t.Errorf("%s(%.80q, %.80q): %v, want ErrInvalidName", op, bucket, key, err)
			}
		}
	}
	for _, key := range []string{"", "\x00", "a\x00b", "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf", strings.Repeat("k", 1025)} {
		check("b", key)
	}
	for _, bucket := range []string{"", ".", "..", "A", "a/b", `a\b`, "a b", "-a", "_a", ".a", "é", "a\x00", "a\n", strings.Repeat("b", 64)} {
		check(bucket, "k")
		if _, err := b.List(t.Context(), bucket, nil); !errors.Is(err, storage.ErrInvalidName) {
			t.Errorf("List(%q): %v, want ErrInvalidName", bucket, err)
		}
	}
	for _, o := range []storage.ListOptions{{Prefix: "\xff"}, {After: "\xff"}, {Prefix: "\x00"}} {
		if _, err := b.List(t.Context(), "b", &o); !errors.Is(err, storage.ErrInvalidName) {
			t.Errorf("List(%+v): %v, want ErrInvalidName", o, err)
		}
	}
	for _, bucket := range []string{"0", "a.b_c-d", strings.Repeat("b", 63), "flagbase-artifacts"} {
		put(t, b, bucket, "k", "x")
	}
}

func contentTypes(t *testing.T, b storage.BucketAdapter) {
	if o := put(t, b, "b", "k", "x"); o.ContentType != "application/octet-stream" {
		t.Errorf("default %q", o.ContentType)
	}
	for _, bad := range []string{"text/html\r\nX: y", "\x00", "\xff", strings.Repeat("x", 256)} {
		if _, err := b.Put(t.Context(), "b", "k", strings.NewReader("y"), &storage.PutOptions{ContentType: bad}); !errors.Is(err, storage.ErrInvalidName) {
			t.Errorf("%.40q: %v, want ErrInvalidName", bad, err)
		}
	}
	want(t, b, "b", "k", "x")
}
