package rules

import (
	"iter"
	"maps"
)

// A Reason is the code of the rule behind a decision, as in the detail parameter of Cache-Status.
type Reason string

// The reasons, grouped by what they explain. They are untyped so that they can be compared with the
// Reason types of the public packages.
const (
	ReasonNone = ""

	// What determines the freshness lifetime of a response.
	SMaxAge     = "s-maxage"
	MaxAge      = "max-age"
	Expires     = "expires"
	Permanent   = "permanent"
	Heuristic   = "heuristic"
	OwnLifetime = "own-lifetime"
	NoFreshness = "no-freshness"

	// Why a response without a freshness lifetime is stored.
	Validator    = "validator"
	StaleAllowed = "stale-allowed"
	Replayed     = "replay"

	// Why a response may not be stored.
	MethodNotStorable     = "method-not-storable"
	MethodExcluded        = "method-excluded"
	StatusNotFinal        = "status-not-final"
	StatusNotUnderstood   = "status-not-understood"
	StatusExcluded        = "status-excluded"
	NeverStored           = "never-stored"
	NotModifiedForCaller  = "not-modified-unasked"
	PartialUnusable       = "partial-unusable"
	NoStoreResponse       = "no-store"
	NoStoreRequest        = "request-no-store"
	PrivateInShared       = "private"
	AuthorizationInShared = "authorization"
	SetCookieInShared     = "set-cookie"
	VaryAny               = "vary-any"
	CredentialsRefused    = "credentials"
	NotCacheable          = "not-cacheable"
	NothingToReuse        = "nothing-to-reuse"
	StoreRefused          = "store-refused"
	TooLong               = "too-long"
	TooManyGroups         = "too-many-groups"
	Incomplete            = "incomplete"
	DigestMismatch        = "digest-mismatch"
	Outdated              = "outdated"

	// Why a stored response is, or is not, used for a request.
	Fresh               = "fresh"
	ImmutableReload     = "immutable"
	MaxStale            = "max-stale"
	WhileRevalidating   = "stale-while-revalidate"
	OnError             = "stale-if-error"
	OriginFailing       = "origin-failing"
	OriginSlow          = "origin-slow"
	AllowStale          = "allow-stale"
	ReuseAllowed        = "reuse-allowed"
	Expired             = "stale"
	NoCacheResponse     = "no-cache"
	NoCacheRequest      = "request-no-cache"
	PragmaNoCache       = "pragma-no-cache"
	RefreshRequested    = "refresh"
	ValidationRequested = "validate"
	RequestMaxAge       = "request-max-age"
	RequestMinFresh     = "request-min-fresh"
	OnlyIfCached        = "only-if-cached"
	WasInvalidated      = "invalidated"
	Validated           = "validated"
	ValidatedByHead     = "validated-by-head"
	Collapsed           = "collapsed"

	// Why there is no stored response to use.
	NotStored      = "uri-miss"
	NoVariant      = "vary-miss"
	NotInRange     = "range-miss"
	ReuseRefused   = "reuse-refused"
	Unreadable     = "unreadable"
	StoreFailed    = "store-failed"
	StoredUnusable = "unusable"

	// Why the request is forwarded without looking for a stored response.
	BypassRequested       = "bypass"
	MethodForwarded       = "method"
	UpgradeForwarded      = "upgrade"
	PreconditionForwarded = "precondition"
	RangeForwarded        = "range"
	URLNotCacheable       = "url"
	KeyRefused            = "key"
	BodyNotCacheable      = "request-body"
)

// reasons contains the description of each reason, a clause for people to read, and its source, which is
// empty if the rule is one of this cache and not of a specification.
var reasons = map[Reason]struct{ description, reference string }{
	SMaxAge:     {"s-maxage sets how long a shared cache may reuse it", "RFC 9111, section 5.2.2.10"},
	MaxAge:      {"max-age sets how long it may be reused", "RFC 9111, section 5.2.2.1"},
	Expires:     {"Expires sets until when it may be reused", "RFC 9111, section 5.3"},
	Permanent:   {"a permanent redirect without explicit freshness never becomes stale", "RFC 9110, sections 15.4.2 and 15.4.9"},
	Heuristic:   {"a heuristic of this cache sets how long it may be reused", "RFC 9111, section 4.2.2"},
	OwnLifetime: {"the program sets how long it may be reused", "RFC 9111, section 4.2.4"},
	NoFreshness: {"it has no explicit freshness: neither max-age nor Expires", "RFC 9111, section 4.2.1"},

	Validator:    {"it is stored for revalidation with its ETag or Last-Modified", "RFC 9111, section 4.3"},
	StaleAllowed: {"stale-while-revalidate or stale-if-error allows using it stale for a while", "RFC 5861"},
	Replayed:     {"this cache is set to replay stored responses, whatever their age", ""},

	MethodNotStorable:     {"responses to this method are not stored, only those to GET and to the methods in CacheableMethods", "RFC 9111, section 3"},
	MethodExcluded:        {"this method is not in CacheableMethods", ""},
	StatusNotFinal:        {"it is an interim response, with a status below 200", "RFC 9111, section 3"},
	StatusNotUnderstood:   {"the response says must-understand, and this cache does not know its status code", "RFC 9111, section 5.2.2.3"},
	StatusExcluded:        {"this status code is not in CacheableStatusCodes", ""},
	NeverStored:           {"it is about one client at one moment: a 428, 431 or 511 is never stored, a 429 only if CacheableStatusCodes names it and the program sets its lifetime", "RFC 6585, sections 3 to 6"},
	NotModifiedForCaller:  {"it is a 304 to the caller's own conditional request, and has no body to store", "RFC 9111, section 4.3.4"},
	PartialUnusable:       {"it is a 416, or a 206 that this cache cannot reuse, such as one with several ranges", "RFC 9111, section 3.3"},
	NoStoreResponse:       {"the response says no-store, which forbids storing it", "RFC 9111, section 5.2.2.5"},
	NoStoreRequest:        {"the request says no-store, which forbids storing its response", "RFC 9111, section 5.2.1.5"},
	PrivateInShared:       {"the response says private: it is for one user, and this cache is shared by several", "RFC 9111, section 5.2.2.7"},
	AuthorizationInShared: {"the request has Authorization, so the response is for one user; a shared cache stores it only with public, must-revalidate or s-maxage", "RFC 9111, section 3.5"},
	SetCookieInShared:     {"the response sets a cookie, so it is for one user; a shared cache stores it only with public or s-maxage, with private for that field, or with ReplaySetCookie", "RFC 9111, section 7.3"},
	VaryAny:               {"its Vary has a *, an invalid name or more than 100 names, so it can answer no other request", "RFC 9111, section 4.1"},
	CredentialsRefused:    {"it rejects the credentials of its request, and would also be used for other credentials: its Vary does not name their field, or the cache does not see them", "RFC 9110, sections 15.5.2 and 15.5.8"},
	NotCacheable:          {"a response with this status code is stored only if it has max-age, Expires or public", "RFC 9111, section 3"},
	NothingToReuse:        {"it has no usable freshness (max-age, Expires) and no usable validator (ETag, Last-Modified) to revalidate with", "RFC 9111, section 3"},
	StoreRefused:          {"the program refused to store it (BeforeStore)", ""},
	TooLong:               {"its body is longer than this cache or its store accepts", ""},
	TooManyGroups:         {"it is in more groups than this cache remembers, 128, or its Cache-Groups is longer than 64 KiB", "RFC 9875, section 2"},
	Incomplete:            {"its body did not arrive completely, or was not read to the end", "RFC 9111, section 3.3"},

	DigestMismatch: {"its bytes do not have the digest in its Content-Digest or Repr-Digest", "RFC 9530, sections 2 and 3"},

	Outdated: {"the URL was invalidated, or a more recent response or one with Vary was stored, before its body was complete", "RFC 9111, section 4.4"},

	Fresh:               {"it is fresh", "RFC 9111, section 4.2"},
	ImmutableReload:     {"it is fresh and immutable, so a reload does not revalidate it", "RFC 8246, section 2"},
	MaxStale:            {"it is stale, and the request's max-stale allows that", "RFC 9111, section 5.2.1.2"},
	WhileRevalidating:   {"it is stale and may be used while it is revalidated", "RFC 5861, section 3"},
	OnError:             {"the origin failed, and the stale response may be used instead", "RFC 5861, section 4"},
	OriginFailing:       {"it is stale and may be used, and the origin is not asked again yet because it failed a short time ago", "RFC 5861, section 4"},
	OriginSlow:          {"the origin has not answered within StaleIfSlow or CollapseTimeout, and the stale response may be used if it fails", "RFC 9111, section 4.2.4"},
	AllowStale:          {"it is stale, and Control.MaxStale allows its use", "RFC 9111, section 4.2.4"},
	ReuseAllowed:        {"the program allowed its use, whatever the rules say (BeforeReuse)", ""},
	Expired:             {"it is stale", "RFC 9111, section 4.2"},
	NoCacheResponse:     {"the response says no-cache: it must be validated before each use", "RFC 9111, section 5.2.2.4"},
	NoCacheRequest:      {"the request says no-cache", "RFC 9111, section 5.2.1.4"},
	PragmaNoCache:       {"the request says Pragma: no-cache", "RFC 9111, section 5.4"},
	RefreshRequested:    {"the program asked for a new response from the origin (ModeRefresh)", ""},
	ValidationRequested: {"the program asked for it to be validated first (BeforeReuse)", ""},
	RequestMaxAge:       {"it is older than the request's max-age", "RFC 9111, section 5.2.1.1"},
	RequestMinFresh:     {"it will not stay fresh for as long as the request's min-fresh asks", "RFC 9111, section 5.2.1.3"},
	OnlyIfCached:        {"the request says only-if-cached, and no stored response may be used for it", "RFC 9111, section 5.2.1.7"},
	WasInvalidated:      {"one of its groups, a prefix of its URL or all groups of its origin were invalidated since it was requested, or the store has lost what was invalidated", "RFC 9875, section 2.2.1"},
	Validated:           {"the origin confirmed it with a 304", "RFC 9111, section 4.3.4"},
	ValidatedByHead:     {"the response to a HEAD request updated its header", "RFC 9111, section 4.3.5"},
	Collapsed:           {"it is the response to another request that was in progress, and may be used for this one too", "RFC 9111, section 4"},

	NotStored:      {"nothing is stored for this URL", ""},
	NoVariant:      {"the responses stored for this URL are for other values of the header fields in Vary", "RFC 9111, section 4.1"},
	NotInRange:     {"the stored parts do not contain all of the requested bytes", "RFC 9111, section 3.3"},
	ReuseRefused:   {"the program refused to use it (BeforeReuse)", ""},
	Unreadable:     {"the response stored for this URL cannot be read", ""},
	StoreFailed:    {"the store failed; see the log", ""},
	StoredUnusable: {"the response stored for this URL may not be used for this request", "RFC 9111, section 4"},

	BypassRequested:       {"the program bypassed the cache for this request (ModeBypass)", ""},
	MethodForwarded:       {"requests with this method go to the origin", "RFC 9111, section 4"},
	UpgradeForwarded:      {"its Upgrade field asks for another protocol", "RFC 9110, section 7.8"},
	PreconditionForwarded: {"only the origin can evaluate its precondition", "RFC 9111, section 4.3.2"},
	RangeForwarded:        {"only the origin can answer its range", "RFC 9110, section 14.2"},
	URLNotCacheable:       {"the URL of the request cannot be used as a key", "RFC 9111, section 2"},
	KeyRefused:            {"the URL that the program has chosen as the key (Key) has another origin, or cannot be used as a key", ""},
	BodyNotCacheable:      {"the content of the request cannot be part of a key: it is longer than 1 MiB, has a trailer, or could not be read", ""},
}

// Description returns the reason as a clause for people to read. It returns "" if the reason is not
// known.
func (r Reason) Description() string { return reasons[r].description }

// Reference returns the source of the rule, such as "RFC 9111, section 4.2.3". It returns "" if the
// rule is one of this cache and not of a specification.
func (r Reason) Reference() string { return reasons[r].reference }

// Reasons returns all reasons, in no particular order.
func Reasons() iter.Seq[Reason] { return maps.Keys(reasons) }
