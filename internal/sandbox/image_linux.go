package sandbox

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// imageFile is the ranges of an image, one after another in a file that lives in
// memory only.
type imageFile struct {
	fd     int
	ranges []span
}

// newImageFile gives nil when the system refuses, or has pages of another size; the
// caller then does without.
func newImageFile(ranges []span, chunks []chunk) *imageFile {
	if unix.Getpagesize() != grain {
		return nil
	}
	fd, err := unix.MemfdCreate("flagbase-image", unix.MFD_CLOEXEC)
	if err != nil {
		return nil
	}
	f := &imageFile{fd: fd, ranges: ranges}
	runtime.AddCleanup(f, func(fd int) { _ = unix.Close(fd) }, fd)
	base := uint64(0)
	for _, r := range ranges {
		for len(chunks) > 0 && chunks[0].offset < r.end {
			if !writeAt(fd, chunks[0].bytes, base+chunks[0].offset-r.start) {
				return nil
			}
			chunks = chunks[1:]
		}
		base += r.end - r.start
	}
	return f
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

func (f *imageFile) copyTo(memory []byte) {
	base := uint64(0)
	for _, r := range f.ranges {
		for at := r.start; at < r.end; {
			n, err := unix.Pread(f.fd, memory[at:r.end], int64(base+at-r.start))
			if err != nil || n == 0 {
				panic("sandbox: an image in memory cannot be read")
			}
			at += uint64(n)
		}
		base += r.end - r.start
	}
	runtime.KeepAlive(f)
}
