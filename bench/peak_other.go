//go:build !unix

package main

import "os"

// peakMemory returns 0, which means that the figure is not known.
func peakMemory(*os.ProcessState) int64 { return 0 }
