package document

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Unmarshal parses a document. The body that it returns is a slice of doc, and its checksum is not
// verified. The entry does not refer to doc. If the body is empty and Length is not 0, the body is
// stored elsewhere or is missing; only the store knows which.
//
// The error is ErrVersion or a *SyntaxError. It is also a *SyntaxError if the metadata exceeds
// buffer.MaxHead.
func Unmarshal(doc []byte) (e *storage.Entry, body []byte, err error) {
	r := reader{buf: doc, size: int64(len(doc))}
	e, offset, length, err := decode(&r)
	if err != nil {
		return nil, nil, err
	}
	return e, doc[offset : offset+length : offset+length], nil
}

// Decode is like Unmarshal but reads a document of size bytes from r. It does not read the body; it
// returns the offset and the length of the body in bytes. The error may also wrap an error of r.
func Decode(r io.ReaderAt, size int64) (e *storage.Entry, bodyOffset, bodyLength int64, err error) {
	block := blocks.Get().(*[]byte)
	defer blocks.Put(block)
	return decode(&reader{buf: (*block)[:0], size: size, src: r})
}

var blocks = sync.Pool{New: func() any {
	b := make([]byte, blockSize)
	return &b
}}

func decode(r *reader) (e *storage.Entry, bodyOffset, bodyLength int64, err error) {
	r.end, r.left = buffer.MaxHead, maxItems
	if r.size < int64(len(magic)) {
		return nil, 0, 0, ErrVersion
	}
	if start := r.take(int64(len(magic))); r.err == nil && string(start) != magic {
		return nil, 0, 0, ErrVersion
	}
	d := decoder{entry: new(storage.Entry)}
	d.document(r)
	if r.err != nil {
		return nil, 0, 0, r.err
	}
	return d.entry, d.bodyOffset, d.bodyLength, nil
}

// decoder collects the parts of a document, which may be in any order.
type decoder struct {
	entry                  *storage.Entry
	bodyOffset, bodyLength int64
	lines                  http.Header // replace the lines of the header
	lengthSeen             bool
	headSum                uint32
	headSumAt              int64 // offset of headSum, or 0 if there is none
}

// seen is a set of keys, each of which may occur only once.
type seen uint

func (s *seen) once(r *reader, key seen) {
	if *s&key != 0 {
		r.fail("key comes twice")
	}
	*s |= key
}

func (d *decoder) document(r *reader) {
	const (
		response seen = 1 << iota
		vary
		ours
	)
	var s seen
	unknown := false
	for n := r.mapLen(); n > 0 && r.err == nil; n-- {
		switch string(r.key()) {
		case "response":
			s.once(r, response)
			d.response(r)
		case "vary":
			s.once(r, vary)
			p := r.part()
			d.entry.Vary = p.fields()
			r.adopt(&p)
		case "go":
			s.once(r, ours)
			p := r.part()
			d.ours(&p)
			r.adopt(&p)
		default:
			unknown = true
			r.skipValue()
		}
	}
	r.count()
	switch {
	case r.err != nil:
		return
	case r.offset() < r.size:
		r.fail("bytes after the document")
		return
	case s&response == 0:
		r.fail("no response")
		return
	case s&ours != 0 && d.headSumAt != r.size-sumSize:
		r.fail("no checksum at the end")
		return
	case s&ours != 0 && d.headSum != r.sum:
		r.fail("wrong checksum of the head")
		return
	case s&ours == 0 && unknown:
		// Python writes no other keys. The document may be one of this package whose "go" key is damaged.
		r.fail("unknown key beside a response")
		return
	}

	e := d.entry
	if s&ours == 0 {
		e.Length = d.bodyLength
		settleHead(e)
		return
	}
	for name, values := range d.lines {
		e.Header[name] = values
	}
	if !d.lengthSeen {
		e.Length = d.bodyLength
	} else if d.bodyLength > 0 && d.bodyLength != e.Length {
		r.fail("the body is not as long as it should be")
	}
}

func (d *decoder) response(r *reader) {
	const (
		headers seen = 1 << iota
		status
		version
		reason
		decodeContent
		body
	)
	e := d.entry
	e.Version = 11
	var s seen
	for n := r.mapLen(); n > 0 && r.err == nil; n-- {
		switch string(r.key()) {
		case "headers":
			s.once(r, headers)
			p := r.part()
			e.Header = p.header()
			r.adopt(&p)
		case "status":
			s.once(r, status)
			if n := r.int(); n >= 100 && n <= 999 {
				e.Status = int(n)
			} else {
				r.fail("not a status code")
			}
		case "version":
			s.once(r, version)
			if r.int() == 10 {
				e.Version = 10
			}
		case "reason":
			s.once(r, reason)
			if !r.null() {
				e.Reason = r.value()
			}
		case "decode_content":
			s.once(r, decodeContent)
			if c := r.code(); c != codeFalse && c != codeTrue {
				r.fail("not a bool")
			}
		case "body":
			s.once(r, body)
			d.bodyLength = r.binLen()
			d.bodyOffset = r.offset()
			r.skipBody(d.bodyLength)
		default:
			r.skipValue() // for example "strict", which older versions write
		}
	}
	if s&(headers|status|body) != headers|status|body {
		r.fail("response without headers, status or body")
	}
}

// adopt takes over the error of a reader returned by part.
func (r *reader) adopt(p *reader) {
	if r.err == nil {
		r.err = p.err
	}
}

// null reads the next value if it is nil, and reports whether it was.
func (r *reader) null() bool {
	if r.next() != codeNil {
		return false
	}
	r.code()
	return true
}

// header reads a map of names to single values. It fails if two names differ only in case, because
// no cache writes that.
func (r *reader) header() http.Header {
	n := r.mapLen()
	h := make(http.Header, min(n, 64))
	var values []string
	for i := range n {
		if len(values) == 0 {
			values = make([]string, min(n-i, 64))
		}
		name := r.name()
		values[0] = r.value()
		h[name], values = values[:1:1], values[1:]
		if len(h) != i+1 {
			r.fail("field comes twice")
		}
		if r.err != nil {
			return nil
		}
	}
	return h
}

// multi reads a map of names to lists of lines.
func (r *reader) multi() http.Header {
	n := r.mapLen()
	h := make(http.Header, min(n, 64))
	for i := range n {
		name := r.name()
		lines := r.arrayLen()
		if lines == 0 {
			r.fail("field without a line")
			return nil
		}
		values := make([]string, 0, min(lines, 64))
		for range lines {
			values = append(values, r.value())
			if r.err != nil {
				return nil
			}
		}
		h[name] = values
		if len(h) != i+1 {
			r.fail("field comes twice")
			return nil
		}
	}
	return h
}

// fields reads selecting header fields.
func (r *reader) fields() []storage.Field {
	n := r.mapLen()
	if n == 0 {
		return nil
	}
	fields := make([]storage.Field, 0, min(n, 16))
	for range n {
		f := storage.Field{Name: r.value()}
		if !r.null() {
			f.Value, f.Present = r.value(), true
			f.Value, f.Digest = strings.CutPrefix(f.Value, digestMark)
		}
		if r.err != nil {
			return nil
		}
		fields = append(fields, f)
	}
	if len(distinct(fields)) != n {
		r.fail("field comes twice")
		return nil
	}
	return fields
}

// ours reads the "go" map.
func (d *decoder) ours(r *reader) {
	const (
		url seen = 1 << iota
		requestTime
		responseTime
		lines
		trailer
		length
		sum
		bodyTime
		generation
		variants
		heuristic
		lifetime
		version
		partial
		groups
		mark
		headSum
	)
	e := d.entry
	var s seen
	for n := r.mapLen(); n > 0 && r.err == nil; n-- {
		switch string(r.key()) {
		case "url":
			s.once(r, url)
			e.URL = r.value()
		case "request_time":
			s.once(r, requestTime)
			e.RequestTime = r.time()
		case "response_time":
			s.once(r, responseTime)
			e.ResponseTime = r.time()
		case "lines":
			s.once(r, lines)
			d.lines = r.multi()
		case "trailer":
			s.once(r, trailer)
			e.Trailer = r.multi()
		case "length":
			s.once(r, length)
			e.Length, d.lengthSeen = r.atLeast(0), true
		case "sum":
			s.once(r, sum)
			n := r.atLeast(0)
			e.Sum = uint32(n)
			if int64(e.Sum) != n {
				r.fail("not a checksum")
			}
		case "body_time":
			s.once(r, bodyTime)
			e.BodyTime = r.time()
		case "generation":
			s.once(r, generation)
			e.Generation = r.text()
		case "variants":
			s.once(r, variants)
			e.Variants = r.variants()
		case "heuristic":
			s.once(r, heuristic)
			for n := r.arrayLen(); n > 0 && r.err == nil; n-- {
				e.Heuristic = append(e.Heuristic, r.text())
			}
		case "lifetime":
			s.once(r, lifetime)
			e.Lifetime = time.Duration(r.atLeast(0))
		case "http":
			s.once(r, version)
			if v := r.atLeast(0); v <= 9 {
				e.HTTP = int(v)
			}
		case "range":
			s.once(r, partial)
			e.Range = r.partial()
		case "groups":
			s.once(r, groups)
			for n := r.arrayLen(); n > 0 && r.err == nil; n-- {
				e.Groups = append(e.Groups, r.text())
			}
		case "mark":
			s.once(r, mark)
			if r.arrayLen() != 2 {
				r.fail("not a mark")
			}
			e.Mark = storage.Mark{List: uint64(r.int()), Version: uint64(r.int())}
		case "head_sum":
			s.once(r, headSum)
			if r.code() != uint32Code {
				r.fail("not a checksum")
			}
			d.headSumAt = r.offset()
			d.headSum = uint32(r.uint(sumSize))
		default:
			r.skipValue()
		}
	}
}

// atLeast reads an integer and fails if it is less than low.
func (r *reader) atLeast(low int64) int64 {
	n := r.int()
	if n < low {
		r.fail("negative number")
		return 0
	}
	return n
}

// time reads a time in nanoseconds since 1970.
func (r *reader) time() time.Time { return time.Unix(0, r.int()).UTC() }

func (r *reader) variants() []storage.Variant {
	n := r.arrayLen()
	var vs []storage.Variant
	for range n {
		v := r.variant()
		if r.err != nil {
			return nil
		}
		vs = append(vs, v)
	}
	return vs
}

func (r *reader) variant() (v storage.Variant) {
	const (
		key seen = 1 << iota
		vary
		date
		encoding
		language
		etag
	)
	var s seen
	for n := r.mapLen(); n > 0 && r.err == nil; n-- {
		switch string(r.key()) {
		case "key":
			s.once(r, key)
			v.Key = r.text()
		case "vary":
			s.once(r, vary)
			v.Vary = r.fields()
		case "date":
			s.once(r, date)
			v.Date = r.time()
		case "encoding":
			s.once(r, encoding)
			v.Encoding = r.text()
		case "language":
			s.once(r, language)
			v.Language = r.text()
		case "etag":
			s.once(r, etag)
			v.ETag = r.text()
		default:
			r.skipValue()
		}
	}
	if v.Key == "" {
		r.fail("variant without a key")
	}
	return v
}

func (r *reader) partial() *storage.Range {
	const (
		start seen = 1 << iota
		total
	)
	v := &storage.Range{Total: -1}
	var s seen
	for n := r.mapLen(); n > 0 && r.err == nil; n-- {
		switch string(r.key()) {
		case "start":
			s.once(r, start)
			v.Start = r.atLeast(0)
		case "total":
			s.once(r, total)
			v.Total = r.atLeast(-1)
		default:
			r.skipValue()
		}
	}
	if s&start == 0 {
		r.fail("range without a start")
	}
	return v
}
