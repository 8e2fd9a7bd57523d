package cachedir_test

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// TestMaxBytesWhileFilled: a directory that is filled by several at once, as fast as they can, stays near its bound,
// however busy the machine is.
func TestMaxBytesWhileFilled(t *testing.T) {
	const bound, size, writers = 1 << 20, 8 << 10, 4
	dir := t.TempDir()
	s, err := cachedir.NewFileCache(dir, cachedir.MaxBytes(bound))
	if err != nil {
		t.Fatal(err)
	}
	var most int64
	for round := range 2 {
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for n := range 100 {
					w, err := s.Create(t.Context(), fmt.Sprintf("%d/%d/%d", round, i, n), storagetest.Entry())
					if err == nil {
						_, err = io.WriteString(w, strings.Repeat("x", size))
					}
					if err == nil {
						err = w.Commit()
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		var bytes int64
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if fi, err := d.Info(); err == nil && d.Type().IsRegular() {
				bytes += (fi.Size() + 4095) &^ 4095
			}
			return nil
		})
		most = max(most, bytes)
	}
	t.Logf("at most %d bytes of %d", most, bound)
	if most > bound+bound/2 {
		t.Errorf("%d bytes with a bound of %d", most, bound)
	}
}
