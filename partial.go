package cachecontrol

import (
	"cmp"
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/sections"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The parts of one representation are stored for a URL (RFC 9111, section 3.3), under keys that no reader of the plain key, in
// particular Python, takes for that of a whole response: see parts.go. A part that cannot be combined with the stored ones replaces
// them.

// wholeIsMoreRecent reports whether lookup found a whole response that the query selects and that is more recent than
// the part, although it cannot answer the request because of its coding.
func (e *engine) wholeIsMoreRecent(q *query, prev *previous, part *match) bool {
	if prev.first == nil {
		return false
	}
	var fields selecting
	whole := e.view(prev.first)
	return fields.match(q, whole.vary, whole.coding, "") && e.moreRecent(prev.listing(), part.stored(), prev.key, part.policy.Date)
}

// missing returns the bytes to ask for so that the query can be answered from the parts and these. It reports false if it is not
// worth asking for less than the query does. The parts must have a strong validator, which shows whether the missing bytes belong to
// them. A part without any validator at the beginning of the body is completed while it is fresh. An origin without ranges sends the
// whole body in any case.
func missing(q *query, m *match, d decision) (g gap, ok bool) {
	if q.isHead() || q.conditional || q.matching || !provesMissing(q, m, d) {
		return g, false
	}
	if g.wanted, ok = m.wanted(q); !ok || q.ranged && (g.wanted.total < 0 || !m.policy.IfRange(q.header)) {
		return g, false
	}
	end := g.wanted.end
	if end < 0 {
		end = math.MaxInt64
	}
	if g.from, g.to = m.parts.list.Missing(g.wanted.start, end); g.from == end {
		return g, false
	}
	if g.wanted.end < 0 {
		g.to = -1
	}
	return g, g.asked()
}

// provesMissing reports whether a response with the missing bytes can show that they belong to the parts, or that the parts have no
// validator and are fresh.
func provesMissing(q *query, m *match, d decision) bool {
	return rules.StrongValidator(m.stored().Header) != "" || !q.ranged && !m.policy.HasValidator() && d.Action == rules.Serve
}

// askMissing requests the missing bytes. If validates is true, it also validates m.
func (e *engine) askMissing(q *query, part *match, g gap, m *match, validates bool) (reply, error) {
	return e.ask(e.outgoing(q, func(h http.Header) {
		if validates {
			m.policy.SetPreconditions(h)
		}
		end := int64(-1)
		if q.ranged || g.to != g.wanted.end {
			end = g.to
		}
		rules.AskForRest(h, g.from, end, rules.StrongValidator(part.stored().Header))
	}))
}

// fetchFunc returns a function that requests bytes of the representation of the parts from the origin. It returns an error if the
// origin does not send exactly these. It returns nil if the function could not work.
func (e *engine) fetchFunc(q *query, part *match) func(from, to int64) (io.ReadCloser, error) {
	if rules.StrongValidator(part.stored().Header) == "" || q.cc.OnlyIfCached || q.offline || !q.mayResume() {
		return nil
	}
	own := *q // q itself would be on the heap for each request
	return func(from, to int64) (io.ReadCloser, error) {
		rep, err := e.askMissing(&own, part, gap{span{from, -1, -1}, from, to}, nil, false)
		if err != nil {
			return nil, err
		}
		cr, ok := part.continuedBy(rep.resp)
		if !ok || cr.First != from || cr.Last != to-1 || !part.fits(cr.Total) {
			closeResponse(rep.resp)
			return nil, errChangedBody
		}
		return rep.resp.Body, nil
	}
}

// continuedBy returns the range of resp, and reports whether it has the bytes of that range, of the representation of the parts.
func (m *match) continuedBy(resp *http.Response) (rules.ContentRange, bool) {
	cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
	n := framedLength(resp)
	return cr, ok && resp.StatusCode == http.StatusPartialContent && m.combinesWith(resp.Header) && (n < 0 || n == cr.Last-cr.First+1)
}

// around returns the stored bytes before and after the missing ones, if resp has exactly the missing ones. It sets what resp shows of
// the length of the representation.
func (e *engine) around(q *query, part *match, g *gap, resp *http.Response) (before, after []sections.Section, ok bool) {
	cr, ok := part.continuedBy(resp)
	if !ok {
		return nil, nil, false
	}
	if g.wanted.end < 0 && cr.Total > part.parts.list.End() {
		g.wanted.total, g.wanted.end, g.to = cr.Total, cr.Total, cr.Total
	}
	if cr.Total != g.wanted.total || cr.First != g.from || cr.Last != g.to-1 {
		return nil, nil, false
	}
	whole := !q.ranged // it is stored as another entry
	if before, ok = e.sectionsOf(q.ctx, part, g.wanted.start, g.from, whole); !ok {
		return nil, nil, false
	}
	if after, ok = e.sectionsOf(q.ctx, part, g.to, g.wanted.end, whole); !ok {
		closeSections(before)
	}
	return before, after, ok
}

// judgePart removes the stored part if the reply shows that it is out of date, by the rules for a whole response.
// receivePartial and receiveHead handle a 206 and a response to HEAD. judgePart must be called before a recording of the
// response is made; otherwise the removal would make the recording outdated.
func (e *engine) judgePart(q *query, prev *previous, rep *reply) {
	if prev.part != nil && prev.part.refutedBy(rep.resp) {
		e.dropPart(q, prev, rep)
	}
}

// spliced returns a copy of the reply's response with the bytes before and after its own, and the body with its own. Its header is that
// of the parts, updated with the reply's.
func spliced(part *match, rep *reply, g *gap, before, after []sections.Section) (*http.Response, *restBody) {
	resp := *rep.resp
	resp.Trailer = nil // net/http adds the trailer to the other response, and it belongs to that
	header := part.updated(resp.Header, rep.received)
	delete(header, "Content-Range")
	dropDigests(header)
	resp.ContentLength = g.wanted.length()
	header["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	rules.CopySetCookie(header, resp.Header)
	resp.Header = header
	rest := newRestBody(rep.resp, g.to-g.from)
	all := append(before, sections.Section{Body: rest, Length: g.to - g.from})
	resp.Body = sections.Join(append(all, after...))
	return &resp, rest
}

// joinRange turns the reply into a response with the requested range, and stores the missing bytes that it has.
func (e *engine) joinRange(q *query, prev *previous, rep *reply, g *gap, before, after []sections.Section, s *Status) {
	part, joined := prev.part, false
	defer func() {
		if !joined { // a hook panicked
			closeSections(before)
			closeSections(after)
		}
	}()
	e.receivePartial(q, prev, nil, rep, s)
	joined = true
	resp, _ := spliced(part, rep, g, before, after)
	resp.Header["Content-Range"] = []string{rules.ContentRange{First: g.wanted.start, Last: g.wanted.end - 1, Total: g.wanted.total}.String()}
	rep.resp, rep.spareLine = resp, nil
}

// join turns the reply into the whole response: the stored parts, and the missing bytes in the reply.
func (e *engine) join(q *query, prev *previous, rep *reply, g *gap, before, after []sections.Section, s *Status) (a answer) {
	part := prev.part
	prev.part = nil
	missing := rep.resp
	whole, fetched := spliced(part, rep, g, before, after)
	whole.Status, whole.StatusCode = "200 OK", http.StatusOK
	body := &originBody{ReadCloser: whole.Body}
	if rest, ok := missing.Body.(*originBody); ok {
		body.context = rest.context
	}
	whole.Body = body
	rep.resp, rep.spareLine = whole, nil

	var as assessment
	e.assess(&as, q, rep)
	if g.wanted.end > e.maxBody {
		as.refuse(rules.TooLong)
	}
	as.setStored(s, rep.received)
	key := ""
	if as.store.OK {
		r := e.newRecording(q, prev, rep, &as)
		r.entry.Header = rules.StoredHeader(whole.Header, &as.policy)
		r.entryKey, r.dropsParts, r.restMatches = e.keyForVariant(prev, r.entry), true, fetched.matches
		key = r.entryKey
		if _, ok := missing.Body.(*originBody); ok && g.to-g.from >= leastResumed && q.mayResume() {
			r.setList()
			r.recordMissing(missing, span{g.from, g.to, g.wanted.total})
			r.list = nil // if the body ends early because a stored part is damaged, none of it must be kept
		}
		r.attachTo(rep.resp, g.wanted.end, s)
		a.shared = e.newSharable(q, rep, r.entry, s.Stored)
	}
	e.setCoded(q, prev, rep, &a, key)
	return a
}

// receivePartial handles a 206 for the range that the caller requested. It stores the part, with the
// stored ones if their strong validators are equal (RFC 9111, section 3.4). If nothing is missing any more, and the result is
// short, it stores the whole response.
func (e *engine) receivePartial(q *query, prev *previous, m *match, rep *reply, s *Status) {
	resp := rep.resp
	cr, ok := contentRange(resp)
	if whole := cmp.Or(m, prev.doubted); whole.includes(resp.Header, cr.Total) {
		e.freshen(q, prev, whole, rep, resp.Header) // the 206 is of the stored whole response
		s.Storage = rules.Validated
		return
	}
	var as assessment
	e.assess(&as, q, rep)
	if !ok || resp.Uncompressed || resp.Body == http.NoBody {
		as.refuse(rules.PartialUnusable)
	}
	received := span{cr.First, cr.Last + 1, cr.Total}
	if received.length() > e.maxBody {
		as.refuse(rules.TooLong)
	}
	as.setStored(s, rep.received)
	if prev.whole != "" {
		e.dropWhole(q, prev, rep) // the origin has another representation now
	}
	if prev.part != nil && prev.part.outdatedBy(resp.Header, cr.Total, as.store) {
		e.dropPart(q, prev, rep)
	}
	if as.store.OK {
		e.storePart(q, prev, rep, &as, received, s)
	}
}

// storePart starts storing the part in the reply. It is combined with the stored parts if their strong validators are equal.
func (e *engine) storePart(q *query, prev *previous, rep *reply, as *assessment, received span, s *Status) {
	r := e.newRecording(q, prev, rep, as)
	list := r.entry.Copy()
	list.Header = rules.StoredHeader(rep.resp.Header, &as.policy)
	all := received
	var gone []uint64
	if p := prev.part; p != nil && p.mayCombine(rep.resp.Header) && p.extends(received) {
		e.combineHeader(q, list, p, rep)
		all, gone = e.merge(q, r, p, received), p.parts.gone
		prev.part = nil
	}
	delete(list.Header, "Content-Range")
	dropDigests(list.Header)
	if all.start == 0 && all.end == all.total {
		list.Status, list.Reason, list.Length = http.StatusOK, "OK", all.total
		list.Header["Content-Length"] = []string{strconv.FormatInt(all.total, 10)}
		r.entry, r.dropsParts = list, true
		r.entryKey = e.keyForVariant(prev, list)
	} else {
		delete(list.Header, "Content-Length")
		r.bePart(list, all, gone)
		r.pos = received.start
	}
	if !r.attachTo(rep.resp, received.length(), s) && r.release != nil {
		r.release()
	}
}

// combineHeader updates the header of an entry for parts, with those of a stored one.
func (e *engine) combineHeader(q *query, list *storage.Entry, part *match, rep *reply) {
	list.Header = part.updated(list.Header, rep.received)
	e.resetVary(q, list)
	if len(list.Heuristic) == 0 {
		closeOnPanic(rep.resp, func() {
			list.Heuristic = e.applyHeuristic(&http.Response{StatusCode: list.Status, Header: list.Header, Request: q.req})
		})
	}
}

// Parts that meet are combined in one entry if that is not longer than maxMerged, and if no stored part is longer than the new one,
// unless it is shorter than alwaysMerged. So small reads in sequence do not make many entries, and no byte is copied often.
const (
	maxMerged    = 1 << 20
	alwaysMerged = 64 << 10
)

// merge makes a recording of a part contain stored parts that meet it, too. It returns the bytes that the recording will have.
func (e *engine) merge(q *query, r *recording, part *match, received span) span {
	list := &part.parts.list
	total := max(list.Total, received.total)
	all := span{received.start, received.end, total}
	if from, to := list.Missing(0, total); total >= 0 && total <= maxMerged && from >= received.start && to <= received.end {
		all.start, all.end = 0, total // nothing is missing any more
	} else {
		all.start, all.end = list.Grow(received.start, received.end, alwaysMerged, maxMerged)
	}
	if all.length() > e.maxBody {
		all.start, all.end = received.start, received.end
	}
	// Of a part that overlaps, not all would be read, and so its checksum would not be verified.
	if all.start < received.start && !list.EndsAt(received.start) {
		all.start = received.start
	}
	if all.end > received.end && !list.EndsAt(all.end) {
		all.end = received.end
	}
	before, ok := e.sectionsOf(q.ctx, part, all.start, received.start, true)
	if !ok {
		return received
	}
	after, ok := e.sectionsOf(q.ctx, part, received.end, all.end, true)
	if !ok {
		closeSections(before)
		return received
	}
	head, tail := sections.Join(before), sections.Join(after)
	r.before = func(w io.Writer) error { return copyAll(w, head, received.start-all.start) }
	r.after = func(w io.Writer) error { return copyAll(w, tail, all.end-received.end) }
	r.release = func() { head.Close(); tail.Close() }
	return all
}

// copyAll copies the n bytes of r to w.
func copyAll(w io.Writer, r io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	_, err := io.CopyN(w, r, n)
	return err
}

// openWanted opens the stored bytes that the query asks for, if the parts have all of them and may answer. d is the decision about
// the parts.
func (e *engine) openWanted(q *query, part *match, d decision) bool {
	wanted, ok := part.wanted(q)
	if !ok || q.isHead() || wanted.end < 0 || !part.policy.IfRange(q.header) || q.matching && !q.meetsPreconditions(part, d) ||
		!e.openParts(q.ctx, part, wanted) {
		return false
	}
	if digest := part.stored().Header["Repr-Digest"]; digest != nil && !q.ranged {
		ctx := context.WithoutCancel(q.ctx)
		body := &combinedBody{ReadCloser: part.body, left: wanted.end, forget: func() { e.forgetParts(ctx, part) }}
		body.verifier.Expect(digest)
		part.body = body
	}
	return true
}

// forgetParts removes stored parts that are wrong.
func (e *engine) forgetParts(ctx context.Context, part *match) {
	e.remove(ctx, strings.TrimSuffix(part.key, partialSuffix), part.key)
	e.deleteUnlisted(ctx, part.key, part.parts.list.All())
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
