package sandbox

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mapped is address space for the most the instance may use. The kernel backs
// a page when the guest first touches it, so that a 128 MiB limit costs a guest
// of 2 MiB no more than its 2 MiB, growth never copies, and nothing of it is
// scanned or kept by Go's collector.
type mapped struct {
	bytes []byte
	// shared says that the image is mapped: a page the guest did not write is the
	// image's own. Otherwise it was copied.
	shared bool
}

// newMemoryPages reserves that many bytes, which begin with the image.
func newMemoryPages(reserve uint64, im *image) memoryPages {
	if reserve == 0 || portable.Load() {
		return newSlice(im)
	}
	b, err := unix.Mmap(-1, 0, int(reserve), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return newSlice(im)
	}
	// A huge page would be written, and then restored, for each byte.
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
	m := &mapped{bytes: b, shared: im.file != nil || len(im.chunks) == 0}
	if im.file == nil || im.file.mapTo(b) != nil {
		m.shared = len(im.chunks) == 0
		im.copyTo(b)
	}
	return m
}

func (m *mapped) resize(size uint64) []byte {
	if size > uint64(len(m.bytes)) {
		return nil
	}
	return m.bytes[:size:len(m.bytes)]
}

func (m *mapped) reserved() uint64 { return uint64(len(m.bytes)) }

// maxCopied is how many pages are written back one by one. When more differ, all are
// given back to the kernel, which then answers as it did at first.
const maxCopied = 1024

// restore undoes what the guest wrote, page by page. In a private mapping the pages
// that were written are those that are the process's own.
func (m *mapped) restore(im *image, used uint64) (held uint64, ok bool) {
	if used == 0 {
		return 0, true
	}
	count, ok := eachWritten(m.bytes[:used], maxCopied, func(from, to uint64) { im.fill(m.bytes[from:to], from) })
	switch {
	case !ok:
		return 0, false
	case count <= maxCopied:
		return uint64(count) * grain, true
	case unix.Madvise(m.bytes[:used], unix.MADV_DONTNEED) != nil:
		return 0, false
	}
	if !m.shared {
		im.copyTo(m.bytes)
		held = im.content()
	}
	return held, true
}

func (m *mapped) free() {
	if m.bytes != nil {
		_ = unix.Munmap(m.bytes)
		m.bytes = nil
	}
}

// machineMemory is the memory of the machine, or what the control group of the
// process may use of it, in bytes.
func machineMemory() uint64 {
	total := uint64(8 << 30)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		total = uint64(info.Totalram) * uint64(info.Unit)
	}
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
			total = min(total, limit)
		}
	}
	return total
}
