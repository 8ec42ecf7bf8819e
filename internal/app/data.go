package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// lockFile keeps a second server off a data directory. It stays when the server ends; the lock does not.
const lockFile = "flagbase.lock"

// lockData makes the data directory when it is not there and locks it for this process.
func lockData(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, dataError(err))
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, dataError(err))
	}
	if !locked {
		return nil, fmt.Errorf("data directory %s: another flagbase server is using it; stop that one or choose another with --data", dir)
	}
	if err := probeWrite(dir); err != nil {
		_ = lock.Unlock() // the other error is the one to tell
		return nil, fmt.Errorf("data directory %s: %w", dir, dataError(err))
	}
	return lock, nil
}

// probeWrite finds out now, rather than at the first deploy, that nothing can be written.
func probeWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".probe.*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// dataError says what a person can do about a directory that does not work.
func dataError(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("this user cannot write there (%w); choose another with --data, or change who owns it", err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("it is a file, or a part of its path is (%w); choose another with --data", err)
	default:
		return err
	}
}
