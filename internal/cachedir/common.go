package cachedir

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// traits returns the traits of the cache; t may be nil. Its Warning is not empty if every user may write to the directory, or if it
// belongs to another user, because those users can replace stored responses. See "Permissions" in docs/storage.md.
func (t *tree) traits(copies bool) storage.Traits {
	traits := storage.Traits{Local: true, Copies: copies, NoRanges: !t.hasRanges()}
	if t != nil {
		traits.Evictions, traits.Warning = t.bound.evictions.Load(), t.exposed
	}
	return traits
}

// The following methods work with the files of an entry, one or two as t.separate says.

func (t *tree) lock(ctx context.Context, path string) (unlock func(), err error) {
	if t.separate {
		return lockPair(ctx, path)
	}
	return lock(ctx, path)
}

func (t *tree) remove(path string) error {
	if t.separate {
		return removePair(path)
	}
	return remove(path)
}

// lockEntry locks the entry under key, which the caller changes, and returns its path. The error is ErrNotFound if
// there is no entry.
func (t *tree) lockEntry(ctx context.Context, key string) (path string, unlock func(), err error) {
	if err := t.check(ctx); err != nil {
		return "", nil, err
	}
	if path, err = t.writePath(key); err != nil {
		return "", nil, err
	}
	if !exists(path) {
		return "", nil, storage.ErrNotFound
	}
	unlock, err = t.lock(ctx, path)
	return path, unlock, err
}

// delete removes the entry under key, unless the cache was created with Forever.
func (t *tree) delete(ctx context.Context, key string) error {
	if err := t.check(ctx); err != nil {
		return err
	}
	path, err := t.writePath(key)
	if err != nil {
		return err
	}
	if t.forever || !exists(path) && !(t.separate && exists(path+bodySuffix)) {
		return nil
	}
	// With the lock, no Update that has read the entry can restore it. If the lock is not available, the
	// entry is removed without it, because an invalid entry must not stay. Python takes no lock here either.
	if unlock, err := t.lock(ctx, path); err == nil {
		if strings.Contains(key, cachekey.PartSuffix) {
			defer t.removeTraces(path, unlock)
		} else {
			defer unlock()
		}
	}
	defer t.changed(path, t.sizeAt(path))
	return t.remove(path)
}

// removeTraces removes the locks of the part at path, which are held, and its leaf directory if that is empty. The keys of parts are
// random, so a long file whose parts replace each other would leave a lock and a directory for each of them, and sweeps could not keep
// up. Python does not use these keys.
func (t *tree) removeTraces(path string, unlock func()) {
	names := []string{path + lockSuffix}
	if t.separate {
		names = append(names, path+bodySuffix+lockSuffix)
	}
	removeLocked(unlock, names...)
	os.Remove(filepath.Dir(path))
}

// drop removes a damaged entry if the file with its body is still the one described by body and no other process holds
// the lock to replace it. It also removes it if the cache is Forever.
func (t *tree) drop(path, bodyPath string, body fs.FileInfo) {
	unlock, err := t.lock(endedContext, path)
	if err != nil {
		return
	}
	defer unlock()
	if stillAt(bodyPath, body) {
		t.remove(path)
	}
}
