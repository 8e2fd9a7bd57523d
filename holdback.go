package cachecontrol

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/backoff"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// The cache remembers failures of the origin, and holds back validations that it can do without. The record of a URL is
// the same for all users, partitions and methods: a server that fails does so for all of them, and each would otherwise
// find it out with requests of its own. A partition can learn no more from it than that the URL failed.

// holdBack decides whether a match that is stale is used without asking the origin, because the origin failed a short
// time ago and the match may be used if it fails. If not, the request is sent. If it is the first one after a wait, it
// gets a claim, so that others are held back until it is answered.
func (e *engine) holdBack(q *query, key string, m *match, d decision) (claim backoff.Claim, r rules.Reuse, held bool) {
	if d.Reason != rules.Expired || q.background || q.attempt || rules.Failed(m.policy.Status) {
		return claim, r, false // a stored failure is not better than a new one
	}
	r, ok := q.staleOnError(m, d, time.Now())
	if !ok {
		return claim, r, false
	}
	claim, ok = e.mayValidate(q, key)
	r.Reason = rules.OriginFailing
	return claim, r, !ok
}

// mayValidate reports whether a request may be sent whose answer the caller does not need. The claim must be ended when
// the request has been answered.
func (e *engine) mayValidate(q *query, key string) (backoff.Claim, bool) {
	claim, ok := e.backoff.Claim(q.target(key), time.Now())
	if !ok {
		e.counters.heldBack.Add(1)
	}
	return claim, ok
}

// target returns what the cache remembers failures of for a query with this key: the key, at the origin that is asked.
func (q *query) target(key string) backoff.Target {
	if q.named == "" {
		return backoff.TargetOf(key)
	}
	target, _ := targetAs(q.req, q.named)
	return target
}

// targetAs is target for a request with a query that has this field named. It reports false if its URL has no key.
func targetAs(req *http.Request, named string) (target backoff.Target, ok bool) {
	key, ok := cachekey.Of(req.URL, req.Host)
	if !ok {
		return target, false
	}
	if target = backoff.TargetOf(key); named != "" {
		target = target.Named(named)
	}
	return target, true
}

// sentTarget is targetAs for a request that is sent to the origin.
func (e *engine) sentTarget(req *http.Request) (backoff.Target, bool) {
	return targetAs(req, e.within(req.Context()).named)
}

// exchange makes a request through Base at the time asked. It counts and remembers a failure.
func (e *engine) exchange(req *http.Request, asked time.Time) (*http.Response, error) {
	late := req.Context().Err() != nil // so that an error says nothing about the origin
	resp, err := e.base().RoundTrip(req)
	if err == nil {
		err = checkResponse(req, resp)
	}
	if err != nil {
		if req.Context().Err() == nil {
			e.counters.originErrors.Add(1)
		}
		if !late {
			e.recordError(req, asked, err)
		}
		return resp, err
	}
	resp.Header = canonicalNames(resp.Header)
	e.recordResponse(req, asked, resp)
	if resp.StatusCode >= http.StatusInternalServerError {
		e.counters.originFailures.Add(1)
	}
	return resp, nil
}

// recordResponse records that the origin has answered a request that was sent at the time asked. A 429 and all server
// errors are failures, but for a 501 to a method that origins need not know.
func (e *engine) recordResponse(req *http.Request, asked time.Time, resp *http.Response) {
	failed := rules.Failed(resp.StatusCode) &&
		(resp.StatusCode != http.StatusNotImplemented || req.Method == "" || req.Method == http.MethodGet || req.Method == http.MethodHead)
	if !failed && e.backoff.Empty() {
		return
	}
	target, ok := e.sentTarget(req)
	switch {
	case !ok:
	case failed:
		now := time.Now()
		e.backoff.Failed(target, asked, now, rules.RetryAfter(resp.StatusCode, resp.Header, now))
	default:
		e.backoff.Succeeded(target, asked)
	}
}

// recordError records that a request that was sent at the time asked has failed, unless it was canceled. If it has content
// that is read only once, the caller may have failed to provide it.
func (e *engine) recordError(req *http.Request, asked time.Time, err error) {
	if e.backoff == nil || canceled(req, err) || hasBody(req) && req.GetBody == nil {
		return
	}
	if target, ok := e.sentTarget(req); ok {
		e.backoff.Failed(target, asked, time.Now(), 0)
	}
}

// recordBroken records that a validation in the background has failed although the origin has answered, because the body
// broke off. claim is the one of the validation.
func (e *engine) recordBroken(q *query, claim backoff.Claim, err error) {
	if e.backoff == nil || canceled(q.req, err) {
		return
	}
	if target, ok := targetAs(q.req, q.named); ok {
		e.backoff.Broken(target, claim, time.Now())
	}
}

// canceled reports whether a request has failed with err because it was canceled. The end of a deadline is no
// cancellation.
func canceled(req *http.Request, err error) bool {
	return abandoned(req) || errors.Is(err, context.Canceled) && !timedOut(req.Context())
}

// abandoned reports whether the caller has canceled the request. The end of a deadline is no cancellation.
func abandoned(req *http.Request) bool {
	ctx := req.Context()
	if ctx.Err() != nil {
		return !timedOut(ctx)
	}
	select {
	//lint:ignore SA1019 http.Client closes it at the deadline, and programs do to cancel
	case <-req.Cancel:
		return !timedOut(ctx)
	default:
		return false
	}
}

// timedOut reports whether ctx has ended because of a deadline, or ends now because of one.
func timedOut(ctx context.Context) bool {
	if ctx.Err() == nil {
		deadline, ok := ctx.Deadline()
		return ok && !time.Now().Before(deadline)
	}
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}
