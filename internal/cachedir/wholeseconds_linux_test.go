package cachedir_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// mountWholeSeconds mounts an empty file system whose file times are whole seconds, which goes with the test.
func mountWholeSeconds(t *testing.T) string {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 4<<20); err != nil {
		t.Fatal(err)
	}
	mkfs := peer.Program(t, "apt-get install e2fsprogs", "mkfs.ext2", "/sbin/mkfs.ext2")
	if out, err := exec.CommandContext(t.Context(), mkfs, "-q", "-F", "-I", "128", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext2: %v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		peer.Denied(t, "mounting a file system in a file", fmt.Errorf("%w: %s", err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestWholeSeconds: if the times of files are whole seconds, entries that are written in one second cannot be told apart by them.
// They are right nevertheless, and a body that does not belong to its head is a miss.
func TestWholeSeconds(t *testing.T) {
	root := mountWholeSeconds(t)
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := filepath.Join(root, t.Name())
		s, other := open(dir), open(dir)
		put(t, s, "key", "body")
		mustGet(t, s, "key", "body")
		e := mustGet(t, other, "key", "body").Entry.Clone()
		e.Header.Set("X-Updated", "yes")
		if err := s.Update(t.Context(), "key", e); err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, other, "key", "body").Entry.Header.Get("X-Updated"); got != "yes" {
			t.Errorf("X-Updated after Update: %q, want yes", got)
		}
		put(t, other, "key", "BODY")
		mustGet(t, s, "key", "BODY")
		path, base := bodyFile(t, dir, "key", len("BODY"))
		if at := modTime(t, path); at.Nanosecond() != 0 {
			t.Fatalf("the time of the body is %v, want whole seconds", at)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt([]byte("body"), base)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		wantMiss(t, other, "key", true)
	})
}
