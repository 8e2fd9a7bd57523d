package cachecontrol

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// receive handles a whole response from the origin. If it may be stored, it is stored while the caller reads it. If it
// may not, the response that was stored before is removed if this one shows that it is out of date.
func (x *exchange) receive(resp *http.Response, asked, received time.Time, s *Status) {
	var policy rules.Policy
	set, decision := x.judge(&policy, resp, asked, received)
	switch {
	case !decision.OK:
	case resp.StatusCode == http.StatusPartialContent, resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		decision = rules.StoreDecision{Reason: rules.PartialUnusable} // a part that was not requested, or that answers only this request
	case x.matching && resp.StatusCode == http.StatusPreconditionFailed:
		decision = rules.StoreDecision{Reason: rules.PreconditionForwarded} // only for the condition of this request
	case resp.ContentLength > x.maxBody:
		decision = rules.StoreDecision{Reason: rules.TooLong}
	}
	s.judged(decision, &policy, received)
	var place string
	switch {
	case decision.OK:
		if x.prior != "" && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone) {
			x.dropStored(x.prior) // even if the body of this one never ends
			if x.prior == x.key {
				x.primary = nil
			}
		}
		var e *serialize.Entry
		place, e = x.storeWhole(resp, &policy, asked, received, set, s)
		x.share(resp, e, s)
		if x.collapse {
			x.notShareable.Remove(lossy.Hash(x.key))
		}
	case x.prior != "" && rules.Supersedes(resp.StatusCode):
		x.dropStored(x.prior)
	}
	if x.partial != nil && resp.StatusCode == http.StatusOK && !s.Stored {
		x.dropPart() // the whole response that replaces it is not stored
	}
	x.decode(resp, place, s)
}

// decode decodes the body of a whole response from the origin if the caller left the coding to the Transport. place is
// the key under which the response is stored.
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
		if f := x.flight; f != nil {
			forget := damaged
			damaged = func(err error) {
				f.retire()
				forget(err)
			}
			f.damaged = damaged
		}
	}
	coding.decode(resp, resp.Body, nil, damaged)
}

// recorded returns the originBody that body is, or that it shares with other readers. It returns nil if there is none.
func recorded(body io.ReadCloser) *originBody {
	if shared, ok := body.(*growingBody); ok {
		body = shared.g.source
	}
	b, _ := body.(*originBody)
	return b
}

// judge runs the hooks, computes the response's policy into *policy, and decides whether to store the response. set are
// the names of the header fields set by the heuristic. The policy is not returned by value because it is large.
func (x *exchange) judge(policy *rules.Policy, resp *http.Response, asked, received time.Time) (set []string, decision rules.StoreDecision) {
	var own StoreDecision
	if x.heuristic == nil && x.beforeStore == nil {
		own = x.ownDecision(resp) // which calls no hook
	} else {
		set, own = x.askHooks(resp)
	}
	x.policies.Compute(policy, &x.rules, resp.StatusCode, resp.Header, asked, received)
	if own.Lifetime > 0 {
		*policy = *policy.WithLifetime(own.Lifetime)
	}
	return set, x.mayStore(policy, own)
}

// askHooks calls the heuristic and BeforeStore. It is separate from judge so that judge does not allocate a closure
// when there are no hooks.
func (x *exchange) askHooks(resp *http.Response) (set []string, own StoreDecision) {
	closing(resp, func() {
		set = x.applyHeuristic(resp)
		own = x.ownDecision(resp)
	})
	return set, own
}

// closing calls a hook. If it panics, closing closes the response's body, which has not been returned to any caller
// yet.
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

// mayStore decides whether to store a response with this policy, given the decision of the program.
func (x *exchange) mayStore(policy *rules.Policy, own StoreDecision) rules.StoreDecision {
	policy.Named = own.named
	authorization := x.header["Authorization"] != nil // a variable, because inside the call it would delay the copy of cc
	d := policy.Store(x.cc, authorization)
	if d.OK && x.credentialed {
		d = rules.StoreDecision{Reason: rules.CredentialsRefused}
	}
	if d.OK && own.Refuse {
		d = rules.StoreDecision{Reason: rules.StoreRefused}
	}
	return d
}

// headerToStore returns the header to store for resp, and its fields, or nil if they are not known. The header is
// resp.Header itself, not a copy, if the store copies it in Create, no field has to be removed, and the entry is not
// needed later, to add a variant. Its fields are then those of the origin's header unless a hook has changed them.
func (x *exchange) headerToStore(resp *http.Response, policy *rules.Policy) (http.Header, []rules.HeaderField) {
	switch {
	case !x.copies, x.primary != nil, x.leavesOut(policy):
		return rules.StoredHeader(resp.Header, policy), nil
	case x.heuristic != nil, x.beforeStore != nil:
		return resp.Header, nil
	}
	return resp.Header, x.originFields
}

// leavesOut reports whether the origin's header has a field that is not stored.
func (x *exchange) leavesOut(policy *rules.Policy) bool {
	excluded := policy.ExcludedFields()
	for i := range x.originFields {
		if name := x.originFields[i].Name; rules.PerConnection(name) || slices.Contains(excluded, name) {
			return true
		}
	}
	return false
}

// latestVary returns the selecting field names of the most recent stored response that has any. They also select a
// response that has no Vary (RFC 9111, section 4.1).
func (x *exchange) latestVary() []string {
	if x.primary == nil {
		return nil
	}
	first := x.compile(x.primary)
	if len(x.primary.Variants) == 0 && x.selects(first.selectors, first.coding, "") {
		return nil // it replaces the only one
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

// storeWhole starts storing a complete response while it is read. It returns its key and its entry. The entry may be
// used later only if the response is shared by a flight.
func (x *exchange) storeWhole(resp *http.Response, policy *rules.Policy, asked, received time.Time, heuristic []string, s *Status) (place string, e *serialize.Entry) {
	indexErr := x.storeIndex() // this may change the key
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
		s.Stored, s.Storage = false, rules.StoreFailed
		return place, e
	}
	x.record(resp, r, framedLength(resp), s)
	return place, e
}

// framedLength returns the length of the body according to the framing of the message, or -1 if it is not known.
func framedLength(resp *http.Response) int64 {
	n := resp.ContentLength
	if _, ok := resp.Body.(*originBody); ok && n == 0 && resp.StatusCode != http.StatusNoContent {
		n = -1 // as in http.Response.Write, 0 may mean unknown in a response that a program made
	}
	if n < 0 && !resp.Uncompressed {
		if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			return n // the field is the only source
		}
	}
	return max(n, -1)
}

// newRecording returns a recording of resp, whose entry has this header.
func (x *exchange) newRecording(resp *http.Response, header http.Header, policy *rules.Policy, asked, received time.Time, heuristic []string) *recording {
	r, ok := x.recordings.Get().(*recording)
	if !ok {
		r = new(recording)
	}
	// A struct literal would be copied through the stack, and would stall the processor until the stores before it are
	// done.
	r.engine, r.req, r.ctx, r.key, r.index, r.start, r.asked, r.date = x.engine, x.req, x.ctx, x.key, x.index, x.start, x.asked, policy.Date
	e := &r.own
	if x.dict == nil || x.flight != nil { // the store, or the other readers of a shared response, keep the entry
		e = new(serialize.Entry)
	}
	r.entry = e
	e.Status, e.Reason, e.Version = resp.StatusCode, reasonPhrase(resp), 11
	e.Header, e.URL = header, urlOfKey(x.key)
	e.RequestTime, e.ResponseTime = asked, received
	e.Length, e.Heuristic, e.Lifetime, e.Keep = framedLength(resp), heuristic, policy.Override, policy.Retention()
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
		// From the start, so that variants received at the same time get the same generation.
		e.Generation = rand.Text()
	}
	x.selectBy(e, names)
	return r
}

func isAcceptEncoding(name string) bool { return strings.EqualFold(name, "Accept-Encoding") }

// record starts recording the body of resp, which has this length. The entry is committed at the end of the body.
// record reports whether the store accepts the entry.
func (x *exchange) record(resp *http.Response, r *recording, length int64, s *Status) bool {
	if err := x.create(r); err != nil {
		x.storeFailed(x.ctx, "create", r.place, err)
		s.Stored, s.Storage = false, rules.StoreFailed
		return false
	}
	r.length, r.announced = length, len(resp.Trailer) > 0
	r.trails = r.announced || resp.ProtoMajor > 1 // HTTP/2 and later: a trailer may come unannounced, and after a body of known length
	r.drains = x.drainBytes > 0 && !x.ranged && !x.revalidates && x.flight == nil
	b, ok := resp.Body.(*originBody)
	if !ok { // a body made of several parts, or none
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
		var why Reason
		if length > 0 {
			why = rules.Incomplete // the announced body is missing
		}
		b.finish(why)
	}
	return true
}

// conclude ends a recording. It commits the entry if why is ReasonNone, unless meanwhile the URL was invalidated or got
// a more recent response. Otherwise it aborts. It reports whether the response is stored.
func (r *recording) conclude(why Reason) (stored bool) {
	if why == rules.ReasonNone {
		if why = r.commitCurrent(); why == rules.ReasonNone {
			r.counters.stored.Add(1)
			return true
		}
	} else {
		r.Abort()
		if r.err != nil {
			r.storeFailed(r.ctx, "write", r.place, r.err)
		}
	}
	r.counters.notStored.add(why)
	if r.logger != nil {
		r.logger.DebugContext(r.ctx, "cachecontrol: not stored after all", "url", requestURL(r.req), "reason", string(why), "why", why.Description())
	}
	return false
}

// destination returns the key for a new entry: the plain key, or that of another variant (section 3 of the stored
// format). If it is the plain key, destination gives the entry the list of known variants.
func (x *exchange) destination(e *serialize.Entry) string {
	if x.primary == nil {
		return x.key
	}
	old := x.compile(x.primary)
	mine := newSelectors(e.Vary)
	switch {
	case len(mine) == 0:
		return x.key // see latestVary: this request also selects any other stored response
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

// errKeyBusy is why a response is not stored if its key stays locked for too long.
var errKeyBusy = errors.New("cachecontrol: another call of the store for this URL has not ended")

// commitCurrent commits the entry if it is still current. It returns ReasonNone, or the reason why the entry is not
// stored.
func (r *recording) commitCurrent() Reason {
	k, ok := r.locks.lock(r.key)
	if !ok {
		r.Abort()
		r.storeFailed(r.ctx, "commit", r.place, errKeyBusy)
		return rules.StoreFailed
	}
	defer k.unlock()
	mine := r.recents.of(r.place, r.entry.Vary, r.date, r.asked)
	if r.overtaken() || r.recents.surpass(mine) {
		r.Abort()
		return rules.Outdated
	}
	err := r.commit()
	switch {
	case errors.Is(err, storage.ErrChanged):
		return rules.Outdated
	case err != nil:
		r.storeFailed(r.ctx, "commit", r.place, err)
		return rules.StoreFailed
	}
	r.recents.add(mine)
	if r.overtaken() {
		r.removeHeld(r.ctx, r.place) // an invalidation that gave up waiting may have found nothing to remove
	}
	return rules.ReasonNone
}

// commit makes the entry visible, and removes the part that it replaces.
func (r *recording) commit() error {
	if r.trailing != nil {
		r.entry.Trailer = rules.StoredTrailer(canonicalNames(r.trailing.Trailer), r.private)
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

// otherExtent returns the key of the part if the entry is whole, and that of the whole response if the entry is a part.
// It returns "" if nothing can be stored there, or if looking there costs too much.
func (r *recording) otherExtent() string {
	switch {
	case r.ranges == nil || !r.ranges.HasRanges():
		return ""
	case r.entry.Range != nil:
		return r.key
	}
	return r.key + partialSuffix
}

// commitEntry makes the entry visible. The entry under the plain key lists all other variants, so each of them is added
// to that list after it is stored.
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

// update stores the candidate's new header, with the variants known by now. It does nothing if, while the origin was
// asked, the URL was invalidated or got a more recent response.
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

// receivePost stores a response to POST or PATCH that is declared to be the same as the response to GET: it has
// explicit freshness, and its Content-Location is the request's own URL (RFC 9110, section 9.3.3, and RFC 5789, section
// 2).
func (x *exchange) receivePost(resp *http.Response, s Status, asked, received time.Time) Status {
	s.Storage = rules.MethodNotStorable
	target := targetURL(x.req)
	u := rules.SameOrigin(target, resp.Header.Get("Content-Location"))
	if u == nil || x.noGET || resp.StatusCode != http.StatusOK {
		return s
	}
	here, _ := cachekey.Of(target, "")
	if named, ok := cachekey.Of(u, ""); !ok || named != here {
		return s
	}
	var own StoreDecision
	closing(resp, func() { own = x.ownDecision(resp) })
	var said rules.Policy
	x.policies.Compute(&said, &x.rules, resp.StatusCode, resp.Header, asked, received)
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
