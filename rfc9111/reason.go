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

	SMaxAge:     {"s-maxage", "RFC 9111, section 5.2.2.10", "s-maxage says for how long a shared cache may reuse it"},
	MaxAge:      {"max-age", "RFC 9111, section 5.2.2.1", "max-age says for how long it may be reused"},
	Expires:     {"expires", "RFC 9111, section 5.3", "Expires says until when it may be reused"},
	Permanent:   {"permanent", "RFC 9110, sections 15.4.2 and 15.4.9", "a permanent redirect without explicit freshness is kept for ever"},
	Heuristic:   {"heuristic", "RFC 9111, section 4.2.2", "a heuristic of this cache says for how long it may be reused"},
	OwnLifetime: {"own-lifetime", "RFC 9111, section 4.2.4", "the program itself says for how long it may be reused"},
	NoFreshness: {"no-freshness", "RFC 9111, section 4.2.1", "nothing says for how long it may be reused"},

	Validator:    {"validator", "RFC 9111, section 4.3", "it is kept so that it can be reused once the origin has confirmed that it is still current"},
	StaleAllowed: {"stale-allowed", "RFC 5861", "it may be used for a while although it is stale"},
	Replayed:     {"replay", "", "this cache is set up to replay whatever it has, whatever its age"},

	MethodNotStorable:     {"method-not-storable", "RFC 9111, section 3", "responses to this method are not stored: only those to GET are, and to the methods that CacheableMethods names"},
	MethodExcluded:        {"method-excluded", "", "this cache is set up without this method (CacheableMethods)"},
	StatusNotFinal:        {"status-not-final", "RFC 9111, section 3", "it is an interim response, with a status below 200"},
	StatusNotUnderstood:   {"status-not-understood", "RFC 9111, section 5.2.2.3", "the response says must-understand, and this cache does not know its status"},
	StatusExcluded:        {"status-excluded", "", "this cache is set up without this status (CacheableStatusCodes)"},
	NeverStored:           {"never-stored", "RFC 6585, sections 3 to 6", "responses with this status are never stored: 428, 429, 431 and 511 speak of one client at one moment"},
	NotModifiedUnasked:    {"not-modified-unasked", "RFC 9111, section 4.3.4", "it is a 304 for the copy that the caller has, and brings nothing that could be stored"},
	PartialUnusable:       {"partial-unusable", "RFC 9111, section 3.3", "it is a part of a response, and not one range of bytes that was asked for"},
	NoStoreResponse:       {"no-store", "RFC 9111, section 5.2.2.5", "the response says no-store, which forbids storing it"},
	NoStoreRequest:        {"request-no-store", "RFC 9111, section 5.2.1.5", "the request says no-store, which forbids storing its answer"},
	PrivateInShared:       {"private", "RFC 9111, section 5.2.2.7", "the response says private: it is for one user, and this cache is shared by several"},
	AuthorizationInShared: {"authorization", "RFC 9111, section 3.5", "the request had Authorization, so the answer is for one user; this cache is shared, and the response does not say public, must-revalidate or s-maxage"},
	SetCookieInShared:     {"set-cookie", "RFC 9111, section 7.3", "the response sets a cookie, so it is for one user; this cache is shared, and the response does not say public or s-maxage"},
	VaryAny:               {"vary-any", "RFC 9111, section 4.1", "the response says Vary: *, so it can answer no other request"},
	CredentialsRefused:    {"credentials", "RFC 9110, sections 15.5.2 and 15.5.8", "it is about the credentials of its request, and other requests cannot be told apart: its Vary does not name their field, or the cache does not see them"},
	NotCacheable:          {"not-cacheable", "RFC 9111, section 3", "with this status a response is stored only if it says so, with max-age, Expires or public, and it does not"},
	NothingToReuse:        {"nothing-to-reuse", "RFC 9111, section 3", "it says no time for which it may be reused, and has no validator that counts here, to ask the origin whether it is still current"},
	StoreRefused:          {"store-refused", "", "the program refused to have it stored (BeforeStore)"},
	TooLong:               {"too-long", "", "its body is longer than this cache, or its store, takes"},
	Incomplete:            {"incomplete", "RFC 9111, section 3.3", "its body did not come, or was not read, to its end"},

	Outdated: {"outdated", "RFC 9111, section 4.4", "the URL was invalidated while it was under way"},

	Fresh:             {"fresh", "RFC 9111, section 4.2", "it is fresh"},
	ImmutableReload:   {"immutable", "RFC 8246, section 2", "it is fresh and immutable, so a reload does not ask for it again"},
	MaxStale:          {"max-stale", "RFC 9111, section 5.2.1.2", "it is stale, and the request's max-stale allows that"},
	WhileRevalidating: {"stale-while-revalidate", "RFC 5861, section 3", "it is stale and may be used while it is revalidated"},
	OnError:           {"stale-if-error", "RFC 5861, section 4", "the origin failed, and the stale response may stand in"},
	AllowStale:        {"allow-stale", "RFC 9111, section 4.2.4", "it is stale, and the program allows that for this request"},
	ReuseAllowed:      {"reuse-allowed", "", "the program wants it used, whatever the rules say (BeforeReuse)"},
	Expired:           {"stale", "RFC 9111, section 4.2", "it is no longer fresh"},
	NoCacheResponse:   {"no-cache", "RFC 9111, section 5.2.2.4", "the response says no-cache: each use must be validated"},
	NoCacheRequest:    {"request-no-cache", "RFC 9111, section 5.2.1.4", "the request says no-cache"},
	PragmaNoCache:     {"pragma-no-cache", "RFC 9111, section 5.4", "the request says Pragma: no-cache"},
	RefreshAsked:      {"refresh", "", "the program wants the origin to be asked"},
	ValidateAsked:     {"validate", "", "the program wants it validated first (BeforeReuse)"},
	RequestMaxAge:     {"request-max-age", "RFC 9111, section 5.2.1.1", "it is older than the request's max-age"},
	RequestMinFresh:   {"request-min-fresh", "RFC 9111, section 5.2.1.3", "it will not stay fresh for the request's min-fresh"},
	OnlyIfCached:      {"only-if-cached", "RFC 9111, section 5.2.1.7", "the request says only-if-cached, and nothing that is stored may answer it"},
	Validated:         {"validated", "RFC 9111, section 4.3.4", "the origin confirmed it with 304"},
	ValidatedByHead:   {"validated-by-head", "RFC 9111, section 4.3.5", "the response to a HEAD request brought its header up to date"},
	Collapsed:         {"collapsed", "RFC 9111, section 4", "it is the response to another request that was under way, and may answer this one too"},

	NotStored:      {"uri-miss", "", "nothing is stored for this URL"},
	NoVariant:      {"vary-miss", "RFC 9111, section 4.1", "what is stored for this URL was selected by other request headers"},
	NotInRange:     {"range-miss", "RFC 9111, section 3.3", "the part that is stored does not hold the range"},
	ReuseRefused:   {"reuse-refused", "", "the program refused to have it used (BeforeReuse)"},
	Unreadable:     {"unreadable", "", "what is stored for this URL cannot be read"},
	StoreFailed:    {"store-failed", "", "the store failed: the log says how"},
	StoredUnusable: {"unusable", "RFC 9111, section 4", "what is stored for this URL may not be used for this request"},

	BypassAsked:           {"bypass", "", "the program wants the cache to keep out of this request"},
	MethodForwarded:       {"method", "RFC 9111, section 4", "requests with this method go to the origin"},
	UpgradeForwarded:      {"upgrade", "RFC 9110, section 7.8", "the request asks for another protocol"},
	PreconditionForwarded: {"precondition", "RFC 9111, section 4.3.2", "its precondition is for the origin to evaluate"},
	RangeForwarded:        {"range", "RFC 9110, section 14.2", "its range is for the origin to answer"},
	URLNotCacheable:       {"url", "RFC 9111, section 2", "the request has no URL that could be a key"},
	BodyNotCacheable:      {"request-body", "", "the request's body cannot be made part of a key"},
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
