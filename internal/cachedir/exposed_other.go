//go:build !unix

package cachedir

// exposure returns "", because on this system the mode of a directory does not show who can write to it.
func exposure(string) string { return "" }
