//go:build unix && !linux

package cachedir

const noAccessTime = 0
