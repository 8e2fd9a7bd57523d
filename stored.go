package cachecontrol

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// stored is what a Transport works out from an entry once, so that a hit parses nothing. It does not change.
type stored struct {
	engine    *engine
	key       string // that the entry's URL stands for; see entryKey
	policy    rfc9111.Policy
	selectors []selector
	variants  []variant
	coding    coding
	status    string
	unusable  bool     // another program, or another kind of cache, has stored it
	fields    []field  // of a hit: Age first, Cache-Status last, and nothing that is withheld
	lines     []string // of all fields in their order, but for those that differ from hit to hit: the first and the last
}

// said is what a hit says about itself. Within a second, the next one of the same response says the same, and so do others
// that are as old.
type said struct {
	age, ttl time.Duration
	reason   rfc9111.Reason
	ageText  string
	status   string
}

// saidMemory remembers what hits have said. It has a fixed size, and forgets. The zero value is empty.
type saidMemory [1024]atomic.Pointer[said]

func (m *saidMemory) place(age, ttl time.Duration, reason rfc9111.Reason) *atomic.Pointer[said] {
	return &m[(uint(age/time.Second)*31+uint(ttl/time.Second)+uint(reason)*7)%uint(len(m))]
}

// field is one header field of a hit.
type field struct {
	name  string
	lines int // how many it has
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

// compile returns what the engine works out from an entry. It is kept with the entry, unless another engine with
// other rules uses it too.
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

func (e *engine) policyOf(entry *serialize.Entry) rfc9111.Policy {
	var p rfc9111.Policy
	e.policies.WorkOut(&p, &e.rules, entry.Status, entry.Header, entry.RequestTime, entry.ResponseTime)
	return *p.WithLifetime(entry.Lifetime)
}

// newStoredOf is newStored for who knows the key, the policy and the selectors of the entry.
func (e *engine) newStoredOf(entry *serialize.Entry, key string, policy rfc9111.Policy, selectors []selector) *stored {
	s := &stored{
		engine:    e,
		key:       key,
		policy:    policy,
		selectors: selectors,
		coding:    parseCoding(entry.Header["Content-Encoding"]),
		status:    statusLine(entry),
	}
	s.unusable = policy.Unusable() || policy.Rules.Shared && rfc9111.AllowsOneOrigin(entry.Header) &&
		!slices.ContainsFunc(selectors, func(f selector) bool { return f.name == "Origin" })
	s.setFields(entry.Header)
	for _, v := range entry.Variants {
		s.variants = append(s.variants, variant{v, newSelectors(v.Vary), parseCoding([]string{v.Encoding})})
	}
	return s
}

// statusLine returns the status as http.Response has it.
func statusLine(entry *serialize.Entry) string {
	if entry.Status == http.StatusOK && entry.Reason == "OK" {
		return "200 OK" // which most have, and need not keep a copy of
	}
	return strings.TrimSpace(strconv.Itoa(entry.Status) + " " + entry.Reason)
}

// setFields sets the header of a hit.
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
	upstream := h["Cache-Status"] // of caches nearer to the origin
	add("Cache-Status", append(upstream[:len(upstream):len(upstream)], "")...)
}

// withheld returns the names of the fields that no hit has: those that no-cache names, and those that are not stored by
// this cache but may have been by another one.
func (s *stored) withheld() []string {
	excluded, noCache := s.policy.ExcludedFields(), s.policy.Directives.NoCacheFields
	if len(noCache) == 0 {
		return excluded
	}
	return slices.Concat(excluded, noCache)
}

// trailer returns a copy of those fields of a trailer that a hit may have, or nil if there are none. Once the origin has confirmed
// the response, these are also the fields that no-cache names.
func (s *stored) trailer(t http.Header, confirmed bool) http.Header {
	if confirmed {
		return rfc9111.StoredTrailer(t, s.policy.ExcludedFields())
	}
	return rfc9111.StoredTrailer(t, s.withheld())
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
			out[i].normal = rfc9111.NormalizeSelecting(f.Name, f.Value)
		}
	}
	return out
}

// sameSelectors says whether two variants are selected by the same requests.
func sameSelectors(a, b []selector) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(f selector) bool {
		return !slices.ContainsFunc(b, func(g selector) bool {
			return f.name == g.name && f.present == g.present && f.digest == g.digest && f.normal == g.normal
		})
	})
}

// say returns the Age and the Cache-Status of a hit.
func (s *stored) say(r rfc9111.Reuse) *said {
	age, ttl := r.Age.Truncate(time.Second), floorSeconds(r.TTL)
	place := s.engine.said.place(age, ttl, r.Reason)
	if last := place.Load(); last != nil && last.age == age && last.ttl == ttl && last.reason == r.Reason {
		return last
	}
	now := &said{age: age, ttl: ttl, reason: r.Reason, ageText: strconv.FormatInt(int64(age/time.Second), 10)}
	// Only the number differs from hit to hit.
	before, after, _ := strings.Cut(s.engine.statuses.header(Status{Reason: r.Reason, HasTTL: true}), "ttl=0")
	now.status = before + "ttl=" + strconv.FormatInt(int64(ttl/time.Second), 10) + after
	place.Store(now)
	return now
}

// floorSeconds rounds down to whole seconds, so that what is stale is never said to have none left of 0.
func floorSeconds(d time.Duration) time.Duration {
	t := d.Truncate(time.Second)
	if t > d {
		t -= time.Second
	}
	return t
}

// replay returns a header of the caller's own for a hit. All its lines are in one slice, each field's without room to grow.
func (s *stored) replay(age, status string) http.Header {
	h, lines := make(http.Header, len(s.fields)), slices.Clone(s.lines)
	lines[0], lines[len(lines)-1] = age, status
	for i := range s.fields {
		f := &s.fields[i]
		h[f.name], lines = lines[:f.lines:f.lines], lines[f.lines:]
	}
	return h
}
