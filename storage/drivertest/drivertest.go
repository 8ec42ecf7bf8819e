// Package drivertest is the conformance suite of [storage.BucketAdapter]: an
// adapter is one when it passes.
//
//	func TestMine(t *testing.T) {
//		drivertest.Run(t, func(t *testing.T) storage.BucketAdapter { return openMine(t) })
//	}
package drivertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"flagbase.dev/storage"
)

// Run runs the suite, its parts in parallel. open returns an empty adapter,
// independent of others, for each call and registers its own clean-up with t.
func Run(t *testing.T, open func(t *testing.T) storage.BucketAdapter) {
	for name, test := range map[string]func(*testing.T, storage.BucketAdapter){
		"round trip":                   roundTrip,
		"replace":                      replace,
		"absent":                       absent,
		"delete":                       remove,
		"keys of every kind":           naughtyKeys,
		"names that are refused":       refusedNames,
		"content types":                contentTypes,
		"list":                         list,
		"list pages":                   listPages,
		"buckets":                      buckets,
		"a failing body":               failingBody,
		"a cancelled context":          cancelled,
		"readers keep what they had":   stableReaders,
		"a large object":               largeObject,
		"read all":                     readAll,
		"many at once":                 hammer,
		"same content put and deleted": sameContent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a durable store mostly waits for the disk
			test(t, open(t))
		})
	}
}

func put(t *testing.T, b storage.BucketAdapter, bucket, key, data string) *storage.Object {
	t.Helper()
	o, err := b.Put(t.Context(), bucket, key, strings.NewReader(data), nil)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return o
}

func want(t *testing.T, b storage.BucketAdapter, bucket, key, data string) {
	t.Helper()
	got, err := storage.ReadAll(t.Context(), b, bucket, key, 0)
	if err != nil {
		t.Errorf("Get(%q, %.80q): %v", bucket, key, err)
	} else if string(got) != data {
		t.Errorf("Get(%q, %.80q) = %.80q, want %.80q", bucket, key, got, data)
	}
}

func wantAbsent(t *testing.T, b storage.BucketAdapter, bucket, key string) {
	t.Helper()
	if _, err := b.Head(t.Context(), bucket, key); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Head(%q, %.80q): %v, want ErrNotFound", bucket, key, err)
	}
	r, _, err := b.Get(t.Context(), bucket, key)
	if !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Get(%q, %.80q): %v, want ErrNotFound", bucket, key, err)
	}
	if err == nil {
		_ = r.Close()
	}
}

func etag(data string) string {
	sum := sha256.Sum256([]byte(data))
	return hex.EncodeToString(sum[:])
}

func roundTrip(t *testing.T, b storage.BucketAdapter) {
	for _, data := range []string{"", "x", "hello\x00world\xff", strings.Repeat("0123456789", 30_000)} {
		start := time.Now().Add(-time.Second)
		o, err := b.Put(t.Context(), "files", "a/b.txt", strings.NewReader(data), &storage.PutOptions{ContentType: "text/plain"})
		if err != nil {
			t.Fatal(err)
		}
		if o.Bucket != "files" || o.Key != "a/b.txt" || o.Size != int64(len(data)) || o.ETag != etag(data) || o.ContentType != "text/plain" {
			t.Errorf("Put returned %+v", o)
		}
		if o.UpdatedAt.Before(start) || o.UpdatedAt.After(time.Now().Add(time.Second)) || o.UpdatedAt.Location() != time.UTC {
			t.Errorf("UpdatedAt = %v", o.UpdatedAt)
		}
		want(t, b, "files", "a/b.txt", data)
		head, err := b.Head(t.Context(), "files", "a/b.txt")
		if err != nil || *head != *o {
			t.Errorf("Head = %+v, %v; want %+v", head, err, o)
		}
		r, got, err := b.Get(t.Context(), "files", "a/b.txt")
		if err != nil {
			t.Fatal(err)
		}
		if *got != *o {
			t.Errorf("Get = %+v, want %+v", got, o)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func replace(t *testing.T, b storage.BucketAdapter) {
	put(t, b, "b", "k", "one")
	put(t, b, "b", "same", "one")
	put(t, b, "b", "k", "second")
	want(t, b, "b", "k", "second")
	want(t, b, "b", "same", "one")
	put(t, b, "b", "k", "second") // the same content again
	want(t, b, "b", "k", "second")
	put(t, b, "other", "k", "third")
	want(t, b, "b", "k", "second")
	want(t, b, "other", "k", "third")
}

func absent(t *testing.T, b storage.BucketAdapter) {
	wantAbsent(t, b, "b", "k")
	put(t, b, "b", "k2", "x")
	wantAbsent(t, b, "b", "k")
	wantAbsent(t, b, "c", "k2")
}

func remove(t *testing.T, b storage.BucketAdapter) {
	put(t, b, "b", "k", "x")
	put(t, b, "b", "twin", "x")
	for range 2 {
		if err := b.Delete(t.Context(), "b", "k"); err != nil {
			t.Fatal(err)
		}
		wantAbsent(t, b, "b", "k")
	}
	want(t, b, "b", "twin", "x")
	put(t, b, "b", "k", "x")
	want(t, b, "b", "k", "x")
	if err := b.Delete(t.Context(), "never", "was"); err != nil {
		t.Errorf("absent: %v", err)
	}
}

func list(t *testing.T, b storage.BucketAdapter) {
	p, err := b.List(t.Context(), "b", nil)
	if err != nil || p.Objects == nil || len(p.Objects) != 0 || p.Next != "" {
		t.Errorf("empty: %+v, %v", p, err)
	}
	for _, key := range []string{"b", "a/2", "a/1", "a0", "a", "A", "é", "z"} {
		put(t, b, "b", key, key)
	}
	put(t, b, "c", "a/3", "")
	for _, c := range []struct {
		o    storage.ListOptions
		keys string
		next string
	}{
		{storage.ListOptions{}, "A a a/1 a/2 a0 b z é", ""},
		{storage.ListOptions{Prefix: "a"}, "a a/1 a/2 a0", ""},
		{storage.ListOptions{Prefix: "a/"}, "a/1 a/2", ""},
		{storage.ListOptions{Prefix: "x"}, "", ""},
		{storage.ListOptions{After: "a/1"}, "a/2 a0 b z é", ""},
		{storage.ListOptions{After: "a/15"}, "a/2 a0 b z é", ""},
		{storage.ListOptions{Prefix: "a/", After: "a/1"}, "a/2", ""},
		{storage.ListOptions{Prefix: "a/", After: "b"}, "", ""},
		{storage.ListOptions{Limit: 2}, "A a", "a"},
		{storage.ListOptions{Limit: 8}, "A a a/1 a/2 a0 b z é", ""},
		{storage.ListOptions{Limit: -1}, "A a a/1 a/2 a0 b z é", ""},
	} {
		p, err := b.List(t.Context(), "b", &c.o)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, o := range p.Objects {
			keys = append(keys, o.Key)
			if o.Bucket != "b" || o.Size != int64(len(o.Key)) || o.ETag != etag(o.Key) || o.UpdatedAt.IsZero() {
				t.Errorf("listed %+v", o)
			}
		}
		if got := strings.Join(keys, " "); got != c.keys || p.Next != c.next {
			t.Errorf("List(%+v) = %q, next %q; want %q, next %q", c.o, got, p.Next, c.keys, c.next)
		}
	}
}

func listPages(t *testing.T, b storage.BucketAdapter) {
	var all, listed []string
	for i := range 25 {
		key := fmt.Sprintf("%02d", i)
		put(t, b, "b", key, "same")
		all = append(all, key)
	}
	pages := 0
	for o := (storage.ListOptions{Limit: 10}); pages == 0 || o.After != ""; pages++ {
		p, err := b.List(t.Context(), "b", &o)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range p.Objects {
			listed = append(listed, object.Key)
		}
		o.After = p.Next
	}
	if pages != 3 || !slices.Equal(listed, all) {
		t.Errorf("%d pages gave %q", pages, listed)
	}
}

func buckets(t *testing.T, b storage.BucketAdapter) {
	check := func(want ...string) {
		t.Helper()
		got, err := b.Buckets(t.Context())
		if err != nil || got == nil || !slices.Equal(got, want) {
			t.Errorf("Buckets = %q, %v; want %q", got, err, want)
		}
	}
	check([]string{}...)
	put(t, b, "b", "1", "")
	put(t, b, "b", "2", "")
	put(t, b, "a", "1", "")
	put(t, b, "flagbase-x", "1", "")
	check("a", "b", "flagbase-x")
	if err := b.Delete(t.Context(), "a", "1"); err != nil {
		t.Fatal(err)
	}
	check("b", "flagbase-x")
}

var errBody = errors.New("the body broke")

func failingBody(t *testing.T, b storage.BucketAdapter) {
	put(t, b, "b", "old", "old")
	for _, key := range []string{"old", "new"} {
		body := io.MultiReader(strings.NewReader(strings.Repeat("x", 200_000)), errReader{})
		if _, err := b.Put(t.Context(), "b", key, body, nil); !errors.Is(err, errBody) {
			t.Errorf("%v, want the body's error", err)
		}
	}
	want(t, b, "b", "old", "old")
	wantAbsent(t, b, "b", "new")
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBody }

func cancelled(t *testing.T, b storage.BucketAdapter) {
	put(t, b, "b", "k", "old")
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := b.Put(ctx, "b", "k", cancelReader{cancel}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want Canceled", err)
	}
	_, _, getErr := b.Get(ctx, "b", "k")
	_, headErr := b.Head(ctx, "b", "k")
	_, listErr := b.List(ctx, "b", nil)
	_, bucketsErr := b.Buckets(ctx)
	for op, err := range map[string]error{"Get": getErr, "Head": headErr, "List": listErr, "Buckets": bucketsErr, "Delete": b.Delete(ctx, "b", "k")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want Canceled", op, err)
		}
	}
	want(t, b, "b", "k", "old")
}

// cancelReader cancels and would then go on for ever.
type cancelReader struct{ cancel func() }

func (r cancelReader) Read(p []byte) (int, error) {
	r.cancel()
	return len(p), nil
}

func stableReaders(t *testing.T, b storage.BucketAdapter) {
	data := strings.Repeat("first version ", 50_000)
	for name, change := range map[string]func() error{
		"Put":    func() error { return storage.WriteAll(t.Context(), b, "b", "k", []byte("second")) },
		"Delete": func() error { return b.Delete(t.Context(), "b", "k") },
	} {
		put(t, b, "b", "k", data)
		r, _, err := b.Get(t.Context(), "b", "k")
		if err != nil {
			t.Fatal(err)
		}
		start := make([]byte, 100)
		if _, err := io.ReadFull(r, start); err != nil {
			t.Fatal(err)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(r)
		if err != nil || string(start)+string(rest) != data {
			t.Errorf("%s disturbed a reader: %v", name, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func largeObject(t *testing.T, b storage.BucketAdapter) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	// A reader that gives odd portions and its last bytes together with EOF.
	o, err := b.Put(t.Context(), "b", "large", &oddReader{data: data}, nil)
	if err != nil || o.Size != int64(len(data)) {
		t.Fatalf("%+v, %v", o, err)
	}
	r, _, err := b.Get(t.Context(), "b", "large")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{r}, make([]byte, 1013)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != o.ETag || got != etag(string(data)) {
		t.Errorf("content %s, etag %s", got, o.ETag)
	}
}

type oddReader struct{ data []byte }

func (r *oddReader) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 7919)], r.data)
	r.data = r.data[n:]
	if len(r.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func readAll(t *testing.T, b storage.BucketAdapter) {
	put(t, b, "b", "k", "12345")
	for limit, ok := range map[int64]bool{0: true, 5: true, 6: true, 4: false} {
		got, err := storage.ReadAll(t.Context(), b, "b", "k", limit)
		if ok && (err != nil || string(got) != "12345") || !ok && !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("limit %d: %q, %v", limit, got, err)
		}
	}
	if err := storage.WriteAll(t.Context(), b, "b", "nil", nil); err != nil {
		t.Error(err)
	}
	want(t, b, "b", "nil", "")
}
