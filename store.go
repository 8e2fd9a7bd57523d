package cachecontrol

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func (e *engine) newStoreContext(q *query, prev *previous, rep *reply) storeContext {
	return storeContext{e, q.req, q.ctx, prev.key, prev.index, rep.epoch, rep.order, rep.notice}
}

// storeWhole starts storing a complete response while it is read. It returns its key and its entry. The entry may be
// used later only if the response may be shared.
func (e *engine) storeWhole(q *query, prev *previous, rep *reply, as *assessment, s *Status) (key string, entry *storage.Entry) {
	r := e.newRecording(q, prev, rep, as)
	r.entry.Header = e.headerToStore(prev, rep, e.resolved(q.req, rep.resp.Header), &as.policy)
	entry = r.entry
	r.entryKey = e.keyForVariant(prev, entry)
	r.trailerFrom, r.private = rep.resp, as.policy.ExcludedFields()
	r.dropsParts = prev.part != nil
	e.prepareResuming(q, r, rep.resp)
	r.attachTo(rep.resp, framedLength(rep.resp), s)
	return r.entryKey, entry
}

// prepareResuming makes a recording of a whole response keep what was received if the response ends early. A long response is also
// stored in pieces while it is received, so that they remain if the process ends. They are removed when the whole is stored.
func (e *engine) prepareResuming(q *query, r *recording, resp *http.Response) {
	length := framedLength(resp)
	if length >= 0 && length < leastResumed || !q.mayResume() || resp.StatusCode != http.StatusOK || rules.StrongValidator(r.entry.Header) == "" {
		return
	}
	r.setList()
	switch {
	case e.store.Traits().Memory:
	case length < 0:
		inner := bodyOf(resp)
		inner.stores = true
		r.recordRest = func(part *recording) {
			inner.record(part)
			r.forgetParts = inner.forgetParts
		}
		resp.Body = &originBody{ReadCloser: inner, context: inner.context}
	case length >= leastInPieces:
		r.recordMissing(resp, span{0, length, length})
		r.dropsParts = true
	}
}

// setList makes the entry for a list of parts of the response that r stores. Its header is a copy, because that of the entry may be
// the caller's.
func (r *recording) setList() {
	r.list = r.entry.Copy()
	r.list.Status, r.list.Reason, r.list.Variants = http.StatusPartialContent, http.StatusText(http.StatusPartialContent), nil
	r.list.Header = r.entry.Header.Clone()
	delete(r.list.Header, "Content-Length")
	dropDigests(r.list.Header)
}

// recordMissing makes the body of resp, which has these bytes of a representation, be stored as parts, in addition to the whole
// response that r stores. resp gets another body for r.
func (r *recording) recordMissing(resp *http.Response, bytes span) {
	part := r.newAuxiliary(bytes)
	var ignored Status
	if !part.attachTo(resp, bytes.length(), &ignored) {
		return
	}
	inner := bodyOf(resp)
	r.forgetParts = inner.forgetParts
	resp.Body = &originBody{ReadCloser: inner, context: inner.context}
}

// mayDrain reports whether the rest of a response that the caller closes early may be read in the background.
func (e *engine) mayDrain(q *query) bool {
	return e.drainBytes > 0 && !q.ranged && !q.background && q.flightKey == ""
}

// newRecording returns a recording of the response. Its entry has no header yet. It changes the place in prev to that of the
// response, and stores the index that the key depends on. What the response shows to be out of date must have been removed before; otherwise the
// removal would make the recording outdated.
func (e *engine) newRecording(q *query, prev *previous, rep *reply, as *assessment) *recording {
	e.choosePlace(q, prev, rep, as)
	indexErr := e.storeIndex(q, &prev.place)
	r := &recording{storeContext: e.newStoreContext(q, prev, rep), date: as.policy.Date, waits: q.background, drains: e.mayDrain(q), err: indexErr}
	entry := &r.entryBuf
	if !e.store.Traits().Copies || q.flightKey != "" { // the store, or the other readers of a shared response, keep the entry
		entry = new(storage.Entry)
	}
	r.entry = entry
	e.describe(entry, q, prev, rep, as)
	return r
}

// describe sets everything in a new entry for the reply, except for its header.
func (e *engine) describe(entry *storage.Entry, q *query, prev *previous, rep *reply, as *assessment) {
	resp := rep.resp
	entry.Status, entry.Reason, entry.Version = resp.StatusCode, reasonPhrase(resp), 11
	entry.URL = urlOfKey(prev.key)
	entry.RequestTime, entry.ResponseTime = rep.asked, rep.received
	entry.Groups, entry.Mark = as.groups, rep.mark
	e.setCondition(entry, rep.notice)
	entry.Length, entry.Heuristic, entry.Lifetime, entry.Keep = framedLength(resp), as.heuristic, as.policy.Override, as.policy.Retention()
	if resp.ProtoMajor == 1 && resp.ProtoMinor == 0 {
		entry.Version = 10
	}
	if resp.ProtoMajor > 1 && resp.ProtoMajor <= 9 {
		entry.HTTP = resp.ProtoMajor
	}
	names := e.selectingNames(q, prev, resp.Header, &as.policy)
	switch {
	case prev.first != nil && prev.listing().Generation != "":
		entry.Generation = prev.listing().Generation
	case len(names) > 0:
		// From the start, so that variants received at the same time get the same generation.
		entry.Generation = rand.Text()
	}
	e.setVary(q, entry, names)
}

// selectingNames returns the names of the fields that select a response from the origin with header h.
func (e *engine) selectingNames(q *query, prev *previous, h http.Header, policy *rules.Policy) []string {
	var names []string
	if policy.Varies {
		names, _ = e.rules.SelectingFields(h)
	} else {
		names = e.latestVary(q, prev)
	}
	if q.codingSelects(h) && !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, "Accept-Encoding") }) {
		names = append(slices.Clip(names), "Accept-Encoding")
	}
	return names
}

// latestVary returns the selecting field names of the most recent stored response that has any. They also select a
// response that has no Vary (RFC 9111, section 4.1).
func (e *engine) latestVary(q *query, prev *previous) []string {
	if prev.first == nil {
		return nil
	}
	first, listing := e.view(prev.first), prev.listing()
	var fields selecting
	if len(listing.Variants) == 0 && fields.match(q, first.vary, first.coding, "") {
		return nil // it replaces the only one
	}
	vary, date := listing.Vary, first.policy.Date
	for _, v := range listing.Variants {
		if len(v.Vary) > 0 && v.Date.After(date) {
			vary, date = v.Vary, v.Date
		}
	}
	var names []string
	for _, f := range vary {
		names = append(names, f.Name)
	}
	return names
}

// headerToStore returns the header to store for a reply with header h. It is h itself, not a copy, if the store
// copies it in Create, no field has to be removed, and the entry is not needed later, to add a variant.
func (e *engine) headerToStore(prev *previous, rep *reply, h http.Header, policy *rules.Policy) http.Header {
	excludes := func(name string) bool { return h[name] != nil }
	if e.store.Traits().Copies && prev.first == nil && !rep.perConnection && !slices.ContainsFunc(policy.ExcludedFields(), excludes) {
		return h
	}
	return rules.StoredHeader(h, policy)
}

func reasonPhrase(resp *http.Response) string {
	if resp.StatusCode == http.StatusOK && resp.Status == "200 OK" {
		return "OK"
	}
	code := strconv.Itoa(resp.StatusCode)
	if len(resp.Status) > len(code) && resp.Status[:len(code)] == code {
		return resp.Status[len(code)+1:]
	}
	return http.StatusText(resp.StatusCode)
}

// keyForVariant returns the key for a new entry: the plain key, or that of another variant (section 3 of the stored
// format). If it is the plain key, the entry gets the list of known variants.
func (e *engine) keyForVariant(prev *previous, entry *storage.Entry) string {
	if prev.first == nil {
		return prev.key
	}
	first := e.view(prev.first)
	vary := varyFields(entry.Vary)
	switch {
	case len(vary) == 0:
		return prev.key // see latestVary: this request also selects any other stored response
	case len(first.vary) == 0, sameVary(first.vary, vary):
		entry.Variants = prev.listing().Variants
		return prev.key
	}
	for i := range first.variants {
		if sameVary(first.variants[i].fields, vary) {
			return first.variants[i].Key
		}
	}
	return variantKey(prev.key, entry.Generation, vary)
}

// prepareMark prepares the store for an entry that is in groups, or whose list of parts is.
func (r *recording) prepareMark() error {
	if r.part == nil {
		return r.prepare(r.entry)
	}
	return r.prepare(r.part.list)
}

// attachTo starts recording the body of resp, which has this length. The entry is committed at the end of the body.
// attachTo reports whether the store accepts the entry.
func (r *recording) attachTo(resp *http.Response, length int64, s *Status) bool {
	if r.err == nil {
		r.err = r.prepareMark()
	}
	if r.err == nil {
		r.Writer, r.err = r.store.Create(r.ctx, r.entryKey, r.entry)
	}
	if r.err != nil {
		r.store.Failed(r.ctx, "create", r.entryKey, r.err)
		s.Stored, s.Storage = false, rules.StoreFailed
		return false
	}
	r.length, r.announced = length, len(resp.Trailer) > 0
	r.hasTrailer = r.announced || resp.ProtoMajor > 1 // HTTP/2 and later: a trailer may come unannounced, and after a body of known length
	b := bodyOf(resp)
	r.expectDigests(resp)
	b.stores, b.rec = true, r
	if b.ReadCloser == http.NoBody || resp.StatusCode == http.StatusNoContent {
		b.mu.Lock()
		defer b.mu.Unlock()
		why := rules.Reason(rules.ReasonNone)
		if length > 0 {
			why = rules.Incomplete // the announced body is missing
		}
		b.finish(why)
	}
	return true
}
