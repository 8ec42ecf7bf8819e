package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
	"github.com/tetratelabs/wazero"
)

// codeCache keeps machine code in files, from one process to the next.
//
//	<CacheDir>/key                   authenticates the entries; made at the first use
//	<CacheDir>/<version>/<name>      an entry: see cache_entry.go
//	<CacheDir>/flagbase-run-<random>/         where one Runtime's wazero looks for files
//	<CacheDir>/flagbase-run-<random>.lock     locked while that Runtime lives
//
// wazero believes what it finds in its directory, so it gets one of its own, and a file
// is put there only after it was verified and only until it was read.
//
// Between the two reads nobody can change the file: the directory and the file belong
// to this user, and no one else may write to them (both are checked). Who runs as this user can read
// the key as well, and the memory of this process.
type codeCache struct {
	log   *slog.Logger
	limit int64

	root    string // "" when nothing is kept from one process to the next
	entries string
	key     []byte

	run    string
	lock   *flock.Flock
	look   string // in run: where wazero looks
	wazero wazero.CompilationCache

	mu      sync.Mutex
	offered map[string]int // files in look, and how many loads need them
}

const (
	runPrefix = "flagbase-run-"
	lockEnd   = ".lock"
	keySize   = 32

	// defaultCacheBytes is about a hundred Go modules, or 1,000 small ones.
	defaultCacheBytes = 1 << 30
)

// openCache gives the cache in dir, made when it is not there. What keeps dir from being
// used is logged, and the cache then keeps nothing.
func openCache(dir string, limit int64, log *slog.Logger) (*codeCache, error) {
	c := &codeCache{log: log, limit: limit, offered: make(map[string]int)}
	base := os.TempDir()
	if dir != "" {
		if err := c.openRoot(dir); err != nil {
			log.Warn("compiled code is not kept: every start compiles again", "cache", dir, "err", err)
		} else {
			base = c.root
		}
	}
	err := c.openRun(base)
	if err != nil && base != os.TempDir() {
		log.Warn("nothing can be written to the cache of compiled code", "cache", dir, "err", err)
		err = c.openRun(os.TempDir())
	}
	if err != nil {
		return nil, fmt.Errorf("make a directory for compiled code: %w", err)
	}
	if c.root != "" {
		c.entries = filepath.Join(c.root, fmt.Sprintf("v%d-%s", entryMagic[len(entryMagic)-1], filepath.Base(c.look)))
		if err := os.MkdirAll(c.entries, 0o700); err != nil {
			log.Warn("nothing can be written to the cache of compiled code", "cache", dir, "err", err)
		}
		c.cleanVersions()
		c.evict()
	}
	c.cleanRuns(filepath.Dir(c.run))
	return c, nil
}

// openRoot checks that the directory is ours alone, and reads or makes the key.
func (c *codeCache) openRoot(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if err := private(info); err != nil {
		return fmt.Errorf("machine code is run from %s, but %w; make it the server's own (chmod 700), or name another", dir, err)
	}
	if c.key, err = cacheKey(dir); err != nil {
		return err
	}
	c.root = dir
	return nil
}

// cacheKey reads the key, or makes one: whole, and only once, however many start together.
func cacheKey(dir string) ([]byte, error) {
	name := filepath.Join(dir, "key")
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, keySize)
		rand.Read(key) //nolint:errcheck // never fails
		f, err := os.CreateTemp(dir, "key.*")
		if err != nil {
			return nil, err
		}
		defer os.Remove(f.Name())
		_, err = f.Write(key)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return nil, err
		}
		if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
			// A file system without links; two that start together may then differ, and
			// compile what the other has kept.
			if err := os.Rename(f.Name(), name); err != nil {
				return nil, err
			}
		}
	}
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if err := private(info); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is no secret; delete it", name), err)
	}
	key, err := os.ReadFile(name)
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("%s has %d bytes instead of %d; delete it", name, len(key), keySize)
	}
	return key, err
}

// openRun makes this Runtime's own directory in base, and points wazero at it.
func (c *codeCache) openRun(base string) error {
	for {
		name := filepath.Join(base, runPrefix+rand.Text())
		lock := flock.New(name+lockEnd, flock.SetPermissions(0o600))
		locked, err := lock.TryLock()
		if err != nil {
			return err
		}
		if _, err := os.Lstat(name + lockEnd); !locked || err != nil {
			_ = lock.Unlock() // another process took it for what a dead one left
			continue
		}
		c.run, c.lock = name, lock
		break
	}
	err := os.Mkdir(c.run, 0o700)
	if err == nil {
		c.wazero, err = wazero.NewCompilationCacheWithDir(c.run)
	}
	if err == nil {
		c.look, err = onlyChild(c.run)
	}
	if err != nil {
		return errors.Join(err, c.removeRun())
	}
	return nil
}

// onlyChild is what the directory holds.
func onlyChild(dir string) (string, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s holds %d files instead of one", dir, len(found))
	}
	return filepath.Join(dir, found[0].Name()), nil
}

// close is for when nothing loads any more.
func (c *codeCache) close() error { return c.removeRun() }

func (c *codeCache) removeRun() error {
	return errors.Join(os.RemoveAll(c.run), removeLock(c.lock))
}

// removeLock removes the file while it is locked, or after that where the system does not
// allow it.
func removeLock(lock *flock.Flock) error {
	err := os.Remove(lock.Path())
	unlockErr := lock.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = os.Remove(lock.Path())
	}
	return errors.Join(err, unlockErr)
}
