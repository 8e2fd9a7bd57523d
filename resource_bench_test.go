//go:build !race

package cachecontrol_test

import (
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/keys"
)

// BenchmarkKey measures hits: without a Key, with one that returns nil, and with one that returns another URL.
func BenchmarkKey(b *testing.B) {
	header := http.Header{"Date": {date(0)}, "Cache-Control": {"max-age=600"}, "Content-Length": {"1024"}}
	chain := keys.Chain(keys.Unsigned, keys.Without("utm_*", "fbclid"), keys.Sorted)
	for _, bb := range []struct {
		name, target string
		key          func(*http.Request) *url.URL
	}{
		{"none", "/path?a=1&b=2", nil},
		{"own URL", "/path?a=1&b=2", chain},
		{"other URL", "/path?b=2&utm_source=x&a=1", chain},
	} {
		b.Run(bb.name, func(b *testing.B) {
			tr := &cachecontrol.Transport{Base: &page{header: header, body: make([]byte, 1024)}, Key: bb.key}
			defer tr.Close()
			req := request(b, bb.target)
			var buf [2048]byte
			b.ReportAllocs()
			for b.Loop() {
				resp, err := tr.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = resp.Body.Read(buf[:])
				}
				if resp.Body.Close(); err != io.EOF {
					b.Fatal(err)
				}
			}
		})
	}
}
