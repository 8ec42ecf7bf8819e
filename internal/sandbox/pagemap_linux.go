package sandbox

import (
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel tells through /proc/self/pagemap what a process wrote
// (https://docs.kernel.org/admin-guide/mm/pagemap.html). Of a private mapping, a page
// that was written is one of the process's own: present or swapped out, and neither of
// a file nor the page of zeros that all share. Since Linux 6.7 an ioctl gives the runs
// of such pages; before, the file has 64 bits for each page, which takes longer.

// pagemap is the open file and how to ask it.
type pagemap struct {
	fd   int
	runs func(p *pagemap, b []byte, fn func(from, to uint64)) (ok bool)
}

// thePagemap is nil where there is none, or where it does not say what it is believed
// to say.
var thePagemap = sync.OnceValue(func() *pagemap {
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil || unix.Getpagesize() != grain {
		return nil
	}
	for _, runs := range []func(*pagemap, []byte, func(from, to uint64)) bool{(*pagemap).scan, (*pagemap).read} {
		if p := (&pagemap{fd, runs}); p.tellsWritten() {
			return p
		}
	}
	_ = unix.Close(fd)
	return nil
})

// tellsWritten tries it: of five pages, three of a file and two of none, one each is
// written, and of the file's others one is read.
func (p *pagemap) tellsWritten() bool {
	content := chunk{0, make([]byte, 3*grain)}
	content.bytes[0], content.bytes[grain], content.bytes[2*grain] = 1, 1, 1
	f := newImageFile([]span{{0, 3 * grain}}, []chunk{content})
	if f == nil {
		return false
	}
	b, err := unix.Mmap(-1, 0, 5*grain, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(b) }()
	if f.mapTo(b) != nil {
		return false
	}
	b[grain] = b[0] + 1 // reads the first, writes the second
	b[4*grain] = 1
	var told [5]bool
	ok := p.runs(p, b, func(from, to uint64) {
		for at := from; at < to && at < 5*grain; at += grain {
			told[at/grain] = true
		}
	})
	return ok && told == [5]bool{1: true, 4: true}
}

// Of <linux/fs.h>.
const (
	pagemapScan = 0xC0606610 // PAGEMAP_SCAN
	pageIsFile  = 1 << 2
	pageIsHere  = 1 << 3 // PAGE_IS_PRESENT
	pageIsAway  = 1 << 4 // PAGE_IS_SWAPPED
	pageIsZero  = 1 << 5 // PAGE_IS_PFNZERO
)

type scanArgument struct { // struct pm_scan_arg
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, returned                         uint64
}

type scanRegion struct{ start, end, _ uint64 } // struct page_region

// scan asks with the ioctl.
func (p *pagemap) scan(b []byte, fn func(from, to uint64)) (ok bool) {
	var regions [64]scanRegion
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	a := scanArgument{
		start: base, end: base + uint64(len(b)),
		vecLen:   uint64(len(regions)),
		inverted: pageIsFile | pageIsZero, mask: pageIsFile | pageIsZero, // neither
		anyOf: pageIsHere | pageIsAway,
	}
	a.size = uint64(unsafe.Sizeof(a))
	for a.start < a.end {
		a.vec = uint64(uintptr(unsafe.Pointer(&regions)))
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), pagemapScan, uintptr(unsafe.Pointer(&a)))
		runtime.KeepAlive(&regions)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n > uintptr(len(regions)) || a.walkEnd <= a.start {
			return false
		}
		for _, r := range regions[:n] {
			fn(r.start-base, r.end-base)
		}
		a.start = a.walkEnd
	}
	return true
}

// Bits of an entry of the file.
const (
	entryPresent = 1 << 63
	entrySwapped = 1 << 62
	entryOfFile  = 1 << 61
)

func written(entry uint64) bool {
	return entry&entrySwapped != 0 || entry&entryPresent != 0 && entry&entryOfFile == 0
}

// read reads the file.
func (p *pagemap) read(b []byte, fn func(from, to uint64)) (ok bool) {
	var entries [512]uint64
	for at := 0; at < len(b); at += len(entries) * grain {
		part := b[at:min(at+len(entries)*grain, len(b))]
		pages := entries[:len(part)/grain]
		if !p.entries(part, pages) {
			return false
		}
		for i := 0; i < len(pages); i++ {
			from := i
			for i < len(pages) && written(pages[i]) {
				i++
			}
			if i > from {
				fn(uint64(at+from*grain), uint64(at+i*grain))
			}
		}
	}
	return true
}

// entries reads the entries of the pages of b, which begins at a page.
func (p *pagemap) entries(b []byte, entries []uint64) bool {
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&entries[0])), 8*len(entries))
	offset := int64(uintptr(unsafe.Pointer(&b[0])) / grain * 8)
	for len(raw) > 0 {
		n, err := unix.Pread(p.fd, raw, offset)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return false
		}
		raw, offset = raw[n:], offset+int64(n)
	}
	return true
}

// eachWritten calls fn for the runs of pages of memory that were written. Not ok when
// it cannot be known.
func eachWritten(memory []byte, fn func(from, to uint64)) (ok bool) {
	p := thePagemap()
	return p != nil && p.runs(p, memory, fn)
}
