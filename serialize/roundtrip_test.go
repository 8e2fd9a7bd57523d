package serialize_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

func TestRoundTrip(t *testing.T) {
	many := http.Header{}
	var manyFields []serialize.Field
	for i := range 300 {
		name := fmt.Sprintf("X-%d", i)
		many[name] = []string{strings.Repeat("v", i)}
		manyFields = append(manyFields, serialize.Field{Name: name, Value: name, Present: true})
	}
	tests := []struct {
		name string
		edit func(*serialize.Entry)
		body string
	}{
		{"nothing", func(*serialize.Entry) {}, ""},
		{"nil header", func(e *serialize.Entry) { e.Header = nil }, "x"},
		{"body of 64 KiB", func(*serialize.Entry) {}, strings.Repeat("0123456789abcdef", 4096)},
		{"HTTP/1.0", func(e *serialize.Entry) { e.Version = 10 }, "x"},
		{"no reason", func(e *serialize.Entry) { e.Reason = "" }, "x"},
		{"reason None", func(e *serialize.Entry) { e.Reason = "None" }, "x"},
		{"reason in Latin-1", func(e *serialize.Entry) { e.Reason = "caf\xe9" }, "x"},
		{"lowest status", func(e *serialize.Entry) { e.Status = 100 }, "x"},
		{"highest status", func(e *serialize.Entry) { e.Status = 999 }, "x"},
		{"lines", func(e *serialize.Entry) { e.Header["Link"] = []string{"<a>", "", "<b>, <c>"} }, "x"},
		{"every byte a value can hold", func(e *serialize.Entry) {
			v := []byte{'\t'}
			for c := ' '; c < 0x100; c++ {
				if c != 0x7f {
					v = append(v, byte(c))
				}
			}
			e.Header["X-Bytes"] = []string{string(v)}
			e.Header["X-Lines"] = []string{string(v), "\xff"}
			e.Trailer = http.Header{"X-T": {string(v)}}
			e.Vary = []serialize.Field{{Name: string(v), Value: string(v), Present: true}}
		}, "x"},
		{"many headers", func(e *serialize.Entry) { e.Header = many }, "x"},
		{"many selecting fields", func(e *serialize.Entry) { e.Vary = manyFields }, "x"},
		{"odd Vary", func(e *serialize.Entry) {
			e.Vary = []serialize.Field{
				{Name: "*"}, {Name: ""}, {Name: "accept", Value: "a", Present: true},
				{Name: "Accept", Value: "a", Present: true}, {Name: "not a token;", Present: true},
			}
		}, "x"},
		{"long values", func(e *serialize.Entry) {
			for _, n := range []int{31, 32, 255, 256, 65535, 65536} {
				e.Header[fmt.Sprintf("X-%d", n)] = []string{strings.Repeat("l", n)}
			}
		}, "x"},
		{"URL of any bytes", func(e *serialize.Entry) { e.URL = "http://h/\xff \u00e9" }, "x"},
		{"times around 1970", func(e *serialize.Entry) {
			e.RequestTime = time.Unix(0, 0).UTC()
			e.ResponseTime = time.Unix(-1, 1).UTC()
		}, "x"},
		{"range to the end", func(e *serialize.Entry) { e.Range = &serialize.Range{Start: 0, Total: 0} }, "x"},
		{"range of a large whole", func(e *serialize.Entry) {
			e.Range = &serialize.Range{Start: math.MaxInt64 - 1, Total: math.MaxInt64}
		}, "x"},
		{"many variants", func(e *serialize.Entry) {
			for range 40 {
				e.Variants = append(e.Variants, fullEntry().Variants...)
			}
		}, "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &serialize.Entry{Status: 200, Reason: "OK", Version: 11, Header: http.Header{"A": {"b"}}}
			tt.edit(e)
			testRoundTrip(t, e, []byte(tt.body))
		})
	}
	t.Run("everything", func(t *testing.T) { testRoundTrip(t, fullEntry(), []byte("hello")) })
}

// testRoundTrip writes e with body, and reads it again.
func testRoundTrip(t *testing.T, e *serialize.Entry, body []byte) {
	t.Helper()
	want := e.Clone()
	doc, err := serialize.Marshal(e, body)
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
	want.Length, want.Sum = int64(len(body)), serialize.Sum(body)
	if d := cmp.Diff(want, got, sameEntry); d != "" {
		t.Error(d)
	}

	// The streamed form is the same document.
	want.Length = -1
	head, err := serialize.AppendHead([]byte("before"), want)
	if err != nil {
		t.Fatal(err)
	}
	sum := serialize.Sum(head[len("before") : len(head)-4])
	binary.BigEndian.PutUint32(head[len(head)-4:], uint32(len(body)))
	want.Length = int64(len(body))
	want.Header = serialize.TailHeader(want.Header)
	streamed, err := serialize.AppendTail(append(head, body...), want, sum)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(streamed, append([]byte("before"), doc...)) {
		t.Errorf("AppendHead and AppendTail:\n%q\nMarshal:\n%q", streamed, doc)
	}
}

func TestMarshalHead(t *testing.T) {
	e := fullEntry()
	e.Length = math.MaxUint32 + 1 // the body's own file may be that long
	doc, err := serialize.MarshalHead(e)
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
		edit, want func(*serialize.Entry)
	}{
		{"names are made canonical, and lines of one name join",
			func(e *serialize.Entry) {
				e.Header = http.Header{"x-a": {"2", "3"}, "X-A": {"1"}, "etag": {`"e"`}, "Empty": {}, "Nil": nil}
			},
			func(e *serialize.Entry) { e.Header = http.Header{"X-A": {"1", "2", "3"}, "Etag": {`"e"`}} }},
		{"announced trailers without a value",
			func(e *serialize.Entry) { e.Trailer = http.Header{"X-T": nil} },
			func(e *serialize.Entry) { e.Trailer = nil }},
		{"a selecting field comes once",
			func(e *serialize.Entry) {
				e.Vary = []serialize.Field{{Name: "A", Value: "1", Present: true}, {Name: "B"}, {Name: "A", Value: "1", Present: true}, {Name: "C"}}
			},
			func(e *serialize.Entry) {
				e.Vary = []serialize.Field{{Name: "A", Value: "1", Present: true}, {Name: "B"}, {Name: "C"}}
			}},
		{"later versions",
			func(e *serialize.Entry) { e.Version = 20 },
			func(e *serialize.Entry) { e.Version = 11 }},
		{"times that do not fit",
			func(e *serialize.Entry) {
				e.Variants = []serialize.Variant{{Key: "k", Date: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
					{Key: "k", Date: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)}}
			},
			func(e *serialize.Entry) {
				e.Variants = []serialize.Variant{{Key: "k", Date: time.Unix(0, math.MaxInt64).UTC()},
					{Key: "k", Date: time.Unix(0, math.MinInt64).UTC()}}
			}},
		{"times elsewhere, with a monotonic reading",
			func(e *serialize.Entry) {
				e.RequestTime = time.Unix(1709208000, 5).In(time.FixedZone("CET", 3600))
			},
			func(e *serialize.Entry) { e.RequestTime = time.Unix(1709208000, 5).UTC() }},
		{"an absent field has no value",
			func(e *serialize.Entry) { e.Vary = []serialize.Field{{Name: "A", Value: "x"}} },
			func(e *serialize.Entry) { e.Vary = []serialize.Field{{Name: "A"}} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &serialize.Entry{Status: 200, Version: 11, Header: http.Header{"A": {"b"}}}
			want := e.Clone()
			tt.edit(e)
			tt.want(want)
			doc, err := serialize.Marshal(e, nil)
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
	e := &serialize.Entry{Status: 200, Version: 11}
	for i := range 60 {
		e.Vary = append(e.Vary, serialize.Field{Name: string(rune('A' + i%20))})
	}
	doc, err := serialize.Marshal(e, nil)
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
		edit func(*serialize.Entry)
	}{
		{"status 99", func(e *serialize.Entry) { e.Status = 99 }},
		{"status 1000", func(e *serialize.Entry) { e.Status = 1000 }},
		{"reason with a line break", func(e *serialize.Entry) { e.Reason = "a\r\nb" }},
		{"name with a space", func(e *serialize.Entry) { e.Header = http.Header{"A B": {"c"}} }},
		{"empty name", func(e *serialize.Entry) { e.Header = http.Header{"": {"c"}} }},
		{"value with a line break", func(e *serialize.Entry) { e.Header = http.Header{"A": {"b\nc"}} }},
		{"value with NUL", func(e *serialize.Entry) { e.Header = http.Header{"A": {"b", "\x00"}} }},
		{"value with DEL", func(e *serialize.Entry) { e.Header = http.Header{"A": {"\x7f"}} }},
		{"trailer name", func(e *serialize.Entry) { e.Trailer = http.Header{"A:": {"b"}} }},
		{"trailer value", func(e *serialize.Entry) { e.Trailer = http.Header{"A": {"\r"}} }},
		{"selecting name", func(e *serialize.Entry) { e.Vary = []serialize.Field{{Name: "a\nb"}} }},
		{"selecting value", func(e *serialize.Entry) { e.Vary = []serialize.Field{{Name: "a", Value: "\n", Present: true}} }},
		{"selecting value that looks like a digest", func(e *serialize.Entry) {
			e.Vary = []serialize.Field{{Name: "a", Value: "\thmac-sha256 salt digest", Present: true}}
		}},
		{"variant without a key", func(e *serialize.Entry) { e.Variants = []serialize.Variant{{Encoding: "gzip"}} }},
		{"negative start", func(e *serialize.Entry) { e.Range = &serialize.Range{Start: -1} }},
		{"negative total", func(e *serialize.Entry) { e.Range = &serialize.Range{Total: -2} }},
		{"URL with a line break", func(e *serialize.Entry) { e.URL = "http://h/\n" }},
		{"head too long", func(e *serialize.Entry) { e.Header["A"] = []string{strings.Repeat("a", 16<<20)} }},
		{"part too long", func(e *serialize.Entry) { e.Trailer = http.Header{"A": {strings.Repeat("a", 16<<20)}} }},
		{"unknown length", func(e *serialize.Entry) { e.Length = -1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &serialize.Entry{Status: 200, Version: 11, Header: http.Header{"A": {"b"}}}
			tt.edit(e)
			doc, err := serialize.MarshalHead(e)
			if err == nil || !strings.HasPrefix(err.Error(), "serialize: ") {
				t.Errorf("got %q, %v", doc, err)
			}
		})
	}
	t.Run("body too long", func(t *testing.T) {
		if _, err := serialize.AppendHead(nil, &serialize.Entry{Status: 200, Length: math.MaxUint32 + 1}); err == nil {
			t.Error("no error")
		}
	})
}

// Equal entries have equal documents, whatever the order of Go's maps.
func TestMarshalIsDeterministic(t *testing.T) {
	first, err := serialize.Marshal(fullEntry(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		doc, err := serialize.Marshal(fullEntry(), []byte("hello"))
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
	if got := serialize.Sum(make([]byte, 32)); got != 0x8a9136aa {
		t.Errorf("32 zeros: %#x", got)
	}
	if got := serialize.UpdateSum(serialize.Sum([]byte("hel")), []byte("lo")); got != serialize.Sum([]byte("hello")) {
		t.Errorf("in two pieces: %#x", got)
	}
	if serialize.Sum(nil) != 0 {
		t.Error("an empty body has a sum")
	}
}

// A Foreign entry stays one.
func TestMarshalForeign(t *testing.T) {
	e, body, err := serialize.Unmarshal([]byte(python14))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := serialize.Marshal(e, body)
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
	ours.Foreign, ours.Sum = false, serialize.Sum(body)
	doc, err = serialize.Marshal(ours, body)
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
