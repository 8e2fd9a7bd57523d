package rules

import (
	"math"
	"net/http"
	"time"
)

// t0 is when all responses of these tests are received, and what their Date says.
var t0 = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// forever is the longest Duration. Arithmetic with it must not wrap.
const forever = time.Duration(math.MaxInt64)

// fields makes a header of names and values in turn; a name may come several times.
func fields(nv ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(nv); i += 2 {
		h.Add(nv[i], nv[i+1])
	}
	return h
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// reasonsToStore are the reasons why a response is stored.
var reasonsToStore = []Reason{
	SMaxAge, MaxAge, Expires, Permanent, Heuristic, OwnLifetime, NoFreshness, Validator, StaleAllowed, Replayed,
}

// policyOf is the policy of a response generated, requested and received at t0.
func policyOf(rules Options, status int, nv ...string) *Policy {
	h := fields(nv...)
	if h["Date"] == nil {
		h.Set("Date", httpDate(t0))
	}
	return NewPolicy(rules, status, h, t0, t0)
}

// withholding returns rules that withhold Set-Cookie.
func withholding(r Options) Options {
	r.WithholdSetCookie = true
	return r
}

func seconds(n int64) Delta { return Delta{time.Duration(n) * time.Second, true} }

var (
	private = Options{}
	shared  = Options{Shared: true}
)
