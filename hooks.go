package cachecontrol

import (
	"net/http"
	"time"
)

// RuleDecision is what the rules decide about a response. A hook sees it, and may decide otherwise.
type RuleDecision struct {
	OK     bool   // the response is stored, or used without waiting for the origin
	Reason Reason // why
}

// StoreDecision is the result of Transport.BeforeStore. The zero value leaves the decision to the rules.
type StoreDecision struct {
	Refuse   bool          // the response is not stored
	Lifetime time.Duration // if positive, a freshness lifetime, as in Control.Lifetime, which takes precedence

	named bool // BeforeStore set the lifetime, so it applies to this response and its status
}

// ReuseDecision is the result of Transport.BeforeReuse for a stored response. The zero value leaves the decision to the
// rules.
type ReuseDecision struct {
	Use Reuse // how the response may be used

	// StaleWhileRevalidate and StaleIfSlow are like the fields of Control of the same names, which take precedence.
	StaleWhileRevalidate, StaleIfSlow time.Duration
}

// Reuse says how a stored response may be used: see ReuseDecision.
type Reuse uint8

// The ways to use a stored response. The zero value, ReuseByRules, leaves that to the rules.
const (
	ReuseByRules  Reuse = iota
	ReuseValidate       // ask the origin first; if it fails, do not use a stale response
	ReuseNever          // proceed as if the response were not stored
	ReuseAnyway         // use the response, fresh or stale, regardless of directives in the request and the response
)

// StoredResponse is a stored response as passed to Transport.BeforeReuse.
type StoredResponse struct {
	StatusCode int
	Header     http.Header   // shared, must not be modified
	Age        time.Duration // current age (RFC 9111, section 4.2.3)
	TTL        time.Duration // remaining freshness; if negative, how long the response has been stale
	Rules      RuleDecision  // whether it is used without waiting for the origin if the hook returns ReuseByRules
}
