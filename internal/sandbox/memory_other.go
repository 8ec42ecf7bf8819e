//go:build !linux

package sandbox

func newMemoryPages(_ uint64, im *image) memoryPages { return newSlice(im) }

func machineMemory() uint64 { return 8 << 30 }

func threadFaults() (n int64, ok bool) { return 0, false }
