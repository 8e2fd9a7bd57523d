package rfc9111

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ByteRange is one range of bytes that a request asks for (RFC 9110, section 14.1.2).
type ByteRange struct {
	First int64 // offset of the first byte; -1: the last Last bytes
	Last  int64 // offset of the last byte; -1: to the end
}

// ParseRange parses a Range field that asks for a single range of bytes. It reports false for anything else:
// several ranges, another unit, or what is not valid.
func ParseRange(lines []string) (ByteRange, bool) {
	if len(lines) != 1 {
		return ByteRange{}, false
	}
	unit, set, ok := strings.Cut(lines[0], "=")
	if !ok || lower(trimOWS(unit)) != "bytes" {
		return ByteRange{}, false
	}
	first, last, ok := strings.Cut(trimOWS(set), "-")
	if !ok {
		return ByteRange{}, false
	}
	r := ByteRange{-1, -1}
	if first != "" {
		if r.First, ok = parseLength(first); !ok {
			return ByteRange{}, false
		}
	}
	if last != "" {
		if r.Last, ok = parseLength(last); !ok {
			return ByteRange{}, false
		}
	}
	if r.First < 0 && r.Last < 0 || r.First >= 0 && r.Last >= 0 && r.Last < r.First {
		return ByteRange{}, false
	}
	return r, true
}

// Within returns the bytes that the range selects of a representation of total bytes, from start up to but
// without end. It reports false where there are none: 416 is the answer.
func (r ByteRange) Within(total int64) (start, end int64, ok bool) {
	switch {
	case r.First < 0:
		start, end = max(0, total-r.Last), total
	case r.Last < 0:
		start, end = r.First, total
	default:
		start, end = r.First, min(r.Last, total-1)+1
	}
	return start, end, start < end
}

// ContentRange is what a partial response holds (RFC 9110, section 14.4).
type ContentRange struct {
	First, Last int64 // offsets of the first and the last byte
	Total       int64 // length of the representation; -1: not known
}

// ParseContentRange parses the Content-Range field of a 206. The offset of its end is a number too.
func ParseContentRange(lines []string) (ContentRange, bool) {
	if len(lines) != 1 {
		return ContentRange{}, false
	}
	unit, rest, _ := strings.Cut(trimOWS(lines[0]), " ")
	span, total, ok := strings.Cut(trimOWS(rest), "/")
	first, last, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 || lower(unit) != "bytes" {
		return ContentRange{}, false
	}
	c := ContentRange{Total: -1}
	var okFirst, okLast, okTotal bool
	c.First, okFirst = parseLength(first)
	c.Last, okLast = parseLength(last)
	if okTotal = total == "*"; !okTotal {
		c.Total, okTotal = parseLength(total)
	}
	if !okFirst || !okLast || !okTotal || c.Last < c.First || c.Last == math.MaxInt64 || c.Total >= 0 && c.Last >= c.Total {
		return ContentRange{}, false
	}
	return c, true
}

// String returns the field's value.
func (c ContentRange) String() string {
	total := "*"
	if c.Total >= 0 {
		total = strconv.FormatInt(c.Total, 10)
	}
	return "bytes " + strconv.FormatInt(c.First, 10) + "-" + strconv.FormatInt(c.Last, 10) + "/" + total
}

// StrongValidator returns the response's strong entity tag, by which partial responses may be combined, or ""
// (RFC 9111, section 3.4).
func (p *Policy) StrongValidator() string {
	if StrongMatch(p.ETag, p.ETag) {
		return p.ETag
	}
	return ""
}

// IfRange evaluates an If-Range field against the stored response: whether the range is to be answered as such
// (RFC 9110, section 13.1.5). Without the field it is. A date must be the stored Last-Modified exactly, and
// that at least a second before the stored Date, or it is no strong validator (section 8.8.2.2).
func (p *Policy) IfRange(h http.Header) bool {
	lines := h["If-Range"]
	if len(lines) == 0 {
		return true
	}
	v := trimOWS(lines[0])
	if len(lines) > 1 {
		return false
	}
	if strings.HasSuffix(v, `"`) {
		return StrongMatch(v, p.ETag)
	}
	t, ok := ParseDate(v, p.responseTime)
	return ok && !p.LastModified.IsZero() && t.Equal(p.LastModified) && p.Date.Sub(t) >= time.Second
}
