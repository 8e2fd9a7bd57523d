package rfc9111

import (
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// An Action is how to answer a request for which there is a stored response.
type Action uint8

// The actions.
const (
	Fetch            Action = iota // do not use the stored response; send the request to the origin
	Validate                       // send the request to the origin with Policy.ValidationHeader
	ServeAndValidate               // answer with the stored response, and validate it in the background
	Serve                          // answer with the stored response
	Refuse                         // respond with 504 (Gateway Timeout)
)

// String returns the action in lower case, such as "serve-and-validate".
func (a Action) String() string {
	switch a {
	case Fetch:
		return "fetch"
	case Validate:
		return "validate"
	case ServeAndValidate:
		return "serve-and-validate"
	case Serve:
		return "serve"
	case Refuse:
		return "refuse"
	}
	return "unknown"
}

// A Decision is how to answer a request for which there is a stored response, and why.
type Decision struct {
	Action Action
	Reason Reason
	Age    time.Duration // current age of the stored response
	TTL    time.Duration // remaining freshness; if negative, how long the response has been stale
}

func newDecision(a Action, r rules.Reuse) Decision {
	return Decision{a, Reason(r.Reason), r.Age, r.TTL}
}
