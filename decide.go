package cachecontrol

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// decision says how a stored response may answer a query.
type decision struct {
	rules.Reuse
	rejected     bool          // by BeforeReuse: the request is answered as if the response were not stored
	mustValidate bool          // by BeforeReuse: the response is not used if the origin fails
	staleIfSlow  time.Duration // by BeforeReuse: ReuseDecision.StaleIfSlow
}

// fetchBecause is the decision to ask the origin for this reason.
func fetchBecause(why rules.Reason) decision { return decision{Reuse: rules.Reuse{Reason: why}} }

// decideReuse decides by the rules and BeforeReuse how the match may be used.
func (e *engine) decideReuse(q *query, m *match) decision {
	now := time.Now()
	d := decision{Reuse: m.reuse(q, now)}
	if e.beforeReuse != nil && !q.background {
		e.askBeforeReuse(q, m, now, &d)
	}
	return d
}

// askBeforeReuse changes d, the decision of the rules, as BeforeReuse decides. If that panics, it closes the match.
func (e *engine) askBeforeReuse(q *query, m *match, now time.Time, d *decision) {
	returned := false
	defer func() {
		if !returned {
			m.close()
		}
	}()
	own := e.beforeReuse(q.req, StoredResponse{
		StatusCode: m.policy.Status, Header: m.stored().Header, Age: d.Age, TTL: d.TTL,
		Rules: RuleDecision{d.Action == rules.Serve || d.Action == rules.ServeAndValidate, Reason(d.Reason)},
	})
	returned = true
	d.staleIfSlow = own.StaleIfSlow
	cc := q.cc
	if cc.StaleWhileRevalidate == 0 && own.StaleWhileRevalidate != 0 && !m.invalid {
		cc.StaleWhileRevalidate = own.StaleWhileRevalidate
		d.Reuse = m.policy.Reuse(&cc, now)
	}
	switch own.Use {
	case ReuseValidate:
		cc.Refresh, d.mustValidate = true, true
		if d.Reuse = m.policy.Reuse(&cc, now); d.Reason == rules.RefreshRequested {
			d.Reason = rules.ValidationRequested
		}
	case ReuseNever:
		d.Reason, d.rejected = rules.ReuseRefused, true
	case ReuseAnyway:
		if d.Action != rules.Serve && !m.invalid {
			d.Action, d.Reason = rules.Serve, rules.ReuseAllowed
		}
	}
}

// reuse decides by the rules how the match may be used.
func (m *match) reuse(q *query, now time.Time) rules.Reuse {
	if !m.invalid {
		return m.policy.Reuse(&q.cc, now)
	}
	cc := q.cc
	cc.Refresh = true
	r := m.policy.Reuse(&cc, now)
	if r.Action == rules.Validate {
		r.Reason = rules.WasInvalidated
	}
	return r
}

// meetsPreconditions reports whether a stored response may answer a request with If-Match or If-Unmodified-Since: it
// must be fresh and satisfy them.
func (q *query) meetsPreconditions(m *match, d decision) bool {
	return !d.rejected && (m.policy.Status == http.StatusOK || m.parts != nil) &&
		d.Action == rules.Serve && !d.Stale() && m.policy.Matches(q.header, time.Now())
}

// canValidate reports whether the request to the origin can validate m.
func canValidate(q *query, m *match) bool {
	return m != nil && !q.conditional && !q.matching && m.policy.HasValidator()
}

// staleOnError reports whether m may be used if the origin has failed. d is the decision about m.
func (q *query) staleOnError(m *match, d decision, now time.Time) (r rules.Reuse, ok bool) {
	if !m.found() || m.invalid || d.mustValidate {
		return r, false
	}
	r = m.policy.ReuseOnError(&q.cc, now)
	return r, r.Action == rules.Serve
}

// patience is how long a query waits for the origin before it gets a stale response.
type patience struct {
	limit time.Duration // how long the origin may take
	end   time.Time
}

// patience returns how long the query waits before it gets m. It reports false if it waits however long it takes, because m
// may not be used so. d is the decision about m. A query does not wait until the deadline of its caller, which would get
// an error then.
func (e *engine) patience(q *query, m *match, d decision) (p patience, ok bool) {
	p.limit = cmp.Or(q.staleIfSlow, d.staleIfSlow, e.staleIfSlow)
	if p.limit <= 0 || q.patient || q.background || m.invalid || d.mustValidate {
		return p, false
	}
	now := time.Now()
	if deadline, ok := q.ctx.Deadline(); ok {
		p.limit = min(p.limit, deadline.Sub(now)/4*3)
	}
	if p.end = q.waitsUntil; p.end.IsZero() {
		p.end = now.Add(p.limit)
	}
	return p, m.policy.ReuseIfSlow(&q.cc, p.end).Action == rules.Serve
}

// assessment is what the rules and the program decide about a response from the origin.
type assessment struct {
	policy    rules.Policy
	heuristic []string // names of the header fields that the heuristic has set
	store     rules.StoreDecision
	groups    []string // those that the program has added

	sharesFailure bool // it is a failure of the origin that may answer the requests that wait for it
}

// assess calls the heuristic and BeforeStore, computes the policy of a reply, and decides whether to store it. The
// assessment is not returned by value because the policy is large.
func (e *engine) assess(a *assessment, q *query, rep *reply) {
	if e.heuristic != nil {
		closeOnPanic(rep.resp, func() { a.heuristic = e.applyHeuristic(rep.resp) })
	}
	e.assessAsIs(a, q, rep)
}

// assessAsIs is assess without the heuristic.
func (e *engine) assessAsIs(a *assessment, q *query, rep *reply) {
	h := rep.resp.Header
	a.policy.Compute(e.policies.Response(h, e.rules.Shared), &e.rules, rep.resp.StatusCode, h, rep.asked, rep.received)
	own := e.hookDecision(q, rep, rep.resp, &a.policy)
	if own.Lifetime > 0 {
		a.policy = *a.policy.WithLifetime(own.Lifetime)
	}
	a.store = e.mayStore(q, &a.policy, own, rep)
	if e.groups != nil || rep.resp.Header["Cache-Groups"] != nil {
		a.groups = e.groupsOf(rep, rep.resp, &a.store)
	}
	a.sharesFailure = !own.Refuse && a.policy.SharesFailure(q.cc, q.header["Authorization"] != nil, rep.received)
}

// groupsOf returns the groups that the program adds to those of resp, which is the reply or a stored response that the reply
// confirms. If it is in too many, it changes the decision to store it.
func (e *engine) groupsOf(rep *reply, resp *http.Response, d *rules.StoreDecision) (added []string) {
	named, ok := rules.Groups(resp.Header)
	if e.groups != nil {
		view := *resp
		view.Body = http.NoBody // the Body belongs to the caller
		closeOnPanic(rep.resp, func() { added = slices.Clone(e.groups(&view)) })
	}
	if d.OK && (!ok || len(named)+len(added) > rules.MaxGroups) {
		*d = rules.StoreDecision{Reason: rules.TooManyGroups}
	}
	return added
}

// refuse decides that the response is not stored, unless that is decided already for another reason.
func (a *assessment) refuse(why rules.Reason) {
	if a.store.OK {
		a.store = rules.StoreDecision{Reason: why}
	}
}

// closeOnPanic calls a hook. If it panics, closeOnPanic closes the response's body, which has not been returned to any
// caller yet.
func closeOnPanic(resp *http.Response, hook func()) {
	returned := false
	defer func() {
		if !returned {
			closeResponse(resp)
		}
	}()
	hook()
	returned = true
}

// hookDecision returns the decision of BeforeStore and of the request's Control about storing resp, which is the reply or
// a stored response that the reply confirms.
func (e *engine) hookDecision(q *query, rep *reply, resp *http.Response, policy *rules.Policy) (d StoreDecision) {
	if e.beforeStore != nil {
		d = e.callBeforeStore(q, rep, resp, policy)
	}
	d.Lifetime = max(d.Lifetime, 0)
	d.named = d.Lifetime > 0
	if q.cc.Lifetime > 0 {
		d.Lifetime = q.cc.Lifetime
	}
	return d
}

func (e *engine) callBeforeStore(q *query, rep *reply, resp *http.Response, policy *rules.Policy) (d StoreDecision) {
	view := *resp
	view.Body = http.NoBody // the Body belongs to the caller
	byRules := e.mayStore(q, policy, StoreDecision{}, rep)
	closeOnPanic(rep.resp, func() { d = e.beforeStore(&view, RuleDecision{byRules.OK, Reason(byRules.Reason)}) })
	return d
}

// applyHeuristic calls the heuristic, and returns the names of the fields that it set. It does so only if RFC 9111,
// section 4.2.2, allows heuristics: for a status that is cacheable by default, or for a public response.
func (e *engine) applyHeuristic(resp *http.Response) []string {
	if e.heuristic == nil {
		return nil
	}
	if !rules.HeuristicallyCacheable(resp.StatusCode) && !rules.ParseResponse(resp.Header, e.rules.Shared).Public {
		return nil
	}
	return heuristics.Apply(e.heuristic, resp, e.rules.Shared)
}

// mayStore decides whether to store a response with this policy, given the decision of the program.
func (e *engine) mayStore(q *query, policy *rules.Policy, own StoreDecision, rep *reply) rules.StoreDecision {
	policy.Named = own.named
	authorization := q.header["Authorization"] != nil // a variable, because inside the call it would delay the copy of cc
	d := policy.Store(q.cc, authorization)
	if d.OK && rep.rejectsCredentials {
		d = rules.StoreDecision{Reason: rules.CredentialsRefused}
	}
	if d.OK && own.Refuse {
		d = rules.StoreDecision{Reason: rules.StoreRefused}
	}
	return d
}

// refreshesAhead reports whether a fresh response expires so soon that it is refreshed in the background.
func (e *engine) refreshesAhead(d decision) bool {
	return e.refreshAhead > 0 && !d.Stale() && d.TTL <= e.refreshAhead
}

// setStored records the decision in the status of a response that was received at the given time.
func (a *assessment) setStored(s *Status, received time.Time) {
	s.Stored, s.Storage = a.store.OK, Reason(a.store.Reason)
	if a.store.OK {
		s.TTL, s.HasTTL = floorSeconds(a.policy.Lifetime-a.policy.Age(received)), a.policy.Lifetime > 0
	}
}
