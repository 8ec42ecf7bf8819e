//go:build !linux

package sandbox

func newMemoryPages(_ uint64, im *image) memoryPages { return newSlice(im) }
