package cachecontrol

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/detachable"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// reply is a response from the origin, and when it was asked for.
type reply struct {
	resp            *http.Response
	asked, received time.Time
	epoch           uint64 // when the request was sent, in the count of invalidations
	order           uint64 // the same, in the count of commits

	rejectsCredentials bool     // it rejects credentials that Base has added to the request
	spareLine          []string // capacity for one more line of the header, for Cache-Status
	farMark            []string // the origin's XFromCache, if another cache reports a hit
}

// outgoingRequest is a copy of a request, its context, its Accept-Encoding line, and the body of its response, in one
// allocation.
type outgoingRequest struct {
	http.Request
	context sentContext
	codings [1]string
	answer  originBody
}

// copyRequest returns a copy of the request for Base, with its own context. If detaches is true, the context can
// outlive the caller's if needed.
func (e *engine) copyRequest(q *query, detaches bool) *outgoingRequest {
	out := new(outgoingRequest)
	out.context = sentContext{q.ctx, e.sending(q)}
	if detaches && e.detaches(q) {
		out.answer.context = detachable.New(&out.context)
	}
	if ctx := out.answer.context; ctx != nil {
		out.Request = *q.req.WithContext(ctx)
	} else {
		out.Request = *q.req.WithContext(&out.context)
	}
	return out
}

// detaches reports whether the request to the origin may have to outlive the caller's context, because the rest of the
// response body may be read in the background.
func (e *engine) detaches(q *query) bool {
	return e.drainBytes > 0 && !q.background && !hasBody(q.req) && !e.store.Closed()
}

// outgoing returns the request to send to the origin: a copy, to whose header add is applied if adds is true.
func (e *engine) outgoing(q *query, add func(http.Header), adds bool) *outgoingRequest {
	out := e.copyRequest(q, true)
	asksForCoding := q.negotiated && !q.isHead() // there is no body to compress; net/http does not ask either
	if !adds && !asksForCoding && !q.background {
		return out
	}
	room := 0 // exactly as needed: a map of more than eight fields takes 1.5 times as long to make
	if asksForCoding {
		room++ // for Accept-Encoding
	}
	if adds {
		room += 2 // for two conditions
	}
	out.Header = rules.CopyHeader(q.req.Header, room, func(string) bool { return false })
	if asksForCoding {
		out.codings[0] = q.acceptEncoding()
		out.Header["Accept-Encoding"] = out.codings[:]
	}
	add(out.Header)
	return out
}

// ask sends a request to the origin.
func (e *engine) ask(out *outgoingRequest) (reply, error) {
	rep := reply{epoch: e.invalidations.Now(), order: e.commits.Next(), asked: time.Now()}
	resp, err := e.send(out)
	rep.resp, rep.received = resp, time.Now()
	return rep, err
}

// adoptHeader replaces the header of the response with a copy that the cache may change, because Base may keep the
// original. The response itself is not copied, because net/http adds the trailer to it.
func (rep *reply) adoptHeader(q *query) {
	resp := rep.resp
	rep.rejectsCredentials = rejectsCredentials(q.header, resp)
	if mark := resp.Header[XFromCache]; mark != nil && saysHit(resp.Header["Cache-Status"]) {
		rep.farMark = slices.Clone(mark)
	}
	// XFromCache is not stored. setCacheStatus restores it after the response has been stored.
	resp.Header, rep.spareLine = rules.CopyHeaderWithout(framedHeader(resp), XFromCache)
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	resp.Request = q.req
}

// setCacheStatus adds the Cache-Status to a response from the origin.
func (e *engine) setCacheStatus(rep *reply, s Status) {
	h := rep.resp.Header
	lines := h["Cache-Status"] // from caches nearer to the origin
	if lines == nil {
		lines = rep.spareLine[:0]
	}
	h["Cache-Status"] = append(lines, e.statusHeader(s))
	if rep.farMark != nil {
		h[XFromCache] = rep.farMark
	}
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

// framedLength returns the length of the body according to the framing of the message, or -1 if it is not known.
func framedLength(resp *http.Response) int64 {
	n := resp.ContentLength
	if _, ok := resp.Body.(*originBody); ok && n == 0 && resp.StatusCode != http.StatusNoContent {
		n = -1 // as in http.Response.Write, 0 may mean unknown in a response that a program made
	}
	if n < 0 && !resp.Uncompressed {
		if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			return n // the field is the only source
		}
	}
	return max(n, -1)
}

// canceledByOther reports whether a validation has failed because another request was canceled. http.Transport gives
// the connection to the next request just before it returns a response without a body. If that first request is then
// canceled at once, both fail. Without the cache the response would have had a body.
func (q *query) canceledByOther(err error) bool {
	return errors.Is(err, context.Canceled) && q.ctx.Err() == nil && rules.IsSafe(q.req.Method)
}

// withNewBody returns a query whose request can be sent once more. It has a new body, because the first request has used
// up the old one.
func (q *query) withNewBody() (query, error) {
	again := *q
	if !hasBody(q.req) {
		return again, nil
	}
	body, err := q.req.GetBody()
	again.req = q.req.WithContext(q.ctx)
	again.req.Body = body
	return again, err
}

// closeResponse closes the body of a response that is not returned, without reading it.
func closeResponse(resp *http.Response) {
	if resp.Body != nil {
		resp.Body.Close()
	}
}

// maxSkipped is the longest body that discard reads.
const maxSkipped = 64 << 10

// discard closes the body of a response that is not returned to the caller. A short body is first read to its end in the
// background, so that the connection can be used again. The caller waits only briefly, because an origin that fails may also be
// slow.
func (e *engine) discard(q *query, resp *http.Response) {
	b, ok := resp.Body.(*originBody)
	switch {
	case !ok || resp.ContentLength > maxSkipped:
		closeResponse(resp)
	case q.background: // already
		b.skip(maxSkipped)
		b.end()
	case !b.context.Detach() || !b.drain(q.ctx, e, "", func() { b.skip(maxSkipped) }):
		b.end()
	}
}
