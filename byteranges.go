package cachecontrol

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/sections"
)

// A request for several ranges is answered from what is stored, as http.ServeContent answers it: with a multipart/byteranges response
// (RFC 9110, section 15.3.7.2), with its parts in the order of the request. Ranges that are not satisfiable are left out, and one
// that remains alone is answered as if only it were requested. If the ranges have more bytes together than the representation, the
// answer is the whole.

// servesRanges reports whether a match can answer a query for several ranges. d is the decision about it.
func (q *query) servesRanges(m *match, d decision) bool {
	return d.Action == rules.Serve && !d.rejected && !q.matching && (m.policy.Status == http.StatusOK || m.parts != nil) &&
		m.policy.IfRange(q.header) && (m.coding.IsIdentity() || q.header["Accept-Encoding"] != nil)
}

// serveRanges answers a query for several ranges. It reports false if not all of their bytes are stored.
func (e *engine) serveRanges(q *query, m *match, r rules.Reuse) (a answer, ok bool) {
	s := Status{Reason: Reason(r.Reason), TTL: floorSeconds(r.TTL)}
	resp := e.replay(q, m, r, &s)
	resp.Trailer = nil
	total := m.length
	if m.parts != nil {
		total = m.parts.list.Total
	}
	if q.conditional && m.policy.NotModified(q.header, time.Now()) {
		m.close()
		notModified(resp)
	} else if !e.chooseRanges(q, m, resp, total) {
		return a, false
	}
	e.logAnswer(q, resp)
	return answer{resp: resp, outcome: s.outcome(true, true), fromCache: resp.ContentLength}, true
}

// chooseRanges sets the body of resp to the ranges of a representation of total bytes. It reports whether all of their bytes are
// stored.
func (e *engine) chooseRanges(q *query, m *match, resp *http.Response, total int64) bool {
	spans, all := q.satisfiable(total)
	if total < 0 || len(spans) > 1 && !all {
		return total >= 0 && e.multipart(q, m, resp, spans)
	}
	one := *q
	if one.ranged = !all; len(spans) == 1 {
		one.byteRange = rules.ByteRange{First: spans[0].start, Last: spans[0].end - 1}
	} else {
		one.byteRange = rules.ByteRange{First: total, Last: -1} // not satisfiable either
	}
	start := int64(0)
	if m.parts != nil {
		if wanted, ok := m.wanted(&one); ok && !e.openParts(q.ctx, m, wanted) {
			return false
		}
		start = m.parts.held.start
	}
	if one.ranged {
		m.slice(&one, resp, start, total)
		return true
	}
	m.becomesWhole(&one, resp)
	resp.Body = m.take()
	return true
}

// satisfiable returns the satisfiable ranges of a representation of total bytes. all is true if the whole is to be sent, because it is
// empty, or because the ranges together have more bytes.
func (q *query) satisfiable(total int64) (spans []span, all bool) {
	sum := int64(0)
	for _, r := range q.ranges {
		if start, end, ok := r.Within(total); ok {
			if spans = append(spans, span{start, end, total}); end-start > total-sum {
				return spans, true
			}
			sum += end - start
		}
	}
	return spans, total == 0
}

// multipart turns resp into a 206 with these parts of the representation. It reports whether all of their bytes are stored, and can
// be read in this order.
func (e *engine) multipart(q *query, m *match, resp *http.Response, spans []span) bool {
	content := e.contentOf(q.ctx, m)
	if content == nil {
		return false
	}
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	var all []sections.Section
	length := int64(0)
	addText := func() {
		b := bytes.Clone(text.Bytes())
		text.Reset()
		all = append(all, sections.Section{Body: bytesbody.New(b), Length: int64(len(b))})
		length += int64(len(b))
	}
	for _, s := range spans {
		header := textproto.MIMEHeader{"Content-Range": {rules.ContentRange{First: s.start, Last: s.end - 1, Total: s.total}.String()}}
		if kind := resp.Header["Content-Type"]; kind != nil {
			header["Content-Type"] = kind
		}
		w.CreatePart(header) // writing to a Buffer does not fail
		addText()
		part, ok := content(s.start, s.end)
		if !ok {
			closeSections(all)
			return false
		}
		all = append(all, part...)
		length += s.length()
	}
	w.Close()
	addText()
	dropDigests(resp.Header)
	resp.Status, resp.StatusCode = "206 Partial Content", http.StatusPartialContent
	resp.Header["Content-Type"] = []string{"multipart/byteranges; boundary=" + w.Boundary()}
	resp.Header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	resp.ContentLength = length
	joined := sections.Join(all)
	resp.Body = joined
	if body := m.take(); body != nil {
		resp.Body = &closingBody{joined, body}
	}
	return true
}

// contentOf returns a function that returns the bytes of a match from start to end, and reports whether they are stored. It returns
// nil if they could be read only in order.
func (e *engine) contentOf(ctx context.Context, m *match) func(start, end int64) ([]sections.Section, bool) {
	if m.parts != nil {
		return func(start, end int64) ([]sections.Section, bool) { return e.sectionsOf(ctx, m, start, end, false) }
	}
	body := m.body
	seeker, ok := body.(io.Seeker)
	if !ok {
		return nil
	}
	return func(start, end int64) ([]sections.Section, bool) {
		return []sections.Section{{Length: end - start, Open: func() (io.ReadCloser, error) {
			_, err := seeker.Seek(start, io.SeekStart)
			return io.NopCloser(body), err
		}}}, true
	}
}

// closingBody is a body that also closes the one that its bytes come from.
type closingBody struct {
	*sections.Body
	from io.Closer
}

func (b *closingBody) Close() error {
	b.Body.Close()
	return b.from.Close()
}
