package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What Linux tells of a process; elsewhere all of it is 0 and the tables lack it.

// cpuTime is what the process has computed since it began, all its threads together.
// The kernel counts it in hundredths of a second.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // past the name, which may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memoryOf is what the process has of memory, in bytes: rss as `ps` shows it, and pss,
// where pages that are shared count in parts.
func memoryOf(pid int) (rss, pss int64) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	return kilobytes(field(path, "Rss")), kilobytes(field(path, "Pss"))
}

func kilobytes(s string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	return n << 10
}

// openFiles and mappings count what a process may leak.
func openFiles(pid int) int {
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	return len(list)
}

func mappings(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	return strings.Count(string(b), "\n")
}
