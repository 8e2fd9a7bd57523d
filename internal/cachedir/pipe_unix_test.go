//go:build unix && !solaris && !aix

package cachedir_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestPipe: a pipe where a cache has its files holds nobody up, whether somebody has it open for writing or not, and what is
// stored takes its place.
func TestPipe(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		for _, suffix := range []string{"", ".body", ".lock", ".body.lock"} {
			dir := t.TempDir()
			path := pathOf(dir, "key") + suffix
			known := open(dir)
			put(t, known, "key", "body")
			mustGet(t, known, "key", "body") // and its head is remembered
			mustGet(t, known, "key", "body")
			if err := os.Remove(path); err != nil && suffix != ".lock" && suffix != ".body.lock" {
				continue // a body that has no file of its own
			}
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			watch := time.AfterFunc(20*time.Second, func() { panic("somebody waits for " + filepath.Base(path)) })
			defer watch.Stop()
			use := func(s storage.Store) {
				r, err := s.Get(t.Context(), "key")
				if err != nil {
					return
				}
				r.Body.Close()
				if suffix == "" {
					t.Error("a pipe was read")
				}
				s.Update(t.Context(), "key", r.Entry.Clone())
			}
			use(known)
			use(open(dir))
			w, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			use(known)
			use(open(dir))
			if _, err := cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxBytes: 1 << 20}, nil); err != nil {
				t.Error(err)
			}
			for _, s := range []storage.Store{known, open(dir)} {
				put(t, s, "key", "again")
				mustGet(t, s, "key", "again")
				if err := s.Delete(t.Context(), "key"); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
