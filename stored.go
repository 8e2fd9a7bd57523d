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

// stored is what a Transport works out from an entry once, so that a hit parses nothing. It does not change, but for
// the memory of the last hit.
type stored struct {
	engine    *engine
	policy    *rfc9111.Policy
	selectors []selector
	variants  []variant
	coding    coding
	status    string
	fields    []field  // of a hit: without what no-cache names, Age, and what only answers carry
	lines     int      // how many lines the fields have
	upstream  []string // the Cache-Status of caches nearer to the origin
	said      atomic.Pointer[said]
}

// said is what the last hit said about itself. Within a second, the next one says the same.
type said struct {
	age, ttl time.Duration
	reason   rfc9111.Reason
	ageText  string
	status   string
}

// field is one header field of a hit.
type field struct {
	name  string
	lines []string
}

// selector is one selecting header field of a stored response.
type selector struct {
	name    string // canonical
	raw     string
	normal  string
	present bool
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
	s := &stored{
		engine:    e,
		policy:    rfc9111.NewPolicy(e.rules, entry.Status, entry.Header, entry.RequestTime, entry.ResponseTime).WithLifetime(entry.Lifetime),
		selectors: newSelectors(entry.Vary),
		coding:    parseCoding(entry.Header["Content-Encoding"]),
		status:    strings.TrimSpace(strconv.Itoa(entry.Status) + " " + entry.Reason),
		fields:    make([]field, 0, len(entry.Header)),
		upstream:  entry.Header["Cache-Status"],
	}
	for name, lines := range entry.Header {
		switch {
		case name == "Age", name == "Cache-Status", name == XFromCache:
		case slices.Contains(s.policy.Directives.NoCacheFields, name):
		default:
			s.fields = append(s.fields, field{name, lines})
			s.lines += len(lines)
		}
	}
	for _, v := range entry.Variants {
		s.variants = append(s.variants, variant{v, newSelectors(v.Vary), parseCoding([]string{v.Encoding})})
	}
	return s
}

func newSelectors(fields []serialize.Field) []selector {
	if len(fields) == 0 {
		return nil
	}
	out := make([]selector, len(fields))
	for i, f := range fields {
		out[i] = selector{
			name: http.CanonicalHeaderKey(f.Name), raw: f.Value, present: f.Present,
			normal: rfc9111.NormalizeSelecting(f.Name, f.Value),
		}
	}
	return out
}

// sameSelectors says whether two variants are selected by the same requests.
func sameSelectors(a, b []selector) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(f selector) bool {
		return !slices.ContainsFunc(b, func(g selector) bool {
			return f.name == g.name && f.present == g.present && f.normal == g.normal
		})
	})
}

// say returns the Age and the Cache-Status of a hit.
func (s *stored) say(r rfc9111.Reuse) *said {
	age, ttl := r.Age.Truncate(time.Second), floorSeconds(r.TTL)
	if last := s.said.Load(); last != nil && last.age == age && last.ttl == ttl && last.reason == r.Reason {
		return last
	}
	now := &said{age: age, ttl: ttl, reason: r.Reason, ageText: strconv.FormatInt(int64(age/time.Second), 10)}
	// Only the number differs from hit to hit.
	before, after, _ := strings.Cut(s.engine.statuses.header(Status{Reason: r.Reason, HasTTL: true}), "ttl=0")
	now.status = before + "ttl=" + strconv.FormatInt(int64(ttl/time.Second), 10) + after
	s.said.Store(now)
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

// replay returns a header of the caller's own for a hit.
func (s *stored) replay(age, status string) http.Header {
	h := make(http.Header, len(s.fields)+3)
	values := make([]string, s.lines+len(s.upstream)+3)
	add := func(name string, lines ...string) {
		n := copy(values, lines)
		h[name], values = values[:n:n], values[n:]
	}
	for i := range s.fields {
		f := &s.fields[i]
		n := copy(values, f.lines)
		h[f.name], values = values[:n:n], values[n:]
	}
	add("Age", age)
	add(XFromCache, "1")
	n := copy(values, s.upstream)
	values[n] = status
	h["Cache-Status"] = values[: n+1 : n+1]
	return h
}
