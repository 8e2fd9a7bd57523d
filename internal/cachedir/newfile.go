package cachedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// newFile is a complete file that is to be renamed or linked to its final name. If the system supports it,
// the file has no name until then. Then no other program sees it, its directory is written only once, and
// nothing is left of it after a crash. Otherwise it is a temporary file in the same directory.
type newFile struct {
	tree  *tree
	path  string // of the entry
	first bool   // whether nothing is known of the directory yet
	alone bool   // whether the directory has just been created for this file
	name  string // empty if the file has no name; then file and doc are set
	file  unnamed
	doc   []byte
}

// newFile returns a file that contains doc. Its entry probably does not exist yet. first is true if nothing
// is known of the directory. doc must not be modified until the file has its final name.
func (t *tree) newFile(path string, doc []byte, first bool) (*newFile, error) {
	if !t.named.Load() {
		n := &newFile{tree: t, path: path, first: first, doc: doc}
		var err error
		dir := t.parent(path) // the same directory, so that the inode is near
		n.alone, err = t.within(dir, first, func() (err error) {
			n.file, err = newUnnamed(dir, doc, t.fileMode, newTime())
			return err
		})
		if err == nil {
			return n, nil
		}
		if errors.Is(err, errors.ErrUnsupported) {
			t.named.Store(true)
		}
	}
	return t.tempFile(path, doc, first)
}

// tempFile returns a temporary file that contains doc.
func (t *tree) tempFile(path string, doc []byte, first bool) (*newFile, error) {
	n := &newFile{tree: t, path: path, first: first}
	return n, n.write(doc)
}

// write creates the temporary file. It takes no lock on it, because the file is too young to be considered
// abandoned.
func (n *newFile) write(doc []byte) (err error) {
	n.name, n.alone, err = n.tree.makeBeside(n.path, n.first, func(name string) error {
		return writeNew(name, doc, n.tree.fileMode, newTime())
	})
	if err != nil {
		n.name = ""
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// create moves the file to the name to, without the entry's lock. If there is a file of that name, or free
// returns false and the lock is therefore needed, it changes nothing there and returns an error.
//
// The lock is for those that read an entry and then replace it, so it is not needed as long as there is no
// entry. But CacheControl 0.12 writes its files in place, and fails if a file has appeared since it checked
// for it. By that time it has created its lock file, so free must check for one. In a directory that has just
// been created there is none, and free is not called.
func (n *newFile) create(to string, free func() bool) error {
	if !n.alone && !free() {
		return fs.ErrExist
	}
	if n.name == "" {
		err := n.file.link(to)
		if err == nil {
			n.file.close()
			return nil
		}
		if errors.Is(err, fs.ErrExist) || n.giveName() != nil {
			return err
		}
	}
	return renameNew(n.name, to)
}

// giveName turns the file into a temporary file with a name.
func (n *newFile) giveName() (err error) {
	if n.name != "" {
		return nil
	}
	defer n.file.close()
	if n.name, n.alone, err = n.tree.makeBeside(n.path, n.first, n.file.link); err == nil {
		return nil
	}
	if err = n.write(n.doc); err == nil {
		n.tree.named.Store(true) // linking failed, so it is not tried for other files
	}
	return err
}

// stat returns the file's identity, time and size, which it keeps when it gets its final name.
func (n *newFile) stat() (fs.FileInfo, error) {
	if n.name == "" {
		return n.file.stat()
	}
	return lstat(n.name)
}

// discard removes the file, unless it has its final name.
func (n *newFile) discard() {
	if n.name == "" {
		n.file.close()
		return
	}
	os.Remove(n.name)
}
