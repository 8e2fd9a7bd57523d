//go:build !unix

package main

// nonBlocking is no flag: directories have no pipes here.
const nonBlocking = 0
