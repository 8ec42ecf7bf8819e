//go:build !linux

package sandbox

func newMemoryPages(_ uint64, im *image) memoryPages { return newSlice(im) }

func machineMemory() uint64 { return 8 << 30 }
