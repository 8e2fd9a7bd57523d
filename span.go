package cachecontrol

import (
	"io"
	"math"
	"net/http"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// span is a part of a representation: the bytes from start up to, but not including, end, of total bytes, or -1 if not
// known.
type span struct{ start, end, total int64 }

func (a span) length() int64 { return a.end - a.start }

// union returns the union of a and b, if they are adjacent or overlap and do not have different totals.
func (a span) union(b span) (span, bool) {
	if a.start > b.end || b.start > a.end || a.total >= 0 && b.total >= 0 && a.total != b.total {
		return span{}, false
	}
	u := span{min(a.start, b.start), max(a.end, b.end), max(a.total, b.total)}
	return u, u.total < 0 || u.end <= u.total
}

// spanCopier copies spans of a body in ascending order.
type spanCopier struct {
	body io.ReadCloser
	pos  int64
}

func (c *spanCopier) copy(w io.Writer, from, to int64) error {
	if from >= to {
		return nil
	}
	if seeker, ok := c.body.(io.Seeker); ok {
		if _, err := seeker.Seek(from, io.SeekStart); err != nil {
			return err
		}
	} else if _, err := io.CopyN(io.Discard, c.body, from-c.pos); err != nil {
		return err
	}
	_, err := io.CopyN(w, c.body, to-from)
	c.pos = to
	return err
}

// contentRange returns the range of a 206. If the length of its content differs from Content-Range, the content counts,
// and the representation ends with it. This is accepted only if the field says that the range extends to the end.
func contentRange(resp *http.Response) (rules.ContentRange, bool) {
	cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
	if n := framedLength(resp); ok && n >= 0 && n != cr.Last-cr.First+1 {
		if n == 0 || cr.Last != cr.Total-1 || n > math.MaxInt64-cr.First {
			return cr, false
		}
		cr.Total = cr.First + n
		cr.Last = cr.Total - 1
	}
	return cr, ok
}
