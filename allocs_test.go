//go:build !race

package cachecontrol_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// page is an origin with one page. It answers a validation with 304.
type page struct {
	header, notModified http.Header
	body                []byte
}

func (p *page) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: p.header, Body: io.NopCloser(bytes.NewReader(p.body)), ContentLength: int64(len(p.body)),
	}
	if req.Header["If-None-Match"] != nil {
		resp.Status, resp.StatusCode = "304 Not Modified", 304
		resp.Header, resp.Body, resp.ContentLength = p.notModified, http.NoBody, 0
	}
	return resp, nil
}

// A store that embeds a DictCache gives a Transport all that the DictCache can do.
func TestAllocationsOfEmbeddedStore(t *testing.T) {
	header := http.Header{"Date": {date(0)}, "Cache-Control": {"max-age=600"}, "Content-Length": {"1024"}}
	tr := &cachecontrol.Transport{
		Base:  &page{header: header, body: make([]byte, 1024)},
		Store: struct{ *storage.DictCache }{storage.NewDictCache()},
	}
	defer tr.Close()
	req := request(t, "/")
	var buf [2048]byte
	got := testing.AllocsPerRun(200, func() {
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buf[:])
		}
		resp.Body.Close()
	})
	if got > 4 {
		t.Errorf("hit: %v allocations, want 4 at most", got)
	}
	if hits := tr.Stats().Hits; hits != 200 {
		t.Errorf("%d hits, want 200", hits)
	}
}

// Each kind of request has a maximum number of allocations. Each request to the origin of the test adds three.
func TestAllocations(t *testing.T) {
	for _, test := range []struct {
		name         string
		cacheControl string
		urls         int
		most         float64
		more         float64 // and so many more if the context of the request can end
	}{
		{"hit", "max-age=600", 1, 4, 0},
		{"miss", "max-age=600", 500, 13, 5},
		{"304", "no-cache", 1, 21, 5},
	} {
		for _, ends := range []bool{false, true} {
			header := http.Header{
				"Date": {date(0)}, "Content-Type": {"text/html; charset=utf-8"}, "Cache-Control": {test.cacheControl},
				"Etag": {`"33a64df551425fcc55e4d42a148795d9f25f89d4"`}, "Content-Length": {"1024"},
			}
			tr := &cachecontrol.Transport{Base: &page{header: header, notModified: header, body: make([]byte, 1024)}}
			defer tr.Close()
			ctx, most := context.Background(), test.most
			if ends {
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
				most += test.more
			}
			var requests []*http.Request
			for i := range test.urls {
				requests = append(requests, request(t, fmt.Sprint("/", i)).WithContext(ctx))
			}
			var buf [2048]byte
			n := 0
			run := func() {
				resp, err := tr.RoundTrip(requests[n%len(requests)])
				if err != nil {
					t.Fatal(err)
				}
				for err == nil {
					_, err = resp.Body.Read(buf[:])
				}
				resp.Body.Close()
				n++
			}
			// Something else may allocate meanwhile, so the least of several counts is the right one.
			got := testing.AllocsPerRun(100, run)
			for range 3 {
				got = min(got, testing.AllocsPerRun(100, run))
			}
			if got > most {
				t.Errorf("%s, context that ends %v: %v allocations, want %v at most", test.name, ends, got, most)
			}
			if misses := tr.Stats().Misses; misses != uint64(test.urls) && misses != uint64(n) {
				t.Errorf("%s: %d misses in %d requests, want %d or all", test.name, misses, n, test.urls)
			}
		}
	}
}
