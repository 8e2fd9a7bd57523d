package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// newFile is a whole file on its way to its place. Where the system can do it, it has no name until then: nobody sees it, its
// directory is written to once, and nothing of it is left, whatever happens. Otherwise it is a temporary file beside its
// place.
type newFile struct {
	tree  *tree
	path  string // of the entry that it is for
	first bool   // nothing is known of the directory yet
	alone bool   // the directory was made for it, a moment ago
	name  string // "": it has none, is file, and holds doc
	file  unnamed
	doc   []byte
}

// newFile returns a file that holds doc, for the entry at path, where nothing is yet, probably. first: nothing is known of its
// directory. doc must stay as it is.
func (t *tree) newFile(path string, doc []byte, first bool) (*newFile, error) {
	if !t.named.Load() {
		n := &newFile{tree: t, path: path, first: first, doc: doc}
		var err error
		dir := t.parent(path) // not just any directory: the inode is to be near
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

// tempFile returns a file that has a name, and holds doc.
func (t *tree) tempFile(path string, doc []byte, first bool) (*newFile, error) {
	n := &newFile{tree: t, path: path, first: first}
	return n, n.write(doc)
}

// write makes the temporary file. Nobody holds it: it is too young to pass for one that was left.
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

// create puts the file at to, beside its entry's path, where nothing was before, without the entry's lock. It returns an error, and
// changes nothing there, where that is not so, or where free says that it may not be, and the lock is needed.
//
// The lock keeps apart who reads an entry and then replaces it, and of them there is none before there is an entry. But
// CacheControl 0.12 makes its file in place, and fails where one has appeared since it last looked; it has made the lock file
// by then. There is none in a directory that was made a moment ago, where free is not asked.
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

// giveName makes the file a temporary one.
func (n *newFile) giveName() (err error) {
	if n.name != "" {
		return nil
	}
	defer n.file.close()
	if n.name, n.alone, err = n.tree.makeBeside(n.path, n.first, n.file.link); err == nil {
		return nil
	}
	if err = n.write(n.doc); err == nil {
		n.tree.named.Store(true) // the others need not try
	}
	return err
}

// stat returns the file's identity, time and size, by which it is known once it is in place.
func (n *newFile) stat() (fs.FileInfo, error) {
	if n.name == "" {
		return n.file.stat()
	}
	return lstat(n.name)
}

// discard removes the file, unless it is in place.
func (n *newFile) discard() {
	if n.name == "" {
		n.file.close()
		return
	}
	os.Remove(n.name)
}
