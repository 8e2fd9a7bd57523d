package document_test

import (
	"bytes"
	"encoding/binary"
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

// FuzzUnmarshal reads anything: memory and file must agree, and what is read must survive being written.
func FuzzUnmarshal(f *testing.F) {
	full, err := document.Marshal(storetest.FullEntry(), []byte("hello"))
	if err != nil {
		f.Fatal(err)
	}
	head, err := document.MarshalHead(storetest.FullEntry())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add(head)
	f.Add([]byte(python12))
	f.Add([]byte(python14))
	f.Add(newDocument(f, "x", []any{1.5, object{"y", nil}}, "response", response("strict", 0), "go", object{"length", 5}))
	f.Add(newDocument(f, "response", response("headers", object{"date", "Sunday, 06-Nov-94 08:49:37 GMT", "x", "\u2026"})))
	f.Add([]byte("cc=4,\x81\xa4vary\xdf\xff\xff\xff\xff"))
	f.Add([]byte("cc=4,\x81\xa1x" + strings.Repeat("\x91", 100)))
	f.Add([]byte("cc=3,"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		e, body, err := read(t, doc)
		if err != nil {
			// What the checksum has kept out may come with the right one.
			if e, body, err = read(t, reseal(doc)); err != nil {
				return
			}
		}
		if e.Length != int64(len(body)) {
			if len(body) > 0 {
				t.Errorf("length %d of a body of %d", e.Length, len(body))
			}
			body = nil
		}
		write := document.Marshal
		if len(body) == 0 {
			write = func(e *storage.Entry, _ []byte) ([]byte, error) { return document.MarshalHead(e) }
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
			e.Sum = checksum.Sum(body)
		}
		if d := cmp.Diff(e, e2, sameEntry); d != "" || !bytes.Equal(body, body2) {
			t.Errorf("%s\nbody %q, %q", d, body, body2)
		}
	})
}

// reseal returns doc with the sum at its end that it would have if it were one of ours.
func reseal(doc []byte) []byte {
	const key = "\xa4body"
	at := bytes.Index(doc, []byte(key))
	if at < 0 || len(doc) < at+len(key)+10 {
		return doc
	}
	var length, body int
	switch rest := doc[at+len(key):]; rest[0] {
	case 0xc4:
		length, body = int(rest[1]), at+len(key)+2
	case 0xc5:
		length, body = int(binary.BigEndian.Uint16(rest[1:])), at+len(key)+3
	case 0xc6:
		length, body = int(binary.BigEndian.Uint32(rest[1:])), at+len(key)+5
	}
	if end := len(doc) - 4; body > 0 && body+length <= end {
		sum := checksum.Update(checksum.Sum(doc[:body]), doc[body+length:end])
		return binary.BigEndian.AppendUint32(bytes.Clone(doc[:end]), sum)
	}
	return doc
}

// TestReseal: without it the fuzzer would hardly get past the checksum.
func TestReseal(t *testing.T) {
	doc, err := document.Marshal(&storage.Entry{Status: 200, Header: http.Header{"A": {"b"}}, URL: "http://h/"}, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(doc, []byte("http://h/"), []byte("http://i/"), 1)
	if _, _, err := read(t, changed); err == nil {
		t.Error("the change goes unseen")
	}
	if e, _, err := read(t, reseal(changed)); err != nil || e.URL != "http://i/" {
		t.Errorf("%v, %v", e, err)
	}
}

// FuzzRoundTrip writes anything that the encoder lets pass.
func FuzzRoundTrip(f *testing.F) {
	f.Add(200, "OK", "Content-Type", "text/plain", "second", "Accept-Encoding", "gzip", "http://h/", int64(1709208000000000000), []byte("hello"))
	f.Add(301, "caf\xe9", "location", "\xff\xfe", "", "*", "", "\x00\xff", int64(-1), []byte{})
	f.Add(999, "", "!#$%&'*+-.^_`|~0aZ", "\t", " ", "", "\u2026", "", int64(0), []byte(nil))
	f.Add(99, "a\nb", "a b", "\r\n", "\x7f", "\n", "\x00", "", int64(1), []byte("x"))
	f.Fuzz(func(t *testing.T, status int, reason, name, v1, v2, selecting, value, url string, nano int64, body []byte) {
		when := time.Unix(0, nano).UTC()
		fields := []storage.Field{{Name: selecting, Value: value, Present: true}, {Name: selecting + "2"}}
		e := &storage.Entry{
			Status: status, Reason: reason, Version: 10 + status&1, Vary: fields,
			Header:  http.Header{http.CanonicalHeaderKey(name): {v1}, http.CanonicalHeaderKey(name + "2"): {v1, v2}},
			Trailer: http.Header{http.CanonicalHeaderKey(name): {v2}},
			URL:     url, RequestTime: when, ResponseTime: when.Add(time.Second), BodyTime: when, Generation: value,
			Variants: []storage.Variant{{Key: "k" + url, Vary: fields, Date: when, Encoding: v1, Language: v2}},
		}
		if nano > 0 {
			e.Range = &storage.Range{Start: nano / 2, Total: nano}
		}
		// Only a time of year 1 is no time.
		if nano > 1<<62 {
			e.ResponseTime = when
		}
		doc, err := document.Marshal(e, body)
		if err != nil {
			return
		}
		got, gotBody, err := read(t, doc)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		e.Length, e.Sum = int64(len(body)), checksum.Sum(body)
		if d := cmp.Diff(e, got, sameEntry); d != "" || !bytes.Equal(body, gotBody) {
			t.Errorf("%s\nbody %q, %q", d, body, gotBody)
		}
	})
}
