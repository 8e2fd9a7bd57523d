package cachecontrol

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// query is what a request asks of the cache. parseQuery computes it once; it does not change afterwards. A request that
// is answered in another way, for example in the background, has a query of its own.
type query struct {
	req       *http.Request
	ctx       context.Context
	header    http.Header // of the request, with canonical names
	cc        rules.Request
	partition string // suffix of the key for the partition
	digest    string // of the method and the content; "" if the key does not depend on them

	offline     bool // no request may be sent
	negotiated  bool // the caller left the content coding to the Transport
	conditional bool // the caller set If-None-Match or If-Modified-Since
	matching    bool // the caller set If-Match or If-Unmodified-Since
	ranged      bool // a GET for one range of bytes
	byteRange   rules.ByteRange

	uncoded    bool   // the Transport asks for no coding, to complete a part without one
	background bool   // a validation in the background, so a stale response does not suffice
	neverShare bool   // must not share the response to another request
	flight     string // key of the shared request that this is; "" if it is not shared
}

// parseQuery parses a request's header. It appends the plain key, including the partition, to room. It returns the
// reason if the cache must not handle the request; plain is empty if the URL has no key.
func (e *engine) parseQuery(req *http.Request, room []byte) (q query, plain []byte, why rules.Reason) {
	q.req, q.ctx = req, req.Context()
	q.header = canonicalNames(req.Header)
	if q.header["Cache-Control"] != nil || q.header["Pragma"] != nil { // otherwise there are no directives
		q.cc = rules.ParseRequest(q.header)
	}
	control := controlOf(q.ctx)
	if control != nil {
		control.apply(&q.cc)
		q.offline = control.OnlyIfCached
	}
	plain, ok := cachekey.Append(room, req.URL, req.Host)
	if !ok {
		return q, nil, rules.URLNotCacheable
	}
	q.partition = e.partitionOf(req, control)
	plain = append(plain, q.partition...)
	if control != nil && control.Bypass {
		return q, plain, rules.BypassAsked
	}
	return q, plain, e.classify(&q)
}

// classify completes the query of a request whose URL has a key. It returns the reason if the cache must not handle the
// request.
func (e *engine) classify(q *query) rules.Reason {
	upgrade := q.header["Upgrade"] != nil && rules.AsksUpgrade(q.header)
	if q.header["Upgrade"] != nil && !upgrade {
		q.header = rules.WithoutUpgrade(q.header) // the offer to upgrade to HTTP/2 is declined
		req := *q.req
		req.Header = q.header
		q.req = &req
	}
	h, method := q.header, q.req.Method
	if method == "" {
		method = http.MethodGet
	}
	other := method != http.MethodGet && method != http.MethodHead
	switch {
	case !other && e.noGET:
		return rules.MethodExcluded
	case other && !slices.Contains(e.methods, method):
		return rules.MethodForwarded
	}
	if other || hasBody(q.req) {
		var ok bool
		if q.digest, ok = contentDigest(method, q.req, h); !ok {
			return rules.BodyNotCacheable
		}
	}
	if upgrade {
		return rules.UpgradeForwarded
	}
	if q.conditional, q.matching = rules.HasPreconditions(h); other && (q.conditional || q.matching) {
		return rules.PreconditionForwarded
	}
	if lines := h["Range"]; lines != nil && method != http.MethodHead {
		if q.byteRange, q.ranged = rules.ParseRange(lines); !q.ranged || other {
			return rules.RangeForwarded
		}
	}
	q.negotiated = e.negotiate && h["Accept-Encoding"] == nil && h["Range"] == nil
	return rules.ReasonNone
}

func (q *query) isHead() bool { return q.req.Method == http.MethodHead }

// canDecode reports whether the caller can use a body with this coding if the request matches the selecting fields. If
// the caller left the coding to the Transport, an unknown coding is usable only if the origin chose it for the
// Transport's own Accept-Encoding.
func (q *query) canDecode(c contentcoding.Coding, vary []varyField) bool {
	if q.negotiated {
		return c.IsKnown() || slices.ContainsFunc(vary, func(f varyField) bool { return f.name == "Accept-Encoding" })
	}
	return c.IsIdentity() || !q.ranged || q.header["Accept-Encoding"] != nil
}

// acceptEncoding returns the Accept-Encoding of a request whose caller left the coding to the Transport.
func (q *query) acceptEncoding() string {
	if q.uncoded {
		return "identity"
	}
	return contentcoding.AcceptEncoding
}

// canonicalNames returns h with canonical names. If the names are canonical, that is h itself. net/http sends a field
// under the name that the caller wrote into the map.
func canonicalNames(h http.Header) http.Header {
	for name := range h {
		if isCanonical(name) {
			continue
		}
		out := make(http.Header, len(h))
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, line := range h[name] {
				out.Add(name, line)
			}
		}
		return out
	}
	return h
}

// isCanonical reports whether name is certainly canonical. It takes half the time of http.CanonicalHeaderKey.
func isCanonical(name string) bool {
	wrong := byte('a') // first of the 26 letters that must not come next
	for i := range len(name) {
		c := name[i]
		if c-wrong < 26 {
			return false
		}
		if wrong = 'A'; c == '-' {
			wrong = 'a'
		}
	}
	return true
}

func hasBody(req *http.Request) bool {
	return req.Body != nil && req.Body != http.NoBody
}

// closeBody closes the body of a request that is not sent, as a RoundTripper must.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
