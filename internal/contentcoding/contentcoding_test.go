package contentcoding_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		lines           []string
		identity, known bool
	}{
		{nil, true, true},
		{[]string{""}, true, true},
		{[]string{"identity, Identity"}, true, true},
		{[]string{"gzip"}, false, true},
		{[]string{"X-GZIP , deflate", "gzip"}, false, true},
		{[]string{"br"}, false, false},
		{[]string{"gzip", "zstd"}, false, false},
	} {
		c := contentcoding.New(nil).Parse(test.lines)
		if c.IsIdentity() != test.identity || c.IsKnown() != test.known || c.NeedsDecoding() != (test.known && !test.identity) {
			t.Errorf("Parse(%q): identity %v, known %v, needs decoding %v, want %v, %v", test.lines, c.IsIdentity(), c.IsKnown(), c.NeedsDecoding(), test.identity, test.known)
		}
	}
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"gzip", "x-gzip, identity", true},
		{"", "identity", true},
		{"gzip", "deflate", false},
		{"gzip, deflate", "deflate, gzip", false},
	} {
		if got := contentcoding.New(nil).Parse([]string{test.a}).Equal(contentcoding.New(nil).Parse([]string{test.b})); got != test.want {
			t.Errorf("%q equals %q = %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

// encode applies one coding: gzip, zlib, or raw, which is deflate without the zlib format.
func encode(coding, s string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, -1)
	}
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

// body is a coded body that can be read on after it is closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

func (b *body) CloseAfter(rest func(io.Reader)) error {
	rest(b.Reader)
	return b.Close()
}

var errBroken = errors.New("the connection is broken")

func TestDecode(t *testing.T) {
	plain := strings.Repeat("some text; ", 10_000)
	for _, test := range []struct {
		name, coding, coded string
		want                string
		err                 error // of the origin
		damaged             bool
	}{
		{"gzip", "gzip", encode("gzip", plain), plain, nil, false},
		{"gzip in two parts", "gzip", encode("gzip", "a") + encode("gzip", "b"), "ab", nil, false},
		{"deflate", "deflate", encode("zlib", plain), plain, nil, false},
		{"raw deflate", "deflate", encode("raw", plain), plain, nil, false},
		{"two codings", "deflate, gzip", encode("gzip", encode("zlib", plain)), plain, nil, false},
		{"empty", "gzip", "", "", nil, false},
		{"empty deflate", "deflate", "", "", nil, false},
		{"bytes after the end", "deflate", encode("zlib", "a") + "more", "a", nil, false},
		{"not gzip", "gzip", "plain text", "", nil, true},
		{"one byte", "deflate", "x", "", nil, true},
		{"truncated", "gzip", encode("gzip", "text")[:15], "", nil, true},
		{"origin fails", "gzip", encode("gzip", plain)[:50], "", errBroken, false},
	} {
		for _, read := range []bool{true, false} {
			source := io.Reader(strings.NewReader(test.coded))
			if test.err != nil {
				source = io.MultiReader(source, iotest.ErrReader(test.err))
			}
			coded := &body{Reader: source}
			resp := &http.Response{Header: http.Header{"Content-Encoding": {test.coding}, "Content-Length": {"9"}, "A": {"b"}}, ContentLength: 9}
			var kept []byte
			var damage []error
			contentcoding.New(nil).Parse([]string{test.coding}).Decode(resp, coded, func(b []byte) { kept = b }, func(err error) { damage = append(damage, err) })
			if len(resp.Header) != 1 || resp.ContentLength != -1 || !resp.Uncompressed {
				t.Errorf("%s: header %v, length %d, uncompressed %v, want one field, -1, true", test.name, resp.Header, resp.ContentLength, resp.Uncompressed)
			}
			fails := test.damaged || test.err != nil
			if read {
				got, err := io.ReadAll(resp.Body)
				if (err != nil) != fails || !fails && string(got) != test.want {
					t.Errorf("%s: %d bytes, error %v, want %d bytes, an error: %v", test.name, len(got), err, len(test.want), fails)
				}
			}
			for range 2 {
				if err := resp.Body.Close(); err != nil || !coded.closed {
					t.Errorf("%s: Close = %v, coded body closed: %v, want nil, true", test.name, err, coded.closed)
				}
			}
			if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err != http.ErrBodyReadAfterClose {
				t.Errorf("%s: Read after Close = %d, %v, want 0, %v", test.name, n, err, http.ErrBodyReadAfterClose)
			}
			if (len(damage) == 1) != test.damaged || len(damage) > 1 {
				t.Errorf("%s: damage %v, want some: %v", test.name, damage, test.damaged)
			}
			if !fails && string(kept) != test.want {
				t.Errorf("%s: %d bytes are kept, want %d", test.name, len(kept), len(test.want))
			}
		}
	}
}

// A long body is decoded but not kept.
func TestLongBodyIsNotKept(t *testing.T) {
	plain := strings.Repeat("0123456789", 1<<20)
	resp := &http.Response{Header: http.Header{}}
	contentcoding.New(nil).Parse([]string{"gzip"}).Decode(resp, io.NopCloser(strings.NewReader(encode("gzip", plain))), func(b []byte) {
		t.Errorf("%d bytes are kept, want none", len(b))
	}, nil)
	if n, err := io.Copy(io.Discard, resp.Body); n != int64(len(plain)) || err != nil {
		t.Errorf("Copy = %d, %v, want %d, nil", n, err, len(plain))
	}
}
