package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/sections"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/httpdigest"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// match is a stored response that a query selects. Its body stays open until it is returned to the caller or closed, so
// changes to the key in the store do not affect it.
type match struct {
	*entryView
	key      string            // "" if it is a shared response that is still being received
	entry    storage.HeldEntry // see stored
	body     io.ReadCloser     // nil after it was closed or returned, and while inMemory is true
	bytes    []byte            // of the body, while inMemory is true
	inMemory bool              // the body is made of bytes when it is needed
	decoded  []byte            // the decoded body, if the store keeps it
	parts    *storedParts      // nil if it is a whole response

	rejected bool        // BeforeReuse has rejected it, or a 304 was about another response
	invalid  bool        // it was invalidated, and must be validated
	damaged  func(error) // called with the error if the body cannot be decoded; if nil, a stored response is removed in this case
}

// storedParts are the stored parts of a representation. The match then has the entry that lists them, with the updated header of
// all of them, and its body is made of them once it is known which bytes are wanted.
type storedParts struct {
	list partlist.List
	gone []uint64 // parts that were in the stored list, but could not be opened
	held span     // what the body of the match contains

	// fetch requests bytes that were stored when the caller got the header, but no longer are when they are read.
	fetch func(from, to int64) (io.ReadCloser, error)
}

// previous is what is known to be stored for a query when the origin is asked. The origin's response may confirm,
// contradict or replace it. lookup sets place, first and unreadable. The road adds the rest, before the origin is asked or
// after it has answered. An entry that is removed from the store is removed here, too.
type previous struct {
	place
	first      storage.HeldEntry // entry under the key, which lists the variants; nil if none
	unreadable []string          // keys of entries that could not be read
	whole      string            // key of the whole response that the origin's response replaces; "" if there is none
	doubted    *match            // a closed whole response that BeforeReuse rejected, or whose validation has failed
	part       *match            // a stored part that does not contain the requested range, or was not confirmed
	rest       gap               // the bytes that the origin is asked for, if some are missing
	ahead      ahead             // entries that were read in case they would be needed
}

// ahead is what was read ahead for a plain key.
type ahead struct {
	key    string // "" if nothing was read ahead
	notice notice
	parts  *storage.Call // the list of parts, until it is used; nil if it was not read
}

// gap is what a query asks for, and what is missing of it.
type gap struct {
	wanted   span  // its end is -1 if it is not known
	from, to int64 // the bytes to ask for: from the first missing one to the last; to is -1 if it is not known
}

// asked reports whether there are bytes to ask for.
func (g *gap) asked() bool { return g.from > g.wanted.start || g.to != g.wanted.end }

// memoryResponse is a response and its body in one allocation, with room for the lines of a short header.
type memoryResponse struct {
	http.Response
	body  bytesbody.Body
	lines [11]string
}

// listing returns the entry under the key, or nil.
func (prev *previous) listing() *storage.Entry {
	if prev.first == nil {
		return nil
	}
	return prev.first.Unpack()
}

// doubt closes a match that the origin's next response may still be about.
func (prev *previous) doubt(m *match) {
	m.close()
	m.rejected = true
	if m.parts != nil {
		prev.part = m
	} else {
		prev.doubted = m
	}
}

// getMatch returns the response stored under key.
func (e *engine) getMatch(ctx context.Context, key string) (match, error) {
	s := e.newScratch()
	held, known := e.store.Lookup(append(s.key[:0], key...)) // a long key does not stay in the pool
	e.scratches.Put(s)
	if held.Entry != nil {
		var m match
		err := e.heldMatch(&m, ctx, held)
		return m, err
	} else if known {
		return match{}, storage.ErrNotFound
	}
	r, err := e.store.Get(ctx, key)
	return e.matchOf(ctx, key, r, err)
}

// heldMatch sets m, which must be zero, to the response that the store has in memory.
func (e *engine) heldMatch(m *match, ctx context.Context, held storage.Held) error {
	v := e.view(held.Entry)
	if !belongs(held.Key, v.urlKey) {
		return e.store.Unreadable(ctx, held.Key, errOtherURL)
	}
	state := e.marks.Check(ctx, held.Key, v.mark, v.groups, &v.checked)
	if state == marks.Cleared {
		return storage.ErrNotFound
	}
	m.entryView, m.key, m.entry, m.invalid = v, held.Key, held.Entry, state != marks.Current
	m.bytes, m.inMemory, m.decoded = held.Body, true, held.Decoded
	return nil
}

// matchOf returns what the store has returned for key.
func (e *engine) matchOf(ctx context.Context, key string, r *storage.Response, err error) (match, error) {
	r, invalid, err := e.checked(ctx, key, r, err)
	if err != nil {
		return match{}, err
	}
	return match{entryView: e.view(r.Entry), key: key, entry: r.Entry, body: r.Body, decoded: r.Decoded, invalid: invalid}, nil
}

// nameFor returns the key to show in Cache-Status: that of the URL of the response if it is not that of the request.
func (m *match) nameFor(q *query) string {
	if m.search == nil {
		return q.named
	}
	own, _ := cachekey.Of(q.req.URL, q.req.Host)
	if urlOfKey(cmp.Or(q.named, own)) == m.urlKey {
		return q.named
	}
	return m.urlKey
}

// found reports whether there is a match.
func (m *match) found() bool { return m != nil && m.entry != nil }

// stored returns the entry. A hit does not need it, because it has the entryView.
func (m *match) stored() *storage.Entry {
	e := m.entry.Unpack()
	m.entry = e
	return e
}

// close closes the body if it was not returned to the caller.
func (m *match) close() {
	if m != nil && m.body != nil {
		m.body.Close()
		m.body = nil
	}
}

// move returns a match that owns the body in place of m.
func (m *match) move() match {
	moved := *m
	m.body, m.inMemory = nil, false
	return moved
}

// take returns the body, which close no longer closes.
func (m *match) take() io.ReadCloser {
	if m.inMemory {
		m.inMemory = false
		return bytesbody.New(m.bytes)
	}
	body := m.body
	m.body = nil
	return body
}

// newResponse returns an empty response, and room for the lines of its header.
func (m *match) newResponse() (resp *http.Response, room []string) {
	if !m.inMemory {
		return new(http.Response), nil
	}
	memory := new(memoryResponse)
	memory.body.Reset(m.bytes)
	m.body, m.inMemory = &memory.body, false
	return &memory.Response, memory.lines[:]
}

// withoutBody turns resp into a response to HEAD.
func (m *match) withoutBody(q *query, resp *http.Response) {
	resp.Body, resp.Trailer = http.NoBody, nil
	if q.negotiated && m.coding.NeedsDecoding() {
		contentcoding.RemoveFields(resp)
		return
	}
	resp.ContentLength = rules.ContentLength(resp.Header)
}

// becomesWhole turns resp, of parts that are all of a representation, into a whole response, unless the query asks for a range. It
// reports whether it does so.
func (m *match) becomesWhole(q *query, resp *http.Response) bool {
	if m.parts == nil || q.ranged {
		return false
	}
	total := m.parts.list.Total
	resp.Status, resp.StatusCode, resp.ContentLength = "200 OK", http.StatusOK, total
	resp.Header["Content-Length"] = []string{strconv.FormatInt(total, 10)}
	return true
}

// slice turns resp into a 206 with the requested range, or into a 416 if the range is not satisfiable. The stored body
// begins at byte start of the representation; total is the length of the representation, or -1 if not known. The caller
// has checked that the range lies within the stored body.
func (m *match) slice(q *query, resp *http.Response, start, total int64) {
	length := total
	if total < 0 {
		length = math.MaxInt64
	}
	first, end, ok := q.byteRange.Within(length)
	if !ok {
		m.close()
		resp.Status, resp.StatusCode = "416 Range Not Satisfiable", http.StatusRequestedRangeNotSatisfiable
		maps.DeleteFunc(resp.Header, func(name string, _ []string) bool { return describesRepresentation(name) })
		resp.Header["Content-Range"] = []string{"bytes */" + strconv.FormatInt(total, 10)}
		resp.Header["Content-Length"] = []string{"0"}
		resp.Body, resp.ContentLength, resp.Trailer = http.NoBody, 0, nil
		return
	}
	resp.Status, resp.StatusCode = "206 Partial Content", http.StatusPartialContent
	resp.Header["Content-Range"] = []string{rules.ContentRange{First: first, Last: end - 1, Total: total}.String()}
	resp.Header["Content-Length"] = []string{strconv.FormatInt(end-first, 10)}
	resp.ContentLength = end - first
	dropDigests(resp.Header)
	resp.Trailer = nil // it belongs to the whole
	resp.Body = sections.Of(m.take(), first-start, end-first)
}

// updated returns the match's header, updated with the fields of a later response. It removes the fields that a
// heuristic had set, because the heuristic will be applied again to the new header.
func (m *match) updated(later http.Header, received time.Time) http.Header {
	old := m.stored().Header
	if len(m.stored().Heuristic) > 0 {
		old = maps.Clone(old)
		for _, name := range m.stored().Heuristic {
			delete(old, name)
		}
	}
	h := rules.UpdateHeader(old, later, &m.policy, received)
	delete(h, XFromCache) // another cache set it, for its response only
	return h
}

// confirmedBy reports whether a 304 with header h is about the stored response.
func (m *match) confirmedBy(h http.Header) bool {
	return m.policy.MatchesNotModified(h) && !m.hasOtherDigest(h)
}

// hasOtherDigest reports whether a response with header h is about a representation with another digest (RFC 9530, section 3),
// whatever its validators.
func (m *match) hasOtherDigest(h http.Header) bool {
	return httpdigest.Differ(m.stored().Header["Repr-Digest"], h["Repr-Digest"])
}

// freshenedByHead reports whether a 200 to HEAD with header h is about the stored response (RFC 9111, section 4.3.5).
func (m *match) freshenedByHead(h http.Header) bool {
	if m.hasOtherDigest(h) {
		return false
	}
	length := m.length
	if m.parts != nil {
		length = m.parts.list.Total
		n := rules.ContentLength(h)
		if n >= 0 && !m.fits(n) {
			return false
		}
		if n >= 0 && length < 0 && h["Etag"] == nil && h["Last-Modified"] == nil {
			return false // the length of the whole is not known, so this may be another representation
		}
	}
	return m.policy.FreshenedByHead(h, length)
}

// wanted returns the bytes that a query asks for: a range, or the whole representation, whose end is -1 if it is not known. It
// reports false if there are none, or if they depend on an unknown length.
func (m *match) wanted(q *query) (span, bool) {
	total := m.parts.list.Total
	if !q.ranged {
		return span{0, total, total}, true
	}
	length := total
	if total < 0 {
		if q.byteRange.First < 0 || q.byteRange.Last < 0 {
			return span{}, false // the range is relative to an unknown end
		}
		length = math.MaxInt64
	}
	start, end, ok := q.byteRange.Within(length)
	return span{start, end, total}, ok
}

// hasValidatorOf reports whether the validator of a part is that of the parts.
func (m *match) hasValidatorOf(part *storage.Entry) bool {
	modified := part.Header.Get("Last-Modified")
	return part.Header.Get("Etag") == m.policy.ETag && (modified == "" || modified == m.policy.IfModified)
}

// extends reports whether received may be of the representation of the parts: their lengths do not contradict each other.
func (m *match) extends(received span) bool {
	list := &m.parts.list
	return m.fits(received.total) && (list.Total < 0 || received.end <= list.Total)
}

// forRest returns a query that asks for what is missing of the parts, without a content coding if they have none.
func (m *match) forRest(q *query) *query {
	rest := *q
	rest.uncoded = q.negotiated && m.coding.IsIdentity()
	return &rest
}

// combinesWith reports whether a 206 with header h is of the same representation as the part: both must have the same
// strong validator (RFC 9111, section 3.4). Some origins use one tag for all codings of a representation, so the
// coding must be equal, too.
func (m *match) combinesWith(h http.Header) bool {
	return rules.SameStrongValidator(h, m.stored().Header) && !m.hasOtherDigest(h) && rangeHasCoding(h, m.stored().Header["Content-Encoding"], m.parts.list.Total)
}

// rangeHasCoding reports whether a 206 with header h has the coding of a representation of total bytes, or -1 if that is not known. A 206
// may omit its coding (RFC 9110, section 15.3.7). But an origin that codes bodies while it sends them may send ranges without a coding,
// under the same tag. Their lengths tell them apart, if both are known.
func rangeHasCoding(h http.Header, coding []string, total int64) bool {
	if lines := h["Content-Encoding"]; lines != nil || contentcoding.Same(coding, nil) {
		return lines == nil || contentcoding.Same(coding, lines)
	}
	cr, ok := rules.ParseContentRange(h["Content-Range"])
	return ok && cr.Total >= 0 && cr.Total == total
}

// includes reports whether a 206 with header h, of a representation of this length, or -1 if it is not known, is of the whole response.
func (m *match) includes(h http.Header, total int64) bool {
	return m != nil && m.policy.Status == http.StatusOK && rules.SameStrongValidator(h, m.stored().Header) && !m.hasOtherDigest(h) &&
		(total <= 0 || m.length < 0 || total == m.length)
}

// mayCombine reports whether a 206 with header h can be combined with the parts.
func (m *match) mayCombine(h http.Header) bool { return !m.rejected && m.combinesWith(h) }

// refutedBy reports whether a response that is not a 206 shows that the part is out of date.
func (m *match) refutedBy(resp *http.Response) bool {
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		return m.contradictedBy(resp.Header, framedLength(resp))
	case rules.Supersedes(status):
		return true
	case status == http.StatusRequestedRangeNotSatisfiable:
		_, length, ok := strings.Cut(resp.Header.Get("Content-Range"), "*/")
		n, valid := rules.ParseLength(length)
		return ok && valid && !m.fits(n)
	}
	return false
}

// contradictedBy reports whether a 200 or 206 with header h is of another representation than the part. total is the
// length of that representation in bytes, or -1 if not known.
func (m *match) contradictedBy(h http.Header, total int64) bool {
	if tag := h.Get("Etag"); tag != m.policy.ETag && !rules.WeakMatch(tag, m.policy.ETag) {
		return true
	}
	return h.Get("Last-Modified") != m.policy.IfModified ||
		(!m.fits(total) || m.hasOtherDigest(h)) && contentcoding.Same(m.stored().Header["Content-Encoding"], h["Content-Encoding"])
}

// fits reports whether the parts may be of a representation of this length, or of unknown length if total is -1.
func (m *match) fits(total int64) bool {
	list := &m.parts.list
	return total < 0 || total == list.Total || list.Total < 0 && total >= list.End()
}

// outdatedBy reports whether a 206 with header h, of a representation of this length, shows that the part is out of date,
// or may no longer be stored. d is the decision about storing the 206.
func (m *match) outdatedBy(h http.Header, total int64, d rules.StoreDecision) bool {
	switch {
	case !m.mayCombine(h) && m.contradictedBy(h, total):
		return true
	case d.OK:
		return false
	}
	switch d.Reason {
	case rules.NoStoreRequest, rules.SetCookieInShared, rules.TooLong, rules.PartialUnusable:
		return false // this does not affect the stored part
	}
	return true
}

// whyMissing returns why no response was read under key. It remembers the key of an entry that cannot be read.
func (prev *previous) whyMissing(key string, err error) rules.Reason {
	switch err {
	case nil:
		return rules.ReasonNone
	case storage.ErrNotFound: // the common case
		return rules.NotStored
	}
	switch {
	case errors.Is(err, storage.ErrUnreadable):
		prev.unreadable = append(prev.unreadable, key)
		return rules.Unreadable
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrClosed):
		return rules.NotStored
	}
	return rules.StoreFailed
}

// describesRepresentation reports whether a field describes the stored representation and must not be in a 416, which
// has no such freshness or coding.
func describesRepresentation(name string) bool {
	switch name {
	case "Cache-Control", "Cdn-Cache-Control", "Expires", "Pragma", "Etag", "Last-Modified", "Repr-Digest", "Digest":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}

// dropDigests removes the digests of the content of a message (RFC 9530, section 2) after the content has been changed.
func dropDigests(h http.Header) {
	delete(h, "Content-Digest")
	delete(h, "Content-Md5")
}
