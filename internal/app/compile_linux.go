package app

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness leaves a compilation a quarter of a core that a guest wants, too.
const niceness = 5

// limitProcess bounds what this process may use, for good.
func limitProcess(memory, cpuSeconds uint64) error {
	// When the machine runs out of memory, this is the process to end. Some systems hide the file.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	// Those who run come first. The system keeps this for each thread; new ones inherit it.
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, niceness)
		}
	}
	for _, l := range []struct {
		resource int
		limit    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_NOFILE, 32},
		{unix.RLIMIT_AS, memory},
		{unix.RLIMIT_CPU, cpuSeconds},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return err
		}
	}
	return nil
}
