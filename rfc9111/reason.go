package rfc9111

import "github.com/go-cachecontrol/cachecontrol/internal/rules"

// A Reason is the code of the rule behind a decision, such as "max-age", "no-store" or "stale". The
// codes and their meanings are listed at
// https://github.com/go-cachecontrol/cachecontrol/blob/main/docs/rules.md.
type Reason string

// Description returns the reason as a clause for people to read. It returns "" if r is unknown.
func (r Reason) Description() string { return rules.Reason(r).Description() }

// Reference returns the source of the rule, such as "RFC 9111, section 5.2.2.5". It returns "" if
// the rule is not from a specification.
func (r Reason) Reference() string { return rules.Reason(r).Reference() }
