package cachecontrol

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// stored holds what a Transport computes from an entry once, so that a hit parses nothing. It is immutable.
type stored struct {
	engine    *engine
	key       string // key of the entry's URL; see entryKey
	policy    rules.Policy
	selectors []selector
	variants  []variant
	coding    coding
	status    string
	unusable  bool     // another program, or a cache of another kind, stored a response that this one must not use
	fields    []field  // header fields of a hit, without those withheld: Age is first, Cache-Status last
	lines     []string // lines of all fields in order; the first and the last differ between hits
}

// hitFields are the Age and the Cache-Status of a hit.
type hitFields struct{ age, status string }

// hitState is what hitFields depend on. Hits within a second share it, as do hits of other responses of the same age.
type hitState struct {
	age, ttl time.Duration // in whole seconds
	reason   rules.Reason
}

// field is one header field of a hit.
type field struct {
	name  string
	lines int // number of lines
}

// selector is one selecting header field of a stored response.
type selector struct {
	name    string // canonical
	raw     string
	normal  string
	present bool
	digest  bool // raw and normal are a digest
}

type variant struct {
	serialize.Variant
	selectors []selector
	coding    coding
}

// compile returns the stored value of an entry. It is kept with the entry, but computed each time if another engine
// uses the same entry.
func (e *engine) compile(entry *serialize.Entry) *stored {
	s := entry.Derived(func(entry *serialize.Entry) any { return e.newStored(entry) }).(*stored)
	if s.engine != e {
		return e.newStored(entry)
	}
	return s
}

func (e *engine) newStored(entry *serialize.Entry) *stored {
	return e.newStoredOf(entry, entryKey(entry.URL), e.policyOf(entry), newSelectors(entry.Vary))
}

func (e *engine) policyOf(entry *serialize.Entry) rules.Policy {
	var p rules.Policy
	e.policies.Compute(&p, &e.rules, entry.Status, entry.Header, entry.RequestTime, entry.ResponseTime)
	return *p.WithLifetime(entry.Lifetime)
}

// newStoredOf is like newStored, if the key, the policy and the selectors of the entry are known.
func (e *engine) newStoredOf(entry *serialize.Entry, key string, policy rules.Policy, selectors []selector) *stored {
	s := &stored{
		engine:    e,
		key:       key,
		policy:    policy,
		selectors: selectors,
		coding:    parseCoding(entry.Header["Content-Encoding"]),
		status:    statusLine(entry),
	}
	s.unusable = policy.Unusable() || policy.Options.Shared && rules.AllowsOneOrigin(entry.Header) &&
		!slices.ContainsFunc(selectors, func(f selector) bool { return f.name == "Origin" })
	s.setFields(entry.Header)
	for _, v := range entry.Variants {
		s.variants = append(s.variants, variant{v, newSelectors(v.Vary), parseCoding([]string{v.Encoding})})
	}
	return s
}

// statusLine returns the status line for http.Response.Status.
func statusLine(entry *serialize.Entry) string {
	if entry.Status == http.StatusOK && entry.Reason == "OK" {
		return "200 OK" // the common case, without an allocation
	}
	return strings.TrimSpace(strconv.Itoa(entry.Status) + " " + entry.Reason)
}

// setFields sets the header fields of a hit.
func (s *stored) setFields(h http.Header) {
	s.fields, s.lines = make([]field, 0, len(h)+3), make([]string, 0, len(h)+3)
	add := func(name string, lines ...string) {
		s.fields = append(s.fields, field{name, len(lines)})
		s.lines = append(s.lines, lines...)
	}
	add("Age", "")
	add(XFromCache, "1")
	withheld := s.withheld()
	for name, lines := range h {
		switch {
		case name == "Age", name == "Cache-Status", name == XFromCache:
		case slices.Contains(withheld, name):
		default:
			add(name, lines...)
		}
	}
	upstream := h["Cache-Status"] // from caches nearer to the origin
	add("Cache-Status", append(upstream[:len(upstream):len(upstream)], "")...)
}

// withheld returns the names of the fields that are not in a hit: those that no-cache names, and those that this cache
// does not store, although another program may have stored them.
func (s *stored) withheld() []string {
	excluded, noCache := s.policy.ExcludedFields(), s.policy.Directives.NoCacheFields
	if len(noCache) == 0 {
		return excluded
	}
	return slices.Concat(excluded, noCache)
}

// trailer returns a copy of the trailer fields that a hit may have, or nil if there are none. If the origin has just
// confirmed the response, these include the fields that no-cache names.
func (s *stored) trailer(t http.Header, confirmed bool) http.Header {
	if confirmed {
		return rules.StoredTrailer(t, s.policy.ExcludedFields())
	}
	return rules.StoredTrailer(t, s.withheld())
}

func newSelectors(fields []serialize.Field) []selector {
	if len(fields) == 0 {
		return nil
	}
	out := make([]selector, len(fields))
	for i, f := range fields {
		out[i] = selector{
			name: http.CanonicalHeaderKey(f.Name), raw: f.Value, normal: f.Value, present: f.Present, digest: f.Digest,
		}
		if !f.Digest {
			out[i].normal = rules.NormalizeSelecting(f.Name, f.Value)
		}
	}
	return out
}

// sameSelectors reports whether two variants are selected by the same requests.
func sameSelectors(a, b []selector) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(f selector) bool {
		return !slices.ContainsFunc(b, func(g selector) bool {
			return f.name == g.name && f.present == g.present && f.digest == g.digest && f.normal == g.normal
		})
	})
}

// hitFieldsFor returns the Age and the Cache-Status of a hit.
func (e *engine) hitFieldsFor(r rules.Reuse) *hitFields {
	state := hitState{r.Age.Truncate(time.Second), floorSeconds(r.TTL), r.Reason}
	age, ttl := int64(state.age/time.Second), int64(state.ttl/time.Second)
	hash := uint64(age*31+ttl) + uint64(len(r.Reason))*7
	if f := e.hits.Get(hash, state); f != nil {
		return f
	}
	// Only the number differs between hits.
	before, after, _ := strings.Cut(e.statusHeader(Status{Reason: Reason(r.Reason), HasTTL: true}), "ttl=0")
	status := before + "ttl=" + strconv.FormatInt(ttl, 10) + after
	return e.hits.Put(hash, state, hitFields{strconv.FormatInt(age, 10), status})
}

// floorSeconds rounds d down to whole seconds, also if it is negative: a response that has been stale for half a second
// has a TTL of -1, not 0.
func floorSeconds(d time.Duration) time.Duration {
	t := d.Truncate(time.Second)
	if t > d {
		t -= time.Second
	}
	return t
}

// replay returns a new header for a hit, which the caller may change. All lines are in one slice; each field's part has
// no spare capacity.
func (s *stored) replay(age, status string) http.Header {
	h, lines := make(http.Header, len(s.fields)), slices.Clone(s.lines)
	lines[0], lines[len(lines)-1] = age, status
	for i := range s.fields {
		f := &s.fields[i]
		h[f.name], lines = lines[:f.lines:f.lines], lines[f.lines:]
	}
	return h
}
