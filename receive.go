package cachecontrol

import (
	"net/http"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// receive handles a whole response from the origin. If it may be stored, it is stored while the caller reads it. If it
// may not, the response that was stored before is removed if this one shows that it is out of date.
func (e *engine) receive(q *query, prev *previous, rep *reply, s *Status) (a answer) {
	resp := rep.resp
	var as assessment
	e.assess(&as, q, rep)
	if why := rules.OnlyForRequest(resp.StatusCode, q.matching); why != rules.ReasonNone {
		as.refuse(why)
	} else if resp.ContentLength > e.maxBody {
		as.refuse(rules.TooLong)
	}
	as.setStored(s, rep.received)
	key := ""
	switch {
	case as.store.OK:
		if prev.whole != "" && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone) {
			e.dropWhole(q, prev, rep) // even if the body of this one never ends
		}
		if e.collapse {
			e.notShareable.Remove(lossy.Hash(prev.sharedKey()))
		}
		var entry *storage.Entry
		key, entry = e.storeWhole(q, prev, rep, &as, s)
		a.shared = e.newSharable(q, rep, entry, s.Stored)
	case prev.whole != "" && rules.Supersedes(resp.StatusCode):
		e.dropStored(q, prev, rep, prev.whole)
	}
	e.shareFailure(q, prev, rep, &as, &a)
	if prev.part != nil && resp.StatusCode == http.StatusOK && !s.Stored {
		e.dropPart(q, prev, rep) // the whole response that replaces it is not stored
	}
	e.setCoded(q, prev, rep, &a, key)
	return a
}

// shareFailure lets a failure of the origin answer the requests that wait for the response, even if it is not stored.
func (e *engine) shareFailure(q *query, prev *previous, rep *reply, as *assessment, a *answer) {
	if !as.sharesFailure || q.flightKey == "" {
		return
	}
	if a.shared == nil {
		entry := &storage.Entry{Header: rules.StoredHeader(rep.resp.Header, &as.policy)}
		e.describe(entry, q, prev, rep, as)
		a.shared = e.newSharable(q, rep, entry, false)
	}
	a.shared.failure = true
}

// receivePost stores a response to POST or PATCH that is declared to be the same as the response to GET: it has
// explicit freshness, and its Content-Location is the request's own URL (RFC 9110, section 9.3.3, and RFC 5789, section
// 2).
func (e *engine) receivePost(q *query, key string, rep *reply, s *Status) {
	s.Storage = rules.MethodNotStorable
	target := targetURL(q.req)
	u := rules.ResolveSameOrigin(target, rep.resp.Header.Get("Content-Location"))
	if u == nil || e.noGET || rep.resp.StatusCode != http.StatusOK {
		return
	}
	here, _ := cachekey.Of(target, "")
	if named, ok := cachekey.Of(u, ""); !ok || named != here {
		return
	}
	var as assessment
	e.assessAsIs(&as, q, rep)
	if !as.store.OK || !as.policy.Explicit() || as.policy.Lifetime == 0 || rep.resp.ContentLength > e.maxBody {
		return
	}
	as.setStored(s, rep.received)
	e.storeWhole(q, &previous{place: place{key: key}}, rep, &as, s)
}
