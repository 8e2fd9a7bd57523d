// Package rfc9111 decides what an HTTP cache may do: whether it may store a response, whether a
// stored response may answer a request, how to validate it, and which stored responses a request
// invalidates. It is for programs with their own store and transport. It does no I/O and reads no
// clock.
//
// A Policy holds what one response permits. A cache creates it when the response arrives:
//
//	p := rfc9111.NewPolicy(req, resp, requestTime, responseTime, nil)
//	if ok, why := p.Storable(); !ok {
//		log.Printf("not stored: %s (%s)", why.Description(), why.Reference())
//	}
//
// For each later request to the same URL, it asks the policy how to answer:
//
//	switch d := p.Reuse(req, now); d.Action {
//	case rfc9111.Serve:
//		status, header := p.Response(req, now)
//		// Answer with status, header and the stored body.
//	case rfc9111.Validate:
//		// Send the request with p.ValidationHeader(req). If the response is 304, call p.Update.
//	}
//
// A policy need not be stored. NewPolicy computes it again from the two times, the status code and
// StoredHeader of the response, and the method, URL and SelectingFields of the request.
//
// The cache itself must find the stored responses for a URL and store only complete bodies. Partial
// responses (206) are not stored. A request with a Range field may be answered with a whole
// response, because servers may ignore that field (RFC 9110, section 14.2).
//
// The package implements RFC 9111 and the parts of RFC 9110 that concern caches, RFC 5861
// (stale-while-revalidate and stale-if-error), RFC 8246 (immutable) and RFC 9213
// (CDN-Cache-Control). Header field names are expected in the canonical form of net/http.
package rfc9111
