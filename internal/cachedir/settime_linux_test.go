package cachedir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSetTime: where the kernel does not set the time of an open file, the one with its name has it set.
func TestSetTime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, fd := range []int{int(f.Fd()), -1} {
		at := time.Unix(1700000000+int64(i), 123456789)
		if err := setTime(fd, name, at); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(name); err != nil || !fi.ModTime().Equal(at) && !fi.ModTime().Equal(at.Truncate(time.Second)) {
			t.Errorf("by descriptor %d: %v, want %v, or the whole second", fd, fi.ModTime(), at)
		}
	}
}
