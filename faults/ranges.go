package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/parttest"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// ranges compares the answers of the cache to requests for ranges with those of http.ServeContent, which is its origin. Each of a
// number of rounds has a document, and a store that has nothing of it, all of it, or parts.
func ranges(ctx context.Context, less int) ([]row, error) {
	const perRound = 50
	var rows []row
	for _, part := range []struct {
		name   string
		rounds int
		open   func(dir string) (storage.Store, error)
	}{
		{"DictCache", 18_000, func(string) (storage.Store, error) { return storage.NewDictCache(), nil }},
		{fileLayout, 1000, func(dir string) (storage.Store, error) { return openLayout(fileLayout, dir) }},
		{separateLayout, 1000, func(dir string) (storage.Store, error) { return openLayout(separateLayout, dir) }},
	} {
		r := row{broken: part.name + ", ranges that http.ServeContent answers, too", unit: "combinations"}
		var explained [len(differences)]int
		for range max(5, part.rounds/less) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			dir, err := os.MkdirTemp("", "faults")
			if err != nil {
				return nil, err
			}
			store, err := part.open(dir)
			if err == nil {
				newRangeRound(store).run(perRound, &r.tally, &explained)
			}
			os.RemoveAll(dir)
			if err != nil {
				return nil, err
			}
		}
		r.times = r.Reads
		var notes []string
		for i, n := range explained {
			if n > 0 {
				notes = append(notes, fmt.Sprintf("%d %s", n, differences[i].name))
			}
		}
		r.notes = "explained differences: " + strings.Join(notes, ", ")
		rows = append(rows, r)
	}
	return rows, nil
}

// A rangeRound is a document, the handler that serves it, and a Transport in front of that.
type rangeRound struct {
	parttest.File
	modified time.Time // or zero
	t        *cachecontrol.Transport
}

func newRangeRound(store storage.Store) *rangeRound {
	sizes := []int64{0, 1, 2, 10, 1000, 70_000}
	o := &rangeRound{File: parttest.File{Version: rand.Uint64N(1 << 20), Size: sizes[rand.IntN(len(sizes))]}}
	if rand.IntN(2) == 0 {
		o.modified = time.Now().Add(-time.Hour)
	}
	o.t = &cachecontrol.Transport{Base: o, Store: store}
	return o
}

// RoundTrip answers with http.ServeContent.
func (o *rangeRound) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h := rec.Header()
	h.Set("Etag", o.Tag())
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", "max-age=3600")
	h.Set("Content-Type", "text/plain")
	http.ServeContent(rec, req, "", o.modified, o.Reader())
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// run fills the store and compares the answers.
func (o *rangeRound) run(requests int, sum *tally, explained *[len(differences)]int) {
	defer o.t.Close()
	switch fill := rand.IntN(4); {
	case fill == 0:
	case fill == 1:
		o.get(o.t, nil)
	case o.Size > 0:
		for range 1 + rand.IntN(6) {
			a := rand.Int64N(o.Size)
			o.get(o.t, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", a, a+rand.Int64N(o.Size/3+1))}})
		}
	}
	for range requests {
		h := o.randomHeader()
		got, err := o.get(o.t, h)
		want, _ := o.get(o, h)
		sum.Reads++
		if err != nil {
			sum.failed(err)
			continue
		}
		if got.cached {
			sum.Hits++
		}
		if got.equal(want) {
			continue
		}
		i := o.explain(h, got)
		if i < 0 {
			sum.wrong("%v of %d bytes: %v, want %v", h, o.Size, got, want)
			continue
		}
		explained[i]++
	}
}

// randomHeader returns a Range, and often an If-Range.
func (o *rangeRound) randomHeader() http.Header {
	h := http.Header{}
	switch rand.IntN(12) {
	case 0:
		h.Set("Range", strange[rand.IntN(len(strange))])
	default:
		h.Set("Range", "bytes="+o.randomRanges())
	}
	last := time.Now().Add(-2 * time.Hour)
	switch rand.IntN(12) {
	case 0, 1:
		h.Set("If-Range", o.Tag())
	case 2:
		h.Set("If-Range", `"other"`)
	case 3:
		h.Set("If-Range", "W/"+o.Tag())
	case 4:
		if !o.modified.IsZero() {
			last = o.modified
		}
		h.Set("If-Range", last.UTC().Format(http.TimeFormat))
	case 5:
		h.Set("If-Range", last.UTC().Format(http.TimeFormat))
	case 6:
		h.Set("If-Range", []string{"", "*", o.Tag() + ", " + o.Tag(), strings.Trim(o.Tag(), `"`), "yesterday"}[rand.IntN(5)])
	}
	return h
}

// strange are fields that are not a list of ranges of bytes, or that are one in an unusual form.
var strange = []string{
	"", "bytes", "bytes=", "bytes=-", "bytes=--1", "bytes=a-b", "bytes=1-a", "bytes=+0-1", "bytes=0 - 1", "bytes= 0-1", "bytes=0-1 ", " bytes=0-1",
	"bytes =0-1", "bytes=5-4", "bytes=0-0,5-4", "bytes=0-1;q=1", "BYTES=0-0", "Bytes=0-0,1-1", "lines=0-1", "bytes=,", "bytes=,,0-0,,", "bytes=0-0,\t2-2",
	"bytes=0-18446744073709551616", "bytes=18446744073709551616-", "bytes=-18446744073709551616", "bytes=9223372036854775807-",
	"bytes=0-9223372036854775807", "bytes=-9223372036854775807", "bytes=9223372036854775806-9223372036854775807", "bytes=00-01", "bytes=-00",
	"bytes=0x0-1", "bytes=0-1,lines=0-1", "bytes=0-1-2", "none", "bytes=0.5-1",
}

// randomRanges returns a list of ranges: single ones, those to the end and of the end, several, overlapping and unsatisfiable ones.
func (o *rangeRound) randomRanges() string {
	n := func() int64 { return rand.Int64N(o.Size + 5) }
	count := 1
	if rand.IntN(3) == 0 {
		count += rand.IntN(5)
	}
	var all []string
	for range count {
		switch a := n(); rand.IntN(9) {
		case 0:
			all = append(all, fmt.Sprintf("%d-", a))
		case 1:
			all = append(all, fmt.Sprintf("-%d", a))
		case 2:
			all = append(all, fmt.Sprintf("%d-%d", o.Size+a, o.Size+2*a))
		case 3:
			all = append(all, fmt.Sprintf(" %d-%d ", a, n())) // perhaps the wrong way round
		case 4:
			all = append(all, "")
		default:
			all = append(all, fmt.Sprintf("%d-%d", a, a+rand.Int64N(o.Size/3+1)))
		}
	}
	return strings.Join(all, ",")
}

// rangeAnswer is what an answer says. The parts of a multipart/byteranges response are in the form of multipart.Part.
type rangeAnswer struct {
	status                                 int
	contentRange, kind, tag, last, accepts string
	length                                 int64
	body                                   []byte
	parts                                  []string
	cached                                 bool
	lengthField                            string
}

func (a rangeAnswer) String() string {
	if a.parts != nil {
		return fmt.Sprintf("%d with the parts %.200q", a.status, a.parts)
	}
	return fmt.Sprintf("%d %q %q with %d (%q) bytes %.40q", a.status, a.contentRange, a.kind, a.length, a.lengthField, a.body)
}

func (a rangeAnswer) equal(b rangeAnswer) bool {
	return a.status == b.status && a.contentRange == b.contentRange && a.kind == b.kind && a.tag == b.tag && a.last == b.last &&
		a.accepts == b.accepts && a.length == b.length && a.lengthField == b.lengthField && bytes.Equal(a.body, b.body) && slices.Equal(a.parts, b.parts)
}

func (o *rangeRound) get(rt http.RoundTripper, h http.Header) (a rangeAnswer, err error) {
	req, err := http.NewRequest(http.MethodGet, "http://origin.example/", nil)
	if err != nil {
		return a, err
	}
	for name, lines := range h {
		req.Header[name] = lines
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	field := resp.Header.Get
	a = rangeAnswer{
		resp.StatusCode, field("Content-Range"), field("Content-Type"), field("Etag"), field("Last-Modified"), field("Accept-Ranges"), resp.ContentLength, body, nil,
		cachecontrol.FromCache(resp), field("Content-Length"),
	}
	if a.length >= 0 && a.length != int64(len(body)) || a.lengthField != "" && a.lengthField != strconv.Itoa(len(body)) {
		return a, fmt.Errorf("Content-Length %d and %q with %d bytes", a.length, a.lengthField, len(body))
	}
	kind, params, _ := mime.ParseMediaType(a.kind)
	if kind != "multipart/byteranges" {
		return a, nil
	}
	a.kind, a.body = kind, nil
	for r := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		text, err := io.ReadAll(p)
		if err != nil {
			return a, err
		}
		a.parts = append(a.parts, fmt.Sprintf("%v %s", p.Header, text))
	}
}

// A difference is a reason for which the cache answers otherwise than http.ServeContent. The cache answers as http.ServeContent does to
// another request, which rewrite makes of h. It reports whether the reason applies.
type difference struct {
	name    string
	rewrite func(o *rangeRound, h http.Header) bool
}

// emptySuffix matches a range of the last 0 bytes.
var emptySuffix = regexp.MustCompile(`([=,])[ \t]*-0+[ \t]*(,|$)`)

var differences = [...]difference{
	// Units are not case-sensitive (RFC 9110, section 14.1), and white space around a value is not part of it.
	{"units in capitals or after a space", func(_ *rangeRound, h http.Header) bool {
		unit, set, ok := strings.Cut(h.Get("Range"), "=")
		applies := ok && unit != "bytes" && strings.EqualFold(strings.TrimSpace(unit), "bytes")
		if applies {
			h.Set("Range", "bytes="+set)
		}
		return applies
	}},
	// The last 0 bytes are not satisfiable (RFC 9110, section 14.1.2). http.ServeContent sends an invalid Content-Range.
	{"suffixes of no bytes", func(_ *rangeRound, h http.Header) bool {
		old := h.Get("Range")
		set := old
		for emptySuffix.MatchString(set) {
			set = emptySuffix.ReplaceAllString(set, "$1$2")
		}
		if strings.Trim(set, ", \t") == "bytes=" {
			set = "bytes=9223372036854775807-" // there must be a range that is not satisfiable
		}
		h.Set("Range", set)
		return set != old
	}},
	// No range of an empty document has a valid Content-Range, so the cache sends the document. So does http.ServeContent, except if a
	// suffix is requested.
	{"suffixes of an empty document", func(o *rangeRound, h http.Header) bool {
		applies := o.Size == 0 && strings.HasPrefix(h.Get("Range"), "bytes=")
		if applies {
			h.Del("Range")
		}
		return applies
	}},
	// An If-Range that is neither a tag nor a date is not true (RFC 9110, section 13.1.5). http.ServeContent ignores an empty one, and
	// what follows the first tag.
	{"an If-Range that is empty or a list", func(_ *rangeRound, h http.Header) bool {
		lines := h["If-Range"]
		applies := lines != nil && (lines[0] == "" || strings.Contains(lines[0], `", "`))
		if applies {
			h.Set("If-Range", `"other"`)
		}
		return applies
	}},
	// The content of a 416 is for people.
	{"a 416 without content", func(*rangeRound, http.Header) bool { return true }},
}

// explain returns the index of the difference that explains an answer, or -1.
func (o *rangeRound) explain(h http.Header, got rangeAnswer) int {
	h = h.Clone()
	why := -1
	for i, d := range differences {
		if d.rewrite(o, h) && why < 0 {
			why = i
		}
	}
	want, err := o.get(o, h)
	if err == nil && got.equal(want) || got.status == http.StatusRequestedRangeNotSatisfiable && want.status == got.status && want.contentRange == got.contentRange {
		return why
	}
	return -1
}
