package document_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// What CacheControl 0.12.12 and 0.14.4 wrote for one response. Of the two Set-Cookie lines urllib3 1.26 gave
// them the last.
const (
	python12 = "cc=4,\x82\xa8response\x87\xa4body\xc4\x05hello\xa7headers\x85\xa4Date\xbdThu, 29 Feb 2024 12:00:00 GMT" +
		"\xaccontent-type\xaatext/plain\xaaSet-Cookie\xa3b=2\xa4Vary\xb8Accept-Encoding, X-Thing\xa7X-Latin\xa5caf\xc3\xa9" +
		"\xa6status\xcc\xc8\xa7version\x0b\xa6reason\xa2OK\xa6strict\x00\xaedecode_content\xc2" +
		"\xa4vary\x82\xafAccept-Encoding\xadgzip, deflate\xa7X-Thing\xc0"
	python14 = "cc=4,\x82\xa8response\x86\xa4body\xc4\x05hello\xa7headers\x85\xa4Date\xbdThu, 29 Feb 2024 12:00:00 GMT" +
		"\xaccontent-type\xaatext/plain\xaaSet-Cookie\xa3b=2\xa4Vary\xb8Accept-Encoding, X-Thing\xa7X-Latin\xa5caf\xc3\xa9" +
		"\xa6status\xcc\xc8\xa7version\x0b\xa6reason\xa2OK\xaedecode_content\xc2" +
		"\xa4vary\x82\xafAccept-Encoding\xadgzip, deflate\xa7X-Thing\xc0"
)

func TestPythonDocuments(t *testing.T) {
	date := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	want := &storage.Entry{
		Status: 200, Reason: "OK", Version: 11,
		Header: http.Header{
			"Date": {"Thu, 29 Feb 2024 12:00:00 GMT"}, "Content-Type": {"text/plain"}, "Set-Cookie": {"b=2"},
			"Vary": {"Accept-Encoding, X-Thing"}, "X-Latin": {"caf\xe9"},
		},
		Vary:    []storage.Field{{Name: "Accept-Encoding", Value: "gzip, deflate", Present: true}, {Name: "X-Thing"}},
		Foreign: true, RequestTime: date, ResponseTime: date, Length: 5,
	}
	for name, doc := range map[string]string{"0.12.12": python12, "0.14.4": python14} {
		t.Run(name, func(t *testing.T) {
			got, body, err := read(t, []byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			if string(body) != "hello" {
				t.Errorf("body %q", body)
			}
			if d := cmp.Diff(want, got, sameEntry); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestGolden fixes our own document, byte for byte.
func TestGolden(t *testing.T) {
	e := &storage.Entry{
		Status: 200, Reason: "OK", Version: 11,
		Header:      http.Header{"Vary": {"Accept"}, "Link": {"<a>", "<b>"}, "X-Latin": {"\xe9"}},
		Vary:        []storage.Field{{Name: "Accept", Value: "*/*", Present: true}},
		URL:         "http://h/",
		RequestTime: time.Unix(0, 5), ResponseTime: time.Unix(0, 300),
		Generation: "g",
	}
	const want = "cc=4,\x83\xa8response\x86\xa7headers\x83\xa4Link\xa8<a>, <b>\xa4Vary\xa6Accept\xa7X-Latin\xa2\xc3\xa9" +
		"\xa6status\xcc\xc8\xa7version\x0b\xa6reason\xa2OK\xaedecode_content\xc2\xa4body\xc6\x00\x00\x00\x05hello" +
		"\xa4vary\x81\xa6Accept\xa3*/*" +
		"\xa2go\x88\xa3url\xa9http://h/\xacrequest_time\x05\xadresponse_time\xcd\x01\x2c\xa5lines\x81\xa4Link\x92\xa3<a>\xa3<b>" +
		"\xa6length\x05\xa3sum\xce\x9a\x71\xbb\x4c\xaageneration\xa1g" +
		"\xa8head_sum\xce\x96\xbf\x25\x8b"
	got, err := document.Marshal(e, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

// object is a MessagePack map in order; keys may repeat.
type object []any

// raw is MessagePack as it is.
type raw string

func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.UseCompactInts(true)
	var put func(v any)
	put = func(v any) {
		switch v := v.(type) {
		case object:
			if err := enc.EncodeMapLen(len(v) / 2); err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				put(x)
			}
		case []any:
			if err := enc.EncodeArrayLen(len(v)); err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				put(x)
			}
		case raw:
			b.WriteString(string(v))
		default:
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(v)
	return b.Bytes()
}

// newDocument returns a document of the given keys and values. One that ends with a part of ours gets its checksum.
func newDocument(t testing.TB, outer ...any) []byte {
	n := len(outer)
	part, ours := outer[n-1].(object)
	if !ours || outer[n-2] != "go" {
		return append([]byte("cc=4,"), encode(t, object(outer))...)
	}
	outer = append(outer[:n-1:n-1], append(part[:len(part):len(part)], "head_sum", raw("\xce\x00\x00\x00\x00")))
	return seal(append([]byte("cc=4,"), encode(t, object(outer))...))
}

// seal makes the last 4 bytes of a document the sum of those before it, but for the body, which is "hello".
func seal(doc []byte) []byte {
	head, sum := doc[:len(doc)-4], doc[len(doc)-4:]
	if before, after, ok := bytes.Cut(head, []byte("\x05hello")); ok {
		head = slices.Concat(before, []byte("\x05"), after)
	}
	binary.BigEndian.PutUint32(sum, checksum.Sum(head))
	return doc
}

// response is what a good one holds, with changes: "key", value pairs that replace or add; a nil value removes.
func response(changes ...any) object {
	r := object{"body", []byte("hello"), "headers", object{"A", "b"}, "status", 200, "version", 11, "reason", "OK", "decode_content", false}
	for i := 0; i < len(changes); i += 2 {
		found := false
		for j := 0; j < len(r); j += 2 {
			if r[j] == changes[i] {
				found = true
				if changes[i+1] == nil {
					r = append(r[:j:j], r[j+2:]...)
				} else {
					r[j+1] = changes[i+1]
				}
				break
			}
		}
		if !found {
			r = append(r, changes[i], changes[i+1])
		}
	}
	return r
}

var null = raw("\xc0")

// What is not as we write it, and is read all the same.
func TestUnmarshalAccepts(t *testing.T) {
	deep := raw(strings.Repeat("\x91", 1<<20) + "\xc0")
	tests := []struct {
		name  string
		outer object
		want  func(*storage.Entry) // changes a Foreign entry with the header A: b
	}{
		{"go only", object{"response", response(), "go", object{}}, func(e *storage.Entry) { e.Foreign = false }},
		{"another order", object{"vary", object{"x", "y"}, "response", response(), "go", object{"lines", object{"A", []any{"1", "2"}}, "length", 5}},
			func(e *storage.Entry) {
				e.Foreign = false
				e.Header["A"] = []string{"1", "2"}
				e.Vary = []storage.Field{{Name: "x", Value: "y", Present: true}}
			}},
		{"no vary", object{"response", response()}, func(*storage.Entry) {}},
		{"strict", object{"response", response("strict", 0)}, func(*storage.Entry) {}},
		{"unknown keys", object{
			"x", object{"y", []any{1.5, true, "s", []byte("b"), float32(1), object{}, int64(-1) << 40, uint64(1) << 63, -1, -200, -70000, 300, 70000}},
			1, 2, nil, 3, []any{}, 4, []byte("response"), 5,
			"ext", raw("\xd4\x01a"), "ext", raw("\xd5\x01ab"), "ext", raw("\xd6\x01abcd"), "ext", raw("\xd7\x01abcdefgh"),
			"ext", raw("\xd8\x010123456789abcdef"), "ext", raw("\xc7\x02\x01ab"), "ext", raw("\xc8\x00\x02\x01ab"), "ext", raw("\xc9\x00\x00\x00\x02\x01ab"),
			"long", strings.Repeat("s", 300), "longer", strings.Repeat("s", 70000), "bin", make([]byte, 300), "bin", make([]byte, 70000),
			"array", raw("\xdc\x00\x01\x00"), "array", raw("\xdd\x00\x00\x00\x01\x00"), "map", raw("\xde\x00\x01\x00\x00"), "map", raw("\xdf\x00\x00\x00\x01\x00\x00"),
			"response", response("new", object{"a", []any{}}), "go", object{}}, func(e *storage.Entry) { e.Foreign = false }},
		{"deeply nested unknown key", object{"x", deep, "response", response(), "go", object{}}, func(e *storage.Entry) { e.Foreign = false }},
		{"unknown keys of ours", object{"response", response(), "go", object{"x", object{"y", 1}, 7, 8, "url", "u"}},
			func(e *storage.Entry) { e.Foreign, e.URL = false, "u" }},
		{"unknown keys of a variant and a range", object{"response", response(), "go", object{
			"variants", []any{object{"x", 1, "key", "k"}}, "range", object{"x", 1, "start", 3}}},
			func(e *storage.Entry) {
				e.Foreign = false
				e.Variants = []storage.Variant{{Key: "k"}}
				e.Range = &storage.Range{Start: 3, Total: -1}
			}},
		{"longest forms", object{"response", response(
			"status", raw("\xd3\x00\x00\x00\x00\x00\x00\x00\xc8"), "version", raw("\xcf\x00\x00\x00\x00\x00\x00\x00\x0b"),
			"reason", raw("\xdb\x00\x00\x00\x02OK"), "headers", raw("\xdf\x00\x00\x00\x01\xd9\x01A\xda\x00\x01b"),
			"body", raw("\xc6\x00\x00\x00\x05hello"))}, func(*storage.Entry) {}},
		{"16 bit forms", object{"response", response("status", raw("\xd1\x00\xc8"), "headers", raw("\xde\x00\x01\xa1A\xa1b"),
			"body", raw("\xc5\x00\x05hello"))}, func(*storage.Entry) {}},
		{"32 bit status", object{"response", response("status", raw("\xd2\x00\x00\x00\xc8"))}, func(*storage.Entry) {}},
		{"16 and 32 bit lines", object{"response", response(), "go", object{"lines", object{"A", raw("\xdc\x00\x01\xa1c"), "B", raw("\xdd\x00\x00\x00\x01\xa1d")}}},
			func(e *storage.Entry) {
				e.Foreign = false
				e.Header = http.Header{"A": {"c"}, "B": {"d"}}
			}},
		{"HTTP/1.0", object{"response", response("version", 10)}, func(e *storage.Entry) { e.Version = 10 }},
		{"HTTP/2", object{"response", response("version", 20)}, func(e *storage.Entry) { e.Version = 11 }},
		{"HTTP/0.9", object{"response", response("version", 9)}, func(e *storage.Entry) { e.Version = 11 }},
		{"negative version", object{"response", response("version", -1)}, func(e *storage.Entry) { e.Version = 11 }},
		{"no version", object{"response", response("version", nil)}, func(e *storage.Entry) { e.Version = 11 }},
		{"no reason", object{"response", response("reason", nil)}, func(e *storage.Entry) { e.Reason = "" }},
		{"nil reason", object{"response", response("reason", null)}, func(e *storage.Entry) { e.Reason = "" }},
		{"reason None", object{"response", response("reason", "None")}, func(e *storage.Entry) { e.Reason = "None" }},
		{"decode_content", object{"response", response("decode_content", true)}, func(*storage.Entry) {}},
		{"no decode_content", object{"response", response("decode_content", nil)}, func(*storage.Entry) {}},
		{"text beyond Latin-1", object{"response", response("headers", object{"x-text", "\u2026\u00e9a"})},
			func(e *storage.Entry) { e.Header = http.Header{"X-Text": {"\xe2\x80\xa6\xe9a"}} }},
		{"chunked", object{"response", response("headers", object{"transfer-encoding", "chunked", "a", "b"})}, func(*storage.Entry) {}},
		{"bad Date", object{"response", response("headers", object{"Date", "yesterday"})},
			func(e *storage.Entry) { e.Header = http.Header{"Date": {"yesterday"}} }},
		{"Date of another form", object{"response", response("headers", object{"date", "Sunday, 06-Nov-94 08:49:37 GMT"})},
			func(e *storage.Entry) {
				e.Header = http.Header{"Date": {"Sunday, 06-Nov-94 08:49:37 GMT"}}
				e.RequestTime = time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
				e.ResponseTime = e.RequestTime
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, body, err := read(t, newDocument(t, tt.outer...))
			if err != nil {
				t.Fatal(err)
			}
			if string(body) != "hello" {
				t.Errorf("body %q", body)
			}
			want := &storage.Entry{Status: 200, Reason: "OK", Version: 11, Header: http.Header{"A": {"b"}}, Foreign: true, Length: 5}
			tt.want(want)
			if d := cmp.Diff(want, got, sameEntry); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUnmarshalErrors(t *testing.T) {
	ours := func(pairs ...any) object { return object{"response", response(), "go", object(pairs)} }
	tests := []struct {
		name string
		doc  []byte
		msg  string
	}{
		{"not a map", []byte("cc=4,\x90"), "not a map"},
		{"no map", []byte("cc=4,"), "cut short"},
		{"reserved code", []byte("cc=4,\x81\xa1x\xc1"), "not MessagePack"},
		{"bytes after the map", append(newDocument(t, "response", response()), 0), "bytes after"},
		{"no response", newDocument(t, "vary", object{}), "no response"},
		{"two responses", newDocument(t, "response", response(), "response", response()), "twice"},
		{"two varies", newDocument(t, "response", response(), "vary", object{}, "vary", object{}), "twice"},
		{"two goes", newDocument(t, "response", response(), "go", object{}, "go", object{}), "twice"},
		{"response of another type", newDocument(t, "response", []any{}), "not a map"},
		{"vary of another type", newDocument(t, "response", response(), "vary", null), "not a map"},
		{"go of another type", newDocument(t, "response", response(), "go", null), "not a map"},
		{"go before the rest", newDocument(t, "go", object{"head_sum", raw("\xce\x00\x00\x00\x00")}, "response", response()), "no checksum at the end"},
		{"go without a checksum", append([]byte("cc=4,"), encode(t, object{"response", response(), "go", object{"url", "u"}})...), "no checksum at the end"},
		{"a wrong checksum", append([]byte("cc=4,"), encode(t, object{"response", response(), "go", object{"head_sum", raw("\xce\x00\x00\x00\x00")}})...), "wrong checksum"},
		{"a short checksum", append([]byte("cc=4,"), encode(t, object{"response", response(), "go", object{"head_sum", 1}})...), "not a checksum"},
		{"two checksums", newDocument(t, ours("head_sum", raw("\xce\x00\x00\x00\x00"))...), "twice"},
		{"an unknown key instead of go", newDocument(t, "response", response(), "x", 1), "unknown key"},
		{"go a string", newDocument(t, "response", response(), "go", "1.26"), "not a map"},

		{"no body", newDocument(t, "response", response("body", nil)), "without"},
		{"no headers", newDocument(t, "response", response("headers", nil)), "without"},
		{"no status", newDocument(t, "response", response("status", nil)), "without"},
		{"two bodies", newDocument(t, "response", append(response(), "body", []byte("b"))), "twice"},
		{"two headers", newDocument(t, "response", append(response(), "headers", object{})), "twice"},
		{"two statuses", newDocument(t, "response", append(response(), "status", 201)), "twice"},
		{"two versions", newDocument(t, "response", append(response(), "version", 10)), "twice"},
		{"two reasons", newDocument(t, "response", append(response(), "reason", "x")), "twice"},
		{"two decode_contents", newDocument(t, "response", append(response(), "decode_content", true)), "twice"},
		{"body a string", newDocument(t, "response", response("body", "hello")), "not a byte string"},
		{"body longer than the document", newDocument(t, "response", response("body", raw("\xc6\xff\xff\xff\xffhello"))), "cut short"},
		{"headers an array", newDocument(t, "response", response("headers", []any{"A", "b"})), "not a map"},
		{"header name no string", newDocument(t, "response", response("headers", object{1, "b"})), "not a string"},
		{"header value no string", newDocument(t, "response", response("headers", object{"A", null})), "not a string"},
		{"header value bytes", newDocument(t, "response", response("headers", object{"A", []byte("b")})), "not a string"},
		{"empty header name", newDocument(t, "response", response("headers", object{"", "b"})), "not a field name"},
		{"header name with a space", newDocument(t, "response", response("headers", object{"A B", "b"})), "not a field name"},
		{"header name beyond ASCII", newDocument(t, "response", response("headers", object{"\u00c4", "b"})), "not a field name"},
		{"header name with a line break", newDocument(t, "response", response("headers", object{"A\r\nB", "b"})), "not a field name"},
		{"header value with a line break", newDocument(t, "response", response("headers", object{"A", "b\r\nc: d"})), "control character"},
		{"header value with NUL", newDocument(t, "response", response("headers", object{"A", "b\x00"})), "control character"},
		{"header value with DEL", newDocument(t, "response", response("headers", object{"A", "\x7f"})), "control character"},
		{"header value not UTF-8", newDocument(t, "response", response("headers", object{"A", "\xe9"})), "not UTF-8"},
		{"header twice", newDocument(t, "response", response("headers", object{"A", "b", "A", "c"})), "twice"},
		{"header twice in another case", newDocument(t, "response", response("headers", object{"Content-Length", "5", "content-length", "6"})), "twice"},
		{"status a string", newDocument(t, "response", response("status", "200")), "not a whole number"},
		{"status 99", newDocument(t, "response", response("status", 99)), "status"},
		{"status 1000", newDocument(t, "response", response("status", 1000)), "status"},
		{"status negative", newDocument(t, "response", response("status", -200)), "status"},
		{"status too large", newDocument(t, "response", response("status", raw("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"))), "too large"},
		{"version a string", newDocument(t, "response", response("version", "11")), "not a whole number"},
		{"version a fraction", newDocument(t, "response", response("version", 1.1)), "not a whole number"},
		{"reason a number", newDocument(t, "response", response("reason", 7)), "not a string"},
		{"reason with a line break", newDocument(t, "response", response("reason", "a\nb")), "control character"},
		{"decode_content a number", newDocument(t, "response", response("decode_content", 1)), "not a bool"},

		{"selecting name no string", newDocument(t, "response", response(), "vary", object{1, "b"}), "not a string"},
		{"selecting value no string", newDocument(t, "response", response(), "vary", object{"A", false}), "not a string"},
		{"selecting value with a line break", newDocument(t, "response", response(), "vary", object{"A", "\n"}), "control character"},
		{"selecting field twice", newDocument(t, "response", response(), "vary", object{"A", null, "A", "b"}), "twice"},

		{"url", newDocument(t, ours("url", 1)...), "not a string"},
		{"url with a line break", newDocument(t, ours("url", "http://h/\n")...), "control character"},
		{"request time", newDocument(t, ours("request_time", "now")...), "not a whole number"},
		{"response time", newDocument(t, ours("response_time", 1.5)...), "not a whole number"},
		{"body time", newDocument(t, ours("body_time", raw("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"))...), "too large"},
		{"lines", newDocument(t, ours("lines", []any{})...), "not a map"},
		{"lines of one name", newDocument(t, ours("lines", object{"A", "b"})...), "not an array"},
		{"no lines", newDocument(t, ours("lines", object{"A", []any{}})...), "without a line"},
		{"lines twice", newDocument(t, ours("lines", object{"A", []any{"b"}, "a", []any{"b"}})...), "twice"},
		{"name of lines", newDocument(t, ours("lines", object{"A\n", []any{"b"}})...), "not a field name"},
		{"a line", newDocument(t, ours("lines", object{"A", []any{"b\n"}})...), "control character"},
		{"trailer", newDocument(t, ours("trailer", object{"A", []any{1}})...), "not a string"},
		{"negative length", newDocument(t, ours("length", -1)...), "negative"},
		{"another length than the body's", newDocument(t, ours("length", 4)...), "not as long"},
		{"negative sum", newDocument(t, ours("sum", -1)...), "negative"},
		{"large sum", newDocument(t, ours("sum", int64(1)<<32)...), "not a checksum"},
		{"generation", newDocument(t, ours("generation", []byte("g"))...), "not a string"},
		{"variants", newDocument(t, ours("variants", object{})...), "not an array"},
		{"a variant", newDocument(t, ours("variants", []any{"k"})...), "not a map"},
		{"variant without a key", newDocument(t, ours("variants", []any{object{}})...), "without a key"},
		{"range", newDocument(t, ours("range", "1-2")...), "not a map"},
		{"range without a start", newDocument(t, ours("range", object{"total", 1})...), "without a start"},
		{"negative start", newDocument(t, ours("range", object{"start", -1})...), "negative"},
		{"negative total", newDocument(t, ours("range", object{"start", 1, "total", -2})...), "negative"},
		{"a key of ours twice", newDocument(t, ours("sum", 1, "sum", 1)...), "twice"},
		{"a key of a variant twice", newDocument(t, ours("variants", []any{object{"key", "a", "key", "b"}})...), "twice"},
		{"a key of a range twice", newDocument(t, ours("range", object{"start", 1, "start", 2})...), "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := read(t, tt.doc)
			var syntax *document.SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(syntax.Msg, tt.msg) || !strings.HasPrefix(err.Error(), "serialize: ") {
				t.Errorf("error %v, want %q", err, tt.msg)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, doc := range []string{"", "c", "cc=4", "cc=0,", "cc=1,\x80", "cc=2,{}", "cc=3,x", "cc=5,\x80", "CC=4,\x80", "\x80cc=4,"} {
		if _, _, err := read(t, []byte(doc)); !errors.Is(err, document.ErrVersion) {
			t.Errorf("%q: error %v", doc, err)
		}
	}
}

// Documents that claim more than they hold must not make the reader allocate it.
func TestUnmarshalBombs(t *testing.T) {
	prefix := string(newDocument(t, "response", response()))
	inResponse := func(key, value string) string {
		return "cc=4,\x81\xa8response\x81" + string(encode(t, key)) + value
	}
	inOurs := func(key, value string) string {
		return "cc=4,\x82" + strings.TrimPrefix(prefix, "cc=4,\x81") + "\xa2go\x81" + string(encode(t, key)) + value
	}
	const most = "\xff\xff\xff\xff"
	pad := strings.Repeat("\x00", 1000)
	tests := map[string]string{
		"outer map":      "cc=4,\xdf" + most,
		"response map":   "cc=4,\x81\xa8response\xdf" + most + pad,
		"headers":        inResponse("headers", "\xdf"+most+pad),
		"half headers":   inResponse("headers", "\xde\x01\xf4"+pad),
		"header name":    inResponse("headers", "\x81\xdb"+most+pad),
		"header value":   inResponse("headers", "\x81\xa1A\xdb"+most+pad),
		"reason":         inResponse("reason", "\xdb"+most+pad),
		"body":           inResponse("body", "\xc6"+most+pad),
		"vary":           "cc=4,\x81\xa4vary\xdf" + most + pad,
		"lines":          inOurs("lines", "\x81\xa1A\xdd"+most+pad),
		"variants":       inOurs("variants", "\xdd"+most+pad),
		"unknown array":  inOurs("x", "\xdd"+most+pad),
		"unknown arrays": inOurs("x", strings.Repeat("\xdd"+most, 200)),
		"unknown maps":   inOurs("x", strings.Repeat("\xdf"+most, 200)),
		"unknown ext":    inOurs("x", "\xc9"+most+pad),
		"depth":          inOurs("x", strings.Repeat("\x91", 2<<20)),
		"depth of maps":  inOurs("x", strings.Repeat("\x81\xa0", 1<<20)),
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := document.Unmarshal([]byte(doc))
			_, _, _, ferr := document.Decode(strings.NewReader(doc), int64(len(doc)))
			runtime.ReadMemStats(&after)
			if err == nil || ferr == nil {
				t.Fatalf("errors %v, %v", err, ferr)
			}
			if n, most := after.TotalAlloc-before.TotalAlloc, uint64(100<<10+4*len(doc)); n > most {
				t.Errorf("%d bytes allocated for a document of %d", n, len(doc))
			}
			read(t, []byte(doc))
		})
	}
}

// Every prefix of a document is an error. Every change of a byte is one in a document of ours, outside the body, which has
// a sum of its own; in one of Python's it is an error or another document.
func TestUnmarshalDamage(t *testing.T) {
	full, err := document.Marshal(storetest.FullEntry(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string][]byte{"ours": full, "Python's": []byte(python12)} {
		t.Run(name, func(t *testing.T) {
			for n := range doc {
				if _, _, err := read(t, doc[:n]); err == nil {
					t.Errorf("the first %d bytes are a document", n)
				}
				// A file that has become shorter than its size was.
				if _, _, _, err := document.Decode(bytes.NewReader(doc[:n]), int64(len(doc))); err == nil {
					t.Errorf("%d bytes of %d are a document", n, len(doc))
				}
			}
			var changes []byte // every bit, and what turns a code into its neighbours
			for x := 1; x < 256; x++ {
				if x&(x-1) == 0 || x < 32 || x >= 0xe0 {
					changes = append(changes, byte(x))
				}
			}
			damaged := bytes.Clone(doc)
			for i := range doc {
				for _, x := range changes {
					damaged[i] = doc[i] ^ x
					// read compares more, but is too slow here: the fuzz test uses it.
					e, body, err := document.Unmarshal(damaged)
					_, offset, length, ferr := document.Decode(bytes.NewReader(damaged), int64(len(damaged)))
					if (err == nil) != (ferr == nil) || err != nil && err.Error() != ferr.Error() {
						t.Fatalf("byte %d ^ %#x: Unmarshal: %v, Decode: %v", i, x, err, ferr)
					}
					if err == nil && (e == nil || !bytes.Equal(body, damaged[offset:offset+length])) {
						t.Fatalf("byte %d ^ %#x: body %q", i, x, body)
					}
					if err == nil && !bytes.Equal(doc, []byte(python12)) && (i < int(offset) || i >= int(offset+length)) {
						t.Fatalf("byte %d ^ %#x goes unseen", i, x)
					}
				}
				damaged[i] = doc[i]
			}
		})
	}
}

// countingReaderAt notes what is read.
type countingReaderAt struct {
	io.ReaderAt
	bytes, calls int
	err          error
}

func (r *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if r.err != nil && off > 0 {
		return 0, r.err
	}
	n, err := r.ReaderAt.ReadAt(p, off)
	r.bytes, r.calls = r.bytes+n, r.calls+1
	return n, err
}

func TestDecodeSkipsTheBody(t *testing.T) {
	e := storetest.FullEntry()
	e.Header["X-Long"] = []string{strings.Repeat("x", 10000)} // over several blocks
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	doc, err := document.Marshal(e, body)
	if err != nil {
		t.Fatal(err)
	}
	r := &countingReaderAt{ReaderAt: bytes.NewReader(doc)}
	got, offset, length, err := document.Decode(r, int64(len(doc)))
	if err != nil {
		t.Fatal(err)
	}
	e.Length, e.Sum = int64(len(body)), checksum.Sum(body)
	if d := cmp.Diff(e, got, sameEntry); d != "" {
		t.Error(d)
	}
	if !bytes.Equal(doc[offset:offset+length], body) {
		t.Errorf("body of %d bytes at %d", length, offset)
	}
	if r.bytes > 40<<10 {
		t.Errorf("%d bytes read in %d calls", r.bytes, r.calls)
	}
}

func TestDecodeReadError(t *testing.T) {
	e := storetest.FullEntry()
	e.Header["X-Long"] = []string{strings.Repeat("x", 10000)}
	doc, err := document.Marshal(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken disk")
	_, _, _, err = document.Decode(&countingReaderAt{ReaderAt: bytes.NewReader(doc), err: broken}, int64(len(doc)))
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "serialize: ") {
		t.Errorf("error %v", err)
	}
}

// An entry keeps nothing of the document: its memory can be used again.
func TestUnmarshalCopies(t *testing.T) {
	doc, err := document.Marshal(storetest.FullEntry(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := document.Unmarshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	clear(doc)
	if d := cmp.Diff(storetest.FullEntry(), e, sameEntry); d != "" {
		t.Error(d)
	}
	// A value appended to one field must not end up in the next.
	for _, values := range e.Header {
		if cap(values) != len(values) {
			t.Errorf("capacity %d of %q", cap(values), values)
		}
	}
}

func TestSettle(t *testing.T) {
	tests := []struct {
		name   string
		entry  storage.Entry
		length int64
		want   storage.Entry
		fails  bool
	}{
		{"redirect without its body", storage.Entry{Foreign: true, Status: 301}, 0, storage.Entry{}, false},
		{"308 without its body", storage.Entry{Foreign: true, Status: 308}, 0, storage.Entry{}, false},
		{"redirect with its body", storage.Entry{Foreign: true, Status: 301}, 9, storage.Entry{Length: 9, Header: http.Header{"Content-Length": {"9"}}}, false},
		{"no redirect", storage.Entry{Foreign: true, Status: 200}, 0, storage.Entry{Header: http.Header{"Content-Length": {"9"}}}, true},
		{"ours", storage.Entry{Status: 301, Length: 3}, 3, storage.Entry{Length: 3, Header: http.Header{"Content-Length": {"9"}}}, false},
		{"ours with another body", storage.Entry{Status: 301, Length: 3}, 0, storage.Entry{Length: 3, Header: http.Header{"Content-Length": {"9"}}}, true},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			tt.entry.Header = http.Header{"Content-Length": {"9"}}
			tt.want.Foreign, tt.want.Status = tt.entry.Foreign, tt.entry.Status
			if err := document.Settle(&tt.entry, tt.length); (err != nil) != tt.fails {
				t.Errorf("Settle = %v, want error: %t", err, tt.fails)
			}
			if d := cmp.Diff(&tt.want, &tt.entry, sameEntry); d != "" {
				t.Error(d)
			}
		})
	}
}
