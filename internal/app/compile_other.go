//go:build !linux

package app

// limitProcess: elsewhere there is only the time that whoever waits allows.
func limitProcess(memory, cpuSeconds uint64) error { return nil }
