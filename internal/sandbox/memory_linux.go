package sandbox

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reserved is address space for the most the instance may use. The kernel backs
// a page when the guest first touches it, so that a 128 MiB limit costs a guest
// of 2 MiB no more than its 2 MiB, growth never copies, and nothing of it is
// scanned or kept by Go's collector.
type reserved struct{ bytes []byte }

// newMemoryPages reserves that many bytes, which begin with the image.
func newMemoryPages(reserve uint64, im *image) memoryPages {
	if reserve == 0 {
		return newSlice(im)
	}
	b, err := unix.Mmap(-1, 0, int(reserve), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return newSlice(im)
	}
	if im.file == nil || im.file.mapTo(b) != nil {
		im.copyTo(b)
	}
	return &reserved{bytes: b}
}

func (r *reserved) resize(size uint64) []byte {
	if size > uint64(len(r.bytes)) {
		return nil
	}
	return r.bytes[:size:len(r.bytes)]
}

func (r *reserved) free() {
	if r.bytes != nil {
		_ = unix.Munmap(r.bytes)
		r.bytes = nil
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
