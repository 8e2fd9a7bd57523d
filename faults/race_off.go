//go:build !race

package main

// raceEnabled reports whether the race detector is on, which needs memory of its own.
const raceEnabled = false
