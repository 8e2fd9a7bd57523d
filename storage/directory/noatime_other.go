//go:build unix && !linux

package directory

const noAccessTime = 0
