package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The pages of the other cases have seven fields and no Vary. An API behind a CDN sends more, and so do its clients.

// newWorldPage returns a page with 25 fields, some of several lines, and a Vary of four names.
func newWorldPage(size int, cacheControl string) page {
	p := newPage(size, cacheControl)
	for name, lines := range map[string][]string{
		"Content-Type": {"application/json; charset=utf-8"}, "Etag": {`W/"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"`}, "Server": {"cloudfront"},
		"Vary": {"Accept, Accept-Language", "Accept-Encoding, Origin"}, "Accept-Ranges": {"bytes"}, "Via": {"1.1 varnish", "2 edge-7"},
		"Link":                          {`<https://www.example.com/articles?page=2>; rel="next"`, `<https://www.example.com/articles?page=99>; rel="last"`},
		"Access-Control-Allow-Origin":   {"https://www.example.com"},
		"Access-Control-Expose-Headers": {"ETag, Link, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"},
		"Content-Security-Policy":       {"default-src 'none'; frame-ancestors 'none'"}, "Strict-Transport-Security": {"max-age=31536000; includeSubDomains"},
		"Referrer-Policy": {"strict-origin-when-cross-origin"}, "X-Content-Type-Options": {"nosniff"}, "X-Frame-Options": {"deny"}, "X-Xss-Protection": {"0"},
		"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"4987"}, "X-Ratelimit-Reset": {"1767225600"}, "X-Ratelimit-Used": {"13"},
		"X-Request-Id": {"d1c4:2f8e:1a2b3c4:5d6e7f8:66f2a1b0"}, "X-Served-By": {"cache-ams21028-AMS"},
	} {
		p.header[name] = lines
	}
	return p
}

// newWorldRequest returns a request with six fields. Its language is one of many.
func newWorldRequest(language int) *http.Request {
	req := newRequest(pageURL)
	for name, value := range map[string]string{
		"Accept": "application/json", "Accept-Language": fmt.Sprintf("x-%c, en;q=0.5", 'a'+language), "User-Agent": "example-client/1.4 (linux; amd64)",
		"Origin": "https://www.example.com", "Referer": "https://www.example.com/start", "X-Api-Version": "2026-01-01",
	} {
		req.Header.Set(name, value)
	}
	return req
}

const (
	worldPrivate = "private, max-age=3600, stale-while-revalidate=60"
	worldShared  = "public, max-age=60, s-maxage=3600, stale-if-error=86400"
)

// worldHits returns the cases with these pages.
func worldHits() []benchCase {
	const prefix = "world/1KiB/"
	floorName := prefix + "floor"
	group := []benchCase{{name: floorName, open: func(string) (*load, error) {
		o := &origin{page: newWorldPage(1<<10, worldPrivate)}
		return (&traffic{newFloor(pageURL, o.page), o, always(newWorldRequest(0)), plain}).load(), nil
	}}}
	add := func(name string, variants int, p page, open func(base http.RoundTripper) http.RoundTripper) {
		group = append(group, benchCase{name: prefix + name, against: []string{floorName}, open: func(string) (*load, error) {
			return openWorld(p, variants, open)
		}})
	}
	private := func(base http.RoundTripper) http.RoundTripper {
		return &cachecontrol.Transport{Base: base, Store: storage.NewDictCache()}
	}
	shared := func(base http.RoundTripper) http.RoundTripper {
		return &cachecontrol.Transport{Base: base, Store: storage.NewDictCache(), Shared: true}
	}
	add("private", 1, newWorldPage(1<<10, worldPrivate), private)
	add("private-16", variantCount, newWorldPage(1<<10, worldPrivate), private)
	add("shared", 1, newWorldPage(1<<10, worldShared), shared)
	add("shared-16", variantCount, newWorldPage(1<<10, worldShared), shared)
	add("gzip", 1, gzipped(newWorldPage(1<<10, worldPrivate)), private)
	add(gregjonesMemory.name, 1, newWorldPage(1<<10, worldPrivate), func(base http.RoundTripper) http.RoundTripper {
		rt, _ := gregjonesMemory.open("", base) // it cannot fail
		return rt
	})
	return group
}

// openWorld opens a load that requests stored variants in turn.
func openWorld(p page, variants int, open func(base http.RoundTripper) http.RoundTripper) (*load, error) {
	o := &origin{page: p}
	requests := make([]*http.Request, variants)
	for i := range requests {
		requests[i] = newWorldRequest(i)
	}
	i := 0
	t := &traffic{open(o), o, func() *http.Request { i++; return requests[i%variants] }, hit}
	for range requests {
		if err := t.do(); err != nil {
			return nil, err
		}
	}
	return t.load(), nil
}

// gzipped returns the page as a server sends it with gzip.
func gzipped(p page) page {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(p.body) // to memory: it cannot fail
	w.Close()
	p.coded = b.Bytes()
	p.header["Content-Encoding"] = []string{"gzip"}
	p.header["Content-Length"] = []string{strconv.Itoa(len(p.coded))}
	return p
}
