package cachedir_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The parts of a long file replace each other under random keys. They leave neither locks nor leaf directories.
func TestPartsLeaveNothing(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		c := open(dir)
		for id := range uint64(100) {
			key := cachekey.Part("http://example.com/a", id)
			putRange(t, c, key, &storage.Range{Start: 1, Total: 2})
			if err := c.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(dir, path)
			if strings.HasPrefix(d.Name(), ".") && rel != "." {
				return nil // of the directory as a whole
			}
			if err != nil || !d.IsDir() || strings.Count(rel, string(filepath.Separator)) == 4 {
				t.Errorf("%s is left, error %v; want neither files nor leaf directories", rel, err)
			}
			return nil
		})
	})
}
