package main

import "fmt"

// A row of the table is the result of one kind of fault.
type row struct {
	broken string
	times  int64  // how often
	unit   string // the unit of times
	tally
	notes  string
	broke  string // the promise that was broken, or ""
	python bool   // Python read the responses
}

// verdict returns the promise that the row breaks, or "".
func (r row) verdict() string {
	switch {
	case r.broke != "":
		return r.broke
	case r.Wrong > 0 && !r.python:
		return fmt.Sprintf("%d wrong answers, the first: %s", r.Wrong, r.First)
	case r.Failed > 0:
		return fmt.Sprintf("%d failed requests, the first: %s", r.Failed, r.First)
	case r.Reads == 0:
		return "nothing was read"
	}
	return ""
}

// mib returns a number of bytes in words.
func mib(n int64) string {
	if n == 0 {
		return "an unknown number of bytes"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
