package rfc9111

import "fmt"

// Reason names the rule behind a decision. It is reported by StatusOf, the log and the explain
// command.
type Reason uint8

// The reasons, grouped by what they explain.
const (
	ReasonNone Reason = iota

	// What determines the freshness lifetime of a response.
	SMaxAge
	MaxAge
	Expires
	Permanent
	Heuristic
	OwnLifetime
	NoFreshness

	// Why a response without a freshness lifetime is stored.
	Validator
	StaleAllowed
	Replayed

	// Why a response may not be stored.
	MethodNotStorable
	MethodExcluded
	StatusNotFinal
	StatusNotUnderstood
	StatusExcluded
	NeverStored
	NotModifiedUnasked
	PartialUnusable
	NoStoreResponse
	NoStoreRequest
	PrivateInShared
	AuthorizationInShared
	SetCookieInShared
	VaryAny
	CredentialsRefused
	NotCacheable
	NothingToReuse
	StoreRefused
	TooLong
	Incomplete
	Outdated

	// Why a stored response is, or is not, used for a request.
	Fresh
	ImmutableReload
	MaxStale
	WhileRevalidating
	OnError
	AllowStale
	ReuseAllowed
	Expired
	NoCacheResponse
	NoCacheRequest
	PragmaNoCache
	RefreshAsked
	ValidateAsked
	RequestMaxAge
	RequestMinFresh
	OnlyIfCached
	Validated
	ValidatedByHead
	Collapsed

	// Why there is no stored response to use.
	NotStored
	NoVariant
	NotInRange
	ReuseRefused
	Unreadable
	StoreFailed
	StoredUnusable

	// Why the request is forwarded without looking for a stored response.
	BypassAsked
	MethodForwarded
	UpgradeForwarded
	PreconditionForwarded
	RangeForwarded
	URLNotCacheable
	BodyNotCacheable
)

type reasonText struct{ code, section, words string }

var reasons = [...]reasonText{
	ReasonNone: {"", "", ""},

	SMaxAge:     {"s-maxage", "RFC 9111, section 5.2.2.10", "s-maxage sets how long a shared cache may reuse it"},
	MaxAge:      {"max-age", "RFC 9111, section 5.2.2.1", "max-age sets how long it may be reused"},
	Expires:     {"expires", "RFC 9111, section 5.3", "Expires sets until when it may be reused"},
	Permanent:   {"permanent", "RFC 9110, sections 15.4.2 and 15.4.9", "a permanent redirect without explicit freshness never becomes stale"},
	Heuristic:   {"heuristic", "RFC 9111, section 4.2.2", "a heuristic of this cache sets how long it may be reused"},
	OwnLifetime: {"own-lifetime", "RFC 9111, section 4.2.4", "the program sets how long it may be reused"},
	NoFreshness: {"no-freshness", "RFC 9111, section 4.2.1", "it has no explicit freshness: neither max-age nor Expires"},

	Validator:    {"validator", "RFC 9111, section 4.3", "it is stored for revalidation with its ETag or Last-Modified"},
	StaleAllowed: {"stale-allowed", "RFC 5861", "stale-while-revalidate or stale-if-error allows using it stale for a while"},
	Replayed:     {"replay", "", "this cache is set to replay stored responses, whatever their age"},

	MethodNotStorable:     {"method-not-storable", "RFC 9111, section 3", "responses to this method are not stored, only those to GET and to the methods in CacheableMethods"},
	MethodExcluded:        {"method-excluded", "", "this method is not in CacheableMethods"},
	StatusNotFinal:        {"status-not-final", "RFC 9111, section 3", "it is an interim response, with a status below 200"},
	StatusNotUnderstood:   {"status-not-understood", "RFC 9111, section 5.2.2.3", "the response says must-understand, and this cache does not know its status code"},
	StatusExcluded:        {"status-excluded", "", "this status code is not in CacheableStatusCodes"},
	NeverStored:           {"never-stored", "RFC 6585, sections 3 to 6", "it is about one client at one moment: a 428, 431 or 511 is never stored, a 429 only if CacheableStatusCodes names it and the program sets its lifetime"},
	NotModifiedUnasked:    {"not-modified-unasked", "RFC 9111, section 4.3.4", "it is a 304 to the caller's own conditional request, and has no body to store"},
	PartialUnusable:       {"partial-unusable", "RFC 9111, section 3.3", "it is a 416, or a 206 that is not the single range of bytes that was requested"},
	NoStoreResponse:       {"no-store", "RFC 9111, section 5.2.2.5", "the response says no-store, which forbids storing it"},
	NoStoreRequest:        {"request-no-store", "RFC 9111, section 5.2.1.5", "the request says no-store, which forbids storing its response"},
	PrivateInShared:       {"private", "RFC 9111, section 5.2.2.7", "the response says private: it is for one user, and this cache is shared by several"},
	AuthorizationInShared: {"authorization", "RFC 9111, section 3.5", "the request has Authorization, so the response is for one user; a shared cache stores it only with public, must-revalidate or s-maxage"},
	SetCookieInShared:     {"set-cookie", "RFC 9111, section 7.3", "the response sets a cookie, so it is for one user; a shared cache stores it only with public or s-maxage, with private for that field, or with ReplaySetCookie"},
	VaryAny:               {"vary-any", "RFC 9111, section 4.1", "its Vary has a *, an invalid name or more than 100 names, so it can answer no other request"},
	CredentialsRefused:    {"credentials", "RFC 9110, sections 15.5.2 and 15.5.8", "it rejects the credentials of its request, and would also be used for other credentials: its Vary does not name their field, or the cache does not see them"},
	NotCacheable:          {"not-cacheable", "RFC 9111, section 3", "a response with this status code is stored only if it has max-age, Expires or public"},
	NothingToReuse:        {"nothing-to-reuse", "RFC 9111, section 3", "it has no usable freshness (max-age, Expires) and no usable validator (ETag, Last-Modified) to revalidate with"},
	StoreRefused:          {"store-refused", "", "the program refused to store it (BeforeStore)"},
	TooLong:               {"too-long", "", "its body is longer than this cache or its store accepts"},
	Incomplete:            {"incomplete", "RFC 9111, section 3.3", "its body did not arrive completely, or was not read to the end"},

	Outdated: {"outdated", "RFC 9111, section 4.4", "the URL was invalidated, or a more recent response or one with Vary was stored, before its body was complete"},

	Fresh:             {"fresh", "RFC 9111, section 4.2", "it is fresh"},
	ImmutableReload:   {"immutable", "RFC 8246, section 2", "it is fresh and immutable, so a reload does not revalidate it"},
	MaxStale:          {"max-stale", "RFC 9111, section 5.2.1.2", "it is stale, and the request's max-stale allows that"},
	WhileRevalidating: {"stale-while-revalidate", "RFC 5861, section 3", "it is stale and may be used while it is revalidated"},
	OnError:           {"stale-if-error", "RFC 5861, section 4", "the origin failed, and the stale response may be used instead"},
	AllowStale:        {"allow-stale", "RFC 9111, section 4.2.4", "it is stale, and Control.AllowStale allows its use"},
	ReuseAllowed:      {"reuse-allowed", "", "the program allowed its use, whatever the rules say (BeforeReuse)"},
	Expired:           {"stale", "RFC 9111, section 4.2", "it is stale"},
	NoCacheResponse:   {"no-cache", "RFC 9111, section 5.2.2.4", "the response says no-cache: it must be validated before each use"},
	NoCacheRequest:    {"request-no-cache", "RFC 9111, section 5.2.1.4", "the request says no-cache"},
	PragmaNoCache:     {"pragma-no-cache", "RFC 9111, section 5.4", "the request says Pragma: no-cache"},
	RefreshAsked:      {"refresh", "", "the program asked for a new response from the origin (Control.Refresh)"},
	ValidateAsked:     {"validate", "", "the program asked for it to be validated first (BeforeReuse)"},
	RequestMaxAge:     {"request-max-age", "RFC 9111, section 5.2.1.1", "it is older than the request's max-age"},
	RequestMinFresh:   {"request-min-fresh", "RFC 9111, section 5.2.1.3", "it will not stay fresh for as long as the request's min-fresh asks"},
	OnlyIfCached:      {"only-if-cached", "RFC 9111, section 5.2.1.7", "the request says only-if-cached, and no stored response may be used for it"},
	Validated:         {"validated", "RFC 9111, section 4.3.4", "the origin confirmed it with a 304"},
	ValidatedByHead:   {"validated-by-head", "RFC 9111, section 4.3.5", "the response to a HEAD request updated its header"},
	Collapsed:         {"collapsed", "RFC 9111, section 4", "it is the response to another request that was in progress, and may be used for this one too"},

	NotStored:      {"uri-miss", "", "nothing is stored for this URL"},
	NoVariant:      {"vary-miss", "RFC 9111, section 4.1", "the responses stored for this URL are for other values of the header fields in Vary"},
	NotInRange:     {"range-miss", "RFC 9111, section 3.3", "the stored part does not contain the requested range"},
	ReuseRefused:   {"reuse-refused", "", "the program refused to use it (BeforeReuse)"},
	Unreadable:     {"unreadable", "", "the response stored for this URL cannot be read"},
	StoreFailed:    {"store-failed", "", "the store failed; see the log"},
	StoredUnusable: {"unusable", "RFC 9111, section 4", "the response stored for this URL may not be used for this request"},

	BypassAsked:           {"bypass", "", "the program bypassed the cache for this request (Control.Bypass)"},
	MethodForwarded:       {"method", "RFC 9111, section 4", "requests with this method go to the origin"},
	UpgradeForwarded:      {"upgrade", "RFC 9110, section 7.8", "its Upgrade field asks for another protocol"},
	PreconditionForwarded: {"precondition", "RFC 9111, section 4.3.2", "only the origin can evaluate its precondition"},
	RangeForwarded:        {"range", "RFC 9110, section 14.2", "only the origin can answer its range"},
	URLNotCacheable:       {"url", "RFC 9111, section 2", "the URL of the request cannot be used as a key"},
	BodyNotCacheable:      {"request-body", "", "the body of the request cannot be made part of a key"},
}

// String returns the short name of the reason, as in the detail parameter of Cache-Status. It
// returns "" for ReasonNone.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r].code
	}
	return ""
}

// Section returns the source of the rule, such as "RFC 9111, section 4.2.3". It returns "" if the
// rule is one of this cache and not of a specification.
func (r Reason) Section() string {
	if int(r) < len(reasons) {
		return reasons[r].section
	}
	return ""
}

// Words returns the reason as a clause for people to read.
func (r Reason) Words() string {
	if int(r) < len(reasons) {
		return reasons[r].words
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler. It returns the same text as String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It parses text like ParseReason and returns an
// error if the reason is unknown. An empty text is ReasonNone.
func (r *Reason) UnmarshalText(text []byte) error {
	if *r = ParseReason(string(text)); *r == ReasonNone && len(text) > 0 {
		return fmt.Errorf("rfc9111: no reason %q", text)
	}
	return nil
}

// ParseReason returns the reason whose String is code, or ReasonNone if there is none.
func ParseReason(code string) Reason {
	if code != "" {
		for i, t := range reasons {
			if t.code == code {
				return Reason(i)
			}
		}
	}
	return ReasonNone
}
