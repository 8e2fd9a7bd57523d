package cachecontrol

import (
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/detachable"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// outgoingRequest is a copy of a request, its context, its Accept-Encoding line, and the body of its response, in one
// allocation.
type outgoingRequest struct {
	http.Request
	context sentContext
	codings [1]string
	body    originBody // of its response
}

// copyRequest returns a copy of the request for Base, with its own context. If detaches is true, the context can outlive
// the caller's if needed.
func (e *engine) copyRequest(q *query, detaches bool) *outgoingRequest {
	out := new(outgoingRequest)
	out.context = sentContext{q.ctx, e.sending(q)}
	if detaches && e.detaches(q) {
		out.body.context = detachable.New(&out.context)
	}
	if ctx := out.body.context; ctx != nil {
		out.Request = *q.req.WithContext(ctx)
	} else {
		out.Request = *q.req.WithContext(&out.context)
	}
	return out
}

// detaches reports whether the request to the origin may have to outlive the caller's context, because the rest of the
// response body may be read in the background.
func (e *engine) detaches(q *query) bool {
	return e.drainBytes > 0 && !q.background && (q.digest != "" || !hasBody(q.req)) && !e.store.Closed()
}

// outgoing returns the request to send to the origin: a copy, to whose header addFields is applied if it is not nil.
func (e *engine) outgoing(q *query, addFields func(http.Header)) *outgoingRequest {
	out := e.copyRequest(q, true)
	asksForCoding := q.negotiated && !q.isHead() // there is no body to compress; net/http does not ask either
	asksForDigest := e.wantReprDigest && q.header["Want-Repr-Digest"] == nil
	if addFields == nil && !asksForCoding && !asksForDigest && !q.background {
		return out
	}
	room := 0 // exactly as needed: a map of more than eight fields takes 1.5 times as long to make
	if asksForCoding {
		room++ // for Accept-Encoding
	}
	if asksForDigest {
		room++
	}
	if addFields != nil {
		room += 2 // for two conditions
	}
	out.Header = rules.CopyHeader(q.req.Header, room, func(string) bool { return false })
	if asksForCoding {
		out.codings[0] = q.acceptEncoding()
		out.Header["Accept-Encoding"] = out.codings[:]
	}
	if asksForDigest {
		out.Header["Want-Repr-Digest"] = []string{"sha-256=1"}
	}
	if addFields != nil {
		addFields(out.Header)
	}
	return out
}

// askOrigin sends the request to the origin. If validates is true, it validates m.
func (e *engine) askOrigin(q *query, m *match, validates bool) (reply, error) {
	if !validates {
		return e.ask(e.outgoing(q, nil))
	}
	return e.ask(e.outgoing(q, m.policy.SetPreconditions))
}

// ask sends a request to the origin whose response may be stored.
func (e *engine) ask(out *outgoingRequest) (reply, error) {
	mark := e.marks.Now(&out.context)
	rep, err := e.askOnly(out)
	rep.mark = mark
	return rep, err
}

// askOnly sends a request to the origin whose response is not stored.
func (e *engine) askOnly(out *outgoingRequest) (reply, error) {
	rep := reply{epoch: e.invalidations.Now(), order: e.commits.Next(), asked: time.Now()}
	resp, err := e.send(out, rep.asked)
	rep.resp, rep.received = resp, time.Now()
	out.context.sending.trace.asked(rep.received.Sub(rep.asked))
	return rep, err
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
		b.shut()
	case !b.context.Detach() || !b.drain(q.ctx, e, "", func() { b.skip(maxSkipped) }):
		b.shut()
	}
}

// send makes a request through Base, and makes the body of the response count what is read.
func (e *engine) send(out *outgoingRequest, asked time.Time) (*http.Response, error) {
	c, req, body := &e.counters, &out.Request, &out.body
	c.sent.Add(1)
	if err := e.checkLoop(out); err != nil {
		closeBody(req)
		body.context.Release()
		return nil, err
	}
	resp, err := e.exchange(req, asked)
	if err != nil || resp.Body == nil || resp.Body == http.NoBody {
		body.context.Release()
	}
	if err != nil {
		return resp, err
	}
	// The body of a 101 is an io.ReadWriteCloser.
	if resp.Body != nil && resp.Body != http.NoBody && resp.StatusCode != http.StatusSwitchingProtocols {
		body.ReadCloser, body.counter = e.resuming(req, resp), &c.fromOrigin
		resp.Body = body
	}
	return resp, nil
}

// checkLoop returns an error if Base leads back to the Transport.
func (e *engine) checkLoop(out *outgoingRequest) error {
	switch {
	case out.context.sending.depth > maxDepth:
		return errNested
	case loops(e.base(), out.Request.URL):
		return errLoop
	}
	return nil
}
