//go:build unix && !linux

package storage

const noAccessTime = 0
