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

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// A partial entry holds one contiguous part of a representation (RFC 9111, section 3.3). It lives under a key of its
// own, so that no reader of the plain key, Python's least of all, takes it for a whole response. A URL has one
// at most: a part that cannot be combined with it takes its place.

// lookupPartial returns the partial entry of the URL that the request selects, or nil.
func (x *exchange) lookupPartial() *candidate {
	if x.ranges != nil && !x.ranges.HasRanges() {
		return nil // none was ever stored
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

// answerPartial answers a request for which no whole response is stored: from a part if that holds the range, and with the help
// of the part if what is missing of it can be asked for. Otherwise the part is there to be refuted or confirmed by what the
// origin says, as a whole response would be.
func (x *exchange) answerPartial(why rfc9111.Reason, s Status) (*http.Response, error) {
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
	usable = usable && x.canDecode(p.coding, p.selectors)
	switch {
	case usable && x.ranged && x.heldBy(p) && p.policy.IfRange(x.header) && (!x.matching || x.matchedBy(p, r)):
		return x.use(p, r, s)
	case x.cc.OnlyIfCached:
		p.close()
		return x.refuse(), nil
	case usable && x.completable(p, r):
		return x.complete(p)
	case p.refused, usable && x.ranged:
		if why = r.Reason; r.Action == rfc9111.Serve && !p.refused {
			why = rfc9111.NotInRange
		}
	}
	x.partial = p
	defer func() { x.partial.close() }()
	if x.matching {
		return x.askMatching(nil)
	}
	return x.fetch(nil, why)
}

// heldBy says whether the range that is asked for lies within the part.
func (x *exchange) heldBy(p *candidate) bool {
	r := p.entry.Range
	total := r.Total
	if total < 0 {
		if x.byteRange.First < 0 || x.byteRange.Last < 0 {
			return false // counted from an end that is not known
		}
		total = math.MaxInt64
	}
	start, end, ok := x.byteRange.Within(total)
	return ok && start >= r.Start && end <= r.Start+p.entry.Length
}

// completable says whether it is worth asking for what is missing of a part: it is the head of the body, and a strong
// validator says whether the rest belongs to it. Without any validator it is tried while the part is fresh; an
// origin that does not do ranges then sends everything anyway.
func (x *exchange) completable(p *candidate, r rfc9111.Reuse) bool {
	return !x.isHead() && !x.ranged && !x.conditional && !x.matching && p.entry.Range.Start == 0 && p.entry.Length > 0 &&
		(p.policy.StrongValidator() != "" || !p.policy.HasValidator() && r.Action == rfc9111.Serve)
}

// complete asks for the rest of a part, and answers with both (RFC 9111, sections 3.3 and 3.4).
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
	s := Status{Forward: forwardToken(rfc9111.NotInRange), ForwardStatus: resp.StatusCode, Reason: rfc9111.NotInRange}
	switch resp.StatusCode {
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		total, ok := p.completedBy(resp)
		if !ok {
			x.discard(resp)
			x.dropPart()
			x.uncoded = false
			return x.again(rfc9111.NotInRange)
		}
		whole := *x.own(resp)
		whole.Trailer = nil // net/http puts it in resp, and it is of the rest
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

// completedBy says whether the response brings all that is missing of a part that is the head of a body, and how long
// the whole is.
func (c *candidate) completedBy(resp *http.Response) (total int64, ok bool) {
	cr, ok := rfc9111.ParseContentRange(resp.Header["Content-Range"])
	switch known := c.entry.Range.Total; {
	case !ok, resp.StatusCode != http.StatusPartialContent, !c.combinesWith(resp.Header):
		return 0, false
	case cr.First != c.entry.Length, cr.Last != cr.Total-1, known >= 0 && known != cr.Total:
		return 0, false
	}
	n := framedLength(resp)
	return cr.Total, n < 0 || n == cr.Total-cr.First
}

// combinesWith reports whether a 206 with this header is of the same bytes as the part: they share a strong entity tag (RFC 9111,
// section 3.4). Some origins give one tag to all codings of a representation, so the coding must not be another either.
func (c *candidate) combinesWith(h http.Header) bool {
	lines := h["Content-Encoding"] // a 206 need not repeat it
	return rfc9111.StrongMatch(h.Get("Etag"), c.policy.ETag) &&
		(lines == nil || slices.Equal(parseCoding(lines).names, c.coding.names))
}

// dropPart removes the part that the exchange has found, which is known to be out of date.
func (x *exchange) dropPart() {
	key := x.partial.key
	x.partial.close()
	x.partial = nil
	x.dropStored(key)
}

// judgePart removes the part that the exchange has found if the origin's response shows that it is not current any more, by the
// rules that hold for a whole one. A 206 or a response to HEAD is for receivePartial or receiveHead. It is called before a recording of
// the response is made, which is then not taken for one that was asked for too early.
func (x *exchange) judgePart(resp *http.Response) {
	p := x.partial
	if p == nil {
		return
	}
	gone := false
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		gone = p.contradictedBy(resp.Header, framedLength(resp))
	case rfc9111.Supersedes(status):
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

// contradictedBy reports whether a 200 or 206 with this header is of another representation than the part. total is the length
// of that representation in bytes; -1 means that it is not known.
func (c *candidate) contradictedBy(h http.Header, total int64) bool {
	if tag := h.Get("Etag"); tag != c.policy.ETag && !rfc9111.WeakMatch(tag, c.policy.ETag) {
		return true
	}
	return h.Get("Last-Modified") != c.policy.IfModified ||
		!c.fits(total) && slices.Equal(parseCoding(h["Content-Encoding"]).names, c.coding.names)
}

// fits reports whether the part may be of a representation of this length; -1 means that it is not known.
func (c *candidate) fits(total int64) bool {
	r := c.entry.Range
	return total < 0 || total == r.Total || r.Total < 0 && total >= r.Start+c.entry.Length
}

// freshenedByHead reports whether a 200 with this header to HEAD is about the stored response (RFC 9111, section 4.3.5).
func (c *candidate) freshenedByHead(h http.Header) bool {
	length := c.entry.Length
	if c.entry.Range != nil {
		length = c.entry.Range.Total
		n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		if err == nil && !c.fits(n) {
			return false
		}
		if err == nil && length < 0 && h["Etag"] == nil && h["Last-Modified"] == nil {
			return false // the part does not say how long the whole is, so nothing tells that this is the same
		}
	}
	return c.policy.FreshenedByHead(c.entry.Header, h, length)
}

// join makes the response the whole one: what is stored, and the rest that it brings.
func (x *exchange) join(p *candidate, resp *http.Response, total int64, asked, received time.Time, s *Status) {
	header := p.updated(resp.Header, received)
	delete(header, "Content-Range")
	dropDigests(header)
	header["Content-Length"] = []string{strconv.FormatInt(total, 10)}
	resp.Status, resp.StatusCode = "200 OK", http.StatusOK
	rfc9111.CopySetCookie(header, resp.Header)
	resp.Header, resp.ContentLength = header, total
	resp.Body = newJoinedBody(p.resp.Body, p.entry.Length, resp.Body, total-p.entry.Length)
	var policy rfc9111.Policy
	set, decision := x.judge(&policy, resp, asked, received)
	if decision.OK && total > x.maxBody {
		decision = rfc9111.Stored{Reason: rfc9111.TooLong}
	}
	s.judged(decision, &policy, received)
	var place string
	if decision.OK {
		r := x.newRecording(resp, rfc9111.StoredHeader(resp.Header, &policy), &policy, asked, received, set)
		e := r.entry
		r.place, r.replaces = x.destination(e), p.key
		x.record(resp, r, total, s)
		x.share(resp, e, s)
		place = r.place
	}
	x.decode(resp, place, s)
}

// joinedBody reads one body after another, each in its full length: one that ends before is an error.
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

// receivePartial takes a 206 for the range that the caller asked for. It is stored as a part: combined with the one
// that is there, if they share a strong validator and touch (RFC 9111, section 3.4), and as the whole
// response if nothing is missing any more.
func (x *exchange) receivePartial(c *candidate, resp *http.Response, asked, received time.Time, s *Status) {
	if whole := cmp.Or(c, x.doubted); whole != nil && whole.entry.Status == http.StatusOK && rfc9111.StrongMatch(resp.Header.Get("Etag"), whole.policy.ETag) {
		x.freshen(whole, resp, asked, received) // it is of the response that is stored whole
		s.Storage = rfc9111.Validated
		return
	}
	var policy rfc9111.Policy
	set, decision := x.judge(&policy, resp, asked, received)
	cr, ok := contentRange(resp)
	if decision.OK && (!ok || resp.Uncompressed || resp.Body == http.NoBody) {
		decision = rfc9111.Stored{Reason: rfc9111.PartialUnusable}
	}
	part := span{cr.First, cr.Last + 1, cr.Total}
	if decision.OK && part.end-part.start > x.maxBody {
		decision = rfc9111.Stored{Reason: rfc9111.TooLong}
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
		case decision.Reason == rfc9111.NoStoreRequest, decision.Reason == rfc9111.SetCookieInShared, decision.Reason == rfc9111.TooLong, decision.Reason == rfc9111.PartialUnusable:
			// Nothing is said against the part.
		default:
			x.dropPart() // what allowed it to be stored was withdrawn
		}
	}
	if !decision.OK {
		return
	}
	rec := x.newRecording(resp, rfc9111.StoredHeader(resp.Header, &policy), &policy, asked, received, set)
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
		e.Header["Content-Range"] = []string{rfc9111.ContentRange{First: all.start, Last: all.end - 1, Total: all.total}.String()}
		e.Range = &serialize.Range{Start: all.start, Total: all.total}
	}
	if !x.record(resp, rec, part.end-part.start, s) && rec.end != nil {
		rec.end()
	}
}

// dropDigests removes what a header says of the bytes of its message's content (RFC 9530, section 2), where there are others now.
func dropDigests(h http.Header) {
	delete(h, "Content-Digest")
	delete(h, "Content-Md5")
}

// contentRange returns which bytes a 206 holds. Where its Content-Range and the length of its content differ, the
// content is what is there: then the representation ends with it, if the field says that it goes to the end.
func contentRange(resp *http.Response) (rfc9111.ContentRange, bool) {
	cr, ok := rfc9111.ParseContentRange(resp.Header["Content-Range"])
	if n := framedLength(resp); ok && n >= 0 && n != cr.Last-cr.First+1 {
		if n == 0 || cr.Last != cr.Total-1 || n > math.MaxInt64-cr.First {
			return cr, false
		}
		cr.Total = cr.First + n
		cr.Last = cr.Total - 1
	}
	return cr, ok
}

// span is a part of a representation: from start up to but without end, of total bytes; -1: not known.
type span struct{ start, end, total int64 }

// union returns both parts as one, if they touch and speak of the same length.
func (a span) union(b span) (span, bool) {
	if a.start > b.end || b.start > a.end || a.total >= 0 && b.total >= 0 && a.total != b.total {
		return span{}, false
	}
	u := span{min(a.start, b.start), max(a.end, b.end), max(a.total, b.total)}
	return u, u.total < 0 || u.end <= u.total
}

// spanCopier copies spans of a body, in their order.
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
