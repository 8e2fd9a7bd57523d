package cachecontrol

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// XFromCache is the header field that has the value "1" in every response that the cache answered with a stored one. A response
// from the origin has it only if a cache nearer to the origin set it, and Cache-Status says that such a cache had a hit. FromCache
// tells the two apart.
const XFromCache = "X-From-Cache"

// cacheName is the name of this cache in Cache-Status.
const cacheName = "cachecontrol"

// Outcome says in one word how a response was answered.
type Outcome uint8

// The outcomes.
const (
	Unknown     Outcome = iota // this cache has not seen the response
	Miss                       // from the origin
	Hit                        // stored and fresh
	Stale                      // stored and stale, used because that is allowed
	Revalidated                // stored, and confirmed by the origin for this request
	Bypass                     // from the origin, for the cache keeps out of such requests
)

func (o Outcome) String() string {
	return [...]string{"unknown", "miss", "hit", "stale", "revalidated", "bypass"}[o]
}

// Status says how the cache answered a request: a typed Cache-Status (RFC 9211).
type Status struct {
	Outcome Outcome
	Reason  rfc9111.Reason // why it was answered so

	// Stored says whether the response that the origin sent is being stored, and Storage why, or why not.
	// Storage is ReasonNone where the origin was not asked.
	Stored  bool
	Storage rfc9111.Reason

	// Collapsed says that the request was answered by the response to another one that was under way, and did not go
	// to the origin itself.
	Collapsed bool

	Forward       string        // why the request went to the origin, in RFC 9211's tokens; "": it did not
	ForwardStatus int           // the origin's status code; 0: it was not asked, or did not answer
	HasTTL        bool          // TTL is known
	TTL           time.Duration // freshness left, in whole seconds; negative: stale for so long
}

// judged says in a status whether a response that was received then is to be stored, by its policy.
func (s *Status) judged(d rfc9111.Stored, p *rfc9111.Policy, received time.Time) {
	s.Stored, s.Storage = d.OK, d.Reason
	if d.OK {
		s.TTL, s.HasTTL = floorSeconds(p.Lifetime-p.Age(received)), p.Lifetime > 0
	}
}

// FromCache reports whether this cache answered with a stored response: requests' resp.from_cache. It is true for hits, stale ones
// included, and for responses that the origin has confirmed. It is false for hits of other caches.
func FromCache(resp *http.Response) bool {
	if resp == nil || resp.Header.Get(XFromCache) != "1" {
		return false
	}
	lines := resp.Header["Cache-Status"]
	if len(lines) == 0 {
		return false
	}
	if rest, ok := strings.CutPrefix(lines[len(lines)-1], cacheName+";hit;ttl="); ok && !strings.ContainsAny(rest, `,"`) {
		return true // as most are, and parsing takes longer
	}
	p := ownMember(resp)
	if p == nil {
		return false
	}
	_, fromCache := parseStatus(p)
	return fromCache
}

// StatusOf returns how this cache answered the request that resp belongs to. The Outcome is Unknown for a response
// that has not come through a Transport.
func StatusOf(resp *http.Response) Status {
	if resp == nil {
		return Status{}
	}
	p := ownMember(resp)
	if p == nil {
		return Status{}
	}
	s, _ := parseStatus(p)
	return s
}

// ownMember returns the parameters of this cache's member of Cache-Status, or nil if there is none. It is the last one: caches add
// themselves at the end (RFC 9211, section 2). This cache writes a line of its own, whatever an origin may have written before.
func ownMember(resp *http.Response) *httpsfv.Params {
	lines := resp.Header["Cache-Status"]
	if len(lines) == 0 {
		return nil
	}
	list, err := httpsfv.UnmarshalList(lines[len(lines)-1:])
	if err != nil || len(list) == 0 {
		return nil
	}
	item, ok := list[len(list)-1].(httpsfv.Item)
	if name, isName := item.Value.(httpsfv.Token); !ok || !isName || name != cacheName {
		return nil
	}
	return item.Params
}

// saysHit reports whether a cache says in Cache-Status that it had a hit. If the field is malformed, none does.
func saysHit(lines []string) bool {
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(m httpsfv.Member) bool {
		item, ok := m.(httpsfv.Item)
		return ok && isHit(item.Params)
	})
}

func isHit(p *httpsfv.Params) bool {
	v, _ := p.Get("hit")
	hit, _ := v.(bool)
	return hit
}

// parseStatus returns what the parameters of a member say, and whether the response was a stored one.
func parseStatus(p *httpsfv.Params) (s Status, fromCache bool) {
	if v, ok := p.Get("detail"); ok {
		answer, storage, _ := strings.Cut(string(asToken(v)), "/")
		s.Reason, s.Storage = rfc9111.ParseReason(answer), rfc9111.ParseReason(storage)
	}
	if v, ok := p.Get("fwd"); ok {
		s.Forward = string(asToken(v))
	}
	if v, ok := p.Get("fwd-status"); ok {
		n, _ := v.(int64)
		s.ForwardStatus = int(n)
	}
	if v, ok := p.Get("ttl"); ok {
		n, _ := v.(int64)
		s.TTL, s.HasTTL = time.Duration(n)*time.Second, true
	}
	_, s.Stored = p.Get("stored")
	_, s.Collapsed = p.Get("collapsed")
	hit := isHit(p)
	fromCache = hit || s.Reason == rfc9111.Validated || s.Reason == rfc9111.OnError ||
		s.Collapsed && s.ForwardStatus == http.StatusNotModified // see afterFlight
	s.Outcome = s.outcome(fromCache, hit)
	return s, fromCache
}

// outcome puts the rest of the status into one word.
func (s Status) outcome(fromCache, hit bool) Outcome {
	switch {
	case fromCache && s.stale():
		return Stale
	case hit:
		return Hit
	case fromCache:
		return Revalidated
	case s.Forward == "bypass" || s.Forward == "method":
		return Bypass
	}
	return Miss
}

// stale says whether the reason is one for which a stale response is served.
func (s Status) stale() bool {
	switch s.Reason {
	case rfc9111.MaxStale, rfc9111.AllowStale, rfc9111.WhileRevalidating, rfc9111.OnError:
		return true
	case rfc9111.Replayed, rfc9111.ReuseAllowed:
		return s.TTL <= 0
	}
	return false
}

func asToken(v any) httpsfv.Token {
	t, _ := v.(httpsfv.Token)
	return t
}

// header returns the member that Cache-Status shows for the status.
func (s Status) header() string {
	item := httpsfv.NewItem(httpsfv.Token(cacheName))
	p := item.Params
	switch {
	case s.Forward != "":
		p.Add("fwd", httpsfv.Token(s.Forward))
		if s.ForwardStatus != 0 {
			p.Add("fwd-status", int64(s.ForwardStatus))
		}
	case s.Reason != rfc9111.OnlyIfCached: // which was neither answered from the cache nor by the origin
		p.Add("hit", true)
	}
	if s.Stored {
		p.Add("stored", true)
	}
	if s.Collapsed {
		p.Add("collapsed", true)
	}
	if s.HasTTL {
		p.Add("ttl", int64(s.TTL/time.Second))
	}
	detail := s.Reason.String()
	if storage := s.Storage.String(); storage != "" {
		detail += "/" + storage
	}
	if detail != "" {
		p.Add("detail", httpsfv.Token(detail))
	}
	out, err := httpsfv.Marshal(item)
	if err != nil {
		return cacheName
	}
	return out
}

// statusMemory remembers what a status looks like in Cache-Status, for the same few come over and over. It has a fixed
// size, and forgets. The zero value is empty.
type statusMemory [64]atomic.Pointer[rememberedStatus]

type rememberedStatus struct {
	status Status
	header string
}

func (m *statusMemory) header(s Status) string {
	if !s.HasTTL {
		s.TTL = 0
	}
	place := &m[(uint(s.Reason)*31+uint(s.Storage)*7+uint(s.ForwardStatus)+uint(s.TTL/time.Second))%uint(len(m))]
	if r := place.Load(); r != nil && r.status == s {
		return r.header
	}
	r := &rememberedStatus{s, s.header()}
	place.Store(r)
	return r.header
}

// forwardToken returns why a request goes to the origin, in the tokens of RFC 9211, section 2.2.
func forwardToken(r rfc9111.Reason) string {
	switch r {
	case rfc9111.NotStored:
		return "uri-miss"
	case rfc9111.NoVariant:
		return "vary-miss"
	case rfc9111.NotInRange:
		return "partial"
	case rfc9111.Expired, rfc9111.NoCacheResponse:
		return "stale"
	case rfc9111.NoCacheRequest, rfc9111.PragmaNoCache, rfc9111.RefreshAsked, rfc9111.ValidateAsked, rfc9111.RequestMaxAge, rfc9111.RequestMinFresh:
		return "request"
	case rfc9111.MethodForwarded, rfc9111.MethodExcluded:
		return "method"
	case rfc9111.BypassAsked, rfc9111.UpgradeForwarded, rfc9111.PreconditionForwarded, rfc9111.RangeForwarded,
		rfc9111.URLNotCacheable, rfc9111.BodyNotCacheable, rfc9111.StatusExcluded:
		return "bypass"
	}
	return "miss"
}
