package document_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// benchEntry returns what a usual response becomes: its body is 1 KiB.
func benchEntry() (*storage.Entry, []byte) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 64)
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	return &storage.Entry{
		Status: 200, Reason: "OK", Version: 11,
		Header: http.Header{
			"Cache-Control": {"max-age=3600"}, "Content-Type": {"text/html; charset=utf-8"},
			"Content-Length": {"1024"}, "Date": {"Thu, 29 Feb 2024 12:00:00 GMT"}, "Etag": {`"33a64df551425fcc55e"`},
			"Last-Modified": {"Wed, 28 Feb 2024 12:00:00 GMT"}, "Server": {"nginx"}, "Vary": {"Accept-Encoding"},
		},
		Vary: []storage.Field{{Name: "Accept-Encoding", Value: "gzip, deflate", Present: true}},
		URL:  "http://example.com/index.html", RequestTime: now, ResponseTime: now.Add(20 * time.Millisecond),
		Length: 1024, Sum: checksum.Sum(body), Generation: "d41d8cd98f00b204",
	}, body
}

func BenchmarkMarshal(b *testing.B) {
	e, body := benchEntry()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := document.Marshal(e, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	doc, err := document.Marshal(benchEntry())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := document.Unmarshal(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	doc, err := document.Marshal(benchEntry())
	if err != nil {
		b.Fatal(err)
	}
	r := bytes.NewReader(doc)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := document.Decode(r, int64(len(doc))); err != nil {
			b.Fatal(err)
		}
	}
}
