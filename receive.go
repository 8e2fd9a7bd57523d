package cachecontrol

import (
	"net/http"
	"slices"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// sharable is what other requests need to use a response that is still being received.
type sharable struct {
	entry   *storage.Entry // as if the response were stored by now
	view    *entryView
	stored  bool     // the response is being stored
	farMark []string // as in reply
}

// receive handles a whole response from the origin. If it may be stored, it is stored while the caller reads it. If it
// may not, the response that was stored before is removed if this one shows that it is out of date.
func (e *engine) receive(q *query, prev *previous, rep *reply, s *Status) (a answer) {
	resp := rep.resp
	var as assessment
	e.assess(&as, q, rep)
	switch {
	case resp.StatusCode == http.StatusPartialContent, resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		as.refuse(rules.PartialUnusable) // a part that was not requested, or that answers only this request
	case q.matching && resp.StatusCode == http.StatusPreconditionFailed:
		as.refuse(rules.PreconditionForwarded) // only for the condition of this request
	case resp.ContentLength > e.maxBody:
		as.refuse(rules.TooLong)
	}
	s.setStored(&as, rep.received)
	key := ""
	switch {
	case as.store.OK:
		if prev.whole != "" && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone) {
			e.dropWhole(q, prev, rep) // even if the body of this one never ends
		}
		var entry *storage.Entry
		key, entry = e.storeWhole(q, prev, rep, &as, s)
		a.shared = e.share(q, rep, entry, s.Stored)
		if e.collapse {
			e.notShareable.Remove(lossy.Hash(prev.key))
		}
	case prev.whole != "" && rules.Supersedes(resp.StatusCode):
		e.dropStored(q, prev, rep, prev.whole)
	}
	if prev.part != nil && resp.StatusCode == http.StatusOK && !s.Stored {
		e.dropPart(q, prev, rep) // the whole response that replaces it is not stored
	}
	e.setCoded(q, prev, rep, &a, key, s.Stored)
	return a
}

// share returns what other requests need to use a response from the origin, if it may be shared with them.
func (e *engine) share(q *query, rep *reply, entry *storage.Entry, stored bool) *sharable {
	if q.flight == "" {
		return nil
	}
	entry = entry.Clone() // it changes until it is committed
	entry.Trailer = rep.resp.Trailer.Clone()
	return &sharable{entry, e.newView(entry), stored, slices.Clone(rep.farMark)}
}

// setCoded makes the caller get the body of a whole response decoded if it left the coding to the Transport. key is the
// key under which the response is being stored.
func (e *engine) setCoded(q *query, prev *previous, rep *reply, a *answer, key string, stored bool) {
	a.coded = q.negotiated && contentcoding.Parse(rep.resp.Header["Content-Encoding"]).NeedsDecoding()
	if b, ok := rep.resp.Body.(*originBody); ok && a.coded && stored {
		a.damaged = b.forgetFunc(q.ctx, e, prev.key, key)
	}
}

// decode decodes the body of the response for the caller, if needed.
func (a *answer) decode() {
	if a.coded {
		contentcoding.Parse(a.resp.Header["Content-Encoding"]).Decode(a.resp, a.resp.Body, nil, a.damaged)
	}
}

// dropStored removes a stored response that is known to be out of date. If it is under the plain key, everything that
// depends on it is removed, too. Responses to requests that were sent before are as old, and are not stored.
func (e *engine) dropStored(q *query, prev *previous, rep *reply, key string) {
	if key == prev.key {
		rep.epoch, _ = e.invalidate(q.ctx, key, rep.epoch)
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
	for _, key := range prev.damaged {
		e.remove(q.ctx, prev.key, key)
	}
	prev.damaged = nil
}

// invalidateBy removes the responses that a successful unsafe request has made invalid (RFC 9111, section 4.4). key is
// the key of the request.
func (e *engine) invalidateBy(q *query, key string, rep *reply) {
	for _, u := range rules.Invalidated(q.req.Method, targetURL(q.req), rep.resp.StatusCode, rep.resp.Header) {
		asked := *q.req.URL
		asked.Path, asked.RawPath, asked.RawQuery, asked.ForceQuery = u.Path, u.RawPath, u.RawQuery, u.ForceQuery
		target, ok := cachekey.Of(&asked, q.req.Host)
		if !ok {
			continue
		}
		if target += q.partition; target == key {
			rep.epoch, _ = e.invalidate(q.ctx, target, rep.epoch)
		} else {
			e.invalidate(q.ctx, target, 0)
		}
		if !slices.Contains(e.methods, q.req.Method) { // the program declares cacheable methods to be safe
			e.invalidateMethods(q.ctx, target)
		}
	}
}

// receivePost stores a response to POST or PATCH that is declared to be the same as the response to GET: it has
// explicit freshness, and its Content-Location is the request's own URL (RFC 9110, section 9.3.3, and RFC 5789, section
// 2).
func (e *engine) receivePost(q *query, key string, rep *reply, s *Status) {
	s.Storage = rules.MethodNotStorable
	target := targetURL(q.req)
	u := rules.SameOrigin(target, rep.resp.Header.Get("Content-Location"))
	if u == nil || e.noGET || rep.resp.StatusCode != http.StatusOK {
		return
	}
	here, _ := cachekey.Of(target, "")
	if named, ok := cachekey.Of(u, ""); !ok || named != here {
		return
	}
	var own StoreDecision
	closeOnPanic(rep.resp, func() { own = e.hookDecision(q, rep.resp) })
	var as assessment
	as.policy.Compute(&e.policies, &e.rules, rep.resp.StatusCode, rep.resp.Header, rep.asked, rep.received)
	as.policy = *as.policy.WithLifetime(own.Lifetime)
	as.store = e.mayStore(q, &as.policy, own, rep.rejectsCredentials)
	if !as.store.OK || !as.policy.Explicit() || as.policy.Lifetime == 0 || rep.resp.ContentLength > e.maxBody {
		return
	}
	s.setStored(&as, rep.received)
	e.storeWhole(q, &previous{place: place{key: key}}, rep, &as, s)
}
