// Package rfc9111 implements the rules of HTTP caching as pure functions of header fields and
// times. It does no I/O, reads no clock and does not know the store.
//
// A Policy holds what one response permits: NewPolicy computes it once from the status code, the
// header and the times of the request and the response. ParseRequest parses the directives of a
// request. Policy.Store decides whether a response may be stored, and Policy.Reuse decides whether
// and how a stored response may be used for a request. Each decision comes with a Reason that names
// the rule.
//
// Besides RFC 9111 the package follows RFC 9110 (conditional and range requests), RFC 5861
// (stale-while-revalidate, stale-if-error), RFC 8246 (immutable) and RFC 9213 (CDN-Cache-Control).
package rfc9111
