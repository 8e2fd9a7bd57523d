package cachecontrol

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// XFromCache is the header field that has the value "1" in every stored response that the cache returns. A response
// from the origin has it only if a cache nearer to the origin set it and reports a hit in Cache-Status. FromCache tells
// the two apart.
const XFromCache = "X-From-Cache"

// cacheName is the name of this cache in Cache-Status.
const cacheName = "cachecontrol"

// Outcome is how a response was answered, in one word.
type Outcome uint8

// The outcomes.
const (
	Unknown     Outcome = iota // the response did not come through this cache
	Miss                       // answered by the origin
	Hit                        // answered with a fresh stored response
	Stale                      // answered with a stale stored response, because that is allowed
	Revalidated                // answered with a stored response that the origin confirmed for this request
	Bypass                     // answered by the origin; the cache does not handle such requests
)

// String returns the outcome in lower case, such as "hit".
func (o Outcome) String() string {
	return nameOf("outcome", int(o), "unknown", "miss", "hit", "stale", "revalidated", "bypass")
}

// MarshalText implements encoding.TextMarshaler. The text is that of String.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// nameOf returns the name of the i-th constant of a type.
func nameOf(kind string, i int, names ...string) string {
	if i >= len(names) {
		return kind + "(" + strconv.Itoa(i) + ")"
	}
	return names[i]
}

// Status describes how the cache answered a request. It corresponds to Cache-Status (RFC 9211).
type Status struct {
	Outcome Outcome
	Reason  Reason // why the request was answered so

	// Stored reports whether the response from the origin is being stored, and Storage is the reason. Storage is
	// ReasonNone if the origin was not asked.
	Stored  bool
	Storage Reason

	// Collapsed reports whether the request has waited for another one and was not sent to the origin itself. It was
	// answered with the response to the other one, or, if that failed or was slow, with a stale response.
	Collapsed bool

	// Key is the URL that the stored responses have, without user and password, if Transport.Key or No-Vary-Search made it
	// differ from that of the request. Otherwise, and if it is longer than 1 KiB, Key is "".
	Key string

	Forward       string        // why the request was sent to the origin, as a token of RFC 9211; "" if it was not
	ForwardStatus int           // status code from the origin; 0 if it was not asked or did not answer
	HasTTL        bool          // whether TTL is known
	TTL           time.Duration // remaining freshness in whole seconds; if negative, how long the response has been stale
}

// forwarded returns the status of a response that the origin was asked for.
func forwarded(why rules.Reason, status int) Status {
	return Status{Reason: Reason(why), Forward: forwardToken(why), ForwardStatus: status}
}

// FromCache reports whether this cache answered with a stored response, like resp.from_cache in Python's requests. It
// is true for hits, including stale ones, and for responses that the origin has confirmed. It is false for hits of
// other caches.
func FromCache(resp *http.Response) bool {
	if resp == nil || resp.Header.Get(XFromCache) != "1" {
		return false
	}
	lines := resp.Header["Cache-Status"]
	if len(lines) == 0 {
		return false
	}
	if rest, ok := strings.CutPrefix(lines[len(lines)-1], cacheName+";hit;ttl="); ok && !strings.ContainsAny(rest, `,"`) {
		return true // the common case, without parsing
	}
	p := ownMember(resp)
	if p == nil {
		return false
	}
	_, fromCache := parseStatus(p)
	return fromCache
}

// StatusOf returns how this cache answered the request for resp. The Outcome is Unknown if resp did not come through a
// Transport.
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

// ownMember returns the parameters of this cache's member of Cache-Status, or nil if there is none. It is the last
// member, because caches append theirs (RFC 9211, section 2). This cache adds a line of its own after those of the
// origin.
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

// saysHit reports whether any cache reports a hit in Cache-Status. It returns false if the field is malformed.
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

// parseStatus parses the parameters of a member. fromCache reports whether the response was a stored one.
func parseStatus(p *httpsfv.Params) (s Status, fromCache bool) {
	if v, ok := p.Get("detail"); ok {
		answer, storage, _ := strings.Cut(string(asToken(v)), "/")
		s.Reason, s.Storage = knownReason(answer), knownReason(storage)
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
	if v, ok := p.Get("key"); ok {
		s.Key, _ = v.(string)
	}
	_, s.Stored = p.Get("stored")
	_, s.Collapsed = p.Get("collapsed")
	hit := isHit(p)
	fromCache = hit || s.Reason == rules.Validated || s.Reason == rules.OnError || s.Reason == rules.OriginSlow ||
		s.Collapsed && s.ForwardStatus == http.StatusNotModified // see flight.statusFor
	s.Outcome = s.outcome(fromCache, hit)
	return s, fromCache
}

// outcome returns the Outcome for the rest of the status.
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

// stale reports whether the response was served stale.
func (s Status) stale() bool {
	switch s.Reason {
	case rules.MaxStale, rules.AllowStale, rules.WhileRevalidating, rules.OnError, rules.OriginFailing,
		rules.OriginSlow:
		return true
	case rules.Replayed, rules.ReuseAllowed:
		return s.TTL <= 0
	}
	return false
}

func asToken(v any) httpsfv.Token {
	t, _ := v.(httpsfv.Token)
	return t
}

// String returns the status as a line for people, such as "hit: fresh".
func (s Status) String() string {
	text := s.Outcome.String()
	if s.Reason != "" {
		text += ": " + string(s.Reason)
	}
	if s.Storage != "" {
		text += "; storage: " + string(s.Storage)
	}
	if s.Key != "" {
		text += "; key: " + s.Key
	}
	return text
}

// header returns the member of Cache-Status for s.
func (s Status) header() string {
	item := httpsfv.NewItem(httpsfv.Token(cacheName))
	p := item.Params
	switch {
	case s.Forward != "":
		p.Add("fwd", httpsfv.Token(s.Forward))
		if s.ForwardStatus != 0 {
			p.Add("fwd-status", int64(s.ForwardStatus))
		}
	case s.Reason != rules.OnlyIfCached: // else the cache itself answered, with 504
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
	detail := string(s.Reason)
	if s.Storage != "" {
		detail += "/" + string(s.Storage)
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

// forwardToken returns the token of RFC 9211, section 2.2, for the reason why a request is sent to the origin.
func forwardToken(r rules.Reason) string {
	switch r {
	case rules.NotStored:
		return "uri-miss"
	case rules.NoVariant:
		return "vary-miss"
	case rules.NotInRange:
		return "partial"
	case rules.Expired, rules.NoCacheResponse, rules.WasInvalidated:
		return "stale"
	case rules.NoCacheRequest, rules.PragmaNoCache, rules.RefreshRequested, rules.ValidationRequested, rules.RequestMaxAge, rules.RequestMinFresh:
		return "request"
	case rules.MethodForwarded, rules.MethodExcluded:
		return "method"
	case rules.BypassRequested, rules.UpgradeForwarded, rules.PreconditionForwarded, rules.RangeForwarded,
		rules.URLNotCacheable, rules.KeyRefused, rules.BodyNotCacheable:
		return "bypass"
	}
	return "miss"
}

// hitFields are the Age and the Cache-Status of a hit.
type hitFields struct{ age, status string }

// hitState is what hitFields depend on. Hits within a second share it, as do hits of other responses of the same age.
type hitState struct {
	age, ttl time.Duration // in whole seconds
	reason   rules.Reason
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
