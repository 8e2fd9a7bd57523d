package cachecontrol

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// get returns the entry under key if it may be there.
func (e *engine) get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := e.store.Get(ctx, key)
	r, _, err = e.checked(ctx, key, r, err)
	return r, err
}

// checked returns what the store has returned for key if it may be there, and reports whether it was invalidated.
func (e *engine) checked(ctx context.Context, key string, r *storage.Response, err error) (_ *storage.Response, invalid bool, _ error) {
	if err != nil {
		return nil, false, err
	}
	v := e.view(r.Entry)
	if !belongs(key, v.urlKey) {
		r.Body.Close()
		return nil, false, e.store.Unreadable(ctx, key, errOtherURL)
	}
	state := e.marks.Check(ctx, key, r.Entry.Mark, v.groups, &v.checked)
	if state == marks.Cleared {
		r.Body.Close()
		return nil, false, storage.ErrNotFound
	}
	return r, state != marks.Current, nil
}

// errOtherURL is the error for an entry that was found under the key of another URL.
var errOtherURL = errors.New("cachecontrol: the entry is another URL's")

// entryUnder returns the entry that is stored under key now, or nil.
func (e *engine) entryUnder(ctx context.Context, key string) *storage.Entry {
	return entryOf(e.get(context.WithoutCancel(ctx), key))
}

// entryOf returns the entry of a response that it closes, or nil if there is an error.
func entryOf(r *storage.Response, err error) *storage.Entry {
	if err != nil {
		return nil
	}
	r.Body.Close()
	return r.Entry
}

// heldEntry returns e, or nil if it is nil.
func heldEntry(e *storage.Entry) storage.HeldEntry {
	if e == nil {
		return nil
	}
	return e
}

// remove removes the entry under key. It holds the lock of the plain key while it does so.
func (e *engine) remove(ctx context.Context, plain, key string) error {
	k, _ := e.lock(ctx, plain) // on timeout, proceed without the lock
	defer k.Unlock()
	return e.store.Delete(ctx, key)
}

// invalidate removes everything stored for a plain key, and prevents storing responses for it that are being received.
// by is the epoch of a request whose response may be stored all the same; invalidate returns the one to use for it from
// now on. invalidate waits for a commit in progress, so that after
// it returns no request finds an earlier response.
func (e *engine) invalidate(ctx context.Context, key string, by invalidation.Epoch) (invalidation.Epoch, error) {
	by = e.markInvalidated(key, by)
	k, _ := e.lock(ctx, key) // on timeout, the holder of the lock will notice: the key is marked
	defer k.Unlock()
	return by, e.drop(ctx, key)
}

// markInvalidated prevents storing responses for a plain key that are being received, and using those that are stored. by is as
// for invalidate.
func (e *engine) markInvalidated(key string, by invalidation.Epoch) invalidation.Epoch {
	by = e.invalidations.Add(key, by)
	e.forgetFresh(key)
	now := time.Now()
	e.store.Invalidated(key, now)
	e.store.Invalidated(key+partialSuffix, now)
	return by
}

// drop removes everything stored for a plain key. Without the entry under that key, its variants are never found. If
// the store is local, drop removes them, too; in other stores they expire.
func (e *engine) drop(ctx context.Context, key string) error {
	var variants []storage.Variant
	if e.store.Traits().Local {
		if r, err := e.get(context.WithoutCancel(ctx), key); err == nil {
			r.Body.Close()
			variants = r.Entry.Variants
		}
		if has, _ := e.store.HasRanges(); has {
			_, list := e.partsUnder(ctx, key+partialSuffix)
			e.deleteParts(ctx, key+partialSuffix, list.All())
		}
	}
	calls := []storage.Call{{Key: key, Delete: true}, {Key: key + partialSuffix, Delete: true}}
	e.store.Batch(ctx, calls)
	errs := []error{calls[0].Err, calls[1].Err}
	for _, v := range variants {
		if strings.HasPrefix(v.Key, key+variantSuffix) { // our lists contain only keys of the same URL
			errs = append(errs, e.store.Delete(ctx, v.Key))
		}
	}
	return errors.Join(errs...)
}

// maxParts is the maximum number of parts that are stored of a representation. A further part replaces the one that was stored
// first.
const maxParts = 2048

// maxPartsBytes is the maximum length of a list of parts in bytes.
const maxPartsBytes = 64 << 10

// partsUnder returns the entry that lists the stored parts under key, and the list. The entry is nil if there is none. If the list
// cannot be used, it is empty.
func (e *engine) partsUnder(ctx context.Context, key string) (*storage.Entry, partlist.List) {
	r, err := e.get(context.WithoutCancel(ctx), key)
	if err != nil {
		return nil, partlist.List{Total: -1}
	}
	list, _ := readParts(r)
	return r.Entry, list
}

// readParts reads and closes the body of an entry that lists parts. If it is not a list, readParts returns an error and an empty
// list.
func readParts(r *storage.Response) (partlist.List, error) {
	defer r.Body.Close()
	empty := partlist.List{Total: -1}
	if r.Entry.Range != nil || r.Entry.Length > maxPartsBytes {
		return empty, errNoParts
	}
	text, err := readText(r)
	if err != nil {
		return empty, err
	}
	list, err := partlist.Parse(text, maxParts)
	if err != nil {
		return empty, err
	}
	return list, nil
}

// readText returns a body, or more than maxPartsBytes bytes of it. It does not copy a body that is in memory.
func readText(r *storage.Response) ([]byte, error) {
	if held, ok := r.Body.(*bytesbody.Body); ok {
		return held.Bytes(), nil
	}
	var text bytes.Buffer
	text.Grow(int(max(0, r.Entry.Length)) + bytes.MinRead)
	_, err := text.ReadFrom(io.LimitReader(r.Body, maxPartsBytes+1))
	return text.Bytes(), err
}

// errNoParts is the error for an entry that does not list parts, although it is stored where such an entry is looked for.
var errNoParts = errors.New("cachecontrol: the entry is not a list of parts")

// deleteParts removes parts that are in no list any more. key is that of the list.
func (e *engine) deleteParts(ctx context.Context, key string, parts []partlist.Part) {
	for _, p := range parts {
		e.store.Delete(ctx, partKey(key, p.ID))
	}
}

// emptyEntry returns an entry without content, to be stored now under a key that is derived from a plain key.
func emptyEntry(key string) *storage.Entry {
	now := time.Now()
	return &storage.Entry{
		Status: http.StatusNoContent, Reason: "No Content", Version: 11, Header: http.Header{}, URL: urlOfKey(key),
		RequestTime: now, ResponseTime: now,
	}
}

// putIndex stores an index, which is an entry without content.
func (e *engine) putIndex(ctx context.Context, key string, index *storage.Entry) error {
	index.Mark = e.marks.Now(ctx)
	w, err := e.store.Create(ctx, key, index)
	if err != nil {
		return err
	}
	return w.Commit()
}

// deleteUnlisted is deleteParts for parts that no list names any more. In stores that are not local, they expire.
func (e *engine) deleteUnlisted(ctx context.Context, key string, parts []partlist.Part) {
	if e.store.Traits().Local {
		e.deleteParts(ctx, key, parts)
	}
}

// invalidateMethods invalidates the responses to all methods that are stored for a plain key, and those that are being received.
func (e *engine) invalidateMethods(ctx context.Context, key string) error {
	e.markMethodsInvalidated(key)
	return e.remove(ctx, key+methodsSuffix, key+methodsSuffix)
}

// markMethodsInvalidated is markInvalidated for the responses to all methods.
func (e *engine) markMethodsInvalidated(key string) {
	e.invalidations.Add(key+methodsSuffix, invalidation.Epoch{})
	e.store.Invalidated(key+methodsSuffix, time.Now())
}

// isFresh reports whether the response under a plain key was fresh when it was last used, and still is.
func (e *engine) isFresh(key string) bool {
	until := e.fresh.Get(lossy.Hash(key), key)
	return until != nil && time.Now().Before(*until)
}

// forgetFresh makes the next lookup of a plain key read ahead.
func (e *engine) forgetFresh(key string) {
	if e.isFresh(key) {
		e.fresh.Put(lossy.Hash(key), key, time.Time{})
	}
}
