package cachecontrol

import "github.com/go-cachecontrol/cachecontrol/internal/rules"

// A Reason is the code of the rule behind a decision of the cache, such as "max-age", "no-store" or "stale". It is in
// the detail parameter of Cache-Status. docs/rules.md lists all reasons.
type Reason string

// Description returns the reason as a clause for people to read. It returns "" if r is not a reason of this package.
func (r Reason) Description() string { return rules.Reason(r).Description() }

// Reference returns the source of the rule, such as "RFC 9111, section 4.2.3". It returns "" if the rule is one of this
// cache and not of a specification.
func (r Reason) Reference() string { return rules.Reason(r).Reference() }

// knownReason returns the reason with this code, or "" if there is none.
func knownReason(code string) Reason {
	if Reason(code).Description() == "" {
		return ""
	}
	return Reason(code)
}
