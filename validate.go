package cachecontrol

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"slices"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// freshen updates a match, also in the store, with a response that confirms it (RFC 9111, sections 3.2 and 4.3.4). header
// is that of the response. The match then has the new header and its old body.
func (e *engine) freshen(q *query, prev *previous, m *match, rep *reply, header http.Header) {
	entry := m.stored().Copy()
	var as assessment
	e.renew(&as, entry, q, prev, m, rep, header)
	switch decision := as.store; {
	case decision.OK && prev.digest == "" && !sameSearch(m.search, novarysearch.Parse(entry.Header[novarysearch.Field])):
		e.dropStored(q, prev, rep, prev.key) // from now on, the response is for other URLs
	case m.parts != nil && rules.StrongValidator(m.stored().Header) == "" && rules.StrongValidator(entry.Header) != "":
		e.dropStored(q, prev, rep, m.key) // the later Date makes the Last-Modified strong, but not for bytes that were received before
	case decision.OK:
		store := e.newStoreContext(q, prev, rep)
		store.update(m.key, entry, as.policy.Date)
	case decision.Reason == rules.NoStoreRequest, decision.Reason == rules.SetCookieInShared:
		// The response may be used, but not stored.
	default:
		e.dropStored(q, prev, rep, m.key) // it may no longer be stored
	}
	e.replace(m, entry, as.policy)
}

// renew gives entry, a copy of the entry of m, the header of m updated with that of a later response, and decides whether it
// may be stored.
func (e *engine) renew(as *assessment, entry *storage.Entry, q *query, prev *previous, m *match, rep *reply, header http.Header) {
	entry.Foreign = false
	entry.URL = urlOfKey(prev.key)
	entry.Header = m.updated(e.resolved(q.req, header), rep.received)
	entry.RequestTime, entry.ResponseTime, entry.Mark = rep.asked, rep.received, rep.mark
	e.setCondition(entry, rep.notice)
	var view *http.Response // nil if there are no hooks
	if e.heuristic != nil || e.beforeStore != nil || e.groups != nil {
		view = &http.Response{StatusCode: entry.Status, Header: entry.Header, Request: q.req}
	}
	closeOnPanic(rep.resp, func() { entry.Heuristic = e.applyHeuristic(view) })
	entry.Lifetime = 0
	e.resetVary(q, entry)
	policy := &as.policy
	*policy = e.policyOf(entry)
	own := e.hookDecision(q, rep, view, policy)
	if entry.Lifetime = own.Lifetime; own.Lifetime > 0 {
		*policy = *policy.WithLifetime(own.Lifetime)
	}
	policy.ConfirmedBy(header)
	entry.Keep = policy.Retention()
	if entry.Trailer != nil {
		entry.Trailer = rules.StoredTrailer(entry.Trailer, policy.ExcludedFields())
	}
	as.store = e.mayStore(q, policy, own, rep)
	switch {
	case view != nil:
		entry.Groups = e.groupsOf(rep, view, &as.store)
	case entry.Header["Cache-Groups"] != nil:
		entry.Groups = e.groupsOf(rep, &http.Response{Header: entry.Header}, &as.store)
	default:
		entry.Groups = nil
	}
}

// replace gives the match another entry with the same body. policy is that of the entry.
func (e *engine) replace(m *match, entry *storage.Entry, policy rules.Policy) {
	urlKey, vary := m.urlKey, m.vary // usually unchanged
	if entry.URL != m.stored().URL {
		urlKey = keyOfURL(entry.URL)
	}
	if !slices.Equal(entry.Vary, m.stored().Vary) {
		vary = varyFields(entry.Vary)
	}
	fresh := e.newViewOf(entry, urlKey, policy, vary, m.shape)
	entry.Derived(func(*storage.Entry) any { return fresh }) // a DictCache already holds the entry itself
	m.entry, m.entryView = entry, fresh
}

// copyAtOnce is the length of the longest body that enterVariant copies before the request is answered.
const copyAtOnce = 1 << 20

// enterVariant gives m, a stored variant that the reply, a 304, selects although the query does not, the header of the 304,
// and stores a copy of it for the selecting fields of the query. The stored variant keeps its own header. A long body is
// copied in the background.
func (e *engine) enterVariant(q *query, prev *previous, m *match, rep *reply) {
	old, entry := m.stored(), m.stored().Copy()
	m.entry, entry.Header = entry, rules.WithoutSetCookie(old.Header) // cookies are for the other request
	entry.Variants, entry.Stamp = nil, nil
	if entry.Generation == "" {
		entry.Generation = rand.Text()
	}
	var as assessment
	e.renew(&as, entry, q, prev, m, rep, rep.resp.Header)
	e.replace(m, entry, as.policy)
	if !as.store.OK {
		return
	}
	r := &recording{storeContext: e.newStoreContext(q, prev, rep), entry: entry.Copy(), date: as.policy.Date}
	r.entryKey = e.keyForVariant(prev, r.entry)
	if from := m.key; old.Length <= copyAtOnce {
		r.copyFrom(from, old)
	} else {
		e.background.Run(q.ctx, r.entryKey, func(ctx context.Context) {
			r.ctx = ctx
			r.copyFrom(from, old)
		})
	}
}

// copyFrom stores the entry with the body that is stored under another key of the URL, if that is still the body of old.
func (r *recording) copyFrom(key string, old *storage.Entry) {
	resp, err := r.get(r.ctx, key)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if !resp.Entry.SameBody(old) || r.maxVariants == 0 {
		return
	}
	if err = r.prepareMark(); err == nil {
		r.Writer, err = r.store.Create(r.ctx, r.entryKey, r.entry)
	}
	if err != nil {
		r.store.Failed(r.ctx, "create", r.entryKey, err)
		return
	}
	if _, err := io.Copy(r.Writer, resp.Body); err != nil {
		r.Abort()
		return
	}
	r.commitCurrent()
}

// receiveNotModified handles a 304 to the caller's own condition. If the caller's copy is the stored response m, the 304
// confirms that, too. It returns whether the response is stored, as a reason.
func (e *engine) receiveNotModified(q *query, prev *previous, m *match, rep *reply) rules.Reason {
	if !m.found() || !m.policy.HasValidator() {
		return rules.NotModifiedForCaller
	}
	condition, own := q.header["If-None-Match"], m.policy.ETag
	if condition == nil {
		condition, own = q.header["If-Modified-Since"], m.policy.IfModified
	}
	if len(condition) == 1 && condition[0] == own && own != "" && m.confirmedBy(rep.resp.Header) {
		e.freshen(q, prev, m, rep, rep.resp.Header)
		return rules.Validated
	}
	return rules.NotModifiedForCaller
}

// receiveHead updates the stored response to GET with a response to HEAD, or removes it if it is out of date (RFC 9111,
// section 4.3.5). It returns whether the response is stored, as a reason.
func (e *engine) receiveHead(q *query, prev *previous, m *match, rep *reply) rules.Reason {
	m = cmp.Or(m, prev.part, prev.doubted)
	resp := rep.resp
	switch {
	case m == nil:
	case resp.StatusCode != http.StatusOK || m.policy.Status != http.StatusOK && m.parts == nil:
		if rules.Supersedes(resp.StatusCode) && resp.StatusCode != m.policy.Status {
			e.dropStored(q, prev, rep, m.key)
		}
	case q.negotiated && !contentcoding.Same(m.stored().Header["Content-Encoding"], resp.Header["Content-Encoding"]):
		// It is about another coding, because HEAD is sent without an Accept-Encoding. It tells nothing about the
		// stored response.
	case m.freshenedByHead(resp.Header):
		e.freshen(q, prev, m, rep, m.policy.HeadUpdate(resp.Header))
		return rules.ValidatedByHead
	default:
		e.dropStored(q, prev, rep, m.key)
	}
	return rules.MethodNotStorable
}
