package cachecontrol

import (
	"context"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/backoff"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// This file is the road of a request: parse it, look for a stored response, decide; then serve that response, or ask the
// origin and serve, update or store what it sends. The stages are functions in other files, which take and return
// values; only this file calls one after the other.

// cache is what a Transport consists of: an engine, and the requests that others wait for.
type cache struct {
	*engine
	flights flights
	pending pending
}

// roundTrip answers a request. t collects what its Observation needs.
func (c *cache) roundTrip(req *http.Request, t *trace) (*http.Response, error) {
	if c.err != nil {
		closeBody(req)
		return nil, c.err
	}
	if ctx := req.Context(); ctx.Err() != nil {
		closeBody(req)
		return nil, context.Cause(ctx) // as http.Transport
	}
	var a answer
	var err error
	var q query
	s := c.newScratch()
	plain, why := c.parseQuery(&q, req, s.key[:0])
	q.trace = t
	t.setKey(plain)
	switch {
	case why != rules.ReasonNone:
		a, err = c.bypass(&q, string(plain), why)
	case q.keyed:
		a, err = c.answerByContent(&q, string(plain))
	case q.ranges != nil:
		a, err = c.answerRanges(&q, string(plain), place{key: string(plain)})
	default:
		a, err = c.answer(&q, plain, &place{}, &Status{})
	}
	if err == nil {
		s.shard.answered(a.outcome, a.fromCache)
	}
	c.scratches.Put(s)
	if err != nil {
		return nil, err
	}
	if q.keyed {
		a.resp.Request = req // q.req is a copy
	}
	return a.resp, nil
}

// bypass sends the request to the origin without looking for a stored response. key is "" if the URL has none.
func (c *cache) bypass(q *query, key string, why rules.Reason) (answer, error) {
	if q.cc.OnlyIfCached && rules.IsSafe(q.req.Method) || q.offline {
		return c.refuse(q), nil
	}
	mayStore := key != "" && why == rules.MethodForwarded && (q.req.Method == http.MethodPost || q.req.Method == http.MethodPatch)
	ask := c.askOnly
	if mayStore {
		ask = c.ask
	}
	rep, err := ask(c.copyRequest(q, false))
	if err != nil {
		return answer{}, err
	}
	rep.adoptHeader(q)
	s := forwarded(why, rep.resp.StatusCode)
	if key != "" {
		c.invalidateBy(q, key, &rep)
		if mayStore {
			c.receivePost(q, key, &rep, &s)
		}
	}
	return c.respond(q, &rep, s, answer{}), nil
}

// answerByContent answers a query whose method or content is part of the key. plain is the plain key.
func (c *cache) answerByContent(q *query, plain string) (answer, error) {
	why, err := c.takeContent(q)
	switch at := placeByMethod(q, plain); {
	case err != nil:
		return answer{}, err
	case why != rules.ReasonNone:
		return c.bypass(q, plain, why)
	case q.ranges != nil:
		return c.answerRanges(q, plain, at)
	default:
		return c.answer(q, nil, &at, &Status{})
	}
}

// answerRanges answers a query for ranges from what is stored, if that is fresh and has all of them. Otherwise it sends the
// request to the origin. key is the plain key.
func (c *cache) answerRanges(q *query, key string, at place) (answer, error) {
	start := q.trace.now()
	var m match
	var prev previous
	prev.place = at
	if c.lookup(&m, &prev, q, nil) != rules.ReasonNone {
		m = c.lookupPart(q, &prev)
	}
	q.trace.lookedUp(start)
	if m.found() {
		stored := m
		defer stored.close() // if it is not returned
		if d := c.decideReuse(q, &stored); q.servesRanges(&stored, d) {
			if a, ok := c.serveRanges(q, &stored, d.Reuse); ok {
				return a, nil
			}
		}
	}
	return c.bypass(q, key, rules.RangeForwarded)
}

// answer answers a query from a stored response if it may, and otherwise asks the origin. The key is at.key, or plain if
// that is empty. s is the status of an answer without asking the origin. It is the zero value, for a hit, unless the
// request has waited for a response that it could not share.
func (c *cache) answer(q *query, plain []byte, at *place, s *Status) (answer, error) {
	start := q.trace.now()
	var m match
	var prev previous
	prev.place = *at
	why := c.lookup(&m, &prev, q, plain)
	q.trace.lookedUp(start)
	if why != rules.ReasonNone {
		return c.answerWithoutWhole(q, &prev, why, s)
	}
	d := c.decideReuse(q, &m)
	switch {
	case q.matching && !q.meetsPreconditions(&m, d):
		return c.forwardPreconditions(q, &prev, &m)
	case d.rejected:
		m.close()
		m.rejected = true
		doubted := m
		prev.whole, prev.doubted = m.key, &doubted
		return c.fetchOrRefuse(q, &prev, d.Reason)
	}
	return c.use(q, &prev, &m, d, s)
}

// answerWithoutWhole answers a query for which no whole response is stored. It uses stored parts if they contain the bytes, or
// asks for those that are missing if possible. Otherwise it asks the origin, whose response may confirm the parts or show that
// they are out of date, like a whole response.
func (c *cache) answerWithoutWhole(q *query, prev *previous, why rules.Reason, s *Status) (answer, error) {
	if c.sharesFetch(q, prev, decision{}) {
		return c.fetchShared(q, prev, why)
	}
	start := q.trace.now()
	found := c.lookupPart(q, prev)
	q.trace.lookedUp(start)
	switch {
	case !found.found() && q.matching:
		return c.forwardPreconditions(q, prev, nil)
	case !found.found():
		return c.fetchOrRefuse(q, prev, why)
	}
	part := found
	part.parts.fetch = c.fetchFunc(q, &part)
	defer part.close() // if it is not returned
	return c.answerFromPart(q, prev, &part, why, s)
}

// answerFromPart answers a query for which only parts are stored. why is the reason why no whole response was found.
func (c *cache) answerFromPart(q *query, prev *previous, part *match, why rules.Reason, s *Status) (answer, error) {
	d := c.decideReuse(q, part)
	part.rejected = d.rejected
	usable := !d.rejected && q.canDecode(part.coding, part.vary) && !c.wholeIsMoreRecent(q, prev, part)
	switch {
	case usable && c.openWanted(q, part, d):
		return c.use(q, prev, part, d, s)
	case q.cc.OnlyIfCached:
		return c.refuse(q), nil
	}
	if usable {
		if g, ok := missing(q, part, d); ok {
			return c.complete(q, prev, part, g)
		}
	}
	if d.rejected || usable && q.ranged {
		if why = d.Reason; d.Action == rules.Serve && !d.rejected {
			why = rules.NotInRange
		}
	}
	prev.part = part
	if q.matching {
		return c.forwardPreconditions(q, prev, nil)
	}
	return c.fetch(q, prev, nil, fetchBecause(why))
}

// use answers with a stored response, at once or after asking the origin, as d requires. Parts must contain the requested
// bytes.
func (c *cache) use(q *query, prev *previous, m *match, d decision, s *Status) (answer, error) {
	refreshes := d.Action == rules.Serve && c.refreshesAhead(d)
	validates := d.Action == rules.ServeAndValidate
	c.survive(q, m)
	switch {
	case q.background && (refreshes || validates):
		// This request is the validation, so it asks the origin.
	case d.Action == rules.Serve:
		if refreshes {
			c.refreshLater(q, prev.place, m, d.TTL)
		}
		c.used(prev.key, m, d)
		return c.serve(q, m, d.Reuse, *s), nil
	case validates:
		if _, held := c.validateLater(q, prev.place, m); held {
			d.Reason = rules.OriginFailing
		}
		return c.serve(q, m, d.Reuse, Status{}), nil
	case d.Action == rules.Refuse:
		m.close()
		return c.refuse(q), nil
	}
	if part, d := c.newerPart(q, prev, m); part != nil {
		defer part.close() // if it is not returned
		if c.openWanted(q, part, d) {
			m.close()
			return c.use(q, prev, part, d, s)
		}
		if g, ok := missing(q, part, d); ok {
			prev.part, prev.rest = part, g
		}
	}
	return c.validate(q, prev, m, d)
}

// newerPart returns stored parts of the response that replaces m, a whole one, if they may be used, and the decision about them.
// Otherwise it returns nil.
func (c *cache) newerPart(q *query, prev *previous, m *match) (*match, decision) {
	if m.parts != nil || q.isHead() {
		return nil, decision{}
	}
	found := c.lookupPart(q, prev)
	if !found.found() || !c.moreRecent(found.stored(), m.stored(), found.key, m.policy.Date) || !q.canDecode(found.coding, found.vary) {
		return nil, decision{}
	}
	part := found // so that only a match that is found is on the heap
	d := c.decideReuse(q, &part)
	if d.rejected {
		return nil, decision{}
	}
	part.parts.fetch = c.fetchFunc(q, &part)
	return &part, d
}

// validate answers with a stored response that the origin has confirmed, or with another response from the origin. If
// the origin has failed a short time ago, it may answer with the stored response at once.
func (c *cache) validate(q *query, prev *previous, m *match, d decision) (answer, error) {
	claim, r, held := c.holdBack(q, prev.target(), m, d)
	if held {
		return c.serve(q, m, r, Status{}), nil
	}
	if claim.Held() {
		attempt := *q
		attempt.attempt = true
		q = &attempt
	}
	if p, ok := c.patience(q, m, d); ok {
		return c.validateUnlessSlow(q, prev, m, d, p, claim)
	}
	defer claim.End()
	if c.sharesFetch(q, prev, d) {
		m.close()
		return c.fetchShared(q, prev, d.Reason)
	}
	stored := m.move() // so that only a match that is validated is on the heap
	return c.fetch(q, prev, &stored, d)
}

// validateUnlessSlow is validate for a query that gets m if the origin is slow. The claim ends with the request to the
// origin, which may go on after that.
func (c *cache) validateUnlessSlow(q *query, prev *previous, m *match, d decision, p patience, claim backoff.Claim) (answer, error) {
	defer m.close() // if it is not returned
	at := prev.place
	a, sent, err := c.pending.ask(c.engine, q, prev.key, p, claim, func(q *query) (answer, error) {
		return c.answer(q, nil, &at, &Status{})
	})
	if err != errSlow {
		return a, err
	}
	r := m.policy.ReuseIfSlow(&q.cc, time.Now())
	r.Reason = rules.OriginSlow
	if sent {
		return c.serve(q, m, r, forwarded(d.Reason, 0)), nil
	}
	return c.serve(q, m, r, Status{}), nil
}

// forwardPreconditions sends a request with If-Match or If-Unmodified-Since to the origin. The response may show that m,
// if not nil, is out of date.
func (c *cache) forwardPreconditions(q *query, prev *previous, m *match) (answer, error) {
	if q.cc.OnlyIfCached {
		m.close()
		return c.refuse(q), nil
	}
	d := fetchBecause(rules.PreconditionForwarded)
	if m == nil {
		return c.fetch(q, prev, nil, d)
	}
	stored := m.move()
	d.mustValidate = true
	return c.fetch(q, prev, &stored, d)
}

// fetchOrRefuse answers a query for which no stored response may be used.
func (c *cache) fetchOrRefuse(q *query, prev *previous, why rules.Reason) (answer, error) {
	if q.cc.OnlyIfCached {
		return c.refuse(q), nil
	}
	if why == rules.NoVariant {
		if offers := c.offers(q, prev); len(offers) > 0 {
			return c.fetchVariant(q, prev, offers)
		}
	}
	return c.fetch(q, prev, nil, fetchBecause(why))
}

// fetchVariant asks the origin for the response to a query that selects no stored variant, and offers the tags of those that
// are stored. A 304 selects the variant whose tag it names (RFC 9111, section 4.3.4).
func (c *cache) fetchVariant(q *query, prev *previous, offers []offer) (answer, error) {
	d := fetchBecause(rules.NoVariant)
	n := c.noticeOf(q, &prev.place, prev.ahead.notice)
	rep, err := c.ask(c.outgoing(q, func(h http.Header) { setOffers(h, offers) }))
	rep.notice = n
	switch {
	case err != nil && q.canceledByOther(err):
		return c.refetch(q, prev, d)
	case err != nil:
		return answer{}, err
	}
	var m match
	switch status := rep.resp.StatusCode; {
	case status == http.StatusNotModified:
		m = c.getOffered(q, prev, namedOffers(offers, rep.resp.Header), rep.resp.Header)
		defer m.close() // if it is not returned
		c.dropDamaged(q, prev)
	case !refusesFields(status):
		c.dropDamaged(q, prev)
		return c.receiveAny(q, prev, nil, &rep, forwarded(d.Reason, status)), nil
	}
	c.discard(q, rep.resp)
	if !m.found() || c.decideReuse(q, &m).rejected {
		return c.refetch(q, prev, d)
	}
	c.enterVariant(q, prev, &m, &rep)
	return c.serveConfirmed(q, &m, &rep, forwarded(d.Reason, rep.resp.StatusCode)), nil
}

// fetchShared answers a query, for which no stored response may be used, together with other requests for the same
// response.
func (c *cache) fetchShared(q *query, prev *previous, why rules.Reason) (answer, error) {
	at, waiting := prev.place, *q // only a query that waits is on the heap
	a, s, err := c.flights.collapse(c.engine, &waiting, prev, why, road{
		again: func(q *query) (answer, error) { return c.answer(q, nil, &at, &Status{}) },
		stale: func(q *query, s Status) (answer, bool) { return c.answerOnError(q, at, s) },
	})
	if err != errNotShared {
		return a, err
	}
	alone := *q
	alone.neverShare = true
	return c.answer(&alone, nil, &at, &s)
}

// answerOnError answers a query from a stored response if that may be used because the origin has failed to answer another
// request for it, or has not answered in time. s is the status of such an answer.
func (c *cache) answerOnError(q *query, at place, s Status) (answer, bool) {
	if timedOut(q.ctx) { // the store can still be asked
		late := *q
		late.ctx = context.WithoutCancel(q.ctx)
		q = &late
	}
	var m match
	var prev previous
	prev.place = at
	if c.lookup(&m, &prev, q, nil) != rules.ReasonNone {
		return answer{}, false
	}
	d := c.decideReuse(q, &m)
	r, ok := q.staleOnError(&m, d, time.Now())
	switch {
	case d.rejected:
	case d.Action == rules.Serve, d.Action == rules.ServeAndValidate: // it has been stored or updated by now
		return c.serve(q, &m, d.Reuse, Status{}), true
	case ok:
		r.Reason = rules.Reason(s.Reason)
		return c.serve(q, &m, r, s), true
	}
	m.close()
	return answer{}, false
}

// fetch sends the request to the origin. It validates m, if not nil, if it has a validator and the caller set no
// conditions. If parts of the response that replaces m are stored, it requests only what is missing of them; otherwise it requests
// the whole response. d.Reason is the reason for asking.
func (c *cache) fetch(q *query, prev *previous, m *match, d decision) (answer, error) {
	defer m.close() // if it is not returned, even if Base or a hook panics
	if m != nil && m.parts == nil {
		prev.whole = m.key
	}
	validating := canValidate(q, m)
	asked, resumes := q, prev.rest.asked()
	n := c.noticeOf(q, &prev.place, prev.ahead.notice)
	var rep reply
	var err error
	if resumes {
		asked = prev.part.forRest(q)
		rep, err = c.askMissing(asked, prev.part, prev.rest, m, validating)
	} else {
		rep, err = c.askOrigin(q, m, validating)
	}
	rep.notice = n
	if err != nil {
		return c.originFailed(q, prev, m, d, validating, rep.received, err)
	}
	c.dropDamaged(q, prev)
	s := forwarded(d.Reason, rep.resp.StatusCode)
	switch {
	case validating && rep.resp.StatusCode == http.StatusNotModified:
		c.discard(q, rep.resp)
		if m.confirmedBy(rep.resp.Header) {
			return c.confirm(q, prev, m, &rep, s), nil
		}
		// The 304 is about another response than ours, so it does not confirm ours. The response to the next request
		// may.
		prev.doubt(m)
		return c.refetch(q, prev, d)
	case (validating || resumes) && refusesFields(rep.resp.StatusCode):
		c.discard(q, rep.resp)
		if validating {
			prev.doubt(m)
		}
		prev.rest = gap{}
		return c.refetch(q, prev, d)
	case rules.ServerFailed(rep.resp.StatusCode):
		if r, ok := q.staleOnError(m, d, rep.received); ok {
			c.discard(q, rep.resp)
			return c.serve(q, m, r, s), nil
		}
	}
	if resumes {
		return c.receiveRest(q, asked, prev, m, d, &rep)
	}
	return c.receiveAny(q, prev, m, &rep, s), nil
}

// refusesFields reports whether the origin may have refused a request because of the conditions or the range that the cache has
// added to it. An origin answers 412 to If-None-Match on a method that does not retrieve (RFC 9110, section 13.1.2).
func refusesFields(status int) bool {
	return status == http.StatusPreconditionFailed || status == http.StatusRequestHeaderFieldsTooLarge
}

// originFailed answers a query from m, if that may be used although it is stale, after the origin has failed with err at this
// time. If another request has made the validation of m fail, the request is sent once more, without it.
func (c *cache) originFailed(q *query, prev *previous, m *match, d decision, validating bool, at time.Time, err error) (answer, error) {
	if validating && q.canceledByOther(err) {
		prev.doubt(m)
		return c.refetch(q, prev, d)
	}
	if r, ok := q.staleOnError(m, d, at); ok && !abandoned(q.req) {
		return c.serve(q, m, r, forwarded(d.Reason, 0)), nil
	}
	return answer{}, err
}

// refetch sends the request once more, without validating a stored response.
func (c *cache) refetch(q *query, prev *previous, d decision) (answer, error) {
	again := q.withNewBody()
	return c.fetch(&again, prev, nil, d)
}

// confirm answers with a match that the reply, a 304, has confirmed.
func (c *cache) confirm(q *query, prev *previous, m *match, rep *reply, s Status) answer {
	c.freshen(q, prev, m, rep, rep.resp.Header)
	return c.serveConfirmed(q, m, rep, s)
}

// serveConfirmed answers with a match that has been updated with the reply, a 304.
func (c *cache) serveConfirmed(q *query, m *match, rep *reply, s Status) answer {
	r := m.policy.Reuse(&rules.Request{}, rep.received)
	r.Reason = rules.Validated
	a := c.serve(q, m, r, s)
	rules.CopySetCookie(a.resp.Header, rep.resp.Header)
	return a
}

// receiveAny handles a response from the origin that reaches the caller. m, if not nil, is the stored response that was
// validated and is not returned; if it is a part, it is prev.part from now on.
func (c *cache) receiveAny(q *query, prev *previous, m *match, rep *reply, s Status) (a answer) {
	rep.adoptHeader(q)
	c.invalidateBy(q, prev.key, rep) // a cacheable method may be unsafe
	whole := m
	if m != nil && m.parts != nil {
		whole, prev.part = nil, m
	}
	switch {
	case rep.resp.StatusCode == http.StatusNotModified:
		if m == nil {
			m = prev.part
		}
		s.Storage = Reason(c.receiveNotModified(q, prev, m, rep))
	case q.isHead():
		s.Storage = Reason(c.receiveHead(q, prev, whole, rep))
	case q.ranged && rep.resp.StatusCode == http.StatusPartialContent:
		c.receivePartial(q, prev, whole, rep, &s)
	default:
		c.judgePart(q, prev, rep)
		a = c.receive(q, prev, rep, &s)
	}
	return c.respondDecoded(q, rep, s, a)
}

// complete requests the bytes that are missing of a representation, and answers with these and with the stored parts (RFC 9111,
// sections 3.3 and 3.4).
func (c *cache) complete(q *query, prev *previous, part *match, g gap) (answer, error) {
	prev.part, prev.rest = part, g
	return c.fetch(q, prev, nil, fetchBecause(rules.NotInRange))
}

// receiveRest handles the response to a request, asked, for what is missing of prev.part. Together they answer q. If the response has not
// exactly that, the origin is asked again, and then m, if not nil, is validated. d is the decision about m.
func (c *cache) receiveRest(q, asked *query, prev *previous, m *match, d decision, rep *reply) (answer, error) {
	g := prev.rest
	prev.rest = gap{}
	s := forwarded(d.Reason, rep.resp.StatusCode)
	switch rep.resp.StatusCode {
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		before, after, ok := c.around(q, prev.part, &g, rep.resp)
		if !ok {
			c.discard(q, rep.resp)
			c.dropPart(q, prev, rep)
			again := q.withNewBody()
			return c.fetch(&again, prev, m, d)
		}
		rep.adoptHeader(asked)
		var a answer
		if q.ranged {
			c.joinRange(asked, prev, rep, &g, before, after, &s)
		} else {
			a = c.join(asked, prev, rep, &g, before, after, &s)
		}
		return c.respondDecoded(asked, rep, s, a), nil
	}
	return c.receiveAny(asked, prev, m, rep, s), nil
}

// respondDecoded answers with a response from the origin, and decodes it for the caller if needed. A response that may be
// shared is decoded for each of the requests.
func (c *cache) respondDecoded(q *query, rep *reply, s Status, a answer) answer {
	a = c.respond(q, rep, s, a)
	if q.flightKey == "" {
		a.decode()
	}
	return a
}

// refreshLater starts one background validation of a fresh response that will expire soon.
func (c *cache) refreshLater(q *query, at place, m *match, ttl time.Duration) {
	if q.isHead() {
		return
	}
	now := time.Now()
	if !c.refreshed.claim(m.key, now, now.Add(ttl)) {
		return
	}
	if started, _ := c.validateLater(q, at, m); !started {
		c.refreshed.release(m.key)
	}
}

// validateLater starts a validation of m in the background, unless the request forbids it. It reports whether it has
// started one, which it has not if one is already running for the key, and whether it has not because the origin failed a
// short time ago. A part is validated with the requested range.
func (c *cache) validateLater(q *query, at place, m *match) (started, held bool) {
	if q.cc.NoStore || q.offline {
		return false, false
	}
	claim, ok := c.mayValidate(q, at.target())
	if !ok {
		return false, true
	}
	later := q.forValidation(c.engine, m.parts != nil)
	started = c.background.Run(q.ctx, at.key, func(ctx context.Context) {
		defer claim.End()
		defer c.pending.inBackground(at.key).end()
		c.runValidation(ctx, later, at, claim)
	})
	if !started {
		claim.End()
	}
	return started, false
}

// runValidation answers a query of a background validation, so that the answer is stored. claim is the one that it has.
func (c *cache) runValidation(ctx context.Context, q query, at place, claim backoff.Claim) {
	q.ctx, q.req = ctx, q.req.WithContext(ctx)
	renewBody(q.req)
	release, ok := c.leases.Try(ctx, at.sharedKey())
	if !ok { // another process validates it
		return
	}
	defer release()
	c.counters.background.Add(1)
	q.trace = c.observers.newTrace(q.req, true)
	q.trace.setKey([]byte(at.key))
	a, err := c.answer(&q, nil, &at, &Status{})
	c.observers.end(q.trace, a.resp, err)
	if err != nil {
		c.logBackground(ctx, q.req, err)
		return
	}
	if err := a.readToEnd(); err != nil {
		c.recordBroken(&q, claim, err)
	}
}
