package cachecontrol

import (
	"context"
	"errors"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// get returns the entry under key if it may be there.
func (e *engine) get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := e.store.Get(ctx, key)
	if err == nil && !belongs(key, e.view(r.Entry).urlKey) {
		r.Body.Close()
		return nil, e.store.Unreadable(ctx, key, errOtherURL)
	}
	return r, err
}

// errOtherURL is the error for an entry that was found under the key of another URL.
var errOtherURL = errors.New("cachecontrol: the entry is another URL's")

// entryUnder returns the entry that is stored under key now, or nil.
func (e *engine) entryUnder(ctx context.Context, key string) *storage.Entry {
	resp, err := e.get(context.WithoutCancel(ctx), key)
	if err != nil {
		return nil
	}
	resp.Body.Close()
	return resp.Entry
}

// remove removes the entry under key. It holds the lock of the plain key while it does so.
func (e *engine) remove(ctx context.Context, plain, key string) error {
	k, _ := e.locks.Lock(plain) // on timeout, proceed without the lock
	defer k.Unlock()
	return e.store.Delete(ctx, key)
}

// invalidate removes everything stored for a plain key, and prevents storing responses for it that are being received.
// start is the send time, in the count of invalidations, of a request whose response may be stored all the same;
// invalidate returns the send time to use for it from now on. invalidate waits for a commit in progress, so that after
// it returns no request finds an earlier response.
func (e *engine) invalidate(ctx context.Context, key string, start uint64) (uint64, error) {
	start = e.invalidations.Add(key, start)
	k, _ := e.locks.Lock(key) // on timeout, the holder of the lock will notice: the key is marked
	defer k.Unlock()
	return start, e.drop(ctx, key)
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
	}
	errs := []error{e.store.Delete(ctx, key), e.store.Delete(ctx, key+partialSuffix)}
	for _, v := range variants {
		if strings.HasPrefix(v.Key, key+variantSuffix) { // our lists contain only keys of the same URL
			errs = append(errs, e.store.Delete(ctx, v.Key))
		}
	}
	return errors.Join(errs...)
}

// invalidateMethods invalidates the responses to all methods that are stored for a plain key, and those that are being received.
func (e *engine) invalidateMethods(ctx context.Context, key string) error {
	e.invalidations.Add(key+methodsSuffix, 0)
	return e.remove(ctx, key+methodsSuffix, key+methodsSuffix)
}
