package sandbox

import "testing"

// Portably makes t's instances use what systems without anything better have.
func Portably(t testing.TB) {
	portable.Store(true)
	t.Cleanup(func() { portable.Store(false) })
}

// ReadingPagemap makes the kernel's file be read, as before Linux 6.7, until the
// function it gives is called. It gives nil where there is no such file.
func ReadingPagemap() (restore func()) { return readingPagemap() }

// Idle says how many guests wait for their next use, and how much memory they hold.
func (r *Runtime) Idle() (guests int, bytes int64) {
	for _, p := range r.pools.list() {
		p.mu.Lock()
		guests += len(p.idle)
		p.mu.Unlock()
	}
	return guests, r.pools.bytes.Load()
}

// Used says how many bytes of linear memory are entered.
func (l *Ledger) Used() uint64 { return l.used.Load() }

// GoRandoms says how many random generators of the Go runtime the snapshot renews.
func (s *Snapshot) GoRandoms() int { return len(s.random) }

// StartsReady says whether a command of Go's starts with its runtime set up.
func (m *Module) StartsReady() bool {
	return m.TriedReady() && m.command.made.Load().state != nil
}

// TriedReady says whether it was tried.
func (m *Module) TriedReady() bool { return m.command.made.Load() != nil }
