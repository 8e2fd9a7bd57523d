package cachecontrol

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// exchange is one request on its way through the cache: classify, then lookup, then either serve a stored response or
// fetch and receive one from the origin.
type exchange struct {
	subject
	header http.Header // of the request, with canonical names
	cc     rules.Request

	plain      []byte // plain key, including the partition
	partition  string // suffix of the key for the partition
	digest     string // of the method and the content, if the key is not a plain one
	generation string // of an index that has to be stored before the response; "" if the index is stored

	offline     bool // no request may be sent
	negotiated  bool // the caller left the content coding to the Transport
	uncoded     bool // the Transport asks for no coding, to complete a part without one
	conditional bool // the caller set If-None-Match or If-Modified-Since
	matching    bool // the caller set If-Match or If-Unmodified-Since
	ranged      bool // a GET for one range of bytes
	byteRange   rules.ByteRange
	revalidates bool // a validation in the background, so a stale response does not suffice
	confirms    bool // no stored response may be used without the origin, even if the origin fails
	alone       bool // must not share a response with other requests

	prior        string           // key of the whole response that the origin's response replaces; "" if there is none
	credentialed bool             // Base has added credentials to the request
	doubted      *candidate       // a closed whole response that BeforeReuse rejected, or whose validation got a 304 for another response
	partial      *candidate       // a stored part that does not contain the requested range
	primary      *serialize.Entry // entry that lookup found under the plain key; nil if none
	damaged      []string         // keys of the entries that lookup could not read
	normals      []normalised     // normalized request fields, computed on demand
	digests      []normalised     // their digests, computed on demand

	originFields []rules.HeaderField // of the origin's header, as received
	room         []string            // spare capacity in the slice of the origin's header lines, for Cache-Status
	farMark      []string            // the origin's XFromCache, if another cache reports a hit

	flight *flight // the flight that the exchange leads; nil if its caller waits for it

	first  candidate        // storage for the first candidate
	found  storage.Response // storage for the result of DictCache.Lookup
	memory *memoryResponse  // storage for the response made from found; nil if there is none or it is in use
	counts *shard           // counts its answer
	over   bool             // it has been answered, and nothing refers to it any more
}

// subject holds the fields of an exchange that are needed until the response body has been read, which may be after
// RoundTrip has returned.
type subject struct {
	*engine
	req   *http.Request
	ctx   context.Context
	key   string // "" while only the exchange's plain holds it
	start uint64 // when the request was sent, in the count of invalidations
	asked uint64 // the same, in the count of recents
	index string // key of the index that the key depends on; "" for a plain key
}

// classify parses the request's header. It returns the reason if the cache must not handle the request.
func (x *exchange) classify() Reason {
	x.header = canonicalNames(x.req.Header)
	h := x.header
	if h["Cache-Control"] != nil || h["Pragma"] != nil { // otherwise there are no directives
		x.cc = rules.ParseRequest(h)
	}
	control := controlOf(x.ctx)
	if control != nil {
		control.apply(&x.cc)
		x.offline = control.OnlyIfCached
	}
	key, ok := cachekey.Append(x.plain, x.req.URL, x.req.Host)
	if !ok {
		return rules.URLNotCacheable
	}
	x.partition = x.partitionOf(x.req, control)
	x.plain = append(key, x.partition...)
	if control != nil && control.Bypass {
		return rules.BypassAsked
	}
	upgrade := h["Upgrade"] != nil && rules.AsksUpgrade(h)
	if h["Upgrade"] != nil && !upgrade {
		x.dropUpgrade()
		h = x.header
	}
	method := x.req.Method
	if method == "" {
		method = http.MethodGet
	}
	other := method != http.MethodGet && method != http.MethodHead
	switch {
	case !other && x.noGET:
		return rules.MethodExcluded
	case other && !slices.Contains(x.methods, method):
		return rules.MethodForwarded
	}
	digest := ""
	if other || hasBody(x.req) {
		if digest, ok = contentDigest(method, x.req, h); !ok {
			return rules.BodyNotCacheable
		}
	}
	if upgrade {
		return rules.UpgradeForwarded
	}
	if x.conditional, x.matching = rules.HasPreconditions(h); other && (x.conditional || x.matching) {
		return rules.PreconditionForwarded
	}
	if lines := h["Range"]; lines != nil && method != http.MethodHead {
		if x.byteRange, x.ranged = rules.ParseRange(lines); !x.ranged || other {
			return rules.RangeForwarded
		}
	}
	x.negotiated = x.negotiate && h["Accept-Encoding"] == nil && h["Range"] == nil
	if digest != "" {
		x.keyByMethod(digest)
	}
	return rules.ReasonNone
}

// dropUpgrade replaces the request with a copy without the offer to upgrade to HTTP/2.
func (x *exchange) dropUpgrade() {
	x.header = rules.WithoutUpgrade(x.header)
	req := *x.req
	req.Header = x.header
	x.req = &req
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

// nameKey sets the key as a string, if it is not set.
func (x *exchange) nameKey() {
	if x.key == "" {
		x.key = string(x.plain)
	}
}

func hasBody(req *http.Request) bool {
	return req.Body != nil && req.Body != http.NoBody
}

func (x *exchange) isHead() bool { return x.req.Method == http.MethodHead }

// answer answers the request from a stored response if it may, and otherwise asks the origin. s is the status of an
// answer without asking the origin; for a hit it is the zero value.
func (x *exchange) answer(s Status) (*http.Response, error) {
	c, why := x.lookup()
	if c == nil {
		return x.answerPartial(why, s)
	}
	r, usable := x.mayReuse(c)
	switch {
	case x.matching && !(usable && x.matchedBy(c, r)):
		return x.askMatching(c)
	case !usable:
		x.prior, x.doubted = c.key, c
		c.refused = true
		c.close()
		return x.ask(Reason(r.Reason))
	}
	return x.use(c, r, s)
}

// matchedBy reports whether a stored response may answer a request with If-Match or If-Unmodified-Since: it must be
// fresh and satisfy them.
func (x *exchange) matchedBy(c *candidate, r rules.Reuse) bool {
	return (c.entry.Status == http.StatusOK || c.entry.Range != nil) &&
		r.Action == rules.Serve && !r.Stale() && c.policy.Matches(x.header, time.Now())
}

// askMatching sends a request with If-Match or If-Unmodified-Since to the origin. The response may show that c, if not
// nil, is out of date.
func (x *exchange) askMatching(c *candidate) (*http.Response, error) {
	if x.cc.OnlyIfCached {
		c.close()
		return x.refuse(), nil
	}
	x.confirms = true
	return x.fetch(c, rules.PreconditionForwarded)
}

// use answers with a stored response, at once or after asking the origin, as r requires. A part must contain the
// requested range.
func (x *exchange) use(c *candidate, r rules.Reuse, s Status) (*http.Response, error) {
	switch r.Action {
	case rules.Serve:
		if !r.Stale() && r.TTL <= x.refreshAhead && x.refreshAhead > 0 {
			if x.revalidates {
				break
			}
			x.refreshLater(c, r.TTL)
			return x.serve(c, r, s), nil
		}
		resp := x.serve(c, r, s)
		x.over = true
		return resp, nil
	case rules.ServeAndValidate:
		if x.revalidates {
			break
		}
		x.revalidateLater(c)
		return x.serve(c, r, Status{}), nil
	case rules.Refuse:
		c.close()
		return x.refuse(), nil
	}
	if x.flies() {
		c.close()
		return x.fly(Reason(r.Reason))
	}
	return x.fetch(c, Reason(r.Reason))
}

// ask answers a request for which no stored response may be used.
func (x *exchange) ask(why Reason) (*http.Response, error) {
	if x.cc.OnlyIfCached {
		return x.refuse(), nil
	}
	return x.fetch(nil, why)
}

// serve answers with a stored response. If s has no Forward, it is a hit.
func (x *exchange) serve(c *candidate, r rules.Reuse, s Status) *http.Response {
	closeBody(x.req)
	if s.Reason, s.TTL = Reason(r.Reason), floorSeconds(r.TTL); s.Collapsed {
		s.Reason = rules.Collapsed
	}
	resp := x.replay(c, r, s)
	length := c.entry.Length
	part := c.entry.Range // of a stored part, which holds the range that is asked for
	switch {
	case x.conditional && (c.entry.Status == http.StatusOK || part != nil) && c.policy.NotModified(x.header, time.Now()):
		c.close()
		notModified(resp)
	case x.isHead():
		c.close()
		x.withoutBody(c, resp)
	case part != nil:
		x.slice(c, resp, part.Start, part.Total)
		length = resp.ContentLength
	case x.ranged && c.entry.Status == http.StatusOK && length != 0 && c.policy.IfRange(x.header):
		// Any range of an empty body is all of it, and it has no valid Content-Range (RFC 9110, section 14.1.2).
		x.slice(c, resp, 0, c.entry.Length)
		length = resp.ContentLength
	default:
		x.withBody(c, resp)
	}
	if resp.Body == http.NoBody || c.key == "" {
		length = 0
	}
	if s.Collapsed {
		x.counters.collapsed.Add(1)
	}
	x.answered(resp, s.outcome(c.key != "", s.Forward == ""), length)
	return resp
}

// protoNames are the protocol names by major version of HTTP.
var protoNames = [10]string{2: "HTTP/2.0", 3: "HTTP/3.0", 4: "HTTP/4.0", 5: "HTTP/5.0", 6: "HTTP/6.0", 7: "HTTP/7.0", 8: "HTTP/8.0", 9: "HTTP/9.0"}

// replay returns a response with the stored header and status, and with a Cache-Status.
func (x *exchange) replay(c *candidate, r rules.Reuse, s Status) *http.Response {
	resp := x.newResponse()
	resp.Status, resp.StatusCode = c.status, c.entry.Status
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/1.1", 1, 1
	resp.ContentLength, resp.Request = c.entry.Length, x.req
	if c.entry.Version == 10 {
		resp.Proto, resp.ProtoMinor = "HTTP/1.0", 0
	}
	if v := c.entry.HTTP; v > 1 {
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = protoNames[min(v, 9)], v, 0
	}
	if c.entry.Trailer != nil {
		resp.Trailer = c.trailer(c.entry.Trailer, r.Reason == rules.Validated)
	}
	hit := x.hitFieldsFor(r)
	text := hit.status
	if s.Forward != "" {
		s.HasTTL = c.policy.Lifetime > 0
		text = x.statusHeader(s)
	}
	resp.Header = c.stored.replay(hit.age, text)
	if c.key == "" {
		delete(resp.Header, XFromCache) // it comes from the origin
	}
	if r.Reason == rules.Validated {
		// The fields that no-cache names may be used again, because the origin has just confirmed the response.
		for _, name := range c.policy.Directives.NoCacheFields {
			if lines := c.entry.Header[name]; lines != nil && name != "Age" && name != "Cache-Status" {
				resp.Header[name] = slices.Clone(lines)
			}
		}
	}
	return resp
}

// memoryResponse is a response and its body in one allocation.
type memoryResponse struct {
	http.Response
	body bytesbody.Body
}

// newResponse returns an empty response.
func (x *exchange) newResponse() *http.Response {
	if m := x.memory; m != nil {
		x.memory = nil
		return &m.Response
	}
	return new(http.Response)
}

// withBody sets the body of resp to the stored body, decoded if the caller left the coding to the Transport.
func (x *exchange) withBody(c *candidate, resp *http.Response) {
	if x.negotiated && c.coding.decodes() {
		x.withDecodedBody(c, resp)
		return
	}
	resp.Body, c.resp = c.resp.Body, nil
}

func (x *exchange) withDecodedBody(c *candidate, resp *http.Response) {
	body, decoded := c.resp.Body, c.resp.Decoded
	c.resp = nil
	if decoded != nil {
		body.Close()
		c.coding.plain(resp)
		resp.Body = bytesbody.New(decoded)
		return
	}
	var keep func([]byte)
	damaged := c.damaged
	if key, entry := c.key, c.entry; key != "" {
		keep = x.store.DecodedKeeper(key, entry)
		e, ctx, plain := x.engine, x.ctx, x.key
		damaged = func(err error) { // so that the next request gets another response
			e.getFailed(context.WithoutCancel(ctx), key, &storage.UnreadableError{Key: key, Err: err})
			e.remove(ctx, plain, key)
		}
	}
	c.coding.decode(resp, body, keep, damaged)
}

// withoutBody turns resp into a response to HEAD.
func (x *exchange) withoutBody(c *candidate, resp *http.Response) {
	resp.Body, resp.Trailer = http.NoBody, nil
	if x.negotiated && c.coding.decodes() {
		c.coding.plain(resp)
		return
	}
	resp.ContentLength = -1
	if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	}
}

// notModified turns resp into a 304, for a caller that has a copy.
func notModified(resp *http.Response) {
	h := rules.NotModifiedHeader(resp.Header)
	for _, name := range []string{"Age", XFromCache, "Cache-Status"} {
		h[name] = resp.Header[name]
	}
	resp.Status, resp.StatusCode = "304 Not Modified", http.StatusNotModified
	resp.Header, resp.Trailer = h, nil
	resp.Body, resp.ContentLength = http.NoBody, 0
}

// refuse returns a 504 for only-if-cached if no stored response may be used (RFC 9111, section 5.2.1.7).
func (x *exchange) refuse() *http.Response {
	closeBody(x.req)
	s := Status{Reason: rules.OnlyIfCached}
	const text = "the cache holds no response that may be used, and the request says only-if-cached\n"
	resp := &http.Response{
		Status: "504 Gateway Timeout", StatusCode: http.StatusGatewayTimeout,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type":   {"text/plain; charset=utf-8"},
			"Content-Length": {strconv.Itoa(len(text))},
			"Cache-Status":   {s.header()},
		},
		Body: bytesbody.New([]byte(text)), ContentLength: int64(len(text)), Request: x.req,
	}
	if x.isHead() {
		resp.Body = http.NoBody
	}
	x.answered(resp, refused, 0)
	return resp
}

// bypass sends the request to the origin without looking for a stored response.
func (x *exchange) bypass(why Reason) (*http.Response, error) {
	if x.cc.OnlyIfCached && rules.IsSafe(x.req.Method) || x.offline {
		return x.refuse(), nil
	}
	x.start, x.asked = x.invalid.start(), x.recents.ask()
	asked := time.Now()
	resp, err := x.send(x.copyRequest(false))
	if err != nil {
		return nil, err
	}
	received := time.Now()
	resp = x.own(resp)
	s := Status{Forward: forwardToken(why), ForwardStatus: resp.StatusCode, Reason: why}
	if x.key != "" {
		x.invalidate(resp)
		if why == rules.MethodForwarded && (x.req.Method == http.MethodPost || x.req.Method == http.MethodPatch) {
			s = x.receivePost(resp, s, asked, received)
		}
	}
	x.mark(resp, s)
	return resp, nil
}

// own replaces the header of resp with a copy that the cache may change, because Base may keep the original. resp
// itself is not copied, because net/http adds the trailer to it.
func (x *exchange) own(resp *http.Response) *http.Response {
	x.credentialed = hidesCredentials(x.header, resp)
	x.farMark = nil
	if mark := resp.Header[XFromCache]; mark != nil && saysHit(resp.Header["Cache-Status"]) {
		x.farMark = slices.Clone(mark)
	}
	// XFromCache is not stored. mark restores it after the response has been stored.
	resp.Header, x.room, x.originFields = rules.CopyHeaderTo(x.originFields[:0], framedHeader(resp), XFromCache)
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	resp.Request = x.req
	return resp
}

// hidesCredentials reports whether resp rejects credentials that Base has added to the request, whose own header is h.
// Vary could not distinguish responses by such credentials.
func hidesCredentials(h http.Header, resp *http.Response) bool {
	name := ""
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		name = "Authorization"
	case http.StatusProxyAuthRequired:
		name = "Proxy-Authorization"
	}
	return name != "" && resp.Request != nil && !slices.Equal(resp.Request.Header[name], h[name])
}

// framedHeader returns the header of resp with a Content-Length that equals resp.ContentLength, which is the actual
// length.
func framedHeader(resp *http.Response) http.Header {
	lines := resp.Header["Content-Length"]
	if len(lines) == 0 || resp.ContentLength <= 0 {
		return resp.Header
	}
	if n, err := strconv.ParseInt(lines[0], 10, 64); err == nil && n == resp.ContentLength {
		return resp.Header
	}
	h := resp.Header.Clone()
	h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	return h
}

// mark adds Cache-Status to a response from the origin, and counts the response.
func (x *exchange) mark(resp *http.Response, s Status) {
	lines := resp.Header["Cache-Status"] // from caches nearer to the origin
	if lines == nil {
		lines = x.room[:0]
	}
	resp.Header["Cache-Status"] = append(lines, x.statusHeader(s))
	if x.farMark != nil {
		resp.Header[XFromCache] = x.farMark
	}
	switch s.Storage {
	case rules.ReasonNone, rules.Validated, rules.ValidatedByHead:
	default:
		if !s.Stored {
			x.counters.notStored.add(s.Storage)
		}
	}
	x.answered(resp, s.outcome(false, false), 0)
}

// answered counts an answer with fromCache bytes of a stored body, and logs the decision. Validations in the background
// are not counted as answers.
func (x *exchange) answered(resp *http.Response, o Outcome, fromCache int64) {
	switch {
	case x.revalidates:
	case x.flight != nil: // its caller may have left
		x.flight.outcome, x.flight.fromCache = o, fromCache
	default:
		x.counts.answered(o, fromCache)
	}
	if x.logger != nil && x.logger.Enabled(x.ctx, slog.LevelDebug) {
		x.logDecision(resp)
	}
}

func (x *exchange) logDecision(resp *http.Response) {
	s := StatusOf(resp)
	x.logger.DebugContext(x.ctx, "cachecontrol", "method", x.req.Method, "url", requestURL(x.req), "outcome", s.Outcome.String(),
		"reason", string(s.Reason), "why", s.Reason.Description(), "section", s.Reason.Reference(),
		"status", resp.StatusCode, "stored", s.Stored, "storage", string(s.Storage), "ttl", s.TTL)
}

// invalidate removes the responses that a successful unsafe request has made invalid (RFC 9111, section 4.4).
func (x *exchange) invalidate(resp *http.Response) {
	for _, u := range rules.Invalidated(x.req.Method, targetURL(x.req), resp.StatusCode, resp.Header) {
		asked := *x.req.URL
		asked.Path, asked.RawPath, asked.RawQuery, asked.ForceQuery = u.Path, u.RawPath, u.RawQuery, u.ForceQuery
		if key, ok := cachekey.Of(&asked, x.req.Host); ok {
			if key += x.partition; key == x.key {
				x.start, _ = x.engine.invalidate(x.ctx, key, x.start)
			} else {
				x.engine.invalidate(x.ctx, key, 0)
			}
			if !slices.Contains(x.methods, x.req.Method) { // the program declares cacheable methods to be safe
				x.invalidateMethods(x.ctx, key)
			}
		}
	}
}
