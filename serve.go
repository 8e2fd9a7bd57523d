package cachecontrol

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// serve answers with a stored response. If s has no Forward, it is a hit.
func (e *engine) serve(q *query, m *match, r rules.Reuse, s Status) answer {
	closeBody(q.req)
	if s.Reason, s.TTL = Reason(r.Reason), floorSeconds(r.TTL); s.Collapsed && !s.stale() {
		s.Reason = rules.Collapsed
	}
	resp := e.replay(q, m, r, &s)
	length := e.chooseBody(q, m, resp)
	if resp.Body == http.NoBody || m.key == "" {
		length = 0
	}
	if s.Collapsed {
		e.counters.collapsed.Add(1)
	}
	e.logAnswer(q, resp)
	return answer{resp: resp, outcome: s.outcome(m.key != "", s.Forward == ""), fromCache: length}
}

// chooseBody sets the body of resp to what the query asks for: the stored body, decoded if necessary, a range of it, or
// none. It returns the number of stored bytes in it.
func (e *engine) chooseBody(q *query, m *match, resp *http.Response) int64 {
	length := m.length
	isOK := m.policy.Status == http.StatusOK
	if m.becomesWhole(q, resp) {
		length = resp.ContentLength
	}
	switch {
	case q.conditional && (isOK || m.parts != nil) && m.policy.NotModified(q.header, time.Now()):
		m.close()
		notModified(resp)
	case q.isHead():
		m.close()
		m.withoutBody(q, resp)
	case m.parts != nil && q.ranged:
		m.slice(q, resp, m.parts.held.start, m.parts.list.Total)
		return resp.ContentLength
	case q.ranged && isOK && length != 0 && m.policy.IfRange(q.header):
		// Any range of an empty body is all of it, and it has no valid Content-Range (RFC 9110, section 14.1.2).
		m.slice(q, resp, 0, length)
		return resp.ContentLength
	case q.negotiated && m.coding.NeedsDecoding():
		e.serveDecoded(q, m, resp)
	default:
		resp.Body = m.take()
	}
	return length
}

// protoNames are the protocol names by major version of HTTP.
var protoNames = [10]string{2: "HTTP/2.0", 3: "HTTP/3.0", 4: "HTTP/4.0", 5: "HTTP/5.0", 6: "HTTP/6.0", 7: "HTTP/7.0", 8: "HTTP/8.0", 9: "HTTP/9.0"}

// replay returns a response with the stored header and status, and with a Cache-Status.
func (e *engine) replay(q *query, m *match, r rules.Reuse, s *Status) *http.Response {
	resp, room := m.newResponse()
	resp.Status, resp.StatusCode = m.status, m.policy.Status
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/1.1", 1, 1
	resp.ContentLength, resp.Request = m.length, q.req
	if m.http10 {
		resp.Proto, resp.ProtoMinor = "HTTP/1.0", 0
	}
	if v := m.major; v > 1 {
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = protoNames[v], int(v), 0
	}
	if m.trailer != nil {
		resp.Trailer = m.hitTrailer(m.trailer, r.Reason == rules.Validated)
	}
	hit := e.hitFieldsFor(r)
	text := hit.status
	if s.Forward != "" {
		s.HasTTL = m.policy.Lifetime > 0
		text = e.statusHeader(*s)
	}
	resp.Header = m.newHeader(room, hit.age, withKey(text, m.nameFor(q)))
	if m.key == "" {
		delete(resp.Header, XFromCache) // it comes from the origin
	}
	if r.Reason == rules.Validated {
		// The fields that no-cache names may be used again, because the origin has just confirmed the response.
		for _, name := range m.policy.Directives.NoCacheFields {
			if lines := m.stored().Header[name]; lines != nil && name != "Cache-Status" {
				resp.Header[name] = slices.Clone(lines)
			}
		}
	}
	return resp
}

// serveDecoded sets the body of resp to the decoded stored body.
func (e *engine) serveDecoded(q *query, m *match, resp *http.Response) {
	body := m.take()
	if m.decoded != nil {
		body.Close()
		contentcoding.RemoveFields(resp)
		resp.Body = bytesbody.New(m.decoded)
		return
	}
	switch {
	case m.key == "":
		m.coding.Decode(resp, body, nil, m.damaged)
		return
	case m.parts != nil:
		m.coding.Decode(resp, body, nil, e.removeDamaged(q.ctx, m.key))
		return
	}
	m.coding.Decode(resp, body, e.store.DecodedKeeper(m.key, m.stored()), e.removeDamaged(q.ctx, m.key))
}

// removeDamaged returns a function that removes the entry under key because its body cannot be decoded, so that the next
// request gets another response.
func (e *engine) removeDamaged(ctx context.Context, key string) func(error) {
	return func(err error) {
		e.store.Unreadable(ctx, key, err)
		e.remove(ctx, plainOf(key), key)
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
