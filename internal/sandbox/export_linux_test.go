package sandbox

func readingPagemap() (restore func()) {
	p := thePagemap()
	if p == nil {
		return nil
	}
	runs := p.runs
	p.runs = (*pagemap).read
	return func() { p.runs = runs }
}
