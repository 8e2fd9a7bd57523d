package cachecontrol

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/searchindex"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A response with No-Vary-Search is stored for several URLs, which differ only in their queries. Its key is derived from the
// canonical form of the query under the value of the field, and from the generation of that value. An index, an entry without
// content under the URL without its query, lists the values that the responses of all these URLs have, with their generations. A
// value that was removed from the index gets another generation when it comes back, so what was stored for it is never found again.

// maxSearches is the number of values of No-Vary-Search that are listed for a path.
const maxSearches = 16

// searchesFor is how long an index is used without reading it again, unless the store is in memory. Values that other processes
// have added are noticed after that time.
const searchesFor = time.Second

// searchesOf returns the values that the index under this key lists. The most recent one is first.
func (e *engine) searchesOf(q *query, index []byte) []variant {
	if e.store.Traits().Memory {
		if held, known := e.store.Lookup(index); known {
			return e.listedSearches(held.Key, held.Entry)
		}
	}
	key := string(index)
	r := e.recentSearches(key)
	if r == nil {
		now := time.Now()
		r = e.searches.Put(lossy.Hash(key), key, recentEntry{e.entryUnder(q.ctx, key), now})
	}
	return e.listedSearches(key, heldEntry(r.entry))
}

// recentSearches returns the index under this key if it was read a short time ago, or nil.
func (e *engine) recentSearches(index string) *recentEntry {
	r := e.searches.Get(lossy.Hash(index), index)
	if r == nil || time.Since(r.read).Abs() >= searchesFor {
		return nil
	}
	return r
}

// readSearches returns the values that the index in the store lists.
func (e *engine) readSearches(ctx context.Context, index string) []variant {
	return e.listedSearches(index, heldEntry(e.entryUnder(ctx, index)))
}

// listedSearches returns the values that an entry lists, if it is the index under this key.
func (e *engine) listedSearches(index string, entry storage.HeldEntry) []variant {
	if entry == nil {
		return nil
	}
	v := e.view(entry)
	if !belongs(index, v.urlKey) {
		return nil
	}
	return v.variants[:min(len(v.variants), maxSearches)]
}

// searchIndex returns the key of the index of a path. target is the plain key of one of its URLs.
func searchIndex(target string) string { return string(cachekey.AppendSearches(nil, target)) }

// placeBySearch returns the place of responses with this value. target is the plain key of the URL. It reports false if the value
// makes no other URL equivalent to this one.
func placeBySearch(target string, v *variant) (at place, ok bool) {
	if v.search == nil {
		return place{}, false
	}
	key, ok := searchindex.Key(target, v.search, &v.Variant)
	return place{key: key, url: target, index: searchIndex(target)}, ok
}

// sameSearch reports whether two values of No-Vary-Search make the same URLs equivalent. A value that is nil makes none.
func sameSearch(a, b *novarysearch.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}

// equivalent reports whether a value makes two URLs equivalent that differ only in their queries. a and b are their plain keys.
func equivalent(c *novarysearch.Config, a, b string) bool {
	if a == b || c == nil {
		return a == b
	}
	queryA, okA := c.Query(cachekey.Query(a))
	queryB, okB := c.Query(cachekey.Query(b))
	return okA && okB && queryA == queryB
}

// choosePlace sets the place of the reply, which is to be stored. That place depends on its No-Vary-Search. If another place has been
// used for the URL so far, the stored responses there are out of date. They are removed, so that they are not found again.
func (e *engine) choosePlace(q *query, prev *previous, rep *reply, as *assessment) {
	lines := rep.resp.Header[novarysearch.Field]
	if prev.digest != "" || lines == nil && prev.url == "" {
		return
	}
	var c *novarysearch.Config
	switch {
	case lines != nil:
		c = novarysearch.Parse(rules.StoredHeader(rep.resp.Header, &as.policy)[novarysearch.Field])
	case prev.part != nil && rep.resp.StatusCode == http.StatusPartialContent:
		c = prev.part.search // a 206 may leave it out
	}
	at := place{key: prev.target()}
	known := false
	if c != nil {
		at, known = e.enterSearch(q, at.key, c)
	}
	if urlOfKey(at.key) != urlOfKey(prev.target()) {
		rep.named = at.key
	}
	if at.key == prev.key {
		return
	}
	if prev.first != nil || prev.part != nil || prev.whole != "" {
		rep.epoch, _ = e.invalidate(q.ctx, prev.key, rep.epoch)
	}
	prev.place, prev.first, prev.whole, prev.part = at, nil, "", nil
	if known {
		prev.first = heldEntry(e.entryUnder(q.ctx, at.key))
	}
}

// enterSearch makes a value the first one in the index of the path, and returns the place of responses with this value. known reports
// whether the index had it. If the value cannot be entered, enterSearch returns the place for the URL alone.
func (e *engine) enterSearch(q *query, target string, c *novarysearch.Config) (at place, known bool) {
	alone := place{key: target}
	first := variant{search: c, Variant: searchindex.Variant(c, rand.Text(), time.Now())}
	at, ok := placeBySearch(target, &first)
	if !ok {
		return alone, false
	}
	k, ok := e.lock(q.ctx, at.index)
	if !ok {
		e.store.Failed(q.ctx, "create", at.index, errKeyBusy)
		return alone, false
	}
	defer k.Unlock()
	list := e.readSearches(q.ctx, at.index)
	i := slices.IndexFunc(list, func(v variant) bool { return sameSearch(v.search, c) })
	if known = i >= 0; known {
		at, _ = placeBySearch(target, &list[i])
		if i == 0 {
			return at, known
		}
		first = list[i]
	}
	next := []storage.Variant{first.Variant}
	for j, v := range list {
		if j != i && v.search != nil && len(next) < maxSearches {
			next = append(next, v.Variant)
		}
	}
	if err := e.putSearches(q.ctx, at.index, next); err != nil {
		e.store.Failed(q.ctx, "create", at.index, err)
		return alone, false
	}
	return at, known
}

// putSearches stores the index of a path.
func (e *engine) putSearches(ctx context.Context, index string, list []storage.Variant) error {
	entry := emptyEntry(index)
	entry.Variants = list
	if err := e.putIndex(ctx, index, entry); err != nil {
		return err
	}
	e.rememberSearches(index, entry)
	return nil
}

// rememberSearches remembers the index that is stored now, or nil if none is.
func (e *engine) rememberSearches(index string, entry *storage.Entry) {
	if !e.store.Traits().Memory {
		e.searches.Put(lossy.Hash(index), index, recentEntry{entry, time.Now()})
	}
}

// invalidateTarget is invalidate for the plain key of a URL. It also removes what is stored for several URLs if this is one of
// them, and leaves a notice for other processes. If methods is true, it also removes the responses to other methods.
func (e *engine) invalidateTarget(ctx context.Context, target string, by invalidation.Epoch, methods bool) (invalidation.Epoch, notice, error) {
	if e.store.Traits().Local {
		by, err := e.invalidate(ctx, target, by)
		by, errs := e.invalidateSearches(ctx, target, by, true)
		if methods {
			errs = errors.Join(errs, e.invalidateMethods(ctx, target))
		}
		return by, notice{}, errors.Join(err, errs)
	}
	n, index := newNotice(target), searchIndex(target)
	by = e.markInvalidated(target, by)
	by = e.invalidations.Add(index, by)
	calls := append(make([]storage.Call, 0, 5), storage.Call{Key: n.key, Put: n.entry()}, // before anything is deleted that a process may store again
		storage.Call{Key: index}, storage.Call{Key: target, Delete: true}, storage.Call{Key: target + partialSuffix, Delete: true})
	if methods {
		e.markMethodsInvalidated(target)
		calls = append(calls, storage.Call{Key: target + methodsSuffix, Delete: true})
	}
	k, _ := e.lock(ctx, target) // on timeout, the holder of the lock will notice: the key is marked
	e.store.Batch(context.WithoutCancel(ctx), calls)
	k.Unlock()
	listed := &calls[1]
	r, _, err := e.checked(ctx, index, listed.Response, listed.Err)
	by, err = e.invalidateListed(ctx, target, index, r, err, by, true)
	for _, c := range calls[2:] {
		err = errors.Join(err, c.Err)
	}
	return by, n, err
}

// invalidateSearches removes what is stored for several URLs if the one with this plain key is one of them. If notifies is true, it
// leaves a notice for the path.
func (e *engine) invalidateSearches(ctx context.Context, target string, by invalidation.Epoch, notifies bool) (invalidation.Epoch, error) {
	index := searchIndex(target)
	by = e.invalidations.Add(index, by) // for responses that are being received, whatever their values
	r, err := e.get(context.WithoutCancel(ctx), index)
	return e.invalidateListed(ctx, target, index, r, err, by, notifies)
}

// invalidateListed is invalidateSearches with what the store has returned for the index.
func (e *engine) invalidateListed(ctx context.Context, target, index string, r *storage.Response, err error, by invalidation.Epoch, notifies bool) (invalidation.Epoch, error) {
	var errs []error
	var entry *storage.Entry
	switch err {
	case nil:
		r.Body.Close()
		entry = r.Entry
	case storage.ErrNotFound:
	default: // without the index, nothing is found that was stored for several URLs
		e.store.Invalidated(index, time.Now())
		errs = append(errs, err, e.remove(ctx, index, index))
	}
	e.rememberSearches(index, entry) // the remembered index may list responses that are not removed below
	list := e.listedSearches(index, heldEntry(entry))
	if notifies && len(list) > 0 {
		e.leaveNotice(ctx, index)
	}
	for _, v := range list {
		if at, ok := placeBySearch(target, &v); ok {
			var err error
			by, err = e.invalidate(ctx, at.key, by)
			errs = append(errs, err)
		}
	}
	return by, errors.Join(errs...)
}
