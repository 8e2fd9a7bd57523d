package document_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestRoundTrip(t *testing.T) {
	many := http.Header{}
	var manyFields []storage.Field
	for i := range 300 {
		name := fmt.Sprintf("X-%d", i)
		many[name] = []string{strings.Repeat("v", i)}
		manyFields = append(manyFields, storage.Field{Name: name, Value: name, Present: true})
	}
	tests := []struct {
		name string
		edit func(*storage.Entry)
		body string
	}{
		{"nothing", func(*storage.Entry) {}, ""},
		{"nil header", func(e *storage.Entry) { e.Header = nil }, "x"},
		{"body of 64 KiB", func(*storage.Entry) {}, strings.Repeat("0123456789abcdef", 4096)},
		{"HTTP/1.0", func(e *storage.Entry) { e.Version = 10 }, "x"},
		{"no reason", func(e *storage.Entry) { e.Reason = "" }, "x"},
		{"reason None", func(e *storage.Entry) { e.Reason = "None" }, "x"},
		{"reason in Latin-1", func(e *storage.Entry) { e.Reason = "caf\xe9" }, "x"},
		{"lowest status", func(e *storage.Entry) { e.Status = 100 }, "x"},
		{"highest status", func(e *storage.Entry) { e.Status = 999 }, "x"},
		{"lines", func(e *storage.Entry) { e.Header["Link"] = []string{"<a>", "", "<b>, <c>"} }, "x"},
		{"every byte a value can hold", func(e *storage.Entry) {
			v := []byte{'\t'}
			for c := ' '; c < 0x100; c++ {
				if c != 0x7f {
					v = append(v, byte(c))
				}
			}
			e.Header["X-Bytes"] = []string{string(v)}
			e.Header["X-Lines"] = []string{string(v), "\xff"}
			e.Trailer = http.Header{"X-T": {string(v)}}
			e.Vary = []storage.Field{{Name: string(v), Value: string(v), Present: true}}
		}, "x"},
		{"many headers", func(e *storage.Entry) { e.Header = many }, "x"},
		{"many selecting fields", func(e *storage.Entry) { e.Vary = manyFields }, "x"},
		{"odd Vary", func(e *storage.Entry) {
			e.Vary = []storage.Field{
				{Name: "*"}, {Name: ""}, {Name: "accept", Value: "a", Present: true},
				{Name: "Accept", Value: "a", Present: true}, {Name: "not a token;", Present: true},
			}
		}, "x"},
		{"long values", func(e *storage.Entry) {
			for _, n := range []int{31, 32, 255, 256, 65535, 65536} {
				e.Header[fmt.Sprintf("X-%d", n)] = []string{strings.Repeat("l", n)}
			}
		}, "x"},
		{"URL of any bytes", func(e *storage.Entry) { e.URL = "http://h/\xff \u00e9" }, "x"},
		{"times around 1970", func(e *storage.Entry) {
			e.RequestTime = time.Unix(0, 0).UTC()
			e.ResponseTime = time.Unix(-1, 1).UTC()
		}, "x"},
		{"range to the end", func(e *storage.Entry) { e.Range = &storage.Range{Start: 0, Total: 0} }, "x"},
		{"range of a large whole", func(e *storage.Entry) {
			e.Range = &storage.Range{Start: math.MaxInt64 - 1, Total: math.MaxInt64}
		}, "x"},
		{"many variants", func(e *storage.Entry) {
			for range 40 {
				e.Variants = append(e.Variants, storetest.FullEntry().Variants...)
			}
		}, "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &storage.Entry{Status: 200, Reason: "OK", Version: 11, Header: http.Header{"A": {"b"}}}
			tt.edit(e)
			testRoundTrip(t, e, []byte(tt.body))
		})
	}
	t.Run("everything", func(t *testing.T) { testRoundTrip(t, storetest.FullEntry(), []byte("hello")) })
}

// testRoundTrip writes e with body, and reads it again.
func testRoundTrip(t *testing.T, e *storage.Entry, body []byte) {
	t.Helper()
	want := e.Clone()
	doc, err := document.Marshal(e, body)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, e, sameEntry); d != "" {
		t.Errorf("Marshal changed the entry:\n%s", d)
	}
	got, gotBody, err := read(t, doc)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(body, gotBody) {
		t.Errorf("body %q", gotBody)
	}
	want.Length, want.Sum = int64(len(body)), checksum.Sum(body)
	if d := cmp.Diff(want, got, sameEntry); d != "" {
		t.Error(d)
	}

	// The streamed form is the same document.
	want.Length = -1
	head, err := document.AppendHead([]byte("before"), want)
	if err != nil {
		t.Fatal(err)
	}
	sum := checksum.Sum(head[len("before") : len(head)-4])
	binary.BigEndian.PutUint32(head[len(head)-4:], uint32(len(body)))
	want.Length = int64(len(body))
	want.Header = document.TailHeader(want.Header)
	streamed, err := document.AppendTail(append(head, body...), want, sum)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(streamed, append([]byte("before"), doc...)) {
		t.Errorf("AppendHead and AppendTail:\n%q\nMarshal:\n%q", streamed, doc)
	}
}

func TestMarshalHead(t *testing.T) {
	e := storetest.FullEntry()
	e.Length = math.MaxUint32 + 1 // the body's own file may be that long
	doc, err := document.MarshalHead(e)
	if err != nil {
		t.Fatal(err)
	}
	got, body, err := read(t, doc)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) != 0 {
		t.Errorf("body %q", body)
	}
	if d := cmp.Diff(e, got, sameEntry); d != "" {
		t.Error(d)
	}
}

// What is written need not be what was given, where that is no canonical entry.
func TestMarshalSettles(t *testing.T) {
	tests := []struct {
		name       string
		edit, want func(*storage.Entry)
	}{
		{"names are made canonical, and lines of one name join",
			func(e *storage.Entry) {
				e.Header = http.Header{"x-a": {"2", "3"}, "X-A": {"1"}, "etag": {`"e"`}, "Empty": {}, "Nil": nil}
			},
			func(e *storage.Entry) { e.Header = http.Header{"X-A": {"1", "2", "3"}, "Etag": {`"e"`}} }},
		{"announced trailers without a value",
			func(e *storage.Entry) { e.Trailer = http.Header{"X-T": nil} },
			func(e *storage.Entry) { e.Trailer = nil }},
		{"a selecting field comes once",
			func(e *storage.Entry) {
				e.Vary = []storage.Field{{Name: "A", Value: "1", Present: true}, {Name: "B"}, {Name: "A", Value: "1", Present: true}, {Name: "C"}}
			},
			func(e *storage.Entry) {
				e.Vary = []storage.Field{{Name: "A", Value: "1", Present: true}, {Name: "B"}, {Name: "C"}}
			}},
		{"later versions",
			func(e *storage.Entry) { e.Version = 20 },
			func(e *storage.Entry) { e.Version = 11 }},
		{"times that do not fit",
			func(e *storage.Entry) {
				e.Variants = []storage.Variant{{Key: "k", Date: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
					{Key: "k", Date: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)}}
			},
			func(e *storage.Entry) {
				e.Variants = []storage.Variant{{Key: "k", Date: time.Unix(0, math.MaxInt64).UTC()},
					{Key: "k", Date: time.Unix(0, math.MinInt64).UTC()}}
			}},
		{"times elsewhere, with a monotonic reading",
			func(e *storage.Entry) {
				e.RequestTime = time.Unix(1709208000, 5).In(time.FixedZone("CET", 3600))
			},
			func(e *storage.Entry) { e.RequestTime = time.Unix(1709208000, 5).UTC() }},
		{"an absent field has no value",
			func(e *storage.Entry) { e.Vary = []storage.Field{{Name: "A", Value: "x"}} },
			func(e *storage.Entry) { e.Vary = []storage.Field{{Name: "A"}} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &storage.Entry{Status: 200, Version: 11, Header: http.Header{"A": {"b"}}}
			want := e.Clone()
			tt.edit(e)
			tt.want(want)
			doc, err := document.Marshal(e, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := read(t, doc)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, sameEntry); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestManySelectingFieldsComeOnce(t *testing.T) {
	e := &storage.Entry{Status: 200, Version: 11}
	for i := range 60 {
		e.Vary = append(e.Vary, storage.Field{Name: string(rune('A' + i%20))})
	}
	doc, err := document.Marshal(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := read(t, doc)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e.Vary[:20], got.Vary); d != "" {
		t.Error(d)
	}
}

// A document that would not be read again is not written.
func TestMarshalErrors(t *testing.T) {
	tests := []struct {
		name string
		edit func(*storage.Entry)
	}{
		{"status 99", func(e *storage.Entry) { e.Status = 99 }},
		{"status 1000", func(e *storage.Entry) { e.Status = 1000 }},
		{"reason with a line break", func(e *storage.Entry) { e.Reason = "a\r\nb" }},
		{"name with a space", func(e *storage.Entry) { e.Header = http.Header{"A B": {"c"}} }},
		{"empty name", func(e *storage.Entry) { e.Header = http.Header{"": {"c"}} }},
		{"value with a line break", func(e *storage.Entry) { e.Header = http.Header{"A": {"b\nc"}} }},
		{"value with NUL", func(e *storage.Entry) { e.Header = http.Header{"A": {"b", "\x00"}} }},
		{"value with DEL", func(e *storage.Entry) { e.Header = http.Header{"A": {"\x7f"}} }},
		{"trailer name", func(e *storage.Entry) { e.Trailer = http.Header{"A:": {"b"}} }},
		{"trailer value", func(e *storage.Entry) { e.Trailer = http.Header{"A": {"\r"}} }},
		{"selecting name", func(e *storage.Entry) { e.Vary = []storage.Field{{Name: "a\nb"}} }},
		{"selecting value", func(e *storage.Entry) { e.Vary = []storage.Field{{Name: "a", Value: "\n", Present: true}} }},
		{"selecting value that looks like a digest", func(e *storage.Entry) {
			e.Vary = []storage.Field{{Name: "a", Value: "\thmac-sha256 salt digest", Present: true}}
		}},
		{"variant without a key", func(e *storage.Entry) { e.Variants = []storage.Variant{{Encoding: "gzip"}} }},
		{"negative start", func(e *storage.Entry) { e.Range = &storage.Range{Start: -1} }},
		{"negative total", func(e *storage.Entry) { e.Range = &storage.Range{Total: -2} }},
		{"URL with a line break", func(e *storage.Entry) { e.URL = "http://h/\n" }},
		{"head too long", func(e *storage.Entry) { e.Header["A"] = []string{strings.Repeat("a", 16<<20)} }},
		{"part too long", func(e *storage.Entry) { e.Trailer = http.Header{"A": {strings.Repeat("a", 16<<20)}} }},
		{"unknown length", func(e *storage.Entry) { e.Length = -1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &storage.Entry{Status: 200, Version: 11, Header: http.Header{"A": {"b"}}}
			tt.edit(e)
			doc, err := document.MarshalHead(e)
			if err == nil || !strings.HasPrefix(err.Error(), "serialize: ") && !errors.Is(err, storage.ErrTooLarge) {
				t.Errorf("got %q, %v", doc, err)
			}
		})
	}
	t.Run("body too long", func(t *testing.T) {
		if _, err := document.AppendHead(nil, &storage.Entry{Status: 200, Length: math.MaxUint32 + 1}); err == nil {
			t.Error("no error")
		}
	})
}

// Equal entries have equal documents, whatever the order of Go's maps.
func TestMarshalIsDeterministic(t *testing.T) {
	first, err := document.Marshal(storetest.FullEntry(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		doc, err := document.Marshal(storetest.FullEntry(), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, doc) {
			t.Fatalf("%q\n%q", first, doc)
		}
	}
}

func TestSum(t *testing.T) {
	// RFC 3720, section B.4 gives these.
	if got := checksum.Sum(make([]byte, 32)); got != 0x8a9136aa {
		t.Errorf("32 zeros: %#x", got)
	}
	if got := checksum.Update(checksum.Sum([]byte("hel")), []byte("lo")); got != checksum.Sum([]byte("hello")) {
		t.Errorf("in two pieces: %#x", got)
	}
	if checksum.Sum(nil) != 0 {
		t.Error("an empty body has a sum")
	}
}

// A Foreign entry stays one.
func TestMarshalForeign(t *testing.T) {
	e, body, err := document.Unmarshal([]byte(python14))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := document.Marshal(e, body)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := read(t, doc)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, got, sameEntry); d != "" {
		t.Error(d)
	}

	ours := e.Clone()
	ours.Foreign, ours.Sum = false, checksum.Sum(body)
	doc, err = document.Marshal(ours, body)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err = read(t, doc)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(ours, got, sameEntry); d != "" {
		t.Error(d)
	}
}
