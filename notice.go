package cachecontrol

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// noticeKept is how long a store keeps a notice. A response that takes longer may be stored although another process has
// invalidated its URL meanwhile.
const noticeKept = 10 * time.Minute

// notice is the last notice in the store that a URL was invalidated. Each invalidation leaves another one, so that a process
// that is receiving a response for the URL does not store it. A local store has none: its entries are deleted, and a response
// that another process is receiving is stored.
type notice struct {
	key string // "" if the notice is not known
	id  string // "" if there is none
}

// noticeKey returns the key of the notice for the URL, or for all URLs of the path if the response is for several.
func (at *place) noticeKey() string {
	if at.url != "" {
		return at.index + noticeSuffix
	}
	if url, ok := strings.CutSuffix(at.index, methodsSuffix); ok {
		return url + noticeSuffix
	}
	return at.target() + noticeSuffix
}

// noticeOf returns the notice for the URL of a query before the origin is asked. known is one that was read already.
func (e *engine) noticeOf(q *query, at *place, known notice) notice {
	if e.store.Traits().Local || q.cc.NoStore || e.store.Closed() {
		return notice{}
	}
	key := at.noticeKey()
	if known.key == key {
		return known // it is as good: if there is another one by now, the response is not stored
	}
	return e.readNotice(q.ctx, key)
}

// readNotice returns the notice in the store.
func (e *engine) readNotice(ctx context.Context, key string) notice {
	c := storage.Call{Key: key}
	c.Response, c.Err = e.store.Get(ctx, key)
	return noticeIn(&c)
}

// noticeIn returns the notice that a call has read.
func noticeIn(c *storage.Call) notice {
	switch {
	case errors.Is(c.Err, storage.ErrNotFound):
		return notice{c.Key, ""}
	case c.Err != nil:
		return notice{}
	}
	c.Response.Body.Close()
	return notice{c.Key, c.Response.Entry.Generation}
}

// setCondition makes an entry be stored only if the notice is the same then, if the store can do that.
func (e *engine) setCondition(entry *storage.Entry, n notice) {
	if e.store.Traits().Notices {
		entry.NoticeKey, entry.Notice = n.key, n.id
	}
}

// leaveNotice stores a notice that the URL with this plain key was invalidated.
func (e *engine) leaveNotice(ctx context.Context, target string) notice {
	if e.store.Traits().Local {
		return notice{}
	}
	n := newNotice(target)
	e.store.Put(ctx, n.key, n.entry())
	return n
}

// newNotice returns a new notice for the URL with this plain key.
func newNotice(target string) notice { return notice{target + noticeSuffix, rand.Text()} }

func (n *notice) entry() *storage.Entry {
	entry := emptyEntry(n.key)
	entry.Generation, entry.Keep = n.id, noticeKept
	return entry
}
