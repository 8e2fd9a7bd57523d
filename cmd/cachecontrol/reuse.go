package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// reuse describes how a stored response may be used.
type reuse struct {
	Fresh      fresh       `json:"fresh"`
	Validators http.Header `json:"validators"`               // the preconditions that validate it
	SelectedBy []string    `json:"selected_by"`              // request header fields
	Queries    string      `json:"no_vary_search,omitempty"` // which other queries it answers, as a value of the field
	Next       []next      `json:"next"`
}

// rule is a reason with its description and the section of the RFC.
type rule struct {
	Reason  string `json:"reason"`
	Words   string `json:"words"`
	Section string `json:"section,omitempty"`
}

func newRule[R ~string](code R) rule {
	r := rules.Reason(code)
	return rule{string(r), r.Description(), r.Reference()}
}

func (r rule) String() string {
	if r.Section == "" {
		return r.Words
	}
	return r.Words + " (" + r.Section + ")"
}

type decision struct {
	OK bool `json:"ok"`
	rule
}

type fresh struct {
	Lifetime  seconds `json:"lifetime"`
	Age       seconds `json:"age"`
	Left      seconds `json:"left"`               // negative if stale: the time since then
	Field     string  `json:"field,omitempty"`    // the header field that sets the lifetime
	Value     string  `json:"value,omitempty"`    // the value of Field
	NoCache   bool    `json:"no_cache,omitempty"` // validated before each use, even if it is fresh
	Heuristic string  `json:"by_heuristic,omitempty"`
	rule
}

// next describes how a further request would be answered.
type next struct {
	When   string `json:"when"`
	Header string `json:"header,omitempty"` // an additional header field of the request
	Answer string `json:"answer"`           // cache, stale, stale-revalidate, validate, fetch, refuse or error
	rule
}

// answerTexts describes each value of next.Answer.
var answerTexts = map[string]string{
	"cache":            "answered from the cache",
	"stale":            "answered from the cache, stale",
	"stale-revalidate": "answered from the cache, stale, and validated in the background",
	"validate":         "validated with the origin",
	"fetch":            "fetched from the origin",
	"refuse":           "answered with 504 by the cache",
	"error":            "the caller gets the error",
}

// assess fills in x for a response with the policy p and the header h at the time now.
func (x *reuse) assess(p *rules.Policy, h http.Header, stored bool, now time.Time) {
	age := p.Age(now)
	x.Fresh = fresh{Lifetime: seconds(p.Lifetime), Age: seconds(age), Left: seconds(p.Lifetime - age), NoCache: p.Directives.NoCache, rule: newRule(p.Source())}
	if field := sourceField(p); field != "" {
		x.Fresh.Field, x.Fresh.Value = field, strings.Join(h.Values(field), ", ")
	}
	x.Validators = http.Header{}
	p.SetPreconditions(x.Validators)
	names, _ := p.Options.SelectingFields(h)
	x.SelectedBy = append([]string{}, names...)
	if c := novarysearch.Parse(h[novarysearch.Field]); c != nil {
		x.Queries = c.String()
	}
	x.Next = nextRequests(p, stored, now)
}

// sourceField returns the name of the header field that sets the freshness lifetime, or "" if none does.
func sourceField(p *rules.Policy) string {
	switch p.Source() {
	case rules.SMaxAge, rules.MaxAge:
		if p.Directives.Targeted {
			return "CDN-Cache-Control"
		}
		return "Cache-Control"
	case rules.Expires:
		return "Expires"
	}
	return ""
}

// nextRequests returns the outcome of further GET requests with the same header.
func nextRequests(p *rules.Policy, stored bool, now time.Time) []next {
	const noCache, maxAge, onlyIfCached = "Cache-Control: no-cache", "Cache-Control: max-age=0", "Cache-Control: only-if-cached"
	if !stored {
		nothing := newRule(rules.NotStored)
		return []next{
			{When: "at any time", Answer: "fetch", rule: nothing},
			{When: "at any time", Header: onlyIfCached, Answer: "refuse", rule: newRule(rules.OnlyIfCached)},
			{When: "if the origin fails", Answer: "error", rule: nothing},
		}
	}
	var list []next
	reuse := func(when, header string, at time.Time) rules.Reuse {
		h := http.Header{}
		if name, value, ok := strings.Cut(header, ": "); ok {
			h.Set(name, value)
		}
		req := rules.ParseRequest(h)
		r := p.Reuse(&req, at)
		list = append(list, next{when, header, answer(p, r), newRule(r.Reason)})
		return r
	}
	failing := func(when string, at time.Time) rules.Reuse {
		r := p.ReuseOnError(&rules.Request{}, at)
		n := next{When: when, Answer: "error", rule: newRule(r.Reason)}
		if r.Action == rules.Serve {
			n.Answer = answer(p, r)
		}
		list = append(list, n)
		return r
	}

	first := reuse("now", "", now)
	reuse("now", noCache, now)
	reuse("now", maxAge, now)
	reuse("now", onlyIfCached, now)
	if first.Action != rules.Serve {
		failing("now, if the origin fails", now)
	}
	if p.Lifetime == rules.Infinite {
		return list
	}
	// The requests are one second after each limit, so that they are certainly beyond it.
	left := max(0, first.TTL)
	after := func(d time.Duration) time.Time { return now.Add(left + d + time.Second) }
	if first.TTL > 0 {
		when := "in " + longDuration(left) + ", when it is stale"
		reuse(when, "", after(0))
		reuse(when, onlyIfCached, after(0))
		failing(when+", if the origin fails", after(0))
	}
	d := p.Directives
	stale := max(0, -first.TTL)
	if limit := d.StaleWhileRevalidate.Value; limit > stale && p.Reuse(&rules.Request{}, after(0)).Action == rules.ServeAndValidate {
		reuse("when it has been stale for over "+longDuration(limit), "", after(limit-stale))
	}
	if limit := d.StaleIfError.Value; limit > stale && p.ReuseOnError(&rules.Request{}, after(0)).Action == rules.Serve {
		failing("when it has been stale for over "+longDuration(limit)+", if the origin fails", after(limit-stale))
	}
	return list
}

func answer(p *rules.Policy, r rules.Reuse) string {
	switch {
	case r.Action == rules.Refuse:
		return "refuse"
	case r.Action == rules.ServeAndValidate:
		return "stale-revalidate"
	case r.Action == rules.Serve && r.Stale():
		return "stale"
	case r.Action == rules.Serve:
		return "cache"
	case p.HasValidator():
		return "validate"
	}
	return "fetch"
}

// addTo adds the freshness, age, validators and selecting fields to b. stored is the reason why the response is stored,
// which is not repeated.
func (x *reuse) addTo(b *labeled, stored string) {
	f := x.Fresh
	from, why := "", ""
	if f.Field != "" {
		from = ", from " + f.Field + ": " + f.Value
	}
	if f.Heuristic != "" {
		from += ", set by the heuristic " + f.Heuristic
	}
	if f.Reason != stored {
		why = f.rule.String()
	}
	switch {
	case f.Lifetime <= 0:
		b.add("Fresh", "never"+from, why)
	case f.NoCache:
		b.add("Fresh", "for "+f.Lifetime.String()+from, why, "but validated before each use: "+newRule(rules.NoCacheResponse).String())
	default:
		b.add("Fresh", "for "+f.Lifetime.String()+from, why)
	}
	age := f.Age.String()
	switch {
	case time.Duration(f.Lifetime) == rules.Infinite, f.NoCache:
	case f.Left > 0:
		age += ", fresh for another " + f.Left.String()
	case f.Lifetime > 0:
		age += ", stale for " + (-f.Left).String()
	}
	b.add("Age", age+" (RFC 9111, section 4.2.3)")
	if conditions := fieldLines(x.Validators); len(conditions) > 0 {
		b.add("Validated", "with "+strings.Join(conditions, " and ")+" (RFC 9111, section 4.3.1)")
	} else {
		b.add("Validated", "never: it has neither an ETag nor a valid Last-Modified (RFC 9111, section 4.3.1)")
	}
	if len(x.SelectedBy) > 0 {
		b.add("Selected by", strings.Join(x.SelectedBy, ", "), "a request with another value does not match (RFC 9111, section 4.1)")
	}
	if x.Queries != "" {
		b.add("Other URLs", x.Queries, "a request for the same path with an equivalent query matches (No-Vary-Search)")
	}
}

// addNext adds the outcome of the next requests to b.
func (x *reuse) addNext(b *labeled, title string) {
	b.WriteString("\n" + title + "\n")
	for _, n := range x.Next {
		what := n.When
		if n.Header != "" {
			what += ", " + n.Header
		}
		for _, line := range append(wrap("  "+what+": "+answerTexts[n.Answer], b.width), wrap("      "+n.rule.String(), b.width)...) {
			fmt.Fprintln(b, line)
		}
	}
}

// kind returns the name of a kind of cache.
func kind(shared bool) string {
	if shared {
		return "shared"
	}
	return "private"
}
