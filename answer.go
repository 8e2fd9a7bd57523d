package cachecontrol

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// answer is a response for the caller, with what is counted about it.
type answer struct {
	resp      *http.Response
	outcome   Outcome
	fromCache int64 // length of the stored body in resp

	// Of a response from the origin:
	coding  contentcoding.Coding // its body is still to be decoded for the caller if it needs that
	damaged func(error)          // called with the error if the body cannot be decoded; may be nil
	shared  *sharable            // what other requests need to use the response; nil if they may not
}

// readToEnd reads a response of the origin that no caller wants to its end, so that it is stored. It returns the error of
// the body.
func (a *answer) readToEnd() error {
	defer a.resp.Body.Close()
	if FromCache(a.resp) {
		return nil
	}
	_, err := io.Copy(io.Discard, a.resp.Body)
	return err
}

// sharable is what other requests need to use a response that is still being received.
type sharable struct {
	entry   *storage.Entry // as if the response were stored by now
	view    *entryView
	stored  bool     // the response is being stored
	failure bool     // it is a failure of the origin, which may answer requests that wait for it even if it is not stored
	farMark []string // as in reply
	notice  notice   // likewise
}

// decode decodes the body of the response for the caller, if needed.
func (a *answer) decode() {
	if a.coding.NeedsDecoding() {
		a.coding.Decode(a.resp, a.resp.Body, nil, a.damaged)
	}
}

// newSharable returns what other requests need to use a response from the origin, if it may be shared with them.
func (e *engine) newSharable(q *query, rep *reply, entry *storage.Entry, stored bool) *sharable {
	if q.flightKey == "" {
		return nil
	}
	entry = entry.Clone() // it changes until it is committed
	entry.Trailer = rep.resp.Trailer.Clone()
	return &sharable{entry: entry, view: e.newView(entry), stored: stored, farMark: slices.Clone(rep.farMark), notice: rep.notice}
}

// setCoded makes the caller get the body of a whole response decoded if it left the coding to the Transport. key is the
// key under which the response is being stored, if it is.
func (e *engine) setCoded(q *query, prev *previous, rep *reply, a *answer, key string) {
	if q.negotiated {
		a.coding = e.codings.Parse(rep.resp.Header["Content-Encoding"])
	}
	if b, ok := rep.resp.Body.(*originBody); ok && a.coding.NeedsDecoding() {
		a.damaged = b.forgetFunc(q.ctx, e, prev.key, key)
	}
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
			"Cache-Status":   {withKey(s.header(), q.named)},
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
	e.setCacheStatus(q, rep, s)
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

// setCacheStatus adds the Cache-Status to a response from the origin.
func (e *engine) setCacheStatus(q *query, rep *reply, s Status) {
	h := rep.resp.Header
	lines := h["Cache-Status"] // from caches nearer to the origin
	if lines == nil {
		lines = rep.spareLine[:0]
	}
	h["Cache-Status"] = append(lines, withKey(e.statusHeader(s), cmp.Or(rep.named, q.named)))
	if rep.farMark != nil {
		h[XFromCache] = rep.farMark
	}
}

// maxShownKey is the length of the longest key in Cache-Status. Programs limit the length of a header.
const maxShownKey = 1 << 10

// withKey adds the URL of a plain key to a member of Cache-Status (RFC 9211, section 2.7), if there is a key.
func withKey(member, plain string) string {
	if plain == "" {
		return member
	}
	text := urlOfKey(plain)
	if len(text) > maxShownKey {
		return member
	}
	var b strings.Builder
	b.Grow(len(member) + len(`;key=""`) + len(text))
	b.WriteString(member)
	b.WriteString(`;key="`)
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// logAnswer logs a caching decision.
func (e *engine) logAnswer(q *query, resp *http.Response) {
	if e.logger == nil || !e.logger.Enabled(q.ctx, slog.LevelDebug) {
		return
	}
	s := StatusOf(resp)
	args := []any{
		"method", q.req.Method, "url", requestURL(q.req), "outcome", s.Outcome.String(),
		"reason", string(s.Reason), "why", s.Reason.Description(), "section", s.Reason.Reference(),
		"status", resp.StatusCode, "stored", s.Stored, "storage", string(s.Storage), "ttl", s.TTL,
	}
	if s.Key != "" {
		args = append(args, "key", s.Key)
	}
	e.logger.DebugContext(q.ctx, "cachecontrol", args...)
}
