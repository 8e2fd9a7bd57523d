package cachecontrol

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/searchindex"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// entryView holds what a Transport computes from an entry once, so that a hit parses nothing. It is immutable, except for
// checked.
type entryView struct {
	engine   *engine
	urlKey   string // key of the entry's URL; see keyOfURL
	policy   rules.Policy
	vary     []varyField
	variants []variant
	coding   contentcoding.Coding
	search   *novarysearch.Config // nil if the response is for its URL alone
	status   string
	groups   []marks.Group
	checked  atomic.Uint64 // see marks.Marks.Check
	unusable bool          // another program, or a cache of another kind, stored a response that this one must not use
	fields   []hitField    // header fields of a hit, without those withheld: Age is first, Cache-Status last
	lines    []string      // lines of all fields in order; the first and the last differ between hits
}

// hitField is one header field of a hit.
type hitField struct {
	name  string
	lines int // number of lines
}

type variant struct {
	storage.Variant
	fields []varyField
	coding contentcoding.Coding
	search *novarysearch.Config // in an index of searches; otherwise nil
}

// view returns the view of an entry. It is kept with the entry, but computed each time if another engine uses the same
// entry.
func (e *engine) view(entry *storage.Entry) *entryView {
	v := entry.Derived(func(entry *storage.Entry) any { return e.newView(entry) }).(*entryView)
	if v.engine != e {
		return e.newView(entry)
	}
	return v
}

func (e *engine) newView(entry *storage.Entry) *entryView {
	return e.newViewOf(entry, keyOfURL(entry.URL), e.policyOf(entry), varyFields(entry.Vary))
}

func (e *engine) policyOf(entry *storage.Entry) rules.Policy {
	var p rules.Policy
	p.Compute(&e.policies, &e.rules, entry.Status, entry.Header, entry.RequestTime, entry.ResponseTime)
	return *p.WithLifetime(entry.Lifetime)
}

// newViewOf is like newView, if the key, the policy and the selecting fields of the entry are known.
func (e *engine) newViewOf(entry *storage.Entry, urlKey string, policy rules.Policy, vary []varyField) *entryView {
	v := &entryView{
		engine: e,
		urlKey: urlKey,
		policy: policy,
		vary:   vary,
		coding: e.codings.Parse(entry.Header["Content-Encoding"]),
		status: statusLine(entry),
	}
	v.unusable = policy.Unusable() || policy.Options.Shared && rules.AllowsOneOrigin(entry.Header) &&
		!slices.ContainsFunc(vary, func(f varyField) bool { return f.name == "Origin" })
	if lines := entry.Header[novarysearch.Field]; lines != nil {
		v.search = novarysearch.Parse(lines)
	}
	v.setGroups(entry)
	v.setFields(entry.Header)
	for _, other := range entry.Variants {
		v.variants = append(v.variants, variant{
			other, varyFields(other.Vary), e.codings.Parse([]string{other.Encoding}), searchindex.Config(&other),
		})
	}
	return v
}

// setGroups sets the groups of an entry. An entry of more groups than are remembered is not used.
func (v *entryView) setGroups(entry *storage.Entry) {
	named, ok := rules.Groups(entry.Header)
	if !ok || len(named)+len(entry.Groups) > rules.MaxGroups {
		v.unusable = true
		return
	}
	for _, names := range [...][]string{named, entry.Groups} {
		for _, name := range names {
			v.groups = append(v.groups, marks.GroupOf(name))
		}
	}
}

// statusLine returns the status line for http.Response.Status.
func statusLine(entry *storage.Entry) string {
	if entry.Status == http.StatusOK && entry.Reason == "OK" {
		return "200 OK" // the common case, without an allocation
	}
	return strings.TrimSpace(strconv.Itoa(entry.Status) + " " + entry.Reason)
}

// setFields sets the header fields of a hit. If there is no Date, it is the time of receipt (RFC 9110, section 6.6.1).
func (v *entryView) setFields(h http.Header) {
	v.fields, v.lines = make([]hitField, 0, len(h)+3), make([]string, 0, len(h)+3)
	add := func(name string, lines ...string) {
		v.fields = append(v.fields, hitField{name, len(lines)})
		v.lines = append(v.lines, lines...)
	}
	add("Age", "")
	add(XFromCache, "1")
	withheld := v.withheld()
	for name, lines := range h {
		switch {
		case name == "Age", name == "Cache-Status", name == XFromCache:
		case slices.Contains(withheld, name):
		default:
			add(name, lines...)
		}
	}
	if h["Date"] == nil {
		// A validator can be strong only by the origin's Date, so this one is not stored.
		add("Date", v.policy.Date.UTC().Format(http.TimeFormat))
	}
	upstream := h["Cache-Status"] // from caches nearer to the origin
	add("Cache-Status", append(upstream[:len(upstream):len(upstream)], "")...)
}

// withheld returns the names of the fields that are not in a hit: those that no-cache names, and those that this cache
// does not store, although another program may have stored them.
func (v *entryView) withheld() []string {
	excluded, noCache := v.policy.ExcludedFields(), v.policy.Directives.NoCacheFields
	if len(noCache) == 0 {
		return excluded
	}
	return slices.Concat(excluded, noCache)
}

// trailer returns a copy of the trailer fields that a hit may have, or nil if there are none. If the origin has just
// confirmed the response, these include the fields that no-cache names.
func (v *entryView) trailer(t http.Header, confirmed bool) http.Header {
	if confirmed {
		return rules.StoredTrailer(t, v.policy.ExcludedFields())
	}
	return rules.StoredTrailer(t, v.withheld())
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

// newHeader returns a new header for a hit, which the caller may change. All lines are in one slice; each field's part has
// no spare capacity.
func (v *entryView) newHeader(age, status string) http.Header {
	h, lines := make(http.Header, len(v.fields)), slices.Clone(v.lines)
	lines[0], lines[len(lines)-1] = age, status
	for i := range v.fields {
		f := &v.fields[i]
		h[f.name], lines = lines[:f.lines:f.lines], lines[f.lines:]
	}
	return h
}

// statusHeader returns s.header(). It remembers some results, because a few of them recur often.
func (e *engine) statusHeader(s Status) string {
	if !s.HasTTL {
		s.TTL = 0
	}
	hash := uint64(len(s.Reason))*31 + uint64(len(s.Storage))*7 + uint64(s.ForwardStatus) + uint64(s.TTL/time.Second)
	if h := e.statuses.Get(hash, s); h != nil {
		return *h
	}
	return *e.statuses.Put(hash, s, s.header())
}
