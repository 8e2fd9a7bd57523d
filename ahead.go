package cachecontrol

import (
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// If the store can make several calls in the time of one, a lookup reads ahead: together with the entry under the plain key, it
// reads the entries that are needed if that one is missing or must be validated. So a miss waits for the store only once before
// the origin is asked.

// readAhead returns the entry under the key of prev. It reads ahead, unless the entry was fresh when it was last used, and still is
// there.
func (e *engine) readAhead(q *query, prev *previous) (*storage.Response, error) {
	if !e.store.Batches() || prev.ahead.key != "" {
		return e.store.Get(q.ctx, prev.key)
	}
	if !q.cc.NoCache && e.isFresh(prev.key) {
		if r, err := e.store.Get(q.ctx, prev.key); err != storage.ErrNotFound {
			return r, err
		}
	}
	prev.ahead.key = prev.key
	var r reading
	first := r.add(prev.key, true)
	notices := r.add(prev.noticeKey(), !q.cc.NoStore)
	has, known := e.store.HasRanges()
	parts := r.add(prev.key+partialSuffix, has || !known)
	index := searchIndex(prev.key)
	searches := r.add(index, prev.digest == "" && e.recentSearches(index) == nil)
	list := r.add(storage.MarksKey, !e.marks.Recent())
	now := time.Now()
	e.store.Batch(q.ctx, r.calls[:r.n])
	if list != nil {
		e.marks.Learn(list.Response, list.Err, now)
	}
	if searches != nil {
		resp, _, err := e.checked(q.ctx, index, searches.Response, searches.Err)
		e.searches.Put(lossy.Hash(index), index, recentEntry{entryOf(resp, err), now})
	}
	if notices != nil {
		prev.ahead.notice = noticeIn(notices)
	}
	if parts != nil {
		prev.ahead.keepParts(parts)
	}
	return first.Response, first.Err
}

// reading is a list of keys to be read.
type reading struct {
	calls [5]storage.Call
	n     int
}

// add adds a key if it is wanted, and returns the call that will have the result.
func (r *reading) add(key string, wanted bool) *storage.Call {
	if !wanted {
		return nil
	}
	c := &r.calls[r.n]
	c.Key = key
	r.n++
	return c
}

// keepParts keeps the list of parts if it need not be closed.
func (a *ahead) keepParts(c *storage.Call) {
	if c.Err == nil {
		if _, ok := c.Response.Body.(*bytesbody.Body); !ok {
			c.Response.Body.Close()
			return
		}
	}
	a.parts = c
}

// partsMatch returns the list of parts under key. It has no parts yet.
func (e *engine) partsMatch(q *query, prev *previous, key string) (match, error) {
	if c := prev.ahead.parts; c != nil && c.Key == key {
		prev.ahead.parts = nil
		return e.matchOf(q.ctx, key, c.Response, c.Err)
	}
	return e.getMatch(q.ctx, key)
}

// used remembers until when a match that was used for a plain key is fresh.
func (e *engine) used(key string, m *match, d decision) {
	if d.TTL > 0 && m.parts == nil && e.store.Batches() && !e.isFresh(key) {
		e.fresh.Put(lossy.Hash(key), key, time.Now().Add(d.TTL))
	}
}
