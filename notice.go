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

// noticeOf returns the notice for the URL of a query before the origin is asked.
func (e *engine) noticeOf(q *query, at *place) notice {
	if e.store.Traits().Local || q.cc.NoStore || e.store.Closed() {
		return notice{}
	}
	key := at.noticeKey()
	id, err := e.readNotice(q.ctx, key)
	if err != nil {
		return notice{}
	}
	return notice{key, id}
}

func (e *engine) readNotice(ctx context.Context, key string) (id string, err error) {
	r, err := e.store.Get(ctx, key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	}
	r.Body.Close()
	return r.Entry.Generation, nil
}

// leaveNotice stores a notice that the URL with this plain key was invalidated.
func (e *engine) leaveNotice(ctx context.Context, target string) notice {
	if e.store.Traits().Local {
		return notice{}
	}
	n := notice{target + noticeSuffix, rand.Text()}
	entry := emptyEntry(n.key)
	entry.Generation, entry.Keep = n.id, noticeKept
	e.store.Put(ctx, n.key, entry)
	return n
}
