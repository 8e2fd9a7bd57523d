package serialize_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// FuzzUnmarshal reads anything: memory and file must agree, and what is read must survive being written.
func FuzzUnmarshal(f *testing.F) {
	full, err := serialize.Marshal(fullEntry(), []byte("hello"))
	if err != nil {
		f.Fatal(err)
	}
	head, err := serialize.MarshalHead(fullEntry())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add(head)
	f.Add([]byte(python12))
	f.Add([]byte(python14))
	f.Add(document(f, "x", []any{1.5, object{"y", nil}}, "go", object{"length", 5}, "response", response("strict", 0)))
	f.Add(document(f, "response", response("headers", object{"date", "Sunday, 06-Nov-94 08:49:37 GMT", "x", "\u2026"})))
	f.Add([]byte("cc=4,\x81\xa4vary\xdf\xff\xff\xff\xff"))
	f.Add([]byte("cc=4,\x81\xa1x" + strings.Repeat("\x91", 100)))
	f.Add([]byte("cc=3,"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		e, body, err := read(t, doc)
		if err != nil {
			return
		}
		if e.Length != int64(len(body)) {
			if len(body) > 0 {
				t.Errorf("length %d of a body of %d", e.Length, len(body))
			}
			body = nil
		}
		write := serialize.Marshal
		if len(body) == 0 {
			write = func(e *serialize.Entry, _ []byte) ([]byte, error) { return serialize.MarshalHead(e) }
		}
		again, err := write(e, body)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		e2, body2, err := read(t, again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if len(body) > 0 && !e.Foreign {
			e.Sum = serialize.Sum(body)
		}
		if d := cmp.Diff(e, e2, sameEntry); d != "" || !bytes.Equal(body, body2) {
			t.Errorf("%s\nbody %q, %q", d, body, body2)
		}
	})
}

// FuzzRoundTrip writes anything that the encoder lets pass.
func FuzzRoundTrip(f *testing.F) {
	f.Add(200, "OK", "Content-Type", "text/plain", "second", "Accept-Encoding", "gzip", "http://h/", int64(1709208000000000000), []byte("hello"))
	f.Add(301, "caf\xe9", "location", "\xff\xfe", "", "*", "", "\x00\xff", int64(-1), []byte{})
	f.Add(999, "", "!#$%&'*+-.^_`|~0aZ", "\t", " ", "", "\u2026", "", int64(0), []byte(nil))
	f.Add(99, "a\nb", "a b", "\r\n", "\x7f", "\n", "\x00", "", int64(1), []byte("x"))
	f.Fuzz(func(t *testing.T, status int, reason, name, v1, v2, selecting, value, url string, nano int64, body []byte) {
		when := time.Unix(0, nano).UTC()
		fields := []serialize.Field{{Name: selecting, Value: value, Present: true}, {Name: selecting + "2"}}
		e := &serialize.Entry{
			Status: status, Reason: reason, Version: 10 + status&1, Vary: fields,
			Header:  http.Header{http.CanonicalHeaderKey(name): {v1}, http.CanonicalHeaderKey(name + "2"): {v1, v2}},
			Trailer: http.Header{http.CanonicalHeaderKey(name): {v2}},
			URL:     url, RequestTime: when, ResponseTime: when.Add(time.Second), BodyTime: when, Generation: value,
			Variants: []serialize.Variant{{Key: "k" + url, Vary: fields, Date: when, Encoding: v1, Language: v2}},
		}
		if nano > 0 {
			e.Range = &serialize.Range{Start: nano / 2, Total: nano}
		}
		// Only a time of year 1 is no time.
		if nano > 1<<62 {
			e.ResponseTime = when
		}
		doc, err := serialize.Marshal(e, body)
		if err != nil {
			return
		}
		got, gotBody, err := read(t, doc)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		e.Length, e.Sum = int64(len(body)), serialize.Sum(body)
		if d := cmp.Diff(e, got, sameEntry); d != "" || !bytes.Equal(body, gotBody) {
			t.Errorf("%s\nbody %q, %q", d, body, gotBody)
		}
	})
}
