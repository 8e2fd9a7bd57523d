// Package rfc9111 holds the rules of HTTP caching as pure functions: header fields and times in, decisions out.
// It does no I/O, reads no clock and knows no store.
//
// A Policy is what one response says about its storage and reuse, worked out once. ParseRequest is the
// same for a request. Policy.Store says whether a response may be stored, Policy.Reuse whether and how a
// stored one may answer a request; each answer comes with a Reason that names the rule.
//
// Beside RFC 9111 the package follows RFC 9110 (conditional and range requests), RFC 5861
// (stale-while-revalidate, stale-if-error), RFC 8246 (immutable) and RFC 9213 (CDN-Cache-Control).
package rfc9111
