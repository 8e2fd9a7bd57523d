package rules

import "time"

// StoreDecision is the decision whether a response may be stored, with the reason.
type StoreDecision struct {
	OK     bool
	Reason Reason
}

// Action is what to do with a request for which a stored response was found.
type Action uint8

// The actions.
const (
	Validate         Action = iota // validate it with the origin first
	Serve                          // use the stored response
	ServeAndValidate               // use it, and validate it in the background
	Refuse                         // respond with 504 (only-if-cached)
)

// Reuse is the decision about using a stored response for a request.
type Reuse struct {
	Action Action
	Reason Reason
	Age    time.Duration // current age of the response
	TTL    time.Duration // remaining freshness; if negative, how long the response has been stale
}

// Stale reports whether the stored response is stale.
func (r Reuse) Stale() bool { return r.TTL <= 0 }
