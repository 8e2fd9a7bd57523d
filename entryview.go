package cachecontrol

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/searchindex"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// entryView holds what a Transport computes from an entry once, so that a hit parses nothing. It is immutable, except for
// checked.
type entryView struct {
	engine *engine
	urlKey string // key of the entry's URL; see keyOfURL
	policy rules.Policy
	vary   []varyField
	*rareView
	coding   contentcoding.Coding
	length   int64         // of the stored body, or -1 if it is not known
	major    uint8         // major version of HTTP if it is 2 or more
	http10   bool          // the version is HTTP/1.0
	unusable bool          // another program, or a cache of another kind, stored a response that this one must not use
	checked  atomic.Uint64 // see marks.Marks.Check
	shape    *headerShape  // header fields of a hit, without those that newHeader adds and those withheld
	lines    []string      // lines of the fields in order, and of Cache-Status from caches nearer to the origin
}

// rareView holds what most entries do not have.
type rareView struct {
	status   string // status line
	variants []variant
	search   *novarysearch.Config // nil if the response is for its URL alone
	groups   []marks.Group
	mark     storage.Mark
	trailer  http.Header
	language string // Content-Language
}

var noRareView = rareView{status: "200 OK"} // of most entries; never changed

type variant struct {
	storage.Variant
	fields []varyField
	coding contentcoding.Coding
	search *novarysearch.Config // in an index of searches; otherwise nil

	// A query that has another filter than the variant does not select it by equal fields. If sameFilter is true, a query has the
	// same filter for the variant as for the previous one in the list.
	filter     uint64
	sameFilter bool
}

// view returns the view of an entry. It is kept with the entry, but computed each time if another engine uses the same
// entry.
func (e *engine) view(entry storage.HeldEntry) *entryView {
	v := entry.Derived(e.derive).(*entryView)
	if v.engine != e {
		return e.newView(entry.Unpack())
	}
	return v
}

func (e *engine) newView(entry *storage.Entry) *entryView {
	return e.newViewOf(entry, keyOfURL(entry.URL), e.policyOf(entry), varyFields(entry.Vary), nil)
}

func (e *engine) policyOf(entry *storage.Entry) rules.Policy {
	var p rules.Policy
	p.Compute(e.policies.Response(entry.Header, e.rules.Shared), &e.rules, entry.Status, entry.Header, entry.RequestTime, entry.ResponseTime)
	return *p.WithLifetime(entry.Lifetime)
}

// newViewOf is like newView, if the key, the policy, the selecting fields and probably the shape of the entry are known.
func (e *engine) newViewOf(entry *storage.Entry, urlKey string, policy rules.Policy, vary []varyField, like *headerShape) *entryView {
	v := &entryView{
		engine: e,
		urlKey: urlKey,
		policy: policy,
		vary:   vary,
		coding: e.codings.Parse(entry.Header["Content-Encoding"]),
		length: entry.Length,
		major:  uint8(min(max(entry.HTTP, 0), 9)),
		http10: entry.Version == 10,
	}
	v.unusable = policy.Unusable() || policy.Options.Shared && rules.AllowsOneOrigin(entry.Header) && !namesField(vary, "Origin")
	v.setRare(entry)
	v.setFields(entry.Header, like)
	return v
}

// storedGroups returns the groups of an entry. It reports false if there are more than are remembered.
func storedGroups(entry *storage.Entry) (groups []marks.Group, ok bool) {
	named, ok := rules.Groups(entry.Header)
	if !ok || len(named)+len(entry.Groups) > rules.MaxGroups {
		return nil, false
	}
	for _, names := range [...][]string{named, entry.Groups} {
		for _, name := range names {
			groups = append(groups, marks.GroupOf(name))
		}
	}
	return groups, true
}

// setRare sets the rareView of an entry. An entry of more groups than are remembered is not used.
func (v *entryView) setRare(entry *storage.Entry) {
	v.rareView = &noRareView
	groups, ok := storedGroups(entry)
	if !ok {
		v.unusable = true
	}
	search, status, language := entry.Header[novarysearch.Field], statusLine(entry), ""
	if lines := entry.Header["Content-Language"]; len(lines) > 0 {
		language = lines[0]
	}
	if len(groups)+len(entry.Variants)+len(search)+len(language)+len(entry.Trailer) == 0 && entry.Mark == (storage.Mark{}) && status == noRareView.status {
		return
	}
	v.rareView = &rareView{status: status, groups: groups, mark: entry.Mark, trailer: entry.Trailer, language: language}
	if search != nil {
		v.search = novarysearch.Parse(search)
	}
	var previous []varyField
	for i, other := range entry.Variants {
		fields := varyFields(other.Vary)
		v.variants = append(v.variants, variant{
			Variant: other, fields: fields, coding: v.engine.codings.Parse([]string{other.Encoding}), search: searchindex.Config(&other),
			filter: filterOf(fields), sameFilter: i > 0 && sameFilters(previous, fields),
		})
		previous = fields
	}
}

// statusLine returns the status line for http.Response.Status.
func statusLine(entry *storage.Entry) string {
	if entry.Status == http.StatusOK && entry.Reason == "OK" {
		return "200 OK" // the common case, without an allocation
	}
	return strings.TrimSpace(strconv.Itoa(entry.Status) + " " + entry.Reason)
}

// setFields sets the header fields of a hit, whose shape is probably like. If there is no Date, it is the time of receipt (RFC 9110,
// section 6.6.1).
func (v *entryView) setFields(h http.Header, like *headerShape) {
	if h["Date"] == nil {
		// A validator can be strong only by the origin's Date, so this one is not stored.
		h = rules.CopyHeader(h, 1, func(string) bool { return false })
		h["Date"] = []string{v.policy.Date.UTC().Format(http.TimeFormat)}
	}
	v.shape, v.lines = v.engine.arranged(h, v.withheld(), like)
}

// arranged returns the shape of the fields of h that are shown, which is probably like, and what arrange returns for it.
func (e *engine) arranged(h http.Header, withheld []string, like *headerShape) (s *headerShape, lines []string) {
	if lines, ok := like.arrange(h, withheld); ok {
		return like, lines
	}
	hash := uint64(0)
	for name, of := range h {
		if isShown(name, withheld) {
			hash += lossy.Hash(name) * uint64(1+len(of))
		}
	}
	s = e.shapes.Get(hash, hash)
	if lines, ok := s.arrange(h, withheld); ok {
		return s, lines
	}
	own := newHeaderShape(h, withheld)
	if s = &own; own.shared() {
		s = e.shapes.Put(hash, hash, own)
	}
	lines, _ = s.arrange(h, withheld)
	return s, lines
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

// hitTrailer returns a copy of the trailer fields that a hit may have, or nil if there are none. If the origin has just
// confirmed the response, these include the fields that no-cache names.
func (v *entryView) hitTrailer(t http.Header, confirmed bool) http.Header {
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

// newHeader returns a new header for a hit, which the caller may change. All lines are in one slice, in room if they fit
// there; each field's part has no spare capacity.
func (v *entryView) newHeader(room []string, age, status string) http.Header {
	s, n := v.shape, len(v.lines)+3
	h := make(http.Header, len(s.fields)+3)
	if n > len(room) {
		room = make([]string, n)
	}
	lines := room[:n:n]
	lines[0], lines[1], lines[n-1] = age, "1", status
	h["Age"], h[XFromCache], lines = lines[:1:1], lines[1:2:2], lines[2:]
	copy(lines, v.lines)
	for i := range s.fields {
		f := &s.fields[i]
		h[f.name] = lines[f.from:f.to:f.to]
	}
	h["Cache-Status"] = lines[s.lines:]
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
