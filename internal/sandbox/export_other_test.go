//go:build !linux

package sandbox

func readingPagemap() (restore func()) { return nil }
