// Package backoff remembers which URLs and origins have failed, and when each may be asked again.
package backoff

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
)

// minClaim is the shortest time for which an attempt keeps others from being made if it does not report its result.
const minClaim = time.Minute

// Table keeps a record of each URL that has failed since its last success, and of its origin. An origin is ill if two of
// its URLs have failed without a success in between, or if it has asked for a pause. After each failure of a URL or of
// an ill origin there is a wait, which is three times as long as the one before.
//
// The table is of limited size, and forgets a record if it is full. A nil *Table never asks to wait. All methods are
// safe for concurrent use.
type Table struct {
	first, most time.Duration

	mu            sync.Mutex // guards the following fields
	urls, origins lossy.Timed[record]
	claims        uint64 // number of claims so far
}

// record is what is known of a URL or an origin.
type record struct {
	url      uint64    // of an origin: the URL that failed first
	failures int       // in a row, each after the wait for the one before; 0 if the origin is not ill
	until    time.Time // end of the wait
	paused   time.Time // when the origin last asked for a pause

	claim    uint64    // number of the claim of the attempt in progress; 0 if there is none
	claimEnd time.Time // another attempt may be made then even if the claim has not ended
}

// End returns the end of the wait, for lossy.Timed.
func (r record) End() time.Time { return r.until }

// New returns a Table whose waits begin at first and are at most most long.
func New(first, most time.Duration) *Table {
	return &Table{first: min(first, most), most: min(most, math.MaxInt64/2)}
}

// Target is a URL and its origin.
type Target struct{ url, origin uint64 }

// TargetOf returns the target for a key of package cachekey, or for one that is derived from it with a suffix that begins
// with "#". The target is the same for all users and all such suffixes. If the key names a server that is asked in place
// of the authority, the origin is that authority at that server.
func TargetOf(key string) Target {
	url, suffix, _ := strings.Cut(key, "#")
	scheme := strings.Index(url, "://") + len("://")
	authority := strings.IndexByte(url[scheme:], '/')
	x := Target{lossy.Hash(url), lossy.Hash(url[:scheme+max(authority, 0)])}
	if suffix == "" {
		return x
	}
	_, via, _ := strings.Cut("#"+suffix, cachekey.ViaSuffix)
	if via, _, _ = strings.Cut(via, "#"); via != "" {
		server := lossy.Hash(via)
		x.url, x.origin = x.url^server, x.origin^server
	}
	return x
}

// Named returns the target for a URL of t's origin whose stored responses have another key. All such URLs of one origin
// share a target.
func (t Target) Named(key string) Target {
	named := TargetOf(key)
	if named.origin != t.origin {
		named.url ^= t.origin
	}
	return Target{named.url, t.origin}
}

// Claim is the right to be the only attempt that finds out whether a URL or an origin still fails. The zero Claim is for a
// target that has not failed. The holder must call End.
type Claim struct {
	table  *Table
	target Target
	number uint64

	failures int // of the URL before
}

// Held reports whether there is a claim, because the target has failed.
func (c Claim) Held() bool { return c.number != 0 }

// End ends the claim. If neither Failed nor Succeeded was called since, the next attempt may be made at once.
func (c Claim) End() {
	if !c.Held() {
		return
	}
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.urls.Get(c.target.url); r.claim == c.number {
		r.claim = 0
		t.urls.Put(c.target.url, r)
	}
	if r := t.origins.Get(c.target.origin); r.claim == c.number {
		r.claim = 0
		t.origins.Put(c.target.origin, r)
	}
}

// Claim reports whether a request may be sent that is not urgent. It may not during a wait, and while another attempt
// has the claim. If the target has failed before, the claim is held.
func (t *Table) Claim(target Target, now time.Time) (c Claim, ok bool) {
	if t == nil {
		return Claim{}, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	url, origin := t.urls.Get(target.url), t.origins.Get(target.origin)
	if url.holds(now) || origin.holds(now) {
		return Claim{}, false
	}
	if url.failures == 0 && origin.failures == 0 {
		return Claim{}, true
	}
	t.claims++
	if url.failures > 0 {
		t.urls.Put(target.url, t.claimed(url, now))
	}
	if origin.failures > 0 {
		t.origins.Put(target.origin, t.claimed(origin, now))
	}
	return Claim{t, target, t.claims, url.failures}, true
}

// holds reports whether requests are held back.
func (r record) holds(now time.Time) bool {
	return r.failures > 0 && (now.Before(r.until) || r.claim != 0 && now.Before(r.claimEnd))
}

// claimed returns the record with the newest claim. A claim that does not end lasts as long as the wait after a failure
// would, and counts as one after that.
func (t *Table) claimed(r record, now time.Time) record {
	if r.claim != 0 {
		r.failures++
	}
	r.claim, r.claimEnd = t.claims, now.Add(max(t.wait(r.failures+1), minClaim))
	return r
}

// Empty reports whether nothing has failed since its last success.
func (t *Table) Empty() bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.urls.Len() == 0 && t.origins.Len() == 0
}

// Failing reports whether the URL has failed, or its origin, and has not succeeded since.
func (t *Table) Failing(target Target) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.urls.Get(target.url).failures > 0 || t.origins.Get(target.origin).failures > 0
}

// Succeeded records the success of a request that was sent at the time asked. It ends the waits, except for a pause that
// the origin has asked for since.
func (t *Table) Succeeded(target Target, asked time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !asked.Before(t.urls.Get(target.url).paused) {
		t.urls.Delete(target.url)
	}
	if !asked.Before(t.origins.Get(target.origin).paused) {
		t.origins.Delete(target.origin)
	}
}

// Failed records the failure, at the time now, of a request that was sent at the time asked. If pause is positive, the
// origin asks for a pause of that length.
func (t *Table) Failed(target Target, asked, now time.Time, pause time.Duration) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	url, origin := t.urls.Get(target.url), t.origins.Get(target.origin)
	t.urls.Put(target.url, t.afterFailure(url, asked, now, pause, 1))
	// A URL that fails all the time says nothing about the origin, unless this was the attempt.
	isNew := url.failures == 0 || url.claim != 0 && url.claim == origin.claim
	switch isSecond := origin.url != 0 && origin.url != target.url; {
	case pause > 0, isNew && (isSecond || origin.failures > 0):
		t.origins.Put(target.origin, t.afterFailure(origin, asked, now, pause, 0))
	case isNew:
		t.origins.Put(target.origin, record{url: target.url})
	}
}

// Broken records, at the time now, that a response of the URL was of no use although it was recorded as a success. It
// says nothing about the origin. c is the claim of its request.
func (t *Table) Broken(target Target, c Claim, now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.urls.Get(target.url)
	r.failures = max(r.failures, c.failures)
	t.urls.Put(target.url, t.afterFailure(r, now, now, 0, 1))
}

// afterFailure returns the record after a failure. Requests that were sent before the end of the wait do not make the
// next one longer: many may fail together, and a program may send requests all the time.
//
// A wait is longer at random by up to an eighth, so that many clients do not come back together. The wait of a URL is
// another eighth longer than that of an origin. So the attempt at the end of a wait for an origin is rarely made with the
// URL that failed last, which may be the only one that is broken.
func (t *Table) afterFailure(r record, asked, now time.Time, pause time.Duration, eighths int64) record {
	counts := !asked.Before(r.until)
	if counts {
		r.failures++
		r.claim = 0
	}
	if counts || !now.Before(r.until) {
		wait := t.wait(r.failures)
		eighth := int64(wait) / 8
		r.until = now.Add(wait + time.Duration(eighths*eighth+rand.Int64N(eighth+1)))
	}
	if pause > 0 {
		r.paused = now
		if end := now.Add(pause); end.After(r.until) {
			r.until = end
		}
	}
	return r
}

// wait returns the shortest wait after so many failures.
func (t *Table) wait(failures int) time.Duration {
	d := t.first
	for ; failures > 1 && d < t.most; failures-- {
		if d > t.most/3 {
			return t.most
		}
		d *= 3
	}
	return min(d, t.most)
}
