package main

import (
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// verdictOf returns in one sentence whether a response with the policy p is stored, for how long it is reused, and what
// happens then.
func verdictOf(p *rules.Policy, stored bool, now time.Time) string {
	by := " by a " + kind(p.Options.Shared) + " cache"
	if !stored {
		return "Not stored" + by + "."
	}
	then, with := validation(p)
	first := p.Reuse(&rules.Request{}, now)
	switch {
	case p.Directives.NoCache:
		return "Stored" + by + ", and " + then + with + " before each use."
	case p.Lifetime == rules.Infinite:
		return "Stored" + by + ": fresh for ever."
	case first.Action == rules.ServeAndValidate:
		return "Stored" + by + ": already stale, but used while " + then + "."
	case first.TTL <= 0 && p.Lifetime > 0:
		return "Stored" + by + ": already stale, and " + then + " before each use."
	case first.TTL <= 0:
		return "Stored" + by + ": never fresh, and " + then + " before each use."
	}
	fresh := longDuration(p.Lifetime)
	if first.Age > ageOnArrival {
		fresh, with = "another "+longDuration(first.TTL)+" of "+fresh, ""
	}
	if p.Reuse(&rules.Request{}, now.Add(first.TTL+time.Second)).Action == rules.ServeAndValidate {
		then, with = "used for "+longDuration(p.Directives.StaleWhileRevalidate.Value)+" while "+then, ""
	}
	return "Stored" + by + ": fresh for " + fresh + ", then " + then + with + "."
}

// ageOnArrival is the age up to which a response counts as new. A Date without fractions of a second, and the time in
// transit, make each response a little old.
const ageOnArrival = 2 * time.Second

// validation describes a request to the origin for a stored response, and the validator that it has.
func validation(p *rules.Policy) (then, with string) {
	h := http.Header{}
	p.SetPreconditions(h)
	switch {
	case h["If-None-Match"] != nil:
		return "validated", " with its ETag"
	case h["If-Modified-Since"] != nil:
		return "validated", " with its Last-Modified"
	}
	return "fetched again", ""
}

// because returns the rules that decide how a response with the policy p is stored and reused, the most important first.
func because(p *rules.Policy, stored decision) []rule {
	list := []rule{stored.rule}
	if !stored.OK {
		return list
	}
	d := p.Directives
	switch {
	case d.NoCache:
		return append(list, newRule(rules.NoCacheResponse))
	case stored.Reason != string(p.Source()) && p.Lifetime < rules.Infinite:
		list = append(list, newRule(p.Source()))
	}
	const never = " it stale, whatever happens"
	switch {
	case p.Lifetime == rules.Infinite:
	case d.MustRevalidate:
		list = append(list, rule{"must-revalidate", "must-revalidate forbids using" + never, "RFC 9111, section 5.2.2.2"})
	case p.Options.Shared && d.ProxyRevalidate:
		list = append(list, rule{"proxy-revalidate", "proxy-revalidate forbids shared caches to use" + never, "RFC 9111, section 5.2.2.8"})
	case p.Options.Shared && d.SMaxAge.OK:
		list = append(list, rule{"s-maxage", "s-maxage forbids using" + never, "RFC 9111, section 5.2.2.10"})
	}
	return list
}

// whileFailing describes how requests are answered while the origin fails.
func whileFailing(p *rules.Policy, stored bool, now time.Time) string {
	const callers = "callers get the error"
	if !stored {
		return callers + ", since nothing is stored"
	}
	first := p.Reuse(&rules.Request{}, now)
	left := max(0, first.TTL)
	if p.Directives.NoCache {
		left = 0
	}
	fresh := ""
	switch {
	case p.Lifetime == rules.Infinite:
		return "it is used as usual"
	case left > 0:
		fresh = "it is used while it is fresh; then "
	}
	// One second after the limit, the response is certainly stale.
	stale := now.Add(left + time.Second)
	if !p.Directives.NoCache && p.ReuseOnError(&rules.Request{}, stale).Action == rules.Serve {
		limit := max(p.Directives.StaleIfError.Value, p.Directives.StaleWhileRevalidate.Value) + min(first.TTL, 0)
		return fresh + "it is used stale for another " + longDuration(limit) + " (stale-if-error, RFC 5861, section 4)"
	}
	if p.Reuse(&rules.Request{}, stale).Action == rules.ServeAndValidate {
		limit := p.Directives.StaleWhileRevalidate.Value + min(first.TTL, 0)
		return fresh + "it is used stale for another " + longDuration(limit) + " (stale-while-revalidate, RFC 5861, section 3)"
	}
	return fresh + callers
}
