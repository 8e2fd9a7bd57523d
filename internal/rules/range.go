package rules

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// ByteRange is one range of bytes in a request (RFC 9110, section 14.1.2).
type ByteRange struct {
	First int64 // offset of the first byte; -1 means that the range is the last Last bytes
	Last  int64 // offset of the last byte; -1 means that the range extends to the end
}

// AskForRest sets the fields in h, the header of a request, that make it one for the bytes of a
// representation from first up to but not including end, or to the end if that is -1. validator is
// the strong validator of the representation, or "".
func AskForRest(h http.Header, first, end int64, validator string) {
	last := ""
	if end >= 0 {
		last = strconv.FormatInt(end-1, 10)
	}
	h["Range"] = []string{"bytes=" + strconv.FormatInt(first, 10) + "-" + last}
	if validator != "" {
		h["If-Range"] = []string{validator}
	}
}

// ParseRange parses a Range field that requests a single range of bytes. It reports false for
// anything else: several ranges, another unit, or an invalid value.
func ParseRange(lines []string) (ByteRange, bool) {
	set, ok := byteRangeSet(lines)
	if !ok {
		return ByteRange{}, false
	}
	return parseByteRange(set)
}

// ParseRanges parses a Range field that requests any number of ranges of bytes. It reports false
// for another unit, or an invalid value. Empty members of the list are ignored (RFC 9110, section
// 5.6.1.2).
func ParseRanges(lines []string) (ranges []ByteRange, ok bool) {
	set, ok := byteRangeSet(lines)
	if !ok {
		return nil, false
	}
	for member := range strings.SplitSeq(set, ",") {
		if member = trimOWS(member); member == "" {
			continue
		}
		r, ok := parseByteRange(member)
		if !ok {
			return nil, false
		}
		ranges = append(ranges, r)
	}
	return ranges, len(ranges) > 0
}

// byteRangeSet returns the set of ranges in a Range field whose unit is bytes.
func byteRangeSet(lines []string) (set string, ok bool) {
	if len(lines) != 1 {
		return "", false
	}
	unit, set, ok := strings.Cut(lines[0], "=")
	return trimOWS(set), ok && lower(trimOWS(unit)) == "bytes"
}

func parseByteRange(s string) (ByteRange, bool) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return ByteRange{}, false
	}
	r := ByteRange{-1, -1}
	if first != "" {
		if r.First, ok = ParseLength(first); !ok {
			return ByteRange{}, false
		}
	}
	if last != "" {
		if r.Last, ok = ParseLength(last); !ok {
			return ByteRange{}, false
		}
	}
	if r.First < 0 && r.Last < 0 || r.First >= 0 && r.Last >= 0 && r.Last < r.First {
		return ByteRange{}, false
	}
	return r, true
}

// Within returns the part of a representation of total bytes that the range selects, from start up
// to but not including end. It reports false if that part is empty; the response is then 416.
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

// ContentRange is the part of a representation that a partial response contains (RFC 9110, section
// 14.4).
type ContentRange struct {
	First, Last int64 // offsets of the first and the last byte
	Total       int64 // length of the representation, or -1 if it is not known
}

// ParseContentRange parses the Content-Range field of a 206. It rejects a Last of math.MaxInt64, so
// that Last+1 does not overflow.
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
	c.First, okFirst = ParseLength(first)
	c.Last, okLast = ParseLength(last)
	if okTotal = total == "*"; !okTotal {
		c.Total, okTotal = ParseLength(total)
	}
	if !okFirst || !okLast || !okTotal || c.Last < c.First || c.Last == math.MaxInt64 || c.Total >= 0 && c.Last >= c.Total {
		return ContentRange{}, false
	}
	return c, true
}

// String returns the value of the Content-Range field.
func (c ContentRange) String() string {
	total := "*"
	if c.Total >= 0 {
		total = strconv.FormatInt(c.Total, 10)
	}
	return "bytes " + strconv.FormatInt(c.First, 10) + "-" + strconv.FormatInt(c.Last, 10) + "/" + total
}
