//go:build !unix

package main

// dontWait is no flag: directories have no pipes here.
const dontWait = 0
