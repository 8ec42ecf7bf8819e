package sandbox

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// imageFile is the ranges of an image, one after another in a file that lives in
// memory only, and that nobody can change any more.
type imageFile struct {
	fd     int
	ranges []span
	view   []byte // all of the file, read only
}

// newImageFile gives nil when the system refuses, or has pages of another size; the
// caller then does without.
func newImageFile(ranges []span, chunks []chunk) *imageFile {
	if unix.Getpagesize() != grain {
		return nil
	}
	fd, err := unix.MemfdCreate("flagbase-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil
	}
	f := &imageFile{fd: fd, ranges: ranges}
	if !f.write(chunks) {
		_ = unix.Close(fd)
		return nil
	}
	type held struct {
		fd   int
		view []byte
	}
	runtime.AddCleanup(f, func(h held) {
		_ = unix.Munmap(h.view)
		_ = unix.Close(h.fd)
	}, held{fd, f.view})
	return f
}

func (f *imageFile) write(chunks []chunk) bool {
	base := uint64(0)
	for _, r := range f.ranges {
		for len(chunks) > 0 && chunks[0].offset < r.end {
			if !writeAt(f.fd, chunks[0].bytes, base+chunks[0].offset-r.start) {
				return false
			}
			chunks = chunks[1:]
		}
		base += r.end - r.start
	}
	if unix.Ftruncate(f.fd, int64(base)) != nil { // the last range may end in zeros
		return false
	}
	if _, err := unix.FcntlInt(uintptr(f.fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL); err != nil {
		return false
	}
	var err error
	f.view, err = unix.Mmap(f.fd, 0, int(base), unix.PROT_READ, unix.MAP_SHARED)
	return err == nil
}

func writeAt(fd int, b []byte, offset uint64) bool {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, int64(offset))
		if err != nil {
			return false
		}
		b, offset = b[n:], offset+uint64(n)
	}
	return true
}

// chunks gives the ranges as views of the file.
func (f *imageFile) chunks() []chunk {
	out := make([]chunk, 0, len(f.ranges))
	base := uint64(0)
	for _, r := range f.ranges {
		out = append(out, chunk{r.start, f.view[base : base+r.end-r.start]})
		base += r.end - r.start
	}
	return out
}

// mapTo lays the ranges over memory, copy on write.
func (f *imageFile) mapTo(memory []byte) error {
	base := uint64(0)
	for _, r := range f.ranges {
		_, err := unix.MmapPtr(f.fd, int64(base), unsafe.Pointer(&memory[r.start]), uintptr(r.end-r.start),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
		if err != nil {
			return err
		}
		base += r.end - r.start
	}
	runtime.KeepAlive(f)
	return nil
}
