package cachecontrol

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// receive takes a whole response from the origin. If it may be stored, it is stored while the caller reads it. If not, what is
// stored goes if the response says that it is out of date.
func (x *exchange) receive(resp *http.Response, asked, received time.Time, s *Status) {
	var policy rfc9111.Policy
	set, decision := x.judge(&policy, resp, asked, received)
	switch {
	case !decision.OK:
	case resp.StatusCode == http.StatusPartialContent, resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		decision = rfc9111.Stored{Reason: rfc9111.PartialUnusable} // nobody asked for a part, or no one else will for this
	case x.matching && resp.StatusCode == http.StatusPreconditionFailed:
		decision = rfc9111.Stored{Reason: rfc9111.PreconditionForwarded} // it answers this condition alone
	case resp.ContentLength > x.maxBody:
		decision = rfc9111.Stored{Reason: rfc9111.TooLong}
	}
	s.judged(decision, &policy, received)
	var place string
	switch {
	case decision.OK:
		if x.prior != "" && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone) {
			x.dropStored(x.prior) // even if the body of this one never comes to its end
			if x.prior == x.key {
				x.primary = nil
			}
		}
		var e *serialize.Entry
		place, e = x.storeWhole(resp, &policy, asked, received, set, s)
		x.share(resp, e, s)
		if x.collapse {
			x.unshared.forget(maphash.String(x.seed, x.key))
		}
	case x.prior != "" && rfc9111.Supersedes(resp.StatusCode):
		x.dropStored(x.prior)
	}
	if x.partial != nil && resp.StatusCode == http.StatusOK && !s.Stored {
		x.dropPart() // the whole that takes its place is not stored
	}
	x.decode(resp, place, s)
}

// decode decodes the body of a whole response from the origin for a caller who left the coding to the Transport. place is the key
// under which the response is stored.
func (x *exchange) decode(resp *http.Response, place string, s *Status) {
	if !x.negotiated {
		return
	}
	coding := parseCoding(resp.Header["Content-Encoding"])
	if !coding.decodes() {
		return
	}
	var damaged func(error)
	if b := recorded(resp.Body); b != nil && s.Stored {
		e, ctx, plain := x.engine, context.WithoutCancel(x.ctx), x.key
		damaged = func(error) { b.forget(ctx, e, plain, place) }
		if x.flight != nil {
			x.flight.damaged = damaged
		}
	}
	coding.decode(resp, resp.Body, nil, damaged)
}

// recorded returns the body from the origin that body is, or that it shares with others; nil if there is none.
func recorded(body io.ReadCloser) *originBody {
	if shared, ok := body.(*growingBody); ok {
		body = shared.g.source
	}
	b, _ := body.(*originBody)
	return b
}

// judge lets the program speak of a response, works out its policy, and decides whether it may be stored. set are the fields that
// the heuristic has set. The policy is given its place, for it is long.
func (x *exchange) judge(policy *rfc9111.Policy, resp *http.Response, asked, received time.Time) (set []string, decision rfc9111.Stored) {
	var own StoreDecision
	if x.heuristic == nil && x.beforeStore == nil {
		own = x.ownDecision(resp) // which asks nobody
	} else {
		set, own = x.askHooks(resp)
	}
	x.policies.WorkOut(policy, &x.rules, resp.StatusCode, resp.Header, asked, received)
	if own.Lifetime > 0 {
		*policy = *policy.WithLifetime(own.Lifetime)
	}
	return set, x.mayStore(policy, own)
}

// askHooks is a function of its own so that what it shares with the one in it costs nothing where there are no hooks.
func (x *exchange) askHooks(resp *http.Response) (set []string, own StoreDecision) {
	closing(resp, func() {
		set = x.applyHeuristic(resp)
		own = x.ownDecision(resp)
	})
	return set, own
}

// closing calls a hook, and closes the response's body, which nobody has yet, where that panics.
func closing(resp *http.Response, hook func()) {
	done := false
	defer func() {
		if !done {
			discard(resp)
		}
	}()
	hook()
	done = true
}

// mayStore decides whether a response with this policy, of which the program says own, may be stored for the request.
func (x *exchange) mayStore(policy *rfc9111.Policy, own StoreDecision) rfc9111.Stored {
	policy.Named = own.named
	authorization := x.header["Authorization"] != nil // before the call, or a copy of cc is made to wait for it
	d := policy.Store(x.cc, authorization)
	if d.OK && x.credentialed {
		d = rfc9111.Stored{Reason: rfc9111.CredentialsRefused}
	}
	if d.OK && own.Refuse {
		d = rfc9111.Stored{Reason: rfc9111.StoreRefused}
	}
	return d
}

// headerToStore returns the header of an entry for a whole response. Where Create copies it, it can be the one
// that the caller gets afterwards, if nothing is left out of it, and the entry is not read later: to enter a variant. Its fields are
// then those of the origin's, unless a hook has changed them.
func (x *exchange) headerToStore(resp *http.Response, policy *rfc9111.Policy) (http.Header, []rfc9111.HeaderField) {
	switch {
	case !x.copies, x.primary != nil, x.leavesOut(policy):
		return rfc9111.StoredHeader(resp.Header, policy), nil
	case x.heuristic != nil, x.beforeStore != nil:
		return resp.Header, nil
	}
	return resp.Header, x.originFields
}

// leavesOut reports whether the origin's header has a field that is not stored.
func (x *exchange) leavesOut(policy *rfc9111.Policy) bool {
	excluded := policy.ExcludedFields()
	for i := range x.originFields {
		if name := x.originFields[i].Name; rfc9111.PerConnection(name) || slices.Contains(excluded, name) {
			return true
		}
	}
	return false
}

// latestVary returns the selecting field names of the most recent stored response that has any: they also select one
// whose own Vary is missing (RFC 9111, section 4.1).
func (x *exchange) latestVary() []string {
	if x.primary == nil {
		return nil
	}
	first := x.compile(x.primary)
	if len(x.primary.Variants) == 0 && x.selects(first.selectors, first.coding, "") {
		return nil // it takes the place of the only one
	}
	fields, date := x.primary.Vary, first.policy.Date
	for _, v := range x.primary.Variants {
		if len(v.Vary) > 0 && v.Date.After(date) {
			fields, date = v.Vary, v.Date
		}
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
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

// storeWhole has a complete response stored while it is read, and returns its key and its entry, which is kept only where the response
// is shared.
func (x *exchange) storeWhole(resp *http.Response, policy *rfc9111.Policy, asked, received time.Time, heuristic []string, s *Status) (place string, e *serialize.Entry) {
	indexErr := x.storeIndex() // which may change the key
	header, fields := x.headerToStore(resp, policy)
	r := x.newRecording(resp, header, policy, asked, received, heuristic)
	e = r.entry
	place = x.destination(e)
	r.place, r.fields, r.trailing, r.private = place, fields, resp, policy.ExcludedFields()
	if x.partial != nil {
		r.replaces = x.partial.key
	}
	if indexErr != nil {
		x.storeFailed(x.ctx, "create", x.index, indexErr)
		s.Stored, s.Storage = false, rfc9111.StoreFailed
		return place, e
	}
	x.record(resp, r, framedLength(resp), s)
	return place, e
}

// framedLength returns the length of the body of a response as the message's framing says; -1: not known.
func framedLength(resp *http.Response) int64 {
	n := resp.ContentLength
	if _, ok := resp.Body.(*originBody); ok && n == 0 && resp.StatusCode != http.StatusNoContent {
		n = -1 // a response that a program has made may say nothing of its body, as http.Response.Write has it
	}
	if n < 0 && !resp.Uncompressed {
		if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			return n // the framing does not say, and what the field says must then be true
		}
	}
	return max(n, -1)
}

// newRecording returns a recording of a response, whose entry has this header.
func (x *exchange) newRecording(resp *http.Response, header http.Header, policy *rfc9111.Policy, asked, received time.Time, heuristic []string) *recording {
	r, ok := x.recordings.Get().(*recording)
	if !ok {
		r = new(recording)
	}
	// Field by field: as one, they are copied by way of the stack, and the processor waits until all before that is in memory.
	r.engine, r.req, r.ctx, r.key, r.index, r.start, r.asked, r.date = x.engine, x.req, x.ctx, x.key, x.index, x.start, x.asked, policy.Date
	e := &r.own
	if x.dict == nil || x.flight != nil { // where the store, or who shares the response, keeps it
		e = new(serialize.Entry)
	}
	r.entry = e
	e.Status, e.Reason, e.Version = resp.StatusCode, reasonPhrase(resp), 11
	e.Header, e.URL = header, urlOfKey(x.key)
	e.RequestTime, e.ResponseTime = asked, received
	e.Length, e.Heuristic, e.Lifetime, e.Keep = framedLength(resp), heuristic, policy.Own, policy.Keep()
	if resp.ProtoMajor == 1 && resp.ProtoMinor == 0 {
		e.Version = 10
	}
	if resp.ProtoMajor > 1 && resp.ProtoMajor <= 9 {
		e.HTTP = resp.ProtoMajor
	}
	var names []string
	if policy.Varies {
		names, _ = x.rules.SelectingFields(resp.Header)
	} else {
		names = x.latestVary()
	}
	if x.selectsCoding(resp.Header) && !slices.ContainsFunc(names, isAcceptEncoding) {
		names = append(slices.Clip(names), "Accept-Encoding")
	}
	switch {
	case x.primary != nil && x.primary.Generation != "":
		e.Generation = x.primary.Generation
	case len(names) > 0:
		// From the start, so that variants which come at the same time are of the same generation.
		e.Generation = rand.Text()
	}
	x.selectBy(e, names)
	return r
}

func isAcceptEncoding(name string) bool { return strings.EqualFold(name, "Accept-Encoding") }

// record has the body of a response recorded, which has this length, and, once it has come to its end, the entry committed. It
// reports false where the store does not take it.
func (x *exchange) record(resp *http.Response, r *recording, length int64, s *Status) bool {
	if err := x.create(r); err != nil {
		x.storeFailed(x.ctx, "create", r.place, err)
		s.Stored, s.Storage = false, rfc9111.StoreFailed
		return false
	}
	r.length, r.announced = length, len(resp.Trailer) > 0
	r.trails = r.announced || resp.ProtoMajor > 1 // there a trailer may come unannounced, and after any length
	r.drains = x.drainBytes > 0 && !x.ranged && !x.revalidates && x.flight == nil
	b, ok := resp.Body.(*originBody)
	if !ok { // a body that was put together, or none
		b = &originBody{ReadCloser: resp.Body}
		if joined, ok := resp.Body.(*joinedBody); ok {
			if rest, ok := joined.second.(*originBody); ok {
				b.context = rest.context
			}
		}
		resp.Body = b
	}
	b.stores, b.write = true, r
	if b.ReadCloser == http.NoBody || resp.StatusCode == http.StatusNoContent {
		b.mu.Lock()
		defer b.mu.Unlock()
		why := rfc9111.ReasonNone
		if length > 0 {
			why = rfc9111.Incomplete // the body it speaks of has not come
		}
		b.finish(why)
	}
	return true
}

// conclude ends a recording: well, unless there is a reason why not, or the URL was invalidated or has got a more recent response
// while it was under way. It reports whether the response is stored.
func (r *recording) conclude(why rfc9111.Reason) (stored bool) {
	if why == rfc9111.ReasonNone {
		if why = r.commitCurrent(); why == rfc9111.ReasonNone {
			r.counters.stored.Add(1)
			return true
		}
	} else {
		r.Abort()
		if r.err != nil {
			r.storeFailed(r.ctx, "write", r.place, r.err)
		}
	}
	r.counters.notStored[why].Add(1)
	if r.logger != nil {
		r.logger.DebugContext(r.ctx, "cachecontrol: not stored after all", "url", requestURL(r.req), "reason", why.String(), "why", why.Words())
	}
	return false
}

// destination returns the key for a new entry: the plain one, or that of another variant (section 3 of the stored
// format). It gives an entry for the plain key the variants that are known.
func (x *exchange) destination(e *serialize.Entry) string {
	if x.primary == nil {
		return x.key
	}
	old := x.compile(x.primary)
	mine := newSelectors(e.Vary)
	switch {
	case len(mine) == 0:
		return x.key // see latestVary: if there is another response, this request selects it, too
	case len(old.selectors) == 0, sameSelectors(old.selectors, mine):
		e.Variants = x.primary.Variants
		return x.key
	}
	for i := range old.variants {
		if sameSelectors(old.variants[i].selectors, mine) {
			return old.variants[i].Key
		}
	}
	return variantKey(x.key, e.Generation, mine)
}

// errKeyBusy is why something is not stored whose key is locked for too long.
var errKeyBusy = errors.New("cachecontrol: another call of the store for this URL has not ended")

// commitCurrent commits the entry if it is still current. It returns the reason if it is not, or why that fails.
func (r *recording) commitCurrent() rfc9111.Reason {
	k, ok := r.locks.lock(r.key)
	if !ok {
		r.Abort()
		r.storeFailed(r.ctx, "commit", r.place, errKeyBusy)
		return rfc9111.StoreFailed
	}
	defer k.unlock()
	mine := r.recents.of(r.place, r.entry.Vary, r.date, r.asked)
	if r.overtaken() || r.recents.surpass(mine) {
		r.Abort()
		return rfc9111.Outdated
	}
	err := r.commit()
	switch {
	case errors.Is(err, storage.ErrChanged):
		return rfc9111.Outdated
	case err != nil:
		r.storeFailed(r.ctx, "commit", r.place, err)
		return rfc9111.StoreFailed
	}
	r.recents.add(mine)
	if r.overtaken() {
		r.removeHeld(r.ctx, r.place) // an invalidation that could not wait may have come before there was anything to remove
	}
	return rfc9111.ReasonNone
}

// commit makes the entry visible, and drops the part that it replaces.
func (r *recording) commit() error {
	if r.trailing != nil {
		r.entry.Trailer = rfc9111.StoredTrailer(canonicalNames(r.trailing.Trailer), r.private)
	}
	if other := r.otherExtent(); other != "" && r.surpassed(other) {
		r.Abort()
		return storage.ErrChanged
	}
	err := r.commitEntry()
	if err == nil && r.replaces != "" {
		r.removeHeld(r.ctx, r.replaces)
	}
	return err
}

// otherExtent returns the key of the part if the entry is whole, and that of the whole response if it is a part; "": nothing can be
// stored there, or a look costs too much.
func (r *recording) otherExtent() string {
	switch {
	case r.ranges == nil || !r.ranges.HasRanges():
		return ""
	case r.entry.Range != nil:
		return r.key
	}
	return r.key + partialSuffix
}

// commitEntry makes the entry visible. The first variant of a URL knows the others, so that each is entered there once it
// is stored.
func (r *recording) commitEntry() error {
	e := r.entry
	if len(e.Vary) == 0 || e.Range != nil {
		return r.put()
	}
	if r.place == r.key {
		if err := r.succeed(); err != nil {
			r.Abort()
			return err
		}
		return r.put()
	}
	if err := r.put(); err != nil {
		return err
	}
	return r.enter(r.place, e)
}

// entryUnder returns the entry that is stored under key now, or nil.
func (s *subject) entryUnder(key string) *serialize.Entry {
	resp, err := s.get(context.WithoutCancel(s.ctx), key)
	if err != nil {
		return nil
	}
	resp.Body.Close()
	return resp.Entry
}

// update stores a candidate's new header, with the variants that are known by now, unless the URL was invalidated or has got a more
// recent response while the origin was asked.
func (x *exchange) update(c *candidate, e *serialize.Entry, date time.Time) {
	k, ok := x.locks.lock(x.key)
	if !ok {
		x.storeFailed(x.ctx, "update", c.key, errKeyBusy)
		return
	}
	defer k.unlock()
	mine := x.recents.of(c.key, e.Vary, date, x.asked)
	if x.overtaken() || x.recents.surpass(mine) {
		return
	}
	if len(e.Vary) > 0 && c.key == x.key {
		if now := x.entryUnder(x.key); now != nil {
			e.Generation, e.Variants = now.Generation, now.Variants
		}
	}
	may := func(now *serialize.Entry) bool { return !x.moreRecent(now, e, c.key, date) }
	if err := x.updateStore(x.ctx, c.key, e, may); err != nil {
		return
	}
	x.recents.add(mine)
	if c.key != x.key && e.Range == nil {
		x.enter(c.key, e)
	}
}

// updateStore is Store.Update with a deadline, or UpdateIf if the store compares. An entry that has gone or changed is not a failure.
func (e *engine) updateStore(ctx context.Context, key string, entry *serialize.Entry, may func(now *serialize.Entry) bool) error {
	limited, release := e.limited(ctx)
	defer release()
	var err error
	if s, ok := e.store.(comparingStore); ok {
		err = s.UpdateIf(limited, key, entry, may)
	} else {
		err = e.store.Update(limited, key, entry)
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrChanged) {
		e.storeFailed(ctx, "update", key, err)
	}
	return err
}

// receivePost stores a response to POST or PATCH that says it is what GET would bring: with explicit freshness, and the
// request's own URL as its Content-Location (RFC 9110, section 9.3.3, and RFC 5789, section 2).
func (x *exchange) receivePost(resp *http.Response, s Status, asked, received time.Time) Status {
	s.Storage = rfc9111.MethodNotStorable
	target := targetURL(x.req)
	u := rfc9111.SameOrigin(target, resp.Header.Get("Content-Location"))
	if u == nil || x.noGET || resp.StatusCode != http.StatusOK {
		return s
	}
	here, _ := cachekey.Of(target, "")
	if named, ok := cachekey.Of(u, ""); !ok || named != here {
		return s
	}
	var own StoreDecision
	closing(resp, func() { own = x.ownDecision(resp) })
	var said rfc9111.Policy
	x.policies.WorkOut(&said, &x.rules, resp.StatusCode, resp.Header, asked, received)
	policy := said.WithLifetime(own.Lifetime)
	decision := x.mayStore(policy, own)
	if !decision.OK || !policy.Explicit() || policy.Lifetime == 0 || resp.ContentLength > x.maxBody {
		return s
	}
	x.primary = nil
	s.judged(decision, policy, received)
	x.storeWhole(resp, policy, asked, received, nil, &s)
	return s
}
