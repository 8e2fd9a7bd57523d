package document

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var (
	errBodyTooLong   = errors.New("serialize: body longer than 4 GiB")
	errUnknownLength = errors.New("serialize: length of the body not known")
)

// Marshal returns the document with e and its body. The length and the checksum in it are computed
// from body, not taken from e.
func Marshal(e *storage.Entry, body []byte) ([]byte, error) {
	var space [32]field
	header, err := fieldsOf(space[:0], e.Header)
	if err != nil {
		return nil, err
	}
	dst := make([]byte, 0, sizeHint(e, header)+len(body))
	if dst, err = appendHead(dst, e, header, int64(len(body))); err != nil {
		return nil, err
	}
	headSum := checksum.Sum(dst)
	dst = append(dst, body...)
	return appendTail(dst, e, header, int64(len(body)), checksum.Sum(body), headSum)
}

// MarshalHead returns a document with an empty body. It is used by stores that keep bodies
// elsewhere. The document has the Length, Sum and BodyTime of e. Length must not be negative.
func MarshalHead(e *storage.Entry) ([]byte, error) {
	var space [32]field
	header, err := fieldsOf(space[:0], e.Header)
	if err != nil {
		return nil, err
	}
	dst, err := appendHead(make([]byte, 0, sizeHint(e, header)), e, header, 0)
	if err != nil {
		return nil, err
	}
	return appendTail(dst, e, header, e.Length, e.Sum, checksum.Sum(dst))
}

// AppendHead appends to dst the part of the document of e that precedes the body. Its last 4 bytes
// are the length of the body as a big-endian uint32: e.Length, or 0 if e.Length is negative, which
// the caller must overwrite later.
//
// Between AppendHead and AppendTail, no fields of e may change except Trailer, Generation,
// Variants, Length, Sum and BodyTime.
func AppendHead(dst []byte, e *storage.Entry) ([]byte, error) {
	var space [32]field
	header, err := fieldsOf(space[:0], e.Header)
	if err != nil {
		return nil, err
	}
	return appendHead(dst, e, header, max(e.Length, 0))
}

// TailHeader returns a copy of the part of a header that AppendTail needs. If it replaces e.Header,
// AppendTail appends the same bytes, and h may be modified after AppendHead.
func TailHeader(h http.Header) http.Header {
	if !severalLines(h) {
		return nil
	}
	return h.Clone()
}

// AppendTail appends to dst the part of the document of e that follows the body. e.Length and e.Sum
// must be those of the body. headSum is the Sum of what AppendHead appended, without its last 4
// bytes; it is included in the checksum at the end of the document. For a Foreign entry only what
// Python writes is written, so that the entry remains Foreign.
func AppendTail(dst []byte, e *storage.Entry, headSum uint32) ([]byte, error) {
	var header []field // the tail needs only fields with several lines, which most entries do not have
	if severalLines(e.Header) {
		var err error
		if header, err = fieldsOf(nil, e.Header); err != nil {
			return nil, err
		}
	}
	if e.Length < 0 {
		return nil, errUnknownLength
	}
	if e.Length > math.MaxUint32 {
		return nil, errBodyTooLong
	}
	headSum = checksum.Update(headSum, binary.BigEndian.AppendUint32(nil, uint32(e.Length)))
	return appendTail(dst, e, header, e.Length, e.Sum, headSum)
}

func appendHead(dst []byte, e *storage.Entry, header []field, length int64) ([]byte, error) {
	if length > math.MaxUint32 {
		return nil, errBodyTooLong
	}
	if e.Status < 100 || e.Status > 999 {
		return nil, fmt.Errorf("serialize: status %d", e.Status)
	}
	if !validValue(e.Reason) {
		return nil, fmt.Errorf("serialize: reason phrase %q", e.Reason)
	}

	start := len(dst)
	w := newWriter(append(dst, magic...))
	defer w.free()
	if e.Foreign {
		w.mapLen(2)
	} else {
		w.mapLen(3)
	}
	w.text("response")
	w.mapLen(6) // Python fails if there is a seventh
	w.text("headers")
	w.header(header)
	w.text("status")
	w.int(int64(e.Status))
	w.text("version")
	if e.Version == 10 {
		w.int(10)
	} else {
		w.int(11)
	}
	w.text("reason")
	w.text(e.Reason)
	w.text("decode_content")
	w.bool(false)
	w.text("body")
	w.bin32(uint32(length))
	if len(w.buf)-start > buffer.MaxHead {
		w.fail(buffer.ErrHeadTooLong)
	}
	return w.result()
}

// appendTail appends what follows the body. headSum is the checksum of what precedes the body,
// including its length.
func appendTail(dst []byte, e *storage.Entry, header []field, length int64, sum, headSum uint32) ([]byte, error) {
	start := len(dst)
	w := newWriter(dst)
	defer w.free()
	w.text("vary")
	w.fields(e.Vary)
	if e.Foreign {
		if len(w.buf)-start > buffer.MaxHead {
			w.fail(buffer.ErrHeadTooLong)
		}
		return w.result()
	}
	if length < 0 {
		return nil, errUnknownLength
	}
	trailer, err := fieldsOf(nil, e.Trailer)
	if err != nil {
		return nil, err
	}
	if err := checkTail(e); err != nil {
		return nil, err
	}
	lines := 0 // number of fields with several lines
	for _, f := range header {
		if len(f.lines) > 1 {
			lines++
		}
	}
	// Zero values are omitted, but the "go" map is always written, because without it the entry would be Foreign.
	w.text("go")
	w.mapLen(1 + present( // the checksum, and
		e.URL != "", !e.RequestTime.IsZero(), !e.ResponseTime.IsZero(), lines > 0, len(trailer) > 0, length != 0,
		sum != 0, !e.BodyTime.IsZero(), e.Generation != "", len(e.Variants) > 0, len(e.Heuristic) > 0,
		e.Lifetime != 0, e.HTTP != 0, e.Range != nil, len(e.Groups) > 0, e.Mark != storage.Mark{},
	))
	w.textKey("url", e.URL)
	w.timeKey("request_time", e.RequestTime)
	w.timeKey("response_time", e.ResponseTime)
	w.linesKey("lines", header, lines, 2)
	w.linesKey("trailer", trailer, len(trailer), 1)
	w.intKey("length", length)
	w.intKey("sum", int64(sum))
	w.timeKey("body_time", e.BodyTime)
	w.textKey("generation", e.Generation)
	w.listsAndRange(e)
	w.marks(e)
	w.text("head_sum")
	w.buf = append(w.buf, uint32Code)
	w.buf = binary.BigEndian.AppendUint32(w.buf, checksum.Update(headSum, w.buf[start:]))
	if len(w.buf)-start > buffer.MaxHead {
		w.fail(buffer.ErrHeadTooLong)
	}
	return w.result()
}

// checkTail returns an error if a value of the "go" map cannot be written.
func checkTail(e *storage.Entry) error {
	switch r := e.Range; {
	case !validValue(e.URL):
		return fmt.Errorf("serialize: URL %q", e.URL)
	case e.Lifetime < 0:
		return fmt.Errorf("serialize: lifetime %v", e.Lifetime)
	case e.HTTP < 0 || e.HTTP > 9:
		return fmt.Errorf("serialize: HTTP version %d", e.HTTP)
	case r != nil && (r.Start < 0 || r.Total < -1):
		return fmt.Errorf("serialize: range %d of %d", r.Start, r.Total)
	}
	return nil
}

// present returns the number of conditions that are true.
func present(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// listsAndRange writes the fields of the "go" map from variants to range.
func (w *writer) listsAndRange(e *storage.Entry) {
	if len(e.Variants) > 0 {
		w.text("variants")
		w.arrayLen(len(e.Variants))
		for i := range e.Variants {
			w.variant(&e.Variants[i])
		}
	}
	if len(e.Heuristic) > 0 {
		w.text("heuristic")
		w.arrayLen(len(e.Heuristic))
		for _, name := range e.Heuristic {
			w.text(name)
		}
	}
	w.intKey("lifetime", int64(e.Lifetime))
	w.intKey("http", int64(e.HTTP))
	if r := e.Range; r != nil {
		w.text("range")
		w.mapLen(2)
		w.text("start")
		w.int(r.Start)
		w.text("total")
		w.int(r.Total)
	}
}

// marks writes the fields of the "go" map that tell whether the entry was invalidated.
func (w *writer) marks(e *storage.Entry) {
	if len(e.Groups) > 0 {
		w.text("groups")
		w.arrayLen(len(e.Groups))
		for _, g := range e.Groups {
			w.text(g)
		}
	}
	if e.Mark != (storage.Mark{}) {
		w.text("mark")
		w.arrayLen(2)
		w.int(int64(e.Mark.List))
		w.int(int64(e.Mark.Version))
	}
}

// sizeHint estimates the size of the document of e without its body. If the estimate is too small,
// the buffer grows.
func sizeHint(e *storage.Entry, header []field) int {
	n := 336 + len(e.URL) + len(e.Generation)
	for _, f := range header {
		size := len(f.name) + 6
		for _, v := range f.lines {
			size += len(v) + 3
		}
		n += size
		if len(f.lines) > 1 {
			n += size // written again under "lines"
		}
	}
	for _, f := range e.Vary {
		n += len(f.Name) + len(f.Value) + 6
	}
	return n + 256*len(e.Variants)
}

// field is a header field with a name in canonical form and at least one line.
type field struct {
	name  string
	lines []string
}

// fieldsOf appends the fields of h to dst, sorted, so that equal entries have equal documents. It
// returns an error if a name or a value in h is not allowed in a document.
func fieldsOf(dst []field, h http.Header) ([]field, error) {
	same := true
	for name, lines := range h {
		if len(lines) == 0 {
			continue
		}
		canonical, ok := canonicalName(name)
		if !ok {
			return nil, fmt.Errorf("serialize: field name %q", name)
		}
		same = same && canonical == name
		for _, v := range lines {
			if !validValue(v) {
				return nil, fmt.Errorf("serialize: value %q of field %s", v, name)
			}
		}
		dst = append(dst, field{name, lines})
	}
	slices.SortFunc(dst, func(a, b field) int { return strings.Compare(a.name, b.name) })
	if same {
		return dst, nil
	}
	c := make(http.Header, len(h))
	for _, f := range dst {
		canonical, _ := canonicalName(f.name)
		c[canonical] = append(c[canonical], f.lines...)
	}
	return fieldsOf(dst[:0], c)
}

// severalLines reports whether a field of h may have several lines. Names that are not canonical
// count, because they may be merged.
func severalLines(h http.Header) bool {
	for name, lines := range h {
		if canonical, ok := canonicalName(name); len(lines) > 1 || !ok || canonical != name {
			return true
		}
	}
	return false
}

func (w *writer) header(fields []field) {
	w.mapLen(len(fields))
	for _, f := range fields {
		w.text(f.name)
		if len(f.lines) == 1 {
			w.text(f.lines[0])
		} else {
			w.text(strings.Join(f.lines, ", "))
		}
	}
}

func (w *writer) fields(fields []storage.Field) {
	fields = distinct(fields)
	w.mapLen(len(fields))
	for _, f := range fields {
		if !validValue(f.Name) || !validValue(f.Value) || !f.Digest && strings.HasPrefix(f.Value, digestMark) {
			w.fail(fmt.Errorf("serialize: value of the selecting field %q", f.Name)) // the value may be a secret, so it is not in the error
			return
		}
		w.text(f.Name)
		switch {
		case !f.Present:
			w.nil()
		case f.Digest:
			w.text(digestMark + f.Value)
		default:
			w.text(f.Value)
		}
	}
}

// distinct returns fields without repetitions of a name. The values of repeated names are always
// equal.
func distinct(fields []storage.Field) []storage.Field {
	var names map[string]bool // used if there are more than a few fields
	if len(fields) > 16 {
		names = make(map[string]bool, len(fields))
	}
	kept := fields[:0:0]
	for i, f := range fields {
		var again bool
		if names != nil {
			again = names[f.Name]
			names[f.Name] = true
		} else {
			again = slices.ContainsFunc(fields[:i], func(g storage.Field) bool { return g.Name == f.Name })
		}
		switch {
		case again && len(kept) == 0:
			kept = append(kept, fields[:i]...)
		case !again && len(kept) > 0:
			kept = append(kept, f)
		}
	}
	if len(kept) > 0 {
		return kept
	}
	return fields
}

func (w *writer) textKey(key, s string) {
	if s != "" {
		w.text(key)
		w.text(s)
	}
}

func (w *writer) intKey(key string, n int64) {
	if n != 0 {
		w.text(key)
		w.int(n)
	}
}

func (w *writer) timeKey(key string, t time.Time) {
	if !t.IsZero() {
		w.text(key)
		w.int(unixNano(t))
	}
}

// linesKey writes the n fields that have at least atLeast lines.
func (w *writer) linesKey(key string, fields []field, n, atLeast int) {
	if n == 0 {
		return
	}
	w.text(key)
	w.mapLen(n)
	for _, f := range fields {
		if len(f.lines) < atLeast {
			continue
		}
		w.text(f.name)
		w.arrayLen(len(f.lines))
		for _, v := range f.lines {
			w.text(v)
		}
	}
}

func (w *writer) variant(v *storage.Variant) {
	if v.Key == "" {
		w.fail(errors.New("serialize: variant without a key"))
		return
	}
	n := 1
	for _, present := range [...]bool{len(v.Vary) > 0, !v.Date.IsZero(), v.Encoding != "", v.Language != "", v.ETag != ""} {
		if present {
			n++
		}
	}
	w.mapLen(n)
	w.textKey("key", v.Key)
	if len(v.Vary) > 0 {
		w.text("vary")
		w.fields(v.Vary)
	}
	w.timeKey("date", v.Date)
	w.textKey("encoding", v.Encoding)
	w.textKey("language", v.Language)
	w.textKey("etag", v.ETag)
}

// unixNano is like t.UnixNano but limits the result to the range of int64, because a Date field can
// name years outside it.
func unixNano(t time.Time) int64 {
	if t.Before(time.Unix(0, math.MinInt64)) {
		return math.MinInt64
	}
	if t.After(time.Unix(0, math.MaxInt64)) {
		return math.MaxInt64
	}
	return t.UnixNano()
}
