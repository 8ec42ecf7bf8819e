package sandbox

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
)

// cleanRuns deletes the directories of Runtimes whose process died.
func (c *codeCache) cleanRuns(base string) {
	found, _ := os.ReadDir(base)
	for _, f := range found {
		path := filepath.Join(base, f.Name())
		if !strings.HasPrefix(f.Name(), runPrefix) || !strings.HasSuffix(path, lockEnd) || path == c.run+lockEnd {
			continue
		}
		if info, err := f.Info(); err != nil || private(info) != nil {
			continue
		}
		lock := flock.New(path, flock.SetPermissions(0o600))
		if locked, err := lock.TryLock(); err != nil || !locked {
			continue
		}
		// The directory first: a lock without one is harmless.
		if os.RemoveAll(strings.TrimSuffix(path, lockEnd)) == nil {
			_ = removeLock(lock)
		} else {
			_ = lock.Unlock()
		}
	}
}

// cleanVersions deletes the entries of other versions.
func (c *codeCache) cleanVersions() {
	found, _ := os.ReadDir(c.root)
	for _, f := range found {
		if path := filepath.Join(c.root, f.Name()); path != c.entries && strings.Contains(f.Name(), "-wazero-") {
			_ = os.RemoveAll(path)
		}
	}
}

// evict deletes the entries whose last use is longest ago until the rest is in the limit.
func (c *codeCache) evict() {
	found, err := os.ReadDir(c.entries)
	if err != nil {
		return
	}
	var all []fs.FileInfo
	total := int64(0)
	for _, f := range found {
		if info, err := f.Info(); err == nil { // else it has just gone
			all = append(all, info)
			total += info.Size()
		}
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, info := range all {
		if total <= c.limit {
			return
		}
		if os.Remove(filepath.Join(c.entries, info.Name())) == nil {
			total -= info.Size()
		}
	}
}
