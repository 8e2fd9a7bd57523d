package cachetest

import "net/http"

// start returns a redaction that also replaces known secrets.
func (r *redactor) start(known *scrubber) *redaction {
	x := &redaction{redactor: r, secrets: secrets{}, known: known}
	x.once = x.anySyntax
	return x
}

// anySyntax redacts a decoded text of any syntax. The depth is the number of texts that it was nested in.
func (r *redaction) anySyntax(s string, depth int) string {
	if r.work -= len(s); depth > maxDepth || r.work < 0 {
		return r.literals(s)
	}
	if depth == 0 {
		// A match may include several values, so it is replaced before the text is split.
		s = r.userPatterns(r.stable(s))
	}
	if out, ok := r.json(s, false, depth); ok {
		return out
	}
	s = r.values(r.userPatterns(r.literals(s)))
	if out, ok := r.markup(s, depth); ok {
		s = out
	} else {
		s = r.flat(s, depth)
	}
	if r.known != nil {
		s = r.known.coded.Replace(s)
	}
	return s
}

// request redacts a request.
func (r *redaction) request(q *request) *request {
	out := *q
	out.url = r.address(q.url)
	out.header, out.body = r.headerAndBody(q.header, q.body, q.gzip)
	return &out
}

// response redacts a response.
func (r *redaction) response(x *response) *response {
	out := *x
	out.status = r.text(x.status)
	out.header, out.body = r.headerAndBody(x.header, x.body, x.gzip)
	if x.trailer != nil {
		out.trailer = r.header(x.trailer)
	}
	return &out
}

// headerAndBody redacts a header and a body. decoded is whether the body's gzip was undone.
func (r *redaction) headerAndBody(h http.Header, body []byte, decoded bool) (http.Header, []byte) {
	coding := h.Get("Content-Encoding")
	if decoded {
		coding = ""
	}
	return r.header(h), r.body(body, h.Get("Content-Type"), coding)
}

// interaction redacts an exchange.
func (r *redaction) interaction(x *interaction) *interaction {
	out := *x
	out.req = r.request(x.req)
	if x.resp != nil {
		out.resp = r.response(x.resp)
	}
	if x.fail != nil {
		out.fail = &failure{kind: x.fail.kind, text: r.text(x.fail.text)}
	}
	return &out
}
