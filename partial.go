package cachecontrol

import (
	"cmp"
	"io"
	"net/http"
	"strconv"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/sections"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A partial entry holds one contiguous part of a representation (RFC 9111, section 3.3). It is stored under its own
// key, so that no reader of the plain key, in particular Python, takes it for a whole response. A URL has at most one.
// A new part that cannot be combined with the stored one replaces it.

// wholeIsMoreRecent reports whether lookup found a whole response that the query selects and that is more recent than
// the part, although it cannot answer the request because of its coding.
func (e *engine) wholeIsMoreRecent(q *query, prev *previous, part *match) bool {
	if prev.first == nil {
		return false
	}
	var fields selecting
	whole := e.view(prev.first)
	return fields.match(q, whole.vary, whole.coding, "") && e.moreRecent(prev.first, part.entry, prev.key, part.policy.Date)
}

// askRest requests the rest of a part.
func (e *engine) askRest(q *query, part *match) (reply, error) {
	return e.ask(e.outgoing(q, func(h http.Header) {
		h["Range"] = []string{"bytes=" + strconv.FormatInt(part.entry.Length, 10) + "-"}
		if tag := part.policy.StrongValidator(); tag != "" {
			h["If-Range"] = []string{tag}
		}
	}))
}

// judgePart removes the stored part if the reply shows that it is out of date, by the rules for a whole response.
// receivePartial and receiveHead handle a 206 and a response to HEAD. judgePart must be called before a recording of the
// response is made; otherwise the removal would make the recording outdated.
func (e *engine) judgePart(q *query, prev *previous, rep *reply) {
	if prev.part != nil && prev.part.refutedBy(rep.resp) {
		e.dropPart(q, prev, rep)
	}
}

// join turns the reply into the whole response: the stored part, followed by the rest in the reply.
func (e *engine) join(q *query, prev *previous, rep *reply, total int64, s *Status) (a answer) {
	part := prev.part
	prev.part = nil
	whole := *rep.resp
	whole.Trailer = nil // net/http adds the trailer to the other response, and it belongs to the rest
	header := part.updated(whole.Header, rep.received)
	delete(header, "Content-Range")
	dropDigests(header)
	header["Content-Length"] = []string{strconv.FormatInt(total, 10)}
	rules.CopySetCookie(header, whole.Header)
	whole.Status, whole.StatusCode = "200 OK", http.StatusOK
	whole.Header, whole.ContentLength = header, total
	body := &originBody{ReadCloser: sections.Join(part.take(), part.entry.Length, whole.Body, total-part.entry.Length)}
	if rest, ok := whole.Body.(*originBody); ok {
		body.context = rest.context
	}
	whole.Body = body
	rep.resp, rep.spareLine = &whole, nil

	var as assessment
	e.assess(&as, q, rep)
	if total > e.maxBody {
		as.refuse(rules.TooLong)
	}
	as.setStored(s, rep.received)
	key := ""
	if as.store.OK {
		r := e.newRecording(q, prev, rep, &as)
		r.entry.Header = rules.StoredHeader(header, &as.policy)
		r.entryKey, r.obsoleteKey = e.keyForVariant(prev, r.entry), part.key
		key = r.entryKey
		r.attachTo(rep.resp, total, s)
		a.shared = e.share(q, rep, r.entry, s.Stored)
	}
	e.setCoded(q, prev, rep, &a, key, s.Stored)
	return a
}

// receivePartial handles a 206 for the range that the caller requested. It stores the part. It combines it with the
// stored part if they have the same strong validator and are adjacent or overlap (RFC 9111, section 3.4). If nothing is
// missing any more, it stores the result as the whole response.
func (e *engine) receivePartial(q *query, prev *previous, m *match, rep *reply, s *Status) {
	resp := rep.resp
	whole := cmp.Or(m, prev.doubted)
	if whole != nil && whole.entry.Status == http.StatusOK && rules.StrongMatch(resp.Header.Get("Etag"), whole.policy.ETag) {
		e.freshen(q, prev, whole, rep, resp.Header) // the 206 is of the stored whole response
		s.Storage = rules.Validated
		return
	}
	var as assessment
	e.assess(&as, q, rep)
	cr, ok := contentRange(resp)
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

// storePart starts storing the part in the reply, combined with the stored part if possible.
func (e *engine) storePart(q *query, prev *previous, rep *reply, as *assessment, received span, s *Status) {
	r := e.newRecording(q, prev, rep, as)
	entry := r.entry
	entry.Header = rules.StoredHeader(rep.resp.Header, &as.policy)
	all := received
	if p := prev.part; p != nil && p.mayCombine(rep.resp.Header) {
		if union, ok := p.span().union(received); ok && union.length() <= e.maxBody {
			all = union
			e.combine(q, r, p, rep, received)
			prev.part = nil
		}
	}
	entry.Length = all.length()
	entry.Header["Content-Length"] = []string{strconv.FormatInt(entry.Length, 10)}
	dropDigests(entry.Header)
	if all.start == 0 && all.end == all.total {
		r.entryKey, r.obsoleteKey = e.keyForVariant(prev, entry), prev.key+partialSuffix
		entry.Status, entry.Reason = http.StatusOK, "OK"
		delete(entry.Header, "Content-Range")
	} else {
		r.entryKey = prev.key + partialSuffix
		entry.Header["Content-Range"] = []string{rules.ContentRange{First: all.start, Last: all.end - 1, Total: all.total}.String()}
		entry.Range = &storage.Range{Start: all.start, Total: all.total}
	}
	if !r.attachTo(rep.resp, received.length(), s) && r.release != nil {
		r.release()
	}
}

// combine makes a recording of a part contain the stored part, too. It takes the body of the stored part.
func (e *engine) combine(q *query, r *recording, part *match, rep *reply, received span) {
	entry, old := r.entry, part.span()
	entry.Header = part.updated(entry.Header, rep.received)
	e.resetVary(q, entry)
	if len(entry.Heuristic) == 0 {
		closeOnPanic(rep.resp, func() {
			entry.Heuristic = e.applyHeuristic(&http.Response{StatusCode: entry.Status, Header: entry.Header, Request: q.req})
		})
	}
	copier := &spanCopier{body: part.take()}
	r.before = func(w io.Writer) error { return copier.copy(w, 0, received.start-old.start) }
	r.after = func(w io.Writer) error { return copier.copy(w, received.end-old.start, old.end-old.start) }
	r.release = func() { copier.body.Close() }
}

// holdsRange reports whether the part answers a request for a range. d is the decision about the part.
func holdsRange(q *query, part *match, d decision) bool {
	return q.ranged && part.contains(q.byteRange) && part.policy.IfRange(q.header) && (!q.matching || q.meetsPreconditions(part, d))
}

// completable reports whether it is worth asking for the rest of a part. The part must be the beginning of the body,
// and have a strong validator, which shows whether the rest belongs to it. A part without any validator is completed
// while it is fresh. An origin without ranges sends the whole body in any case.
func completable(q *query, m *match, d decision) bool {
	return !q.isHead() && !q.ranged && !q.conditional && !q.matching && m.entry.Range.Start == 0 && m.entry.Length > 0 &&
		(m.policy.StrongValidator() != "" || !m.policy.HasValidator() && d.Action == rules.Serve)
}
