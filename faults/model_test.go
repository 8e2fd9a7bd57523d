package main

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The model: what the origin knows of every answer that it gave, and what RFC 9111 forbids a cache to make of them. It
// is written from the RFC, and uses nothing of package rfc9111. Where the RFC leaves a choice, every choice passes.

// longest is the age and the lifetime at which counting may stop (RFC 9111, section 1.2.2).
const longest = (1 << 31) * time.Second

// absent is a time that no directive gives.
const absent = time.Duration(-1)

// meaning is what a Cache-Control field means, by construction: nothing in the model parses one.
type meaning struct {
	noStore, noCache, private, public       bool
	mustRevalidate, proxyRevalidate         bool
	mustUnderstand, immutable               bool
	maxAge, sMaxAge, whileRevalidate, error time.Duration // the longest that any reading could allow; absent: not there
	privateFields, noCacheFields            []string
}

func noMeaning() *meaning {
	return &meaning{maxAge: absent, sMaxAge: absent, whileRevalidate: absent, error: absent}
}

// wish is what the Cache-Control of a request means.
type wish struct {
	noStore, noCache, onlyIfCached    bool
	maxAge, maxStale, minFresh, error time.Duration
}

func noWish() wish { return wish{maxAge: absent, maxStale: absent, minFresh: absent, error: absent} }

// representation is one body that the origin has made. No two have the same bytes.
type representation struct {
	id             int
	plain, wire    []byte // wire: as it is coded, if it is
	coded          bool
	etag, modified string
}

// exchange is one request that came to the origin, and its answer.
type exchange struct {
	id                      int
	cache                   *cache
	method, url             string
	utm                     string // of the URL that was asked for, if No-Vary-Search makes that one of many of the target
	request                 http.Header
	wish                    wish
	sentAt, receivedAt      time.Time
	sentSeq, receivedSeq    int // the order of all events
	doneSeq                 int // when its body was read; 0 if that is not known
	fromSeq, toSeq          int // when the call that asked began, and when RoundTrip returned; 0 if that is not known
	background              bool
	failed                  bool // no answer but an error
	status                  int
	head                    http.Header
	means                   *meaning // of the head; nil: it has no Cache-Control
	repr                    *representation
	content                 []byte // the body, were it sent whole
	cut                     bool   // it was not
	wrongDigest             bool   // its Repr-Digest is not that of the body
	contentLocationIsTarget bool
}

func (e *exchange) answered() bool { return e.receivedSeq > 0 && !e.failed }

// isFailure reports whether the cache may remember the exchange as a failure of the origin. In the background that includes a body
// that breaks off.
func (e *exchange) isFailure() bool {
	return e.failed || e.status >= 500 || e.status == 429 || e.background && e.cut
}

// call is one request of a client, and what came of it.
type call struct {
	cache            *cache
	method, url      string   // url: the target
	utm              string   // as in exchange
	spelling         spelling // how it is written; zero: as the target is
	header           http.Header
	wish             wish
	startAt, endAt   time.Time // until RoundTrip returned
	startSeq, endSeq int
	asked            []*exchange // in the foreground
	canceled         bool

	resp    *http.Response
	header0 http.Header // of the response, as it was when RoundTrip returned
	err     error
	body    []byte
	bodyErr error
	whole   bool // the body was read to its end
	quick   bool // the origin answers at once
}

// invalidation is a successful unsafe request, or a call of Transport.Invalidate.
type invalidation struct {
	cache           *cache
	url             string
	atSeq, knownSeq int // when the origin answered, and when the client knew
}

// judge returns what is wrong with the answer to a call.
func (w *world) judge(c *call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.err == nil && c.resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && c.header0.Get("X-From-Cache") == "1" {
		return w.judgeUnsatisfiable(c)
	}
	if err := w.judgeKept(c); err != nil {
		return err
	}
	if c.err == nil && c.resp.StatusCode == http.StatusPartialContent && c.header0.Get("X-From-Cache") == "1" && strings.Contains(c.header.Get("Range"), ",") {
		return w.judgeRanges(c)
	}
	return w.judgeAnswer(c)
}

// judgeRanges looks at an answer to a request for several ranges, from the cache. Each of its parts has to be right as the answer to a
// request for that range alone.
func (w *world) judgeRanges(c *call) error {
	repr := w.reprNamed(c.header0)
	if repr == nil {
		return fmt.Errorf("ranges of nothing that was stored: %v", c.header0)
	}
	var ranges []string
	for one := range strings.SplitSeq(strings.TrimPrefix(c.header.Get("Range"), "bytes="), ",") {
		if _, _, ok := wanted("bytes="+one, len(repr.wire)); ok {
			ranges = append(ranges, "bytes="+one)
		}
	}
	d := *c
	if len(ranges) == 1 {
		d.header = c.header.Clone()
		d.header["Range"] = ranges
		return w.judgeAnswer(&d)
	}
	kind, params, err := mime.ParseMediaType(c.header0.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		return fmt.Errorf("Content-Type %q for several ranges", c.header0["Content-Type"])
	}
	if c.bodyErr != nil || !c.whole {
		return nil
	}
	if n := c.resp.ContentLength; n != int64(len(c.body)) {
		return fmt.Errorf("length %d for %d bytes of ranges", n, len(c.body))
	}
	parts := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	for _, one := range ranges {
		part, err := parts.NextRawPart()
		if err != nil {
			return fmt.Errorf("the part for %s: %w", one, err)
		}
		d.body, _ = io.ReadAll(part)
		d.header, d.header0 = c.header.Clone(), c.header0.Clone()
		d.header["Range"] = []string{one}
		delete(d.header0, "Content-Type")
		for name, lines := range part.Header {
			d.header0[name] = lines
		}
		resp := *c.resp
		resp.ContentLength = int64(len(d.body))
		d.resp = &resp
		if err := w.judgeAnswer(&d); err != nil {
			return fmt.Errorf("the part for %s: %w", one, err)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		return fmt.Errorf("more parts than ranges: %v", err)
	}
	return nil
}

// judgeUnsatisfiable looks at a 416 of the cache's. It says nothing of the stored response's freshness, tag or type; with what some
// answer for the URL has said of them, and the head that it names, it has to be right.
func (w *world) judgeUnsatisfiable(c *call) error {
	silent := []string{
		"Cache-Control", "Expires", "Etag", "Last-Modified", "Content-Type", "Content-Encoding", "Content-Language", "Content-Location",
		"Repr-Digest",
	}
	for _, name := range silent {
		if lines := c.header0[name]; lines != nil {
			return fmt.Errorf("a 416 with %s: %q", name, lines)
		}
	}
	head, ok := w.named(c.header0, "A-Head")
	repr := w.reprNamed(c.header0)
	if !ok || repr == nil {
		return fmt.Errorf("a 416 of nothing that was stored: %v", c.header0)
	}
	var err error
	for _, e := range w.exchanges {
		if e.url != c.url || e.head == nil {
			continue
		}
		for _, keepsTag := range []bool{false, true} {
			d := *c
			d.header0 = c.header0.Clone()
			for _, h := range []http.Header{e.head, head.head} {
				for _, name := range silent {
					if h[name] != nil {
						d.header0[name] = h[name]
					}
				}
			}
			if keepsTag {
				delete(d.header0, "Etag")
				if repr.etag != "" {
					d.header0["Etag"] = []string{repr.etag}
				}
			}
			if err = w.judgeAnswer(&d); err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("416: %w", err)
}

func (w *world) judgeAnswer(c *call) error {
	var last *exchange
	if len(c.asked) > 0 {
		last = c.asked[len(c.asked)-1]
	}
	safe := c.method == "GET" || c.method == "HEAD"
	if safe && c.wish.onlyIfCached && last != nil {
		return fmt.Errorf("only-if-cached, but the origin was asked")
	}
	if c.err != nil {
		if last == nil && !c.canceled && !c.cache.Collapse || last != nil && last.answered() && !c.canceled {
			return fmt.Errorf("the request failed, although the origin did not: %v", c.err)
		}
		return nil
	}
	h := c.header0
	head, ok := w.named(h, "A-Head")
	if zhead, _ := w.named(h, "Z-Head"); zhead != head {
		return fmt.Errorf("a torn head: %v", h)
	}
	fromCache := h.Get("X-From-Cache") == "1"
	if !ok {
		switch {
		case c.resp.StatusCode == 504 && safe && c.wish.onlyIfCached:
			return nil
		case c.resp.StatusCode == 304 && fromCache && (last == nil || failure(last)):
			return w.judgeNotModified(c)
		}
		return fmt.Errorf("a response that the origin has not sent: %d %v", c.resp.StatusCode, h)
	}
	if c.spelling.url != "" && c.spelling.target == "" && (fromCache || strings.Contains(h.Get("Cache-Status"), "stored")) {
		return fmt.Errorf("%s of %s has no key, and yet %v", c.spelling.url, c.spelling.host, h)
	}
	own := slices.Contains(c.asked, head)
	spliced := own && head.status == 206 && !slices.Equal(h["Content-Range"], head.head["Content-Range"]) // with stored parts
	if own && c.resp.StatusCode == head.status && !fromCache && !spliced {
		return w.judgePassed(c, head)
	}
	if !safe {
		return fmt.Errorf("%s was answered from the cache", c.method)
	}
	collapsed := c.cache.Collapse && strings.Contains(h.Get("Cache-Status"), ";collapsed")
	if !fromCache && !collapsed && !(own && head.status == 206) {
		return fmt.Errorf("a stored response that does not say so")
	}
	repr := head.repr
	if repr == nil {
		if repr = w.reprNamed(h); repr == nil {
			return fmt.Errorf("a head without a body of its own: %v", h)
		}
		if err := w.updates(head, repr); err != nil {
			return fmt.Errorf("#%d has the head of #%d: %v", repr.id, head.id, err)
		}
	}
	if got := w.reprNamed(h); got != repr {
		return fmt.Errorf("the head of another: X-Repr %v with that of #%d", h["X-Repr"], head.id)
	}
	switch {
	case own && head.status == 304, own && head.status == 206: // confirmed by the origin, for this request
		if err := w.stored(c, head, repr, own); err != nil {
			return err
		}
	case last != nil && !failure(last) && !(collapsed && (last.receivedSeq == 0 || last.receivedSeq > c.endSeq)):
		return fmt.Errorf("the origin answered with #%d, and yet #%d was served", last.id, head.id)
	default:
		if collapsed && w.sharedFailure(c, head, h) {
			w.kinds["shared failure"]++
			break
		}
		if err := w.reusable(c, head, repr, h); err != nil {
			return err
		}
		if err := w.stored(c, head, repr, own); err != nil {
			return err
		}
	}
	if err := w.judgeFields(c, head, repr, own); err != nil {
		return err
	}
	return w.judgeBody(c, head, repr)
}

// sharedFailure reports whether head is a failure of the origin that may answer the call, because the call has waited for it: nothing
// in it restricts it to its own request.
func (w *world) sharedFailure(c *call, head *exchange, h http.Header) bool {
	m := w.meansOf(h)
	forbidden := m.mustRevalidate || c.cache.shared && (m.proxyRevalidate || m.sMaxAge != absent)
	return (head.status >= 500 || head.status == 429) && head.cache == c.cache && head.url == c.url && head.method == "GET" && head.repr != nil &&
		(head.toSeq == 0 || max(head.toSeq, head.receivedSeq) > c.startSeq) && leavesNoTrace(head, m, c.cache.shared) == nil && w.selected(c, head.repr, h) == nil &&
		!m.noCache && !(forbidden && w.lifetime(head, head.repr, h, m, c.cache.shared) <= ageOf(head, c.startAt)) &&
		!c.wish.noCache && !c.wish.noStore && c.wish.maxAge != 0 && c.header["Range"] == nil
}

// named returns the exchange that a field names.
func (w *world) named(h http.Header, field string) (*exchange, bool) {
	id, err := strconv.Atoi(h.Get(field))
	if err != nil || len(h[field]) != 1 || id < 1 || id > len(w.exchanges) {
		return nil, false
	}
	return w.exchanges[id-1], true
}

func (w *world) reprNamed(h http.Header) *representation {
	id, err := strconv.Atoi(h.Get("X-Repr"))
	if err != nil || id < 1 || id > len(w.reprs) {
		return nil
	}
	return w.reprs[id-1]
}

// failure reports whether the origin failed, so that stale-if-error may apply (RFC 5861, section 4).
func failure(e *exchange) bool {
	return e.failed || e.status == 500 || e.status == 502 || e.status == 503 || e.status == 504
}

// updates returns why the answer in e must not give its header to repr (RFC 9111, sections 4.3.4 and 4.3.5).
func (w *world) updates(e *exchange, repr *representation) error {
	tag := e.head.Get("Etag")
	sameTag := tag == "" || weakly(tag) == weakly(repr.etag) || repr.etag == ""
	switch {
	case e.status == 304:
		inm := e.request.Get("If-None-Match")
		asked := repr.etag != "" && strings.Contains(inm, weakly(repr.etag)) || repr.etag == "" && strings.Contains(inm, "other") ||
			repr.modified != "" && e.request.Get("If-Modified-Since") == repr.modified || w.hasGotTag(repr, inm, e)
		if !asked {
			return fmt.Errorf("the 304 was no answer about it")
		}
	case e.method == "HEAD" && e.status == 200:
		if n := e.head.Get("Content-Length"); n != "" && n != strconv.Itoa(len(repr.wire)) {
			return fmt.Errorf("the lengths differ")
		}
	default:
		return fmt.Errorf("status %d to %s updates nothing", e.status, e.method)
	}
	if !sameTag {
		return fmt.Errorf("the tags are %s and %s", tag, repr.etag)
	}
	return nil
}

// hasGotTag reports whether a representation without a tag may have got one of those in inm by a 304 before e, to a question
// for its date.
func (w *world) hasGotTag(repr *representation, inm string, e *exchange) bool {
	if repr.etag != "" || inm == "" {
		return false
	}
	return slices.ContainsFunc(w.exchanges[:e.id-1], func(earlier *exchange) bool {
		tag := weakly(earlier.head.Get("Etag"))
		return tag != "" && earlier.status == 304 && earlier.url == e.url && strings.Contains(inm, tag) &&
			repr.modified != "" && earlier.request.Get("If-Modified-Since") == repr.modified
	})
}

// takesTag reports whether repr may have the tag that it was given out with, though head, which says another, has updated it: a 304
// makes no tag strong, and gives none that is.
func takesTag(head *exchange, repr *representation, tag string) bool {
	said := head.head.Get("Etag")
	return head.status == 304 && said != "" && said == weakly(said) &&
		(tag == "W/"+said || tag == "" && repr.etag == "")
}

func weakly(tag string) string { return strings.TrimPrefix(tag, "W/") }

// stored returns why no answer with repr may have been stored (RFC 9111, section 3).
func (w *world) stored(c *call, head *exchange, repr *representation, own bool) error {
	var why error
	for _, e := range w.exchanges {
		if e.repr != repr || slices.Contains(c.asked, e) {
			continue
		}
		means := e.means
		if e == head { // a part that was combined may have directives from the one before
			means = w.meansOf(c.header0)
		}
		received := *e
		if strings.Contains(c.header0.Get("Cache-Status"), ";collapsed") || e.cut || e.doneSeq == 0 {
			received.wrongDigest = false // it was shared or kept before its last byte arrived
		}
		if err := storable(&received, means, c.cache.shared); err != nil {
			why = err
			continue
		}
		if e.url != c.url || e.method != "GET" && !(e.method == "POST" && e.contentLocationIsTarget) {
			why = fmt.Errorf("it answers %s %s", e.method, e.url)
			continue
		}
		if e.receivedSeq == 0 {
			continue
		}
		if head.repr == nil && !own {
			if err := leavesNoTrace(head, w.meansOf(c.header0), c.cache.shared); err != nil {
				return fmt.Errorf("head #%d: %w", head.id, err)
			}
		}
		return nil
	}
	if why == nil {
		why = fmt.Errorf("it was never sent whole")
	}
	return fmt.Errorf("body #%d must not be stored: %w", repr.id, why)
}

func storable(e *exchange, m *meaning, shared bool) error {
	if err := leavesNoTrace(e, m, shared); err != nil {
		return err
	}
	if m == nil {
		m = noMeaning()
	}
	if e.wrongDigest {
		return fmt.Errorf("its digest is that of other bytes")
	}
	switch e.status {
	case 401, 407:
		return fmt.Errorf("status %d, and no Vary that names the credentials", e.status)
	case 428, 429, 431, 511:
		return fmt.Errorf("status %d", e.status)
	}
	if m.mustUnderstand && e.status == 299 {
		return fmt.Errorf("must-understand")
	}
	if slices.Contains(e.head["Vary"], "*") {
		return fmt.Errorf("Vary: *")
	}
	switch e.status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return nil
	}
	if m.public || m.private && !shared || e.head["Expires"] != nil || m.maxAge != absent || m.sMaxAge != absent && shared {
		return nil
	}
	return fmt.Errorf("nothing makes status %d cacheable", e.status)
}

// leavesNoTrace returns why no part of the answer may be used for other requests.
func leavesNoTrace(e *exchange, m *meaning, shared bool) error {
	if m == nil {
		m = noMeaning()
	}
	switch {
	case e.wish.noStore:
		return fmt.Errorf("the request said no-store")
	case m.noStore && !(m.mustUnderstand && e.status != 299):
		return fmt.Errorf("no-store")
	case shared && m.private:
		return fmt.Errorf("private in a shared cache")
	case shared && e.head["Set-Cookie"] != nil && !e.cache.ReplaySetCookie && !m.public && m.sMaxAge == absent:
		return fmt.Errorf("Set-Cookie in a shared cache")
	case e.status == 412 && e.request["If-Match"] != nil:
		return fmt.Errorf("a 412 is for its own request")
	case shared && e.request["Authorization"] != nil && !m.public && !m.mustRevalidate && m.sMaxAge == absent:
		return fmt.Errorf("Authorization in a shared cache")
	}
	return nil
}

// meansOf returns what the Cache-Control of a stored head means, for this kind of cache.
func (w *world) meansOf(h http.Header) *meaning {
	if m := w.meanings[strings.Join(h["Cache-Control"], "\n")]; m != nil {
		return m
	}
	return noMeaning()
}

// reusable returns why a stored response must not answer without validation (RFC 9111, section 4).
func (w *world) reusable(c *call, head *exchange, repr *representation, h http.Header) error {
	m := w.meansOf(h)
	if err := w.selected(c, repr, h); err != nil {
		return err
	}
	for _, i := range w.invalid {
		if i.url == c.url && i.knownSeq > 0 && i.knownSeq < c.startSeq && !w.deletesFail && !w.listed(head, i) && head.receivedSeq != i.atSeq &&
			(head.doneSeq > 0 && head.doneSeq < i.atSeq || head.cache == i.cache && head.sentSeq < i.atSeq) {
			return fmt.Errorf("#%d was invalidated", head.id)
		}
	}
	if err := w.refuted(c, head, repr); err != nil {
		return err
	}
	age, lifetime := ageOf(head, c.startAt), w.lifetime(head, repr, h, m, c.cache.shared)
	fresh, stale := lifetime > age, age-lifetime
	says := fmt.Sprintf("#%d, age %v, lifetime %v", head.id, age, lifetime)
	if m.noCache {
		return fmt.Errorf("%s: no-cache", says)
	}
	if match := c.header.Get("If-Match"); match != "" && (!fresh || len(c.asked) > 0 || match != h.Get("Etag") || strings.HasPrefix(match, "W/")) {
		return fmt.Errorf("%s: for If-Match %q, with ETag %q", says, match, h.Get("Etag"))
	}
	forbidden := m.mustRevalidate || c.cache.shared && (m.proxyRevalidate || m.sMaxAge != absent)
	if c.slow() {
		if err := w.mayBeSlow(c); err != nil {
			return fmt.Errorf("%s: %w", says, err)
		}
	}
	if len(c.asked) > 0 || c.slow() { // the origin failed, or is slow
		endToEnd := c.wish.noCache || c.wish.maxAge == 0
		allowed := c.wish.error
		if !endToEnd {
			allowed = max(allowed, m.error, c.cache.staleIfError)
		}
		switch {
		case fresh && !endToEnd:
		case forbidden && !fresh:
			return fmt.Errorf("%s: stale on an error, which is forbidden", says)
		case allowed == absent || stale > allowed:
			return fmt.Errorf("%s: stale on an error, allowed for %v", says, allowed)
		}
		return w.judgeAge(c, head, h)
	}
	switch {
	case c.wish.noCache:
		return fmt.Errorf("%s: the request says no-cache", says)
	case fresh && m.immutable && c.wish.maxAge == 0:
	case c.wish.maxAge != absent && age > c.wish.maxAge:
		return fmt.Errorf("%s: the request says max-age=%v", says, c.wish.maxAge)
	case c.wish.minFresh != absent && lifetime-age < c.wish.minFresh:
		return fmt.Errorf("%s: the request says min-fresh=%v", says, c.wish.minFresh)
	case fresh:
	case forbidden:
		return fmt.Errorf("%s: stale, which is forbidden", says)
	case c.wish.maxStale != absent && stale <= c.wish.maxStale:
	case c.wish.maxAge != absent && !w.failing(c):
		return fmt.Errorf("%s: stale, for a request with max-age", says)
	case m.whileRevalidate != absent && stale <= m.whileRevalidate:
	case stale <= max(c.wish.error, m.error, c.cache.staleIfError) && head.status < 500 && w.failing(c):
		w.kinds["held back"]++
	default:
		return fmt.Errorf("%s: stale", says)
	}
	return w.judgeAge(c, head, h)
}

// slow reports whether the call was answered with a stale response because the origin is slow.
func (c *call) slow() bool {
	return c.header0 != nil && strings.Contains(c.header0.Get("Cache-Status")+";", ";detail=origin-slow;")
}

// mayBeSlow returns why the call must wait for the origin, although a stale response may be used if that fails.
func (w *world) mayBeSlow(c *call) error {
	if strings.Contains(c.header0.Get("Cache-Status"), ";collapsed") && c.cache.Collapse { // it has waited for CollapseTimeout
		return nil
	}
	slow := c.endAt.Sub(c.startAt) >= c.cache.StaleIfSlow || slices.ContainsFunc(w.exchanges, func(e *exchange) bool {
		return (e.cache == c.cache || c.cache.CollapseProcesses) && e.url == c.url && c.endAt.Sub(e.sentAt) >= c.cache.StaleIfSlow
	})
	limits := c.wish.noCache || c.wish.maxAge != absent || c.wish.minFresh != absent || c.wish.maxStale != absent
	if !slow || limits || c.cache.StaleIfSlow == 0 {
		return fmt.Errorf("the origin is slow: %v, the request sets limits: %v", slow, limits)
	}
	w.kinds["slow"]++
	if c.startAt.Equal(c.endAt) {
		w.kinds["slow at once"]++
	}
	return nil
}

// failing reports whether the cache may know when the call ends that the origin fails: the URL failed a short time ago, or two of
// the origin did, and there was no success afterwards. The success of an equivalent URL is one of the origin, not of the URL.
func (w *world) failing(c *call) bool {
	failed := map[string]bool{}
	for _, e := range w.exchanges {
		if e.cache != c.cache || originOf(e.url) != originOf(c.url) || e.receivedSeq == 0 || !e.isFailure() ||
			c.startAt.Sub(e.receivedAt) > 40*time.Minute {
			continue
		}
		if !w.succeeded(c, e, func(*exchange) bool { return true }) {
			failed[e.url+" "+e.utm] = true
		}
		if e.url == c.url && e.utm == c.utm && !w.succeeded(c, e, func(s *exchange) bool { return s.url == e.url && s.utm == e.utm }) {
			return true
		}
	}
	return len(failed) > 1
}

// succeeded reports whether one of these exchanges with the origin succeeded after e had failed, and before the call.
func (w *world) succeeded(c *call, e *exchange, these func(*exchange) bool) bool {
	return slices.ContainsFunc(w.exchanges, func(s *exchange) bool {
		return s.cache == c.cache && originOf(s.url) == originOf(e.url) && these(s) && s.answered() && s.status < 500 && s.status != 429 &&
			s.sentSeq > e.receivedSeq && s.receivedSeq < c.startSeq
	})
}

// listed reports whether a variant that another cache has invalidated may be back: at that moment, a response to another variant was
// being stored, with a list of variants that had been read before. Only a store that compares and stores in one step prevents that.
func (w *world) listed(head *exchange, i *invalidation) bool {
	return w.windows && head.cache != i.cache && slices.ContainsFunc(w.exchanges, func(e *exchange) bool {
		return e.cache == head.cache && e.url == i.url && e.head["Vary"] != nil && e.receivedSeq < i.knownSeq && (e.doneSeq == 0 || e.doneSeq > i.atSeq)
	})
}

// refuted returns which later answer has shown that the response described by head is not current, so that it must not be used any more, whole or in
// part (RFC 9111, sections 4, 4.3.3 and 4.3.5). It looks only at stories in which no Vary, no second cache and no fault of the store
// can be why it was not removed.
func (w *world) refuted(c *call, head *exchange, repr *representation) error {
	if len(w.caches) > 1 || w.faulty || repr.coded {
		return nil
	}
	if slices.ContainsFunc(w.exchanges, func(e *exchange) bool { return e.url == c.url && e.head["Vary"] != nil }) {
		return nil
	}
	for _, e := range w.exchanges {
		if w.moreRecent(c, head, e) {
			return fmt.Errorf("#%d is older than #%d, which was stored", head.id, e.id)
		}
		if e.url != c.url || !e.answered() || head.doneSeq == 0 || head.doneSeq >= e.fromSeq || e.toSeq == 0 || e.toSeq >= c.startSeq ||
			strings.Contains(e.request.Get("Range"), ",") {
			continue
		}
		whole := e.doneSeq > 0 && e.doneSeq < c.startSeq && !e.cut && !e.wrongDigest
		tag, date, length := e.head.Get("Etag"), e.head.Get("Last-Modified"), e.head.Get("Content-Length")
		otherTag := tag != "" && repr.etag != "" && weakly(tag) != weakly(repr.etag)
		switch {
		case e.method != "GET" && e.method != "HEAD":
			continue
		case (e.status == 404 || e.status == 410) && (e.method == "GET" || w.sentAs200(repr)):
		case e.method == "GET" && e.status == 200 && whole && (c.cache.MaxBodyBytes == 0 || int64(len(e.content)) <= c.cache.MaxBodyBytes):
		case e.method == "GET" && e.status == 206 && otherTag:
		case e.method == "HEAD" && e.status == 200 && w.sentAs200(repr) &&
			(otherTag || date != "" && date != head.head.Get("Last-Modified") && date != repr.modified || length != "" && length != strconv.Itoa(len(repr.wire))):
		default:
			continue
		}
		return fmt.Errorf("#%d was refuted by #%d", head.id, e.id)
	}
	return nil
}

// kept returns the response that must still be stored when the call is made, and that the call selects, or nil if there need not be one.
// It looks only at stories that leave the cache no choice: no response since may have replaced, changed or removed this one. What
// leaves it stored are responses to other variants, and statuses that say nothing about it, such as 403 and 429.
func (w *world) kept(c *call) *exchange {
	if len(w.caches) > 1 || w.faulty || c.method != "GET" || c.canceled || c.spelling.url != "" && !c.spelling.isAlias() || c.wish != noWish() || c.cache.TimePriority {
		return nil
	}
	for name := range c.header {
		if name == "Range" || strings.HasPrefix(name, "If-") {
			return nil
		}
	}
	var last *exchange
	for _, e := range w.exchanges {
		if e.url == c.url && e.method == "GET" && e.status == 200 && e.doneSeq > 0 && e.doneSeq < c.startSeq && sameVariant(c, e) && !slices.Contains(c.asked, e) {
			last = e
		}
	}
	if last == nil || !w.certainlyStored(c, last) {
		return nil
	}
	began := w.beganAt(last)
	for _, i := range w.invalid {
		if i.url == c.url && (i.knownSeq == 0 || i.knownSeq > began) { // it may have ended after the response was stored
			return nil
		}
	}
	for _, e := range w.exchanges {
		if e.url != c.url || e == last || slices.Contains(c.asked, e) || e.failed {
			continue
		}
		if e.receivedSeq > 0 && e.repr != nil && !slices.Equal(e.head["Vary"], last.head["Vary"]) {
			return nil
		}
		if (e.receivedSeq == 0 || max(e.receivedSeq, e.doneSeq) > began || e.doneSeq == 0) && !w.leaves(c, e) {
			return nil
		}
	}
	return last
}

// beganAt returns when the call began that sent the request of e. The cache orders requests by a moment between that and the
// moment when the origin gets them.
func (w *world) beganAt(e *exchange) int {
	i := slices.IndexFunc(w.calls, func(by *call) bool { return slices.Contains(by.asked, e) })
	return w.calls[i].startSeq
}

// certainlyStored reports whether the cache had no reason not to store the response, and its caller has read all of it.
func (w *world) certainlyStored(c *call, e *exchange) bool {
	i := slices.IndexFunc(w.calls, func(by *call) bool { return slices.Contains(by.asked, e) })
	return i >= 0 && !w.calls[i].canceled && w.calls[i].bodyErr == nil && w.worthStoring(e) && !e.cut && !e.background && !e.repr.coded &&
		c.cache.MaxBodyBytes == 0 && (c.cache.MaxVariants == 0 || e.head["Vary"] == nil) &&
		dateOf(e).Sub(e.receivedAt).Abs() < time.Second && c.endAt.Sub(e.receivedAt) < 24*time.Hour
}

// worthStoring reports whether a 200 may be stored and is fresh when it is received, by any reading of its header.
func (w *world) worthStoring(e *exchange) bool {
	m := e.means
	return m != nil && storable(e, m, e.cache.shared) == nil && !m.noCache && !m.mustUnderstand && !saysSeveralLifetimes(e.head) && e.head["Age"] == nil &&
		!strings.Contains(strings.Join(e.head["Cache-Control"], ","), `"`) && w.lifetime(e, e.repr, e.head, m, e.cache.shared) > 0
}

// leaves reports whether the response e leaves the stored one that the call selects as it is.
func (w *world) leaves(c *call, e *exchange) bool {
	switch {
	case e.method != "GET":
		return e.method != "HEAD" && e.status >= 400
	case e.receivedSeq == 0 || e.status == 304 || e.status == 206 || e.request["Range"] != nil || e.background:
		return false
	case e.status == 404 || e.status == 410:
		return false
	case e.status == 200: // one that is not stored may remove the entry that lists the variants
		return !sameVariant(c, e) && w.worthStoring(e)
	}
	return !sameVariant(c, e) || storable(e, e.means, c.cache.shared) != nil
}

// sameVariant reports whether the request of the call has the values of the selecting fields that the request of e had.
func sameVariant(c *call, e *exchange) bool {
	for _, line := range e.head["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); !sameField(c, name, e.request[name]) {
				return false
			}
		}
	}
	return true
}

// judgeKept returns an error if the call shows that the response which must be stored is not.
func (w *world) judgeKept(c *call) error {
	e := w.kept(c)
	if e == nil {
		return nil
	}
	age, lifetime := ageOf(e, c.endAt), w.lifetime(e, e.repr, e.head, e.means, c.cache.shared)
	switch {
	case age < lifetime:
		if len(c.asked) > 0 {
			return fmt.Errorf("the origin was asked, although #%d, age %v, lifetime %v, is stored", e.id, age, lifetime)
		}
		w.kinds["kept"]++
	case len(c.asked) > 0 && e.repr.etag != "" && e.head.Get("Etag") == e.repr.etag:
		if inm := c.asked[0].request.Get("If-None-Match"); !strings.Contains(inm, e.repr.etag) {
			return fmt.Errorf("the origin was asked with If-None-Match %q, although #%d with ETag %s is stored", inm, e.id, e.repr.etag)
		}
		w.kinds["kept stale"]++
	default:
		return nil
	}
	for _, other := range w.exchanges {
		switch {
		case other.url != c.url || other.receivedSeq < e.sentSeq:
		case other.status == 403 || other.status == 429:
			w.kinds["kept after 403 or 429"]++
		case !sameVariant(c, other) && other.sentSeq < e.doneSeq && other.doneSeq > e.sentSeq:
			w.kinds["kept next to a variant"]++
		}
	}
	return nil
}

// moreRecent reports whether the answer in e is more recent than head and must have been stored before the call, so that the response that
// head describes is not the one to use (RFC 9111, section 4), regardless of the order in which their bodies ended.
func (w *world) moreRecent(c *call, head, e *exchange) bool {
	if strings.Contains(e.request.Get("Range"), ",") || e.url != c.url || e.method != "GET" || e.status != 200 || e.background || e.doneSeq == 0 || e.doneSeq >= c.startSeq || e.cut ||
		head.sentSeq >= e.sentSeq || dateOf(head).After(dateOf(e)) || strings.Contains(c.header0.Get("Cache-Status"), ";collapsed") ||
		c.cache.MaxBodyBytes > 0 && int64(len(e.content)) > c.cache.MaxBodyBytes || storable(e, e.means, c.cache.shared) != nil {
		return false
	}
	m := e.means
	if m == nil {
		m = noMeaning()
	}
	if m.noCache || saysSeveralLifetimes(e.head) || w.lifetime(e, e.repr, e.head, m, c.cache.shared) <= 0 {
		return false
	}
	return !slices.ContainsFunc(w.invalid, func(i *invalidation) bool { return i.url == c.url && i.atSeq > head.sentSeq })
}

// saysSeveralLifetimes reports whether a response may say more than one lifetime. The cache may then take it for stale, and not store it,
// although its meaning has the longest.
func saysSeveralLifetimes(h http.Header) bool {
	directives := strings.ToLower(strings.Join(h["Cache-Control"], ","))
	return strings.Count(directives, "max-age")+strings.Count(directives, "s-maxage")+len(h["Expires"]) > 1
}

// dateOf returns when an answer was made, as it says.
func dateOf(e *exchange) time.Time {
	if date, err := http.ParseTime(e.head.Get("Date")); err == nil {
		return date
	}
	return e.receivedAt
}

// sentAs200 reports whether a representation is what a 200 or a 206 had.
func (w *world) sentAs200(repr *representation) bool {
	return slices.ContainsFunc(w.exchanges, func(e *exchange) bool { return e.repr == repr && (e.status == 200 || e.status == 206) })
}

func (w *world) judgeAge(c *call, head *exchange, h http.Header) error {
	got, err := strconv.Atoi(h.Get("Age"))
	if err != nil {
		return fmt.Errorf("a stored response without Age")
	}
	age := time.Duration(got) * time.Second
	if low, high := ageOf(head, c.startAt), ageOf(head, c.endAt); age < low-time.Second || age > high+time.Second {
		return fmt.Errorf("#%d has Age %d, and is between %v and %v old", head.id, got, low, high)
	}
	return nil
}

// ageOf is RFC 9111, section 4.2.3.
func ageOf(e *exchange, now time.Time) time.Duration {
	var apparent time.Duration
	if date, err := http.ParseTime(e.head.Get("Date")); err == nil {
		apparent = max(0, e.receivedAt.Sub(date))
	}
	said, err := strconv.Atoi(e.head.Get("Age"))
	if err != nil || said < 0 {
		said = 0
	}
	corrected := time.Duration(said)*time.Second + e.receivedAt.Sub(e.sentAt)
	return min(max(apparent, corrected)+max(0, now.Sub(e.receivedAt)), longest)
}

// lifetime is RFC 9111, section 4.2.1. A permanent redirect without any lives for ever here.
func (w *world) lifetime(head *exchange, repr *representation, h http.Header, m *meaning, shared bool) time.Duration {
	switch {
	case shared && m.sMaxAge != absent:
		return m.sMaxAge
	case m.maxAge != absent:
		return m.maxAge
	case h["Expires"] != nil:
		expires, err := http.ParseTime(h["Expires"][0])
		if err != nil {
			return 0
		}
		date, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			date = head.receivedAt
		}
		return max(0, expires.Sub(date))
	}
	for _, e := range w.exchanges {
		if e.repr == repr && (e.status == 301 || e.status == 308) {
			return longest
		}
	}
	return 0
}

// selected returns why the request does not select the stored response (RFC 9111, section 4.1).
func (w *world) selected(c *call, repr *representation, h http.Header) error {
	var names []string
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	if slices.Contains(names, "*") {
		return fmt.Errorf("Vary: * matches no request")
	}
	if len(names) == 0 {
		return nil
	}
	for _, e := range w.exchanges {
		if e.url != c.url || !e.answered() || e.repr != repr && (e.repr != nil || w.updates(e, repr) != nil) {
			continue
		}
		if !slices.ContainsFunc(names, func(name string) bool { return !sameField(c, name, e.request[name]) }) {
			return nil
		}
	}
	return fmt.Errorf("another variant: body #%d, Vary: %v, the request has %v", repr.id, names, c.header)
}

// sameField reports whether a field of the call means the same as in an earlier request.
func sameField(c *call, name string, then []string) bool {
	now := c.header[name]
	if name == "Accept-Encoding" && now == nil && c.cache.negotiates && c.header["Range"] == nil {
		return true // the cache itself decides, and decodes
	}
	return (now == nil) == (then == nil) && canonicalList(name, now) == canonicalList(name, then)
}

func canonicalList(name string, lines []string) string {
	members := strings.Split(strings.Join(lines, ","), ",")
	for i := range members {
		members[i] = strings.TrimSpace(members[i])
	}
	if strings.HasPrefix(name, "Accept") {
		slices.Sort(members)
		members = slices.Compact(members)
	}
	return strings.Join(members, ",")
}

// judgeFields looks at the header of a stored response: all of one head, and nothing that is not for this request.
func (w *world) judgeFields(c *call, head *exchange, repr *representation, own bool) error {
	m := w.meansOf(c.header0)
	if tag := c.header0.Get("Etag"); tag != "" && tag == weakly(tag) && tag != repr.etag {
		return fmt.Errorf("the tag %s is strong, and not that of the body, %q", tag, repr.etag)
	}
	for name, lines := range head.head {
		switch name {
		case "Age", "Connection", "Content-Length", "Content-Range", "Content-Encoding", "X-Secret", "X-Hop":
			continue
		case "Set-Cookie":
			if !own && !c.cache.ReplaySetCookie {
				continue // what may be there is looked at below
			}
		case "Repr-Digest":
			if c.resp.Uncompressed {
				continue // it is about the coded bytes
			}
		case "Etag":
			if takesTag(head, repr, c.header0.Get(name)) {
				continue
			}
		}
		if !slices.Equal(c.header0[name], lines) {
			return fmt.Errorf("%s is %q, #%d had %q", name, c.header0[name], head.id, lines)
		}
	}
	for name, lines := range c.header0 {
		if head.head[name] != nil {
			continue
		}
		switch name {
		case "Age", "X-From-Cache", "Cache-Status", "Content-Range", "Content-Length", "Date":
			continue
		}
		if !slices.ContainsFunc(w.exchanges, func(e *exchange) bool { return e.url == c.url && slices.Equal(e.head[name], lines) }) {
			return fmt.Errorf("nobody sent %s: %q", name, lines)
		}
	}
	if from, ok := w.named(c.header0, "Set-Cookie"); ok && !slices.Contains(c.asked, from) && !c.cache.ReplaySetCookie {
		return fmt.Errorf("a cookie that #%d has set, at another time", from.id)
	}
	if from, ok := w.named(c.header0, "X-Secret"); ok && !slices.Contains(c.asked, from) {
		switch {
		case !own && slices.Contains(m.noCacheFields, "X-Secret"):
			return fmt.Errorf("a field of #%d that no-cache names", from.id)
		case c.cache.shared && (slices.Contains(m.privateFields, "X-Secret") || from.means != nil && slices.Contains(from.means.privateFields, "X-Secret")):
			return fmt.Errorf("a field of #%d that private names", from.id)
		}
	}
	if from, ok := w.named(c.header0, "X-Hop"); ok && !slices.Contains(c.asked, from) && from.head["Connection"] != nil {
		return fmt.Errorf("a field of the connection that #%d came over", from.id)
	}
	return nil
}

// judgeBody looks at the body of a response that was, in whole or in part, stored.
func (w *world) judgeBody(c *call, head *exchange, repr *representation) error {
	want := repr.wire
	if c.resp.Uncompressed {
		want = repr.plain
	}
	if c.method == "HEAD" {
		want = nil
	}
	switch c.resp.StatusCode {
	case 206:
		first, end, ok := wanted(c.header.Get("Range"), len(want))
		if !ok || c.method == "HEAD" {
			return fmt.Errorf("206 without a range: %v", c.header)
		}
		total, last, found := strings.Cut(c.header0.Get("Content-Range"), "/")
		if !found || total != fmt.Sprintf("bytes %d-%d", first, end-1) || last != "*" && last != strconv.Itoa(len(want)) {
			return fmt.Errorf("Content-Range %q for %q of %d bytes", c.header0.Get("Content-Range"), c.header.Get("Range"), len(want))
		}
		if ir := c.header.Get("If-Range"); ir != "" && (ir != c.header0.Get("Etag") || strings.HasPrefix(ir, "W/")) {
			return fmt.Errorf("206 with ETag %q for If-Range %q", c.header0.Get("Etag"), ir)
		}
		want = want[first:end]
	case 304:
		want = nil
	case 416:
		if _, _, ok := wanted(c.header.Get("Range"), len(want)); ok {
			return fmt.Errorf("416 for %q of %d bytes", c.header.Get("Range"), len(want))
		}
		want = nil
	}
	if n := c.resp.ContentLength; c.method != "HEAD" && n >= 0 && n != int64(len(want)) {
		return fmt.Errorf("length %d for %d bytes", n, len(want))
	}
	if !bytes.HasPrefix(want, c.body) {
		return fmt.Errorf("the body is not that of #%d: %q, want %q", repr.id, abridged(c.body), abridged(want))
	}
	damaged := w.readsFail || head.cut || slices.ContainsFunc(c.asked, func(e *exchange) bool { return e.cut })
	// Parts that are combined do not match a wrong digest of the whole.
	damaged = damaged || c.resp.StatusCode == 200 && slices.ContainsFunc(w.exchanges, func(e *exchange) bool { return e.repr == repr && e.wrongDigest })
	if c.bodyErr != nil && !damaged && !c.canceled {
		return fmt.Errorf("reading a stored body: %v", c.bodyErr)
	}
	shared := c.cache.Collapse && head.cut // read as it came
	if c.whole && c.bodyErr == nil && len(c.body) != len(want) && !shared {
		return fmt.Errorf("%d bytes of %d", len(c.body), len(want))
	}
	return nil
}

// wanted returns which of n bytes a Range of one range asks for (RFC 9110, section 14.1.2).
func wanted(field string, n int) (first, end int, ok bool) {
	from, to, _ := strings.Cut(strings.TrimPrefix(field, "bytes="), "-")
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	switch {
	case from == "" && errB == nil:
		return max(0, n-b), n, b > 0 && n > 0
	case errA != nil || a >= n:
		return 0, 0, false
	case to == "":
		return a, n, true
	}
	return a, min(b+1, n), errB == nil
}

// judgePassed looks at a response that came from the origin for this request.
func (w *world) judgePassed(c *call, e *exchange) error {
	for name, lines := range e.head {
		if c.resp.Uncompressed && (name == "Content-Encoding" || name == "Content-Length" || name == "Repr-Digest") {
			continue
		}
		if !slices.Equal(c.header0[name], lines) {
			return fmt.Errorf("%s of the origin's response is %q, was %q", name, c.header0[name], lines)
		}
	}
	want := e.content
	if c.resp.Uncompressed && e.repr != nil && e.status != 206 {
		want = e.repr.plain
	}
	if c.method == "HEAD" {
		want = nil
	}
	if !bytes.HasPrefix(want, c.body) {
		return fmt.Errorf("the origin's body #%d is %q, was %q", e.id, abridged(c.body), abridged(want))
	}
	if !e.cut && !c.canceled && (c.bodyErr != nil || c.whole && len(c.body) != len(want)) {
		return fmt.Errorf("%d bytes of the origin's body, which had %d: %v", len(c.body), len(want), c.bodyErr)
	}
	return nil
}

// judgeNotModified looks at a 304 that the cache made for the caller's own copy: some stored response must allow it.
func (w *world) judgeNotModified(c *call) error {
	h := c.header0
	tag := h.Get("Etag")
	if inm := c.header.Get("If-None-Match"); inm != "" && inm != "*" && (tag == "" || !strings.Contains(inm, weakly(tag))) {
		return fmt.Errorf("304 with ETag %q for If-None-Match %q", tag, inm)
	} else if inm == "" && c.header.Get("If-Modified-Since") == "" {
		return fmt.Errorf("304 for a request without conditions")
	}
	why := fmt.Errorf("nothing is stored")
	for _, repr := range w.reprs {
		for _, head := range w.exchanges {
			if head.repr != repr && (head.repr != nil || w.updates(head, repr) != nil) || head.url != c.url || !head.answered() {
				continue
			}
			if head.head["Cache-Control"] != nil && !slices.Equal(head.head["Cache-Control"], h["Cache-Control"]) ||
				head.head["Etag"] != nil && head.head.Get("Etag") != tag && !takesTag(head, repr, tag) || head.head["Date"] != nil && head.head.Get("Date") != h.Get("Date") {
				continue // not its head
			}
			if why = w.reusable(c, head, repr, h); why == nil {
				why = w.stored(c, head, repr, false)
			}
			if why == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("304 of the cache's own: %w", why)
}

func abridged(b []byte) string {
	if len(b) > 60 {
		return fmt.Sprintf("%s... (%d bytes)", b[:60], len(b))
	}
	return string(b)
}
