package cachecontrol

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// query is what a request asks of the cache. parseQuery computes it once; it does not change afterwards. A request that
// is answered in another way, for example in the background, has a query of its own.
type query struct {
	req       *http.Request
	ctx       context.Context
	header    http.Header // of the request, with canonical names
	cc        rules.Request
	codings   *contentcoding.Codings
	named     string // plain key, without the partition, that Transport.Key has chosen; "" if it is that of the request's URL
	partition string // suffix of the key for the partition
	keyed     bool   // the key depends on the method and the content
	digest    string // of the method and the content, once the content has been read

	offline     bool // no request may be sent
	negotiated  bool // the caller left the content coding to the Transport
	conditional bool // the caller set If-None-Match or If-Modified-Since
	matching    bool // the caller set If-Match or If-Unmodified-Since
	ranged      bool // a GET for one range of bytes
	byteRange   rules.ByteRange
	ranges      []rules.ByteRange // of a GET for several ranges of bytes, or of a QUERY for any; otherwise nil

	staleIfSlow time.Duration // Control.StaleIfSlow
	waitsUntil  time.Time     // as in patience, of a request that has waited for another one; otherwise zero
	patient     bool          // waits for the origin, however slow it is

	uncoded    bool   // the Transport asks for no coding, to complete a part without one
	background bool   // a validation in the background, so a stale response does not suffice
	neverShare bool   // must not share the response to another request
	attempt    bool   // finds out whether the origin still fails, so it is not held back
	flightKey  string // key of the URL if other requests wait for the response; otherwise ""
	trace      *trace // nil if there is no observer
}

// parseQuery parses a request's header, and sets q. It appends the plain key, including the partition, to room. It returns
// the reason if the cache must not handle the request; plain is empty if the URL has no key.
func (e *engine) parseQuery(q *query, req *http.Request, room []byte) (plain []byte, why rules.Reason) {
	q.req, q.ctx, q.codings = req, e.store.Patient(req.Context()), e.codings
	q.header = canonicalNames(req.Header)
	if q.header["Cache-Control"] != nil || q.header["Pragma"] != nil { // otherwise there are no directives
		q.cc = rules.ParseRequest(q.header)
	}
	control := controlOf(q.ctx)
	if control != nil {
		control.apply(&q.cc)
		q.offline, q.staleIfSlow = control.Mode == ModeCacheOnly, control.StaleIfSlow
	}
	plain, named, why := e.plainKey(room, req)
	if plain == nil {
		return nil, why
	}
	if named {
		q.named = string(plain)
	}
	q.partition = e.partitionOf(req, control)
	plain = append(plain, q.partition...)
	switch {
	case why != rules.ReasonNone:
		return plain, why
	case control != nil && control.Mode == ModeBypass:
		return plain, rules.BypassRequested
	}
	return plain, e.classify(q)
}

// classify completes the query of a request whose URL has a key. It returns the reason if the cache must not handle the
// request.
func (e *engine) classify(q *query) rules.Reason {
	upgrades := q.takeUpgrade()
	method := cmp.Or(q.req.Method, http.MethodGet)
	other := method != http.MethodGet && method != http.MethodHead
	q.keyed = other || hasBody(q.req)
	switch {
	case !other && e.noGET:
		return rules.MethodExcluded
	case other && !slices.Contains(e.methods, method):
		return rules.MethodForwarded
	}
	if upgrades {
		return rules.UpgradeForwarded
	}
	q.negotiated = e.negotiate && q.header["Accept-Encoding"] == nil && q.header["Range"] == nil
	return q.parseConditions()
}

// parseConditions parses the preconditions and the range of the request. It returns the reason if the cache must not
// handle them.
func (q *query) parseConditions() rules.Reason {
	retrieves := rules.Retrieves(q.req.Method)
	if q.conditional, q.matching = rules.HasPreconditions(q.header); !retrieves && (q.conditional || q.matching) {
		return rules.PreconditionForwarded
	}
	lines := q.header["Range"]
	if lines == nil || q.isHead() {
		return rules.ReasonNone
	}
	isQuery := q.req.Method == rules.QUERY
	if !isQuery {
		if q.byteRange, q.ranged = rules.ParseRange(lines); q.ranged && retrieves {
			return rules.ReasonNone
		}
	}
	ranges, ok := rules.ParseRanges(lines)
	switch {
	case !ok || !isQuery && !q.mayResume():
		return rules.RangeForwarded
	case len(ranges) == 1 && !isQuery: // in a list with empty members
		q.byteRange, q.ranged = ranges[0], true
	default:
		q.ranges = ranges
	}
	return rules.ReasonNone
}

// takeUpgrade reports whether the request asks for an upgrade that the cache passes on. An offer to upgrade to HTTP/2 is
// declined: it is removed from a copy of the request.
func (q *query) takeUpgrade() bool {
	switch {
	case q.header["Upgrade"] == nil:
		return false
	case rules.AsksUpgrade(q.header):
		return true
	}
	q.header = rules.WithoutUpgrade(q.header)
	req := *q.req
	req.Header = q.header
	q.req = &req
	return false
}

// mayResume reports whether the rest of the response can be requested later (RFC 9110, section 14.2).
func (q *query) mayResume() bool {
	return (q.req.Method == http.MethodGet || q.req.Method == "") && !q.keyed
}

func (q *query) isHead() bool { return q.req.Method == http.MethodHead }

// canDecode reports whether the caller can use a body with this coding if the request matches the selecting fields. If
// the caller left the coding to the Transport, an unknown coding is usable only if the origin chose it for the
// Transport's own Accept-Encoding.
func (q *query) canDecode(c contentcoding.Coding, vary []varyField) bool {
	if q.negotiated {
		return c.IsKnown() || namesField(vary, "Accept-Encoding")
	}
	return c.IsIdentity() || !q.ranged || q.header["Accept-Encoding"] != nil
}

// acceptEncoding returns the Accept-Encoding of a request whose caller left the coding to the Transport.
func (q *query) acceptEncoding() string {
	if q.uncoded {
		return "identity"
	}
	return q.codings.AcceptEncoding()
}

// partitionOf returns the suffix that a request's partition adds to its key. It is empty for the default partition, and
// otherwise contains a hash, so that no partition can look like another one, or like a key.
func (e *engine) partitionOf(req *http.Request, c *Control) string {
	if e.partition == nil && c == nil {
		return ""
	}
	var user, program string
	if e.partition != nil {
		user = e.partition(req)
	}
	if c != nil {
		program = c.Partition
	}
	if user == "" && program == "" {
		return ""
	}
	// The length separates the two strings.
	sum := sha256.Sum256([]byte(strconv.Itoa(len(user)) + ":" + user + program))
	return partitionMark + hex.EncodeToString(sum[:])
}

// withNewBody returns a query whose request can be sent once more. Its body is new, because the first request used up
// the old one.
func (q *query) withNewBody() query {
	again := *q
	again.req = q.req.WithContext(q.ctx)
	renewBody(again.req)
	return again
}

// renewBody gives req, a copy of the request of a query whose content was read, a body of its own.
func renewBody(req *http.Request) {
	if hasBody(req) {
		req.Body, _ = req.GetBody() // see takeContent
	}
}

// canceledByOther reports whether a validation has failed because another request was canceled. http.Transport gives
// the connection to the next request just before it returns a response without a body. If that first request is then
// canceled at once, both fail. Without the cache the response would have had a body.
func (q *query) canceledByOther(err error) bool {
	return errors.Is(err, context.Canceled) && q.ctx.Err() == nil && rules.IsSafe(q.req.Method)
}

// sharable reports whether the request may get the response to another request with the same key.
func (q *query) sharable() bool {
	cc := &q.cc
	return (q.mayResume() || q.req.Method == rules.QUERY) && !q.conditional && !q.ranged &&
		!cc.NoCache && !cc.Refresh && !cc.NoStore && !cc.OnlyIfCached && !(cc.MaxAge.OK && cc.MaxAge.Value == 0)
}

// forValidation returns the query of a background validation. Its request is a copy, because the caller may reuse the
// original, and has no conditions and directives, and no Range unless a part is validated.
func (q *query) forValidation(e *engine, part bool) query {
	req := q.req.Clone(context.Background())
	maps.DeleteFunc(req.Header, func(name string, _ []string) bool {
		switch http.CanonicalHeaderKey(name) {
		case "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Cache-Control", "Pragma":
			return true
		case "Range":
			return !part
		}
		return false
	})
	//lint:ignore SA1019 http.Client sets it, and it ends with the caller
	req.Cancel = nil
	later := query{
		req: req, header: canonicalNames(req.Header), codings: q.codings, named: q.named, partition: q.partition, keyed: q.keyed, digest: q.digest, background: true,
		cc: rules.Request{Lifetime: q.cc.Lifetime},
	}
	later.negotiated = q.negotiated || q.ranged && !part && e.negotiate && later.header["Accept-Encoding"] == nil
	if part {
		later.ranged, later.byteRange = q.ranged, q.byteRange
	}
	return later
}

// field returns the value of a request header field as it is sent, with several lines joined, and with the Transport's
// own Accept-Encoding if it adds one.
func (q *query) field(name string) (value string, present bool) {
	if name == "Accept-Encoding" && q.negotiated {
		return q.acceptEncoding(), true
	}
	lines := q.header[name]
	switch len(lines) {
	case 0:
		return "", false
	case 1:
		return lines[0], true
	}
	return strings.Join(lines, ", "), true
}

// fields returns the request's values of the fields with these names.
func (q *query) fields(names []string) []storage.Field {
	var out []storage.Field
	for _, name := range names {
		f := storage.Field{Name: name}
		f.Value, f.Present = q.field(http.CanonicalHeaderKey(name))
		out = append(out, f)
	}
	return out
}

// codingSelects reports whether a response with header h has a coding that the Transport cannot decode and that the
// origin chose for the Accept-Encoding that the Transport sends. Accept-Encoding then selects the response even if its
// Vary does not name it.
func (q *query) codingSelects(h http.Header) bool {
	lines := h["Content-Encoding"]
	if lines == nil || q.codings.Parse(lines).IsKnown() {
		return false
	}
	value, _ := q.field("Accept-Encoding")
	return rules.NormalizeSelecting("Accept-Encoding", value) == rules.NormalizeSelecting("Accept-Encoding", q.codings.AcceptEncoding())
}
