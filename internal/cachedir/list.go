package cachedir

import (
	"context"
	"errors"
	"iter"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// List implements storage.Lister. It reads the metadata of one entry after the other. It knows the key of an entry only
// if the key is the URL.
func (c *FileCache) List(ctx context.Context) iter.Seq2[storage.Listed, error] {
	return c.opened().list(ctx, OneFile)
}

// List implements storage.Lister like FileCache.List.
func (c *SeparateBodyFileCache) List(ctx context.Context) iter.Seq2[storage.Listed, error] {
	return c.opened().list(ctx, SeparateBody)
}

func (t *tree) list(ctx context.Context, layout Layout) iter.Seq2[storage.Listed, error] {
	return func(yield func(storage.Listed, error) bool) {
		if err := t.check(ctx); err != nil {
			yield(storage.Listed{}, err)
			return
		}
		for it, err := range (&Directory{t.dir, layout}).All() {
			var l storage.Listed
			ended := ctx.Err()
			switch {
			case ended != nil:
				err = ended
			case err != nil:
			case it.Kind != EntryFile:
				continue
			default:
				if l, err = it.listed(); l.Entry == nil && err == nil {
					continue
				}
			}
			if !yield(l, err) || ended != nil {
				return
			}
		}
	}
}

// listed returns the entry as storage.Lister returns it, or the zero value if there is no usable one.
func (it *Item) listed() (l storage.Listed, err error) {
	found, err := it.Inspect()
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return l, nil
	case err != nil || found.State != Sound:
		return l, err
	}
	l = storage.Listed{Entry: found.Entry, Size: it.Size}
	if key, ok := cachekey.OfText(found.Entry.URL); ok && Hash(key) == it.Hash {
		l.Key = key
	} else if url := found.Entry.URL; url != "" && Hash(url) == it.Hash {
		l.Key = url
	}
	return l, nil
}
