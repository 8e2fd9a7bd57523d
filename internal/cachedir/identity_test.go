package cachedir

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestIdentityOutlivesRename: what is kept about a file before it is renamed must still be known to be that file afterwards, on every
// system. If it were not, a writer would take an entry back that it has just put in place.
func TestIdentityOutlivesRename(t *testing.T) {
	tree, err := openTree(t.TempDir(), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, stat := range map[string]func(*newFile) (fs.FileInfo, error){
		"newFile.stat": (*newFile).stat,
		"lstat":        func(n *newFile) (fs.FileInfo, error) { return lstat(n.name) },
		"entryInfo": func(n *newFile) (fs.FileInfo, error) {
			dir := filepath.Dir(n.name)
			list, err := os.ReadDir(dir)
			if err != nil {
				return nil, err
			}
			return entryInfo(dir, list[0])
		},
		"openFile": func(n *newFile) (fs.FileInfo, error) {
			f, fi, err := openFile(n.name)
			if err == nil {
				f.Close()
			}
			return fi, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := tree.path(name)
			n, err := tree.tempFile(path, []byte("text"), true)
			if err != nil {
				t.Fatal(err)
			}
			before, err := stat(n)
			if err != nil {
				t.Fatal(err)
			}
			if err := replace(n.name, path); err != nil {
				t.Fatal(err)
			}
			if !stillAt(path, before) {
				t.Errorf("stillAt after the rename = false, want true")
			}
		})
	}
}
