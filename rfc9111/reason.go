// Package rfc9111 implements the rules of HTTP caching as pure functions. It does no I/O, reads no
// clock and does not know the store.
package rfc9111

import "github.com/go-cachecontrol/cachecontrol/internal/rules"

// A Reason is the code of the rule behind a decision, such as "max-age", "no-store" or "stale".
type Reason string

// Description returns the reason as a clause for people to read. It returns "" if r is not a reason
// of this package.
func (r Reason) Description() string { return rules.Reason(r).Description() }

// Reference returns the source of the rule, such as "RFC 9111, section 4.2.3".
func (r Reason) Reference() string { return rules.Reason(r).Reference() }
