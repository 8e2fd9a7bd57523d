package cachecontrol

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/sections"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// answer is a response for the caller, with what is counted about it.
type answer struct {
	resp      *http.Response
	outcome   Outcome
	fromCache int64 // length of the stored body in resp

	// Of a response from the origin:
	coded   bool        // its body is still to be decoded for the caller
	damaged func(error) // called with the error if the body cannot be decoded; may be nil
	shared  *sharable   // what other requests need to use the response; nil if they may not
}

// memoryResponse is a response and its body in one allocation.
type memoryResponse struct {
	http.Response
	body bytesbody.Body
}

// newResponse returns an empty response.
func (m *match) newResponse() *http.Response {
	if memory := m.memory; memory != nil {
		m.memory = nil
		return &memory.Response
	}
	return new(http.Response)
}

// serve answers with a stored response. If s has no Forward, it is a hit.
func (e *engine) serve(q *query, m *match, r rules.Reuse, s Status) answer {
	closeBody(q.req)
	if s.Reason, s.TTL = Reason(r.Reason), floorSeconds(r.TTL); s.Collapsed {
		s.Reason = rules.Collapsed
	}
	resp := e.replay(q, m, r, s)
	length := m.entry.Length
	part := m.entry.Range // of a stored part, which holds the range that is asked for
	switch {
	case q.conditional && (m.entry.Status == http.StatusOK || part != nil) && m.policy.NotModified(q.header, time.Now()):
		m.close()
		notModified(resp)
	case q.isHead():
		m.close()
		m.withoutBody(q, resp)
	case part != nil:
		m.slice(q, resp, part.Start, part.Total)
		length = resp.ContentLength
	case q.ranged && m.entry.Status == http.StatusOK && length != 0 && m.policy.IfRange(q.header):
		// Any range of an empty body is all of it, and it has no valid Content-Range (RFC 9110, section 14.1.2).
		m.slice(q, resp, 0, m.entry.Length)
		length = resp.ContentLength
	case q.negotiated && m.coding.NeedsDecoding():
		e.serveDecoded(q, m, resp)
	default:
		resp.Body = m.take()
	}
	if resp.Body == http.NoBody || m.key == "" {
		length = 0
	}
	if s.Collapsed {
		e.counters.collapsed.Add(1)
	}
	e.logAnswer(q, resp)
	return answer{resp: resp, outcome: s.outcome(m.key != "", s.Forward == ""), fromCache: length}
}

// protoNames are the protocol names by major version of HTTP.
var protoNames = [10]string{2: "HTTP/2.0", 3: "HTTP/3.0", 4: "HTTP/4.0", 5: "HTTP/5.0", 6: "HTTP/6.0", 7: "HTTP/7.0", 8: "HTTP/8.0", 9: "HTTP/9.0"}

// replay returns a response with the stored header and status, and with a Cache-Status.
func (e *engine) replay(q *query, m *match, r rules.Reuse, s Status) *http.Response {
	resp := m.newResponse()
	resp.Status, resp.StatusCode = m.status, m.entry.Status
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/1.1", 1, 1
	resp.ContentLength, resp.Request = m.entry.Length, q.req
	if m.entry.Version == 10 {
		resp.Proto, resp.ProtoMinor = "HTTP/1.0", 0
	}
	if v := m.entry.HTTP; v > 1 {
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = protoNames[min(v, 9)], v, 0
	}
	if m.entry.Trailer != nil {
		resp.Trailer = m.trailer(m.entry.Trailer, r.Reason == rules.Validated)
	}
	hit := e.hitFieldsFor(r)
	text := hit.status
	if s.Forward != "" {
		s.HasTTL = m.policy.Lifetime > 0
		text = e.statusHeader(s)
	}
	resp.Header = m.newHeader(hit.age, text)
	if m.key == "" {
		delete(resp.Header, XFromCache) // it comes from the origin
	}
	if r.Reason == rules.Validated {
		// The fields that no-cache names may be used again, because the origin has just confirmed the response.
		for _, name := range m.policy.Directives.NoCacheFields {
			if lines := m.entry.Header[name]; lines != nil && name != "Age" && name != "Cache-Status" {
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
	if m.key == "" {
		m.coding.Decode(resp, body, nil, m.damaged)
		return
	}
	m.coding.Decode(resp, body, e.store.DecodedKeeper(m.key, m.entry), e.removeDamaged(q.ctx, m.key))
}

// removeDamaged returns a function that removes the entry under key because its body cannot be decoded, so that the next
// request gets another response.
func (e *engine) removeDamaged(ctx context.Context, key string) func(error) {
	return func(err error) {
		e.store.GetFailed(context.WithoutCancel(ctx), key, &storage.UnreadableError{Key: key, Err: err})
		e.remove(ctx, withoutVariant(key), key)
	}
}

// withoutBody turns resp into a response to HEAD.
func (m *match) withoutBody(q *query, resp *http.Response) {
	resp.Body, resp.Trailer = http.NoBody, nil
	if q.negotiated && m.coding.NeedsDecoding() {
		contentcoding.RemoveFields(resp)
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

// refuse returns a 504 for only-if-cached if no stored response may be used (RFC 9111, section 5.2.1.7).
func (e *engine) refuse(q *query) answer {
	closeBody(q.req)
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
		Body: bytesbody.New([]byte(text)), ContentLength: int64(len(text)), Request: q.req,
	}
	if q.isHead() {
		resp.Body = http.NoBody
	}
	e.logAnswer(q, resp)
	return answer{resp: resp, outcome: refused}
}

// respond answers with a response from the origin.
func (e *engine) respond(q *query, rep *reply, s Status, a answer) answer {
	e.setCacheStatus(rep, s)
	switch s.Storage {
	case rules.ReasonNone, rules.Validated, rules.ValidatedByHead:
	default:
		if !s.Stored {
			e.counters.notStored.add(s.Storage)
		}
	}
	e.logAnswer(q, rep.resp)
	a.resp, a.outcome = rep.resp, s.outcome(false, false)
	return a
}

// logAnswer logs a caching decision.
func (e *engine) logAnswer(q *query, resp *http.Response) {
	if e.logger == nil || !e.logger.Enabled(q.ctx, slog.LevelDebug) {
		return
	}
	s := StatusOf(resp)
	e.logger.DebugContext(q.ctx, "cachecontrol", "method", q.req.Method, "url", requestURL(q.req), "outcome", s.Outcome.String(),
		"reason", string(s.Reason), "why", s.Reason.Description(), "section", s.Reason.Reference(),
		"status", resp.StatusCode, "stored", s.Stored, "storage", string(s.Storage), "ttl", s.TTL)
}
