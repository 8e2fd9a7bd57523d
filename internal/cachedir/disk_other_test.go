//go:build !linux

package cachedir_test

import (
	"testing"
)

func mountTemp(t *testing.T, _ int) string {
	t.Skip("mounts a file system as Linux does")
	return ""
}

func remount(*testing.T, string, bool) {}

func limitFileSize(t *testing.T, _ uint64) func() {
	t.Skip("limits the size of files as Linux does")
	return nil
}
