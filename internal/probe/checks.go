package probe

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// entityTag asks whether If-None-Match works.
func (p *prober) entityTag() {
	tag := p.whole.etag()
	if _, _, ok := rules.ParseETags([]string{tag}); tag == "" || !ok {
		return // package lint notes it
	}
	r := p.send(http.MethodGet, "If-None-Match", tag)
	if r == nil {
		return
	}
	switch {
	case r.status() == http.StatusNotModified:
		right := p.check(r)
		if t := r.etag(); t != "" && !rules.WeakMatch(t, tag) {
			p.note("not-modified-with-other-etag", t)
			right = false
		}
		p.sameFreshness(r)
		if other := p.send(http.MethodGet, "If-None-Match", `"no-such-tag-`+strconv.Itoa(len(p.whole.body))+`"`); other != nil && other.status() == http.StatusNotModified {
			p.note("etag-always-current", "")
		} else if right && other != nil {
			p.confirm("If-None-Match is answered with 304")
		}
	case r.status() != http.StatusOK:
		p.note("etag-condition-fails", strconv.Itoa(r.status()))
	case r.etag() == tag:
		p.note("etag-ignored", tag)
	case r.sameContent(p.whole):
		p.note("etag-unstable", r.etag())
	default:
		p.note("content-changes", "")
	}
}

// sameFreshness compares Cache-Control of a 304 with that of the 200.
func (p *prober) sameFreshness(r *reply) {
	got, want := strings.Join(r.Header["Cache-Control"], ", "), strings.Join(p.whole.Header["Cache-Control"], ", ")
	if got != "" && got != want {
		p.note("not-modified-with-other-freshness", got)
	}
}

// lastModified asks whether If-Modified-Since works.
func (p *prober) lastModified() {
	line := p.whole.Header.Get("Last-Modified")
	if _, ok := rules.ParseDate(line, time.Now()); !ok {
		return
	}
	r := p.send(http.MethodGet, "If-Modified-Since", line)
	switch {
	case r == nil:
	case r.status() == http.StatusNotModified:
		p.check(r)
		p.confirm("If-Modified-Since is answered with 304")
	case r.status() != http.StatusOK:
		p.note("last-modified-condition-fails", strconv.Itoa(r.status()))
	case r.Header.Get("Last-Modified") == line:
		p.note("last-modified-ignored", line)
	case r.sameContent(p.whole):
		p.note("last-modified-unstable", r.Header.Get("Last-Modified"))
	default:
		p.note("content-changes", "")
	}
}

// ranges asks for a part of the whole.
func (p *prober) ranges() {
	length := len(p.whole.body)
	if length < 2 {
		return
	}
	first := length / 2
	last := min(first+999, length-1)
	set := "bytes=" + strconv.Itoa(first) + "-" + strconv.Itoa(last)
	r := p.send(http.MethodGet, "Range", set)
	if r == nil {
		return
	}
	announced := strings.EqualFold(p.whole.Header.Get("Accept-Ranges"), "bytes")
	switch {
	case r.status() == http.StatusPartialContent:
		if p.check(r) && p.samePart(r, first, last) && p.ifRange(set) {
			p.confirm("ranges agree with the whole")
		}
	case r.status() == http.StatusOK && announced:
		p.note("range-ignored", p.whole.Header.Get("Accept-Ranges"))
	case r.status() != http.StatusOK:
		p.note("range-fails", strconv.Itoa(r.status()))
	}
}

// samePart compares a 206 with the whole.
func (p *prober) samePart(r *reply, first, last int) bool {
	tag, of := r.etag(), p.whole.etag()
	c, ok := rules.ParseContentRange(r.Header["Content-Range"])
	switch {
	case tag != "" && of != "" && tag != of && rules.StrongMatch(of, of):
		p.note("range-of-other-etag", tag)
	case !ok:
		return false // package lint notes it
	case tag == "" && of != "":
		p.note("range-without-etag", "")
	case c.Total >= 0 && p.whole.ended && c.Total != int64(len(p.whole.body)):
		p.note("range-of-other-length", c.String())
	case int64(len(r.body)) != c.Last-c.First+1:
		p.note("range-cut", c.String())
	case c.First == int64(first) && c.Last == int64(last) && !bytes.Equal(r.body, p.whole.body[first:last+1]):
		p.note("range-differs", c.String())
	default:
		return true
	}
	return false
}

// ifRange asks for a part of a representation that does not exist.
func (p *prober) ifRange(set string) bool {
	if p.whole.etag() == "" {
		return true
	}
	r := p.send(http.MethodGet, "Range", set, "If-Range", `"no-such-tag"`)
	if r != nil && r.status() == http.StatusPartialContent {
		p.note("if-range-ignored", "")
		return false
	}
	return r != nil
}

// codings asks for the content with a content coding.
func (p *prober) codings() {
	r := p.send(http.MethodGet, "Accept-Encoding", "gzip")
	if r == nil || r.status() != http.StatusOK {
		return
	}
	if coding := p.whole.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		p.note("coding-not-asked-for", coding)
		return
	}
	if r.Header.Get("Content-Encoding") == "" {
		return // the origin does not compress
	}
	before := len(p.result.Notes)
	if coded, plain := selects(r), selects(p.whole); !coded || !plain {
		p.note("vary-untrue", strings.Join(p.whole.Header["Vary"], ", "))
	}
	p.tagOfCoding(r.etag())
	p.sameDecoded(r)
	if len(p.result.Notes) == before && !p.stopped {
		p.confirm("Vary and ETag tell content codings apart")
	}
}

// tagOfCoding compares the entity tag of the content with gzip with that without, and asks whether If-None-Match works
// with it.
func (p *prober) tagOfCoding(tag string) {
	switch {
	case tag == "":
	case rules.StrongMatch(tag, p.whole.etag()):
		p.note("etag-same-for-codings", tag)
	case tag != p.whole.etag():
		r := p.send(http.MethodGet, "Accept-Encoding", "gzip", "If-None-Match", tag)
		if r != nil && r.status() == http.StatusOK && r.etag() == tag {
			p.note("etag-of-coding-ignored", tag)
		}
	}
}

// sameDecoded compares the content with gzip with that without.
func (p *prober) sameDecoded(r *reply) {
	content, ok := decoded(r)
	switch {
	case !ok:
		p.note("coding-broken", r.Header.Get("Content-Encoding"))
	case p.whole.ended && !bytes.Equal(content, p.whole.body):
		again := p.send(http.MethodGet)
		switch {
		case again == nil:
		case again.sameContent(p.whole):
			p.note("coding-differs", r.Header.Get("Content-Encoding"))
		default:
			p.note("content-changes", "")
		}
	}
}

// selects reports whether Accept-Encoding is a selecting field of a response.
func selects(r *reply) bool {
	names, star := rules.SelectingFields(r.Header)
	return star || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, "Accept-Encoding") })
}

// decoded returns the content of a response that is coded with gzip, or its beginning if the body is long. It reports
// false if the response has another coding or cannot be decoded.
func decoded(r *reply) (content []byte, ok bool) {
	if !strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		return nil, false
	}
	zip, err := gzip.NewReader(bytes.NewReader(r.body))
	if err != nil {
		return nil, false
	}
	content, err = io.ReadAll(io.LimitReader(zip, 2*MaxBody))
	return content, err == nil || !r.ended
}

// head compares HEAD with GET.
func (p *prober) head() {
	r := p.send(http.MethodHead)
	if r == nil {
		return
	}
	if r.status() != p.whole.status() {
		p.note("head-status-differs", strconv.Itoa(r.status()))
		return
	}
	names := []string{"Content-Type", "Content-Encoding", "Cache-Control", "Vary"}
	if !p.changes {
		names = append(names, "Etag", "Last-Modified", "Content-Length")
	}
	same := true
	for _, name := range names {
		got, want := strings.Join(r.Header[name], ", "), strings.Join(p.whole.Header[name], ", ")
		// A server may omit fields (RFC 9110, section 9.3.2), and may know the length only of an empty body.
		if got != "" && got != want && !(name == "Content-Length" && want == "") {
			same = false
			p.noteAbout("head-differs", name, got)
		}
	}
	if same {
		p.confirm("HEAD agrees with GET")
	}
}
