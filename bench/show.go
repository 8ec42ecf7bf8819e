package main

import (
	"strconv"
	"time"
)

// showTime gives a time with three digits, in the unit a reader expects.
func showTime(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return digits(float64(d)/1e3) + " us"
	case d < time.Second:
		return digits(float64(d)/1e6) + " ms"
	}
	return digits(d.Seconds()) + " s"
}

func showRatio(r float64) string {
	if r < 0.1 {
		return strconv.FormatFloat(r, 'f', 3, 64) + " x"
	}
	return strconv.FormatFloat(r, 'f', 2, 64) + " x"
}

// showCount gives a whole number with its thousands apart.
func showCount(n float64) string {
	if n == 0 {
		return ""
	}
	s := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func showBytes(n int64) string {
	if n == 0 {
		return ""
	}
	return digits(float64(n)/(1<<20)) + " MiB"
}

// digits gives three digits of f, or all before the point.
func digits(f float64) string {
	prec := 2
	for limit := 10.0; prec > 0 && f >= limit; limit *= 10 {
		prec--
	}
	return strconv.FormatFloat(f, 'f', prec, 64)
}
