package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// entryName is the name of the entry of the module with that hash.
func entryName(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }

// cached is an entry that was verified.
type cached struct {
	*trailer
	file    *os.File
	path    string
	without []byte // the stub
}

// open gives the verified entry of that name; nil when there is none that is right. The
// caller closes its file.
func (c *codeCache) open(name string) *cached {
	if c.root == "" {
		return nil
	}
	path := filepath.Join(c.entries, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		e := &cached{file: f, path: path}
		if e.trailer, err = c.verify(f, name); err == nil {
			e.without = make([]byte, e.stub)
			_, err = f.ReadAt(e.without, e.code)
		}
		if err == nil {
			return e
		}
		_ = f.Close()
	}
	c.log.Warn("compiled code in the cache is damaged; compiling it again", "file", path, "err", err)
	_ = os.Remove(path)
	return nil
}

func (c *codeCache) verify(f *os.File, name string) (*trailer, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	if err := private(info); err != nil {
		return nil, err
	}
	return readEntry(c.key, name, f, info.Size())
}

// offer puts the file where wazero looks, until the returned function is called.
func (c *codeCache) offer(name string, put func(path string) error) (func(), error) {
	path := filepath.Join(c.look, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offered[name] == 0 {
		if err := put(path); err != nil {
			return nil, err
		}
	}
	c.offered[name]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.offered[name]--; c.offered[name] == 0 {
			delete(c.offered, name)
			_ = os.Remove(path)
		}
	}, nil
}

// linkTo makes path another name of the verified file, or a copy where that cannot be.
func (e *cached) linkTo(path string) error {
	verified, err := e.file.Stat()
	if err != nil {
		return err
	}
	if os.Link(e.path, path) == nil {
		if linked, err := os.Lstat(path); err == nil && os.SameFile(linked, verified) {
			return nil
		}
		_ = os.Remove(path) // replaced since it was opened
	}
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(e.file, 0, verified.Size()))
	return errors.Join(err, to.Close())
}

// touch says that the entry was used.
func (e *cached) touch() {
	now := time.Now()
	_ = os.Chtimes(e.path, now, now) // a read-only cache is one, too
}

// sign makes file, which wazero wrote, an entry of that name by adding stub and trailer.
func (c *codeCache) sign(file, entry, wazeroName string, rewritten [sha256.Size]byte, without []byte) error {
	t := &trailer{rewritten: rewritten, stub: int64(len(without))}
	if n, err := hex.Decode(t.name[:], []byte(wazeroName)); err != nil || n != len(t.name) {
		return fmt.Errorf("the compiler named its file %q, which is no hash", wazeroName)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		t.code = info.Size()
		var sum []byte
		if sum, err = mac(c.key, entry, io.MultiReader(io.LimitReader(f, t.code), bytes.NewReader(without)), t); err == nil {
			_, err = f.WriteAt(slices.Concat(without, t.signed(), sum), t.code)
		}
	}
	return errors.Join(err, f.Close())
}

// keep moves a signed file to its place among the entries.
func (c *codeCache) keep(file, entry string) error {
	if err := os.Rename(file, filepath.Join(c.entries, entry)); err != nil {
		return err
	}
	c.evict()
	return nil
}
