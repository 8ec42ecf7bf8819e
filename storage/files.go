package storage

import (
	"io"
	"os"
	"path"
	"runtime"
)

// The directory of a Local:
//
//	directory-id          ties it to its index, see bind.go
//	tmp/RANDOM            objects being received
//	objects/ab/abcd...    one file per content, named by its SHA-256
const (
	idFile     = "directory-id"
	tempDir    = "tmp"
	objectsDir = "objects"
)

// objectPath is the file of the content with that hash: 64 lower case hex
// digits, the only text that ever becomes a part of a path.
func objectPath(hash string) string { return path.Join(objectsDir, hash[:2], hash) }

// files are the steps that change the directory. They are an interface so that
// a test can make the n-th of them fail.
type files interface {
	Create(name string) (file, error) // must not exist; mode 0600
	Rename(from, to string) error     // replaces
	Remove(name string) error
	SyncDir(name string) error // makes names created in it durable
}

type file interface {
	io.WriteCloser
	Sync() error
}

// rootFiles are the real files, below a directory that no name can leave.
type rootFiles struct{ root *os.Root }

func (f rootFiles) Create(name string) (file, error) {
	return f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func (f rootFiles) Rename(from, to string) error { return f.root.Rename(from, to) }

func (f rootFiles) Remove(name string) error { return f.root.Remove(name) }

func (f rootFiles) SyncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil // NTFS journals names; a directory cannot be flushed
	}
	d, err := f.root.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// writeWhole makes data durable under name, which holds the old or the new
// content at every moment.
func writeWhole(fs files, temp, name string, data []byte) error {
	f, err := fs.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = fs.Rename(temp, name)
	}
	if err != nil {
		_ = fs.Remove(temp)
		return err
	}
	return fs.SyncDir(path.Dir(name))
}

func syncHostDir(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return rootFiles{root}.SyncDir(".")
}
