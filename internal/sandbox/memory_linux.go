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
	// own are the pages that were found written; they are restored each time, because a
	// page stays the process's own. known says that they were looked for.
	own   []span
	known bool
	// most is how far any use went. A page far out that an earlier one wrote is still the
	// process's own, and is written again without a fault.
	most uint64
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

func (m *mapped) tracked() bool { return m.known }

// restore undoes what the guest wrote, page by page. In a private mapping the pages
// that were written are those that are the process's own; none came to them when there
// was no page fault.
func (m *mapped) restore(im *image, used uint64, faulted bool) (held uint64, ok bool) {
	m.most = max(m.most, used)
	if m.most == 0 {
		return 0, true
	}
	if faulted || !m.known {
		m.own = m.own[:0]
		if m.known = eachWritten(m.bytes[:m.most], func(from, to uint64) { m.own = append(m.own, span{from, to}) }); !m.known {
			return 0, false
		}
	}
	for _, s := range m.own {
		held += s.end - s.start
	}
	if held > maxCopied*grain {
		m.own, m.known = m.own[:0], false
		if unix.Madvise(m.bytes[:m.most], unix.MADV_DONTNEED) != nil {
			return 0, false
		}
		if m.shared {
			return 0, true
		}
		im.copyTo(m.bytes)
		return im.content(), true
	}
	for _, s := range m.own {
		im.fill(m.bytes[s.start:s.end], s.start)
	}
	return held, true
}

// threadFaults is how many page faults this thread has had. A page becomes the
// process's own in one.
func threadFaults() (n int64, ok bool) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0, false
	}
	return int64(u.Minflt) + int64(u.Majflt), true
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
