package cachecontrol

import (
	"cmp"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// A partial entry holds one contiguous part of a representation (RFC 9111, section 3.3). It is stored under its own
// key, so that no reader of the plain key, in particular Python, takes it for a whole response. A URL has at most one.
// A new part that cannot be combined with the stored one replaces it.

// lookupPartial returns the partial entry of the URL if the request selects it, or nil.
func (x *exchange) lookupPartial() *candidate {
	if x.ranges != nil && !x.ranges.HasRanges() {
		return nil // no part was ever stored
	}
	key := x.key + partialSuffix
	resp, err := x.get(x.ctx, key)
	if err != nil {
		return nil
	}
	p := &candidate{stored: x.compile(resp.Entry), key: key, entry: resp.Entry, resp: resp}
	if p.unusable || p.entry.Range == nil || !x.selects(p.selectors, p.coding, "") {
		p.close()
		return nil
	}
	return p
}

// answerPartial answers a request for which no whole response is stored. It uses a stored part if that contains the
// range, or completes the part if possible. Otherwise it asks the origin, whose response may confirm the part or show
// that it is out of date, like a whole response.
func (x *exchange) answerPartial(why Reason, s Status) (*http.Response, error) {
	if x.flies() {
		return x.fly(why)
	}
	p := x.lookupPartial()
	switch {
	case p == nil && x.matching:
		return x.askMatching(nil)
	case p == nil:
		return x.ask(why)
	}
	r, usable := x.mayReuse(p)
	p.refused = !usable
	usable = usable && x.canDecode(p.coding, p.selectors) && !x.wholeIsMoreRecent(p)
	switch {
	case usable && x.ranged && x.heldBy(p) && p.policy.IfRange(x.header) && (!x.matching || x.matchedBy(p, r)):
		return x.use(p, r, s)
	case x.cc.OnlyIfCached:
		p.close()
		return x.refuse(), nil
	case usable && x.completable(p, r):
		return x.complete(p)
	case p.refused, usable && x.ranged:
		if why = Reason(r.Reason); r.Action == rules.Serve && !p.refused {
			why = rules.NotInRange
		}
	}
	x.partial = p
	defer func() { x.partial.close() }()
	if x.matching {
		return x.askMatching(nil)
	}
	return x.fetch(nil, why)
}

// wholeIsMoreRecent reports whether lookup found a whole response that the request selects and that is more recent than
// the part, although it cannot answer the request because of its coding.
func (x *exchange) wholeIsMoreRecent(p *candidate) bool {
	if x.primary == nil {
		return false
	}
	whole := x.compile(x.primary)
	return x.selects(whole.selectors, whole.coding, "") && x.moreRecent(x.primary, p.entry, x.key, p.policy.Date)
}

// heldBy reports whether the part contains the requested range.
func (x *exchange) heldBy(p *candidate) bool {
	r := p.entry.Range
	total := r.Total
	if total < 0 {
		if x.byteRange.First < 0 || x.byteRange.Last < 0 {
			return false // the range is relative to an unknown end
		}
		total = math.MaxInt64
	}
	start, end, ok := x.byteRange.Within(total)
	return ok && start >= r.Start && end <= r.Start+p.entry.Length
}

// completable reports whether it is worth asking for the rest of a part. The part must be the beginning of the body,
// and have a strong validator, which shows whether the rest belongs to it. A part without any validator is completed
// while it is fresh. An origin without ranges sends the whole body in any case.
func (x *exchange) completable(p *candidate, r rules.Reuse) bool {
	return !x.isHead() && !x.ranged && !x.conditional && !x.matching && p.entry.Range.Start == 0 && p.entry.Length > 0 &&
		(p.policy.StrongValidator() != "" || !p.policy.HasValidator() && r.Action == rules.Serve)
}

// complete requests the rest of a part, and answers with both (RFC 9111, sections 3.3 and 3.4).
func (x *exchange) complete(p *candidate) (*http.Response, error) {
	x.partial = p
	defer func() { x.partial.close() }()
	x.uncoded = x.negotiated && !p.coding.coded()
	out := x.outgoing(func(h http.Header) {
		h["Range"] = []string{"bytes=" + strconv.FormatInt(p.entry.Length, 10) + "-"}
		if tag := p.policy.StrongValidator(); tag != "" {
			h["If-Range"] = []string{tag}
		}
	}, true)
	x.start, x.asked = x.invalid.start(), x.recents.ask()
	asked := time.Now()
	resp, err := x.send(out)
	if err != nil {
		return nil, err
	}
	received := time.Now()
	x.dropDamaged()
	s := Status{Forward: forwardToken(rules.NotInRange), ForwardStatus: resp.StatusCode, Reason: rules.NotInRange}
	switch resp.StatusCode {
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		total, ok := p.completedBy(resp)
		if !ok {
			x.discard(resp)
			x.dropPart()
			x.uncoded = false
			return x.again(rules.NotInRange)
		}
		whole := *x.own(resp)
		whole.Trailer = nil // net/http adds the trailer to resp, and it belongs to the rest
		resp, x.partial = &whole, nil
		x.join(p, resp, total, asked, received, &s)
	default:
		resp = x.own(resp)
		x.judgePart(resp)
		x.receive(resp, asked, received, &s)
	}
	x.mark(resp, s)
	return resp, nil
}

// completedBy reports whether resp has all that is missing of a part, and the length of the whole. The part must be the
// beginning of the body.
func (c *candidate) completedBy(resp *http.Response) (total int64, ok bool) {
	cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
	switch known := c.entry.Range.Total; {
	case !ok, resp.StatusCode != http.StatusPartialContent, !c.combinesWith(resp.Header):
		return 0, false
	case cr.First != c.entry.Length, cr.Last != cr.Total-1, known >= 0 && known != cr.Total:
		return 0, false
	}
	n := framedLength(resp)
	return cr.Total, n < 0 || n == cr.Total-cr.First
}

// combinesWith reports whether a 206 with header h is of the same representation as the part: both must have the same
// strong entity tag (RFC 9111, section 3.4). Some origins use one tag for all codings of a representation, so the
// coding must be equal, too.
func (c *candidate) combinesWith(h http.Header) bool {
	lines := h["Content-Encoding"] // a 206 may omit it
	return rules.StrongMatch(h.Get("Etag"), c.policy.ETag) &&
		(lines == nil || slices.Equal(parseCoding(lines).names, c.coding.names))
}

// dropPart removes x.partial, which is known to be out of date.
func (x *exchange) dropPart() {
	key := x.partial.key
	x.partial.close()
	x.partial = nil
	x.dropStored(key)
}

// judgePart removes x.partial if resp shows that it is out of date, by the rules for a whole response. receivePartial
// and receiveHead handle a 206 and a response to HEAD. judgePart must be called before a recording of the response is
// made; otherwise the removal would make the recording outdated.
func (x *exchange) judgePart(resp *http.Response) {
	p := x.partial
	if p == nil {
		return
	}
	gone := false
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		gone = p.contradictedBy(resp.Header, framedLength(resp))
	case rules.Supersedes(status):
		gone = true
	case status == http.StatusRequestedRangeNotSatisfiable:
		_, length, ok := strings.Cut(resp.Header.Get("Content-Range"), "*/")
		n, err := strconv.ParseInt(length, 10, 64)
		gone = ok && err == nil && !p.fits(n)
	}
	if gone {
		x.dropPart()
	}
}

// contradictedBy reports whether a 200 or 206 with header h is of another representation than the part. total is the
// length of that representation in bytes, or -1 if not known.
func (c *candidate) contradictedBy(h http.Header, total int64) bool {
	if tag := h.Get("Etag"); tag != c.policy.ETag && !rules.WeakMatch(tag, c.policy.ETag) {
		return true
	}
	return h.Get("Last-Modified") != c.policy.IfModified ||
		!c.fits(total) && slices.Equal(parseCoding(h["Content-Encoding"]).names, c.coding.names)
}

// fits reports whether the part may be of a representation of this length, or of unknown length if total is -1.
func (c *candidate) fits(total int64) bool {
	r := c.entry.Range
	return total < 0 || total == r.Total || r.Total < 0 && total >= r.Start+c.entry.Length
}

// freshenedByHead reports whether a 200 to HEAD with header h is about the stored response (RFC 9111, section 4.3.5).
func (c *candidate) freshenedByHead(h http.Header) bool {
	length := c.entry.Length
	if c.entry.Range != nil {
		length = c.entry.Range.Total
		n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		if err == nil && !c.fits(n) {
			return false
		}
		if err == nil && length < 0 && h["Etag"] == nil && h["Last-Modified"] == nil {
			return false // the length of the whole is not known, so this may be another representation
		}
	}
	return c.policy.FreshenedByHead(c.entry.Header, h, length)
}

// join turns resp into the whole response: the stored part, followed by the rest in resp.
func (x *exchange) join(p *candidate, resp *http.Response, total int64, asked, received time.Time, s *Status) {
	header := p.updated(resp.Header, received)
	delete(header, "Content-Range")
	dropDigests(header)
	header["Content-Length"] = []string{strconv.FormatInt(total, 10)}
	resp.Status, resp.StatusCode = "200 OK", http.StatusOK
	rules.CopySetCookie(header, resp.Header)
	resp.Header, resp.ContentLength = header, total
	resp.Body = newJoinedBody(p.resp.Body, p.entry.Length, resp.Body, total-p.entry.Length)
	var policy rules.Policy
	set, decision := x.judge(&policy, resp, asked, received)
	if decision.OK && total > x.maxBody {
		decision = rules.StoreDecision{Reason: rules.TooLong}
	}
	s.judged(decision, &policy, received)
	var place string
	if decision.OK {
		r := x.newRecording(resp, rules.StoredHeader(resp.Header, &policy), &policy, asked, received, set)
		e := r.entry
		r.place, r.replaces = x.destination(e), p.key
		x.record(resp, r, total, s)
		x.share(resp, e, s)
		place = r.place
	}
	x.decode(resp, place, s)
}

// joinedBody reads two bodies one after the other. It returns an error if one of them ends early.
type joinedBody struct {
	turn          sync.Mutex
	closed        atomic.Bool
	r             io.Reader
	first, second io.Closer
}

func newJoinedBody(first io.ReadCloser, n int64, second io.ReadCloser, m int64) *joinedBody {
	return &joinedBody{
		r:     io.MultiReader(&sectionBody{ReadCloser: first, left: n}, &sectionBody{ReadCloser: second, left: m}),
		first: first, second: second,
	}
}

func (b *joinedBody) Read(p []byte) (int, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.r.Read(p)
}

func (b *joinedBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	b.first.Close()
	return b.second.Close()
}

// receivePartial handles a 206 for the range that the caller requested. It stores the part. It combines it with the
// stored part if they have the same strong validator and are adjacent or overlap (RFC 9111, section 3.4). If nothing is
// missing any more, it stores the result as the whole response.
func (x *exchange) receivePartial(c *candidate, resp *http.Response, asked, received time.Time, s *Status) {
	if whole := cmp.Or(c, x.doubted); whole != nil && whole.entry.Status == http.StatusOK && rules.StrongMatch(resp.Header.Get("Etag"), whole.policy.ETag) {
		x.freshen(whole, resp, asked, received) // the 206 is of the stored whole response
		s.Storage = rules.Validated
		return
	}
	var policy rules.Policy
	set, decision := x.judge(&policy, resp, asked, received)
	cr, ok := contentRange(resp)
	if decision.OK && (!ok || resp.Uncompressed || resp.Body == http.NoBody) {
		decision = rules.StoreDecision{Reason: rules.PartialUnusable}
	}
	part := span{cr.First, cr.Last + 1, cr.Total}
	if decision.OK && part.end-part.start > x.maxBody {
		decision = rules.StoreDecision{Reason: rules.TooLong}
	}
	s.judged(decision, &policy, received)
	if x.prior != "" {
		x.dropStored(x.prior) // the origin has another representation now
		if x.prior == x.key {
			x.primary = nil
		}
	}
	combines := false
	if p := x.partial; p != nil {
		combines = !p.refused && p.combinesWith(resp.Header)
		switch {
		case !combines && p.contradictedBy(resp.Header, cr.Total):
			x.dropPart()
		case decision.OK:
		case decision.Reason == rules.NoStoreRequest, decision.Reason == rules.SetCookieInShared, decision.Reason == rules.TooLong, decision.Reason == rules.PartialUnusable:
			// This does not affect the stored part.
		default:
			x.dropPart() // the part may no longer be stored
		}
	}
	if !decision.OK {
		return
	}
	rec := x.newRecording(resp, rules.StoredHeader(resp.Header, &policy), &policy, asked, received, set)
	e := rec.entry
	all := part
	if p := x.partial; combines {
		old := span{p.entry.Range.Start, p.entry.Range.Start + p.entry.Length, p.entry.Range.Total}
		if union, ok := old.union(part); ok && union.end-union.start <= x.maxBody {
			all = union
			e.Header = p.updated(e.Header, received)
			x.reselect(e)
			if len(e.Heuristic) == 0 {
				closing(resp, func() {
					e.Heuristic = x.applyHeuristic(&http.Response{StatusCode: e.Status, Header: e.Header, Request: x.req})
				})
			}
			copier := &spanCopier{body: p.resp.Body}
			rec.before = func(w io.Writer) error { return copier.copy(w, 0, part.start-old.start) }
			rec.after = func(w io.Writer) error { return copier.copy(w, part.end-old.start, old.end-old.start) }
			rec.end = func() { copier.body.Close() }
			p.resp, x.partial = nil, nil
		}
	}
	e.Length = all.end - all.start
	e.Header["Content-Length"] = []string{strconv.FormatInt(e.Length, 10)}
	dropDigests(e.Header)
	if all.start == 0 && all.end == all.total {
		rec.place, rec.replaces = x.destination(e), x.key+partialSuffix
		e.Status, e.Reason = http.StatusOK, "OK"
		delete(e.Header, "Content-Range")
	} else {
		rec.place = x.key + partialSuffix
		e.Header["Content-Range"] = []string{rules.ContentRange{First: all.start, Last: all.end - 1, Total: all.total}.String()}
		e.Range = &serialize.Range{Start: all.start, Total: all.total}
	}
	if !x.record(resp, rec, part.end-part.start, s) && rec.end != nil {
		rec.end()
	}
}

// dropDigests removes the digests of the content of a message (RFC 9530, section 2) after the content has been changed.
func dropDigests(h http.Header) {
	delete(h, "Content-Digest")
	delete(h, "Content-Md5")
}

// contentRange returns the range of a 206. If the length of its content differs from Content-Range, the content counts,
// and the representation ends with it. This is accepted only if the field says that the range extends to the end.
func contentRange(resp *http.Response) (rules.ContentRange, bool) {
	cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
	if n := framedLength(resp); ok && n >= 0 && n != cr.Last-cr.First+1 {
		if n == 0 || cr.Last != cr.Total-1 || n > math.MaxInt64-cr.First {
			return cr, false
		}
		cr.Total = cr.First + n
		cr.Last = cr.Total - 1
	}
	return cr, ok
}

// span is a part of a representation: the bytes from start up to, but not including, end, of total bytes, or -1 if not
// known.
type span struct{ start, end, total int64 }

// union returns the union of a and b, if they are adjacent or overlap and do not have different totals.
func (a span) union(b span) (span, bool) {
	if a.start > b.end || b.start > a.end || a.total >= 0 && b.total >= 0 && a.total != b.total {
		return span{}, false
	}
	u := span{min(a.start, b.start), max(a.end, b.end), max(a.total, b.total)}
	return u, u.total < 0 || u.end <= u.total
}

// spanCopier copies spans of a body in ascending order.
type spanCopier struct {
	body io.ReadCloser
	pos  int64
}

func (c *spanCopier) copy(w io.Writer, from, to int64) error {
	if from >= to {
		return nil
	}
	if seeker, ok := c.body.(io.Seeker); ok {
		if _, err := seeker.Seek(from, io.SeekStart); err != nil {
			return err
		}
	} else if _, err := io.CopyN(io.Discard, c.body, from-c.pos); err != nil {
		return err
	}
	_, err := io.CopyN(w, c.body, to-from)
	c.pos = to
	return err
}
