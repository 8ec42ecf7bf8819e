package storage

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/database"
)

// pair is a directory and an index that a test opens several times.
type pair struct {
	t   *testing.T
	dir string
	db  *sql.DB
}

func newPair(t *testing.T) pair {
	t.Helper()
	dir := t.TempDir()
	db, err := database.OpenSQLite(t.Context(), filepath.Join(dir, "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return pair{t, filepath.Join(dir, "objects"), db}
}

func (p pair) open() *Local {
	p.t.Helper()
	l, err := OpenLocal(p.t.Context(), p.dir, p.db)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = l.Close() })
	return l
}

// contents lists the files below objects/ and tmp/.
func (p pair) contents() (names []string) {
	p.t.Helper()
	for _, sub := range []string{objectsDir, tempDir} {
		err := filepath.WalkDir(filepath.Join(p.dir, sub), func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return names
}

func (p pair) age(name string) {
	p.t.Helper()
	then := time.Now().Add(-2 * sweepAge)
	if err := os.Chtimes(name, then, then); err != nil {
		p.t.Fatal(err)
	}
}

func mustPut(t *testing.T, b BucketAdapter, key, data string) *Object {
	t.Helper()
	o, err := b.Put(t.Context(), "b", key, strings.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOneFilePerContent(t *testing.T) {
	p := newPair(t)
	l := p.open()
	o := mustPut(t, l, "../../escape", "same")
	mustPut(t, l, "other", "same")
	if files := p.contents(); len(files) != 1 || files[0] != filepath.Join(p.dir, objectsDir, o.ETag[:2], o.ETag) {
		t.Fatalf("files %q", files)
	}
	for i, key := range []string{"../../escape", "other"} {
		if err := l.Delete(t.Context(), "b", key); err != nil {
			t.Fatal(err)
		}
		if n := len(p.contents()); n != 1-i {
			t.Errorf("%d files after deleting %d of 2 keys", n, i+1)
		}
	}
	mustPut(t, l, "k", "one")
	mustPut(t, l, "k", "two")
	if files := p.contents(); len(files) != 1 {
		t.Errorf("a replaced content stays: %q", files)
	}
}

func TestRottenFile(t *testing.T) {
	p := newPair(t)
	l := p.open()
	data := strings.Repeat("good data ", 10_000)
	o := mustPut(t, l, "k", data)
	name := filepath.Join(p.dir, filepath.FromSlash(objectPath(o.ETag)))
	for how, bad := range map[string][]byte{
		"one byte at the start": append([]byte("G"), data[1:]...),
		"one byte at the end":   append([]byte(data[:len(data)-1]), 'X'),
		"shorter":               []byte(data[1:]),
		"longer":                []byte(data + "x"),
		"empty":                 nil,
	} {
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAll(t.Context(), l, "b", "k", 0)
		if !errors.Is(err, ErrCorrupt) || got != nil {
			t.Errorf("%s: %d bytes, %v; want ErrCorrupt", how, len(got), err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Get(t.Context(), "b", "k"); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "missing") {
		t.Errorf("missing file: %v", err)
	}
	// Putting the content again heals it, under whichever key.
	mustPut(t, l, "k2", data)
	if got, err := ReadAll(t.Context(), l, "b", "k", 0); err != nil || string(got) != data {
		t.Errorf("after healing: %v", err)
	}
}

func TestTruncatedWhileReading(t *testing.T) {
	p := newPair(t)
	l := p.open()
	o := mustPut(t, l, "k", strings.Repeat("x", 100_000))
	r, _, err := l.Get(t.Context(), "b", "k")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if err := os.Truncate(filepath.Join(p.dir, filepath.FromSlash(objectPath(o.ETag))), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
}

func TestSweepAtOpen(t *testing.T) {
	p := newPair(t)
	l := p.open()
	kept := mustPut(t, l, "k", "kept")
	write := func(name string, old bool) string {
		name = filepath.Join(p.dir, filepath.FromSlash(name))
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if old {
			p.age(name)
		}
		return name
	}
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	gone := []string{write("tmp/old", true), write(objectPath(hash("old orphan")), true)}
	stay := []string{write("tmp/young", false), write(objectPath(hash("young orphan")), false), write("objects/ab/stranger.txt", true)}
	stay = append(stay, filepath.Join(p.dir, filepath.FromSlash(objectPath(kept.ETag))))
	p.age(stay[3])
	l = p.open()
	for _, name := range gone {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	for _, name := range stay {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
	if got, err := ReadAll(t.Context(), l, "b", "k", 0); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDirectoryAndIndexBelongTogether(t *testing.T) {
	first, second := newPair(t), newPair(t)
	mustPut(t, first.open(), "k", "x")
	second.open() // both have an id, the second no objects
	for name, mixed := range map[string]pair{
		"objects of another index": {t, first.dir, second.db},
		"index of other objects":   {t, second.dir, first.db},
		"index, new directory":     {t, filepath.Join(t.TempDir(), "new"), first.db},
	} {
		if l, err := OpenLocal(t.Context(), mixed.dir, mixed.db); err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), "director") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := ReadAll(t.Context(), first.open(), "b", "k", 0); err != nil || string(got) != "x" {
		t.Errorf("the right pair: %q, %v", got, err)
	}
	third := newPair(t)
	pair{t, second.dir, third.db}.open() // neither has objects: free to pair
}

// Index rows alone, because 1,005 durable puts take seconds.
func TestLocalListMaximum(t *testing.T) {
	p := newPair(t)
	l := p.open()
	err := l.index.db.Write(t.Context(), func(tx *sql.Tx) error {
		for i := range 1005 {
			o := &Object{Bucket: "b", Key: fmt.Sprintf("%04d", i), ETag: strings.Repeat("a", 64)}
			if _, err := l.index.set(t.Context(), tx, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	listMaximum(t, l)
}

func TestMemoryListMaximum(t *testing.T) {
	m := NewMemory()
	for i := range 1005 {
		mustPut(t, m, fmt.Sprintf("%04d", i), "")
	}
	listMaximum(t, m)
}

func listMaximum(t *testing.T, b BucketAdapter) {
	t.Helper()
	for _, limit := range []int{0, 5000} {
		page, err := b.List(t.Context(), "b", &ListOptions{Limit: limit})
		if err != nil || len(page.Objects) != 1000 || page.Next != "0999" {
			t.Fatalf("%d objects, next %q, %v; want the maximum of 1000", len(page.Objects), page.Next, err)
		}
		page, err = b.List(t.Context(), "b", &ListOptions{After: page.Next})
		if err != nil || len(page.Objects) != 5 || page.Next != "" {
			t.Fatalf("last page: %+v, %v", page, err)
		}
	}
}

func TestClosed(t *testing.T) {
	l := newPair(t).open()
	mustPut(t, l, "k", "x")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Put(t.Context(), "b", "k", bytes.NewReader(nil), nil); err == nil {
		t.Error("Put after Close succeeded")
	}
	if _, _, err := l.Get(t.Context(), "b", "k"); err == nil {
		t.Error("Get after Close succeeded")
	}
}
