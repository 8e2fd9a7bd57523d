package cachecontrol

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// dropStored removes a stored response that is known to be out of date. If it is under the plain key, everything that
// depends on it is removed, too, and so are responses that are stored for several URLs, of which this is one. Responses to requests that were sent before are as old, and are not stored.
func (e *engine) dropStored(q *query, prev *previous, rep *reply, key string) {
	if key == prev.key {
		rep.epoch, _ = e.invalidate(q.ctx, key, rep.epoch)
		if prev.digest == "" {
			rep.epoch, _ = e.invalidateSearches(q.ctx, prev.target(), rep.epoch, false)
		}
		return
	}
	rep.epoch = e.invalidations.Add(prev.key, rep.epoch)
	e.remove(q.ctx, prev.key, key)
}

// dropWhole removes the whole response that the reply replaces.
func (e *engine) dropWhole(q *query, prev *previous, rep *reply) {
	e.dropStored(q, prev, rep, prev.whole)
	if prev.whole == prev.key {
		prev.first = nil
	}
}

// dropDamaged removes the entries that could not be read, after the origin has responded. The response to this request
// may not be stored, or not under the same key. Without the removal, each request would fail to read them and log that
// again.
func (e *engine) dropDamaged(q *query, prev *previous) {
	for _, key := range prev.unreadable {
		e.remove(q.ctx, prev.key, key)
	}
	prev.unreadable = nil
}

// dropPart removes the stored parts, which are known to be out of date.
func (e *engine) dropPart(q *query, prev *previous, rep *reply) {
	part := prev.part
	prev.part = nil
	part.close()
	e.dropStored(q, prev, rep, part.key)
	e.deleteUnlisted(q.ctx, part.key, part.parts.list.All())
}

// invalidateBy removes the responses that a successful unsafe request has made invalid (RFC 9111, section 4.4). key is
// the key of the request.
func (e *engine) invalidateBy(q *query, key string, rep *reply) {
	for _, target := range e.invalidatedKeys(q, rep.resp) {
		methods := !slices.Contains(e.methods, q.req.Method) // the program declares cacheable methods to be safe
		var n notice
		if target += q.partition; target == key {
			rep.epoch, n, _ = e.invalidateTarget(q.ctx, target, rep.epoch, methods)
		} else {
			_, n, _ = e.invalidateTarget(q.ctx, target, invalidation.Epoch{}, methods)
		}
		if target == key || n.key == rep.notice.key { // this response may be stored all the same
			rep.notice = n
		}
	}
	e.invalidateGroupsBy(q, key, rep)
}

// invalidateGroupsBy invalidates the groups that the response to an unsafe request names (RFC 9875, section 3), whatever its
// status. If they are too many, it invalidates all groups of the origin. If the store fails, it tries again in the background.
func (e *engine) invalidateGroupsBy(q *query, key string, rep *reply) {
	names, ok := rules.InvalidatedGroups(q.req.Method, rep.resp.Header)
	if ok && len(names) == 0 {
		return
	}
	groups := make([]marks.Group, len(names))
	for i, name := range names {
		groups[i] = marks.GroupOf(name)
	}
	invalidate := func(ctx context.Context, mark storage.Mark) (storage.Mark, error) {
		if !ok {
			return mark, e.marks.InvalidateAllGroups(ctx, key)
		}
		return e.marks.InvalidateGroupsBy(ctx, key, groups, mark)
	}
	ctx := context.WithoutCancel(q.ctx)
	mark, err := invalidate(ctx, rep.mark)
	if err == nil {
		rep.mark = mark
		return
	}
	e.store.Failed(ctx, "invalidate", key, err)
	e.background.Run(ctx, "", func(ctx context.Context) {
		for pause := invalidateAgain; err != nil; pause *= 2 {
			select {
			case <-time.After(pause):
				_, err = invalidate(ctx, storage.Mark{})
			case <-ctx.Done():
				return
			}
		}
	})
}

// invalidateAgain is the time after which groups are invalidated again if that has failed. Each further time is twice as long, until
// the BackgroundTimeout.
const invalidateAgain = 500 * time.Millisecond

// invalidatedKeys returns the plain keys, without the partition, of the URLs that a response to an unsafe request
// invalidates. The key of the request itself is one of them, even if Transport.Key returns another URL for a GET request.
func (e *engine) invalidatedKeys(q *query, resp *http.Response) []string {
	var keys []string
	for _, u := range rules.Invalidated(q.req.Method, targetURL(q.req), resp.StatusCode, resp.Header) {
		asked := *q.req.URL
		asked.Path, asked.RawPath, asked.RawQuery, asked.ForceQuery = u.Path, u.RawPath, u.RawQuery, u.ForceQuery
		closeOnPanic(resp, func() {
			if key, ok := e.keyOf(getRequest(q.ctx, &asked, q.req.Host)); ok {
				keys = append(keys, key)
			}
		})
	}
	if keys != nil && q.named != "" && !slices.Contains(keys, q.named) {
		keys = append(keys, q.named)
	}
	return keys
}
