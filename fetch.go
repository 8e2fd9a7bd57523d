package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// fetch sends the request to the origin. It validates c if it has a validator and the caller set no conditions;
// otherwise it requests the whole response. why is the reason for asking.
func (x *exchange) fetch(c *candidate, why Reason) (*http.Response, error) {
	defer c.close() // if it is not returned, even if Base or a hook panics
	if c != nil && c.entry.Range == nil {
		x.prior = c.key
	}
	validating := c != nil && !x.conditional && !x.matching && c.policy.HasValidator()
	out := x.outgoing(func(h http.Header) {
		if validating {
			c.policy.SetPreconditions(h)
		}
	}, validating)

	x.start, x.asked = x.invalid.start(), x.recents.ask()
	asked := x.clock.now()
	resp, err := x.send(out)
	received := x.clock.now()
	s := Status{Forward: forwardToken(why), Reason: why}
	if err != nil {
		if validating && x.canceledByOther(err) {
			c.close()
			return x.again(why)
		}
		if r, ok := x.standsIn(c, received); ok && x.ctx.Err() == nil {
			return x.serve(c, r, s), nil
		}
		return nil, err
	}
	x.dropDamaged()
	s.ForwardStatus = resp.StatusCode
	switch {
	case resp.StatusCode == http.StatusNotModified && validating:
		x.discard(resp)
		if !c.policy.MatchesNotModified(resp.Header) {
			// The 304 is about another response than ours, so it does not confirm ours. The response to the next
			// request may.
			c.close()
			c.refused = true
			if c.entry.Range != nil {
				x.partial = c
			} else {
				x.doubted = c
			}
			return x.again(why)
		}
		fresh := x.freshen(c, resp, asked, received)
		r := fresh.policy.Reuse(&rules.Request{}, received)
		r.Reason = rules.Validated
		cookies := resp.Header
		resp = x.serve(fresh, r, s)
		rules.CopySetCookie(resp.Header, cookies)
		x.over = true
		return resp, nil
	case rules.ServerFailed(resp.StatusCode):
		if r, ok := x.standsIn(c, received); ok {
			x.discard(resp)
			return x.serve(c, r, s), nil
		}
	}
	resp = x.own(resp)
	x.invalidate(resp) // a cacheable method may be unsafe
	if c != nil && c.entry.Range != nil {
		x.partial, c = c, nil
		defer func() { x.partial.close() }()
	}
	switch {
	case resp.StatusCode == http.StatusNotModified:
		x.passNotModified(cmp.Or(c, x.partial), resp, asked, received, &s)
	case x.isHead():
		x.receiveHead(c, resp, asked, received, &s)
	case x.ranged && resp.StatusCode == http.StatusPartialContent:
		x.receivePartial(c, resp, asked, received, &s)
	default:
		x.judgePart(resp)
		x.receive(resp, asked, received, &s)
	}
	x.mark(resp, s)
	x.over = true
	return resp, nil
}

// standsIn reports whether c may be used if the origin has failed.
func (x *exchange) standsIn(c *candidate, now time.Time) (r rules.Reuse, ok bool) {
	if c == nil || x.confirms {
		return r, false
	}
	r = c.policy.ReuseOnError(&x.cc, now)
	return r, r.Action == rules.Serve
}

// canceledByOther reports whether a validation has failed because another request was canceled. http.Transport gives
// the connection to the next request just before it returns a response without a body. If that first request is then
// canceled at once, both fail. Without the cache the response would have had a body.
func (x *exchange) canceledByOther(err error) bool {
	return errors.Is(err, context.Canceled) && x.ctx.Err() == nil && rules.IsSafe(x.req.Method)
}

// outgoingRequest is a copy of a request, its context, its Accept-Encoding line, and the body of its response, in one
// allocation.
type outgoingRequest struct {
	http.Request
	context sentContext
	depth   int // see sending
	codings [1]string
	answer  originBody
}

// copyRequest returns a copy of the request for Base, with its own context. If detachable is true, the context can
// outlive the caller's if needed.
func (x *exchange) copyRequest(detachable bool) *outgoingRequest {
	out, s := new(outgoingRequest), x.sending()
	out.depth = s.depth
	if detachable {
		out.answer.context = x.detachable(s)
	}
	if ctx := out.answer.context; ctx != nil {
		out.Request = *x.req.WithContext(ctx)
	} else {
		out.context = sentContext{x.ctx, s}
		out.Request = *x.req.WithContext(&out.context)
	}
	return out
}

// outgoing returns the request to send to the origin: a copy, to whose header add is applied if adds is true.
func (x *exchange) outgoing(add func(http.Header), adds bool) *outgoingRequest {
	out := x.copyRequest(true)
	asksForCoding := x.negotiated && !x.isHead() // there is no body to compress; net/http does not ask either
	if !adds && !asksForCoding && !x.revalidates {
		return out
	}
	room := 0 // exactly as needed: a map of more than eight fields takes 1.5 times as long to make
	if asksForCoding {
		room++ // for Accept-Encoding
	}
	if adds {
		room += 2 // for two conditions
	}
	out.Header = rules.CopyHeader(x.req.Header, room, func(string) bool { return false })
	if asksForCoding {
		out.codings[0] = x.acceptEncoding()
		out.Header["Accept-Encoding"] = out.codings[:]
	}
	add(out.Header)
	return out
}

// again sends the request once more, without a candidate. It gets a new body, because the first request has used up the
// old one.
func (x *exchange) again(why Reason) (*http.Response, error) {
	if hasBody(x.req) {
		req := x.req.WithContext(x.ctx)
		var err error
		if req.Body, err = x.req.GetBody(); err != nil {
			return nil, err
		}
		x.req = req
	}
	return x.fetch(nil, why)
}

// detachable returns a context for a request to the origin that can outlive the caller's. It returns nil if that is not
// needed: the response body will not be drained in the background, or the caller's context never ends.
func (x *exchange) detachable(s sending) *originContext {
	if x.drainBytes <= 0 || x.revalidates || hasBody(x.req) || x.store.Closed() {
		return nil
	}
	return newOriginContext(x.ctx, s)
}

// discard closes the body of a response that is not returned, without reading it.
func discard(resp *http.Response) {
	if resp.Body != nil {
		resp.Body.Close()
	}
}

// freshen updates a candidate, also in the store, with a response that confirms it (RFC 9111, sections 3.2 and 4.3.4).
// It returns the candidate with the new header and its old body.
func (x *exchange) freshen(c *candidate, later *http.Response, asked, received time.Time) *candidate {
	e := c.entry.Copy()
	e.Foreign = false
	e.URL = urlOfKey(x.key)
	e.Header = c.updated(later.Header, received)
	e.RequestTime, e.ResponseTime = asked, received
	var view *http.Response // nil if there are no hooks
	if x.heuristic != nil || x.beforeStore != nil {
		view = &http.Response{StatusCode: e.Status, Header: e.Header, Request: x.req}
	}
	var own StoreDecision
	closing(later, func() {
		e.Heuristic = x.applyHeuristic(view)
		own = x.ownDecision(view)
	})
	e.Lifetime = own.Lifetime
	x.reselect(e)
	policy := x.policyOf(e)
	policy.ConfirmedBy(later.Header)
	e.Keep = policy.Retention()
	if e.Trailer != nil {
		e.Trailer = rules.StoredTrailer(e.Trailer, policy.ExcludedFields())
	}

	switch decision := x.mayStore(&policy, own); {
	case decision.OK:
		x.update(c, e, policy.Date)
	case decision.Reason == rules.NoStoreRequest, decision.Reason == rules.SetCookieInShared:
		// The response may be used, but not stored.
	default:
		x.dropStored(c.key) // it may no longer be stored
	}
	key, selectors := c.stored.key, c.selectors // usually unchanged
	if e.URL != c.entry.URL {
		key = entryKey(e.URL)
	}
	if !slices.Equal(e.Vary, c.entry.Vary) {
		selectors = newSelectors(e.Vary)
	}
	fresh := x.newStoredOf(e, key, policy, selectors)
	e.Derived(func(*serialize.Entry) any { return fresh }) // a DictCache already holds e itself
	c.entry, c.stored = e, fresh
	return c
}

// updated returns the candidate's header, updated with the fields of a later response. It removes the fields that a
// heuristic had set, because the heuristic will be applied again to the new header.
func (c *candidate) updated(later http.Header, received time.Time) http.Header {
	old := c.entry.Header
	if len(c.entry.Heuristic) > 0 {
		old = maps.Clone(old)
		for _, name := range c.entry.Heuristic {
			delete(old, name)
		}
	}
	h := rules.UpdateHeader(old, later, &c.policy, received)
	delete(h, XFromCache) // another cache set it, for its response only
	return h
}

// applyHeuristic calls the heuristic, and returns the names of the fields that it set. It does so only if RFC 9111,
// section 4.2.2, allows heuristics: for a status that is cacheable by default, or for a public response.
func (x *exchange) applyHeuristic(resp *http.Response) []string {
	if x.heuristic == nil {
		return nil
	}
	if !rules.HeuristicallyCacheable(resp.StatusCode) && !rules.ParseResponse(resp.Header, x.rules.Shared).Public {
		return nil
	}
	return heuristics.Apply(x.heuristic, resp)
}

// passNotModified handles a 304 to the caller's own condition. If the caller's copy is the stored response, the 304
// confirms that, too.
func (x *exchange) passNotModified(c *candidate, resp *http.Response, asked, received time.Time, s *Status) {
	s.Storage = rules.NotModifiedUnasked
	if c == nil || !c.policy.HasValidator() {
		return
	}
	condition, own := x.header["If-None-Match"], c.policy.ETag
	if condition == nil {
		condition, own = x.header["If-Modified-Since"], c.policy.IfModified
	}
	if len(condition) == 1 && condition[0] == own && own != "" && c.policy.MatchesNotModified(resp.Header) {
		x.freshen(c, resp, asked, received)
		s.Storage = rules.Validated
	}
}

// receiveHead updates the stored response to GET with a response to HEAD, or removes it if it is out of date (RFC 9111,
// section 4.3.5).
func (x *exchange) receiveHead(c *candidate, resp *http.Response, asked, received time.Time, s *Status) {
	s.Storage = rules.MethodNotStorable
	c = cmp.Or(c, x.partial, x.doubted)
	switch {
	case c == nil:
	case resp.StatusCode != http.StatusOK || c.entry.Status != http.StatusOK && c.entry.Range == nil:
		if rules.Supersedes(resp.StatusCode) && resp.StatusCode != c.entry.Status {
			x.dropStored(c.key)
		}
	case x.negotiated && !slices.Equal(parseCoding(resp.Header["Content-Encoding"]).names, c.coding.names):
		// It is about another coding, because HEAD is sent without an Accept-Encoding. It tells nothing about the
		// stored response.
	default:
		if c.freshenedByHead(resp.Header) {
			update := *resp
			update.Header = c.policy.HeadUpdate(resp.Header)
			x.freshen(c, &update, asked, received)
			s.Storage = rules.ValidatedByHead
		} else {
			x.dropStored(c.key)
		}
	}
}

// dropStored removes a stored response that is known to be out of date. If it is under the plain key, everything that
// depends on it is removed, too. Responses to requests that were sent before are as old, and are not stored.
func (x *exchange) dropStored(key string) {
	if key == x.key {
		x.start, _ = x.engine.invalidate(x.ctx, key, x.start)
		return
	}
	x.start = x.invalid.addBy(x.key, x.start)
	x.remove(x.ctx, x.key, key)
}

// revalidateLater starts a validation of a stored response in the background, unless the request forbids it. It reports
// whether it has started one; it has not if one is already running for the key. A part is validated with the requested
// range.
func (x *exchange) revalidateLater(c *candidate) bool {
	if x.cc.NoStore || x.offline {
		return false
	}
	part := c.entry.Range != nil
	req := x.req.Clone(context.Background()) // the caller may reuse the request
	maps.DeleteFunc(req.Header, func(name string, _ []string) bool {
		switch http.CanonicalHeaderKey(name) {
		case "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Cache-Control", "Pragma":
			return true
		case "Range":
			return !part
		}
		return false
	})
	ranged, byteRange, header := x.ranged, x.byteRange, canonicalNames(req.Header)
	//lint:ignore SA1019 http.Client sets it, and it ends with the caller
	req.Cancel = nil
	return x.background.run(x.ctx, x.key, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, x.backgroundTimeout)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				x.caught(ctx, v)
			}
		}()
		if hasBody(req) { // the original has been closed by now
			var err error
			if req.Body, err = req.GetBody(); err != nil {
				return
			}
		}
		later := &exchange{
			subject:   subject{engine: x.engine, req: req.WithContext(ctx), ctx: ctx, key: x.key, index: x.index},
			header:    header,
			partition: x.partition, revalidates: true,
			cc:         rules.Request{Lifetime: x.cc.Lifetime},
			negotiated: x.negotiated || ranged && !part && x.negotiate && header["Accept-Encoding"] == nil,
		}
		if part {
			later.ranged, later.byteRange = ranged, byteRange
		}
		x.counters.background.Add(1)
		resp, err := later.answer(Status{})
		if err != nil {
			if x.logger != nil {
				x.logger.DebugContext(ctx, "cachecontrol: revalidation in the background failed", "url", requestURL(req), "error", err)
			}
			return
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body) // so that it is stored
	})
}
