package rediscache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// searchOrigin is an origin whose responses do not depend on a parameter. It counts its requests.
type searchOrigin struct{ requests int }

func (o *searchOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.requests++
	return &http.Response{
		StatusCode: 200, Request: req, Body: io.NopCloser(strings.NewReader("body")), ContentLength: 4,
		Header: http.Header{"Cache-Control": {"max-age=60"}, "No-Vary-Search": {`params=("utm")`}},
	}, nil
}

// Of 100 URLs that No-Vary-Search makes one, one is requested, and each of them invalidates all, through each Transport.
func TestNoVarySearch(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer client.Close()
	o := new(searchOrigin)
	first := &cachecontrol.Transport{Base: o, Store: rediscache.New(client)}
	second := &cachecontrol.Transport{Base: o, Store: rediscache.New(client)}
	defer first.Close()
	defer second.Close()
	for round := 1; round <= 2; round++ {
		for i := range 100 {
			tr := first
			if i%2 == 1 {
				tr = second
			}
			req, err := http.NewRequest("GET", fmt.Sprintf("http://example.com/p?a=1&utm=%d", i), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if o.requests != round {
			t.Errorf("round %d: %d requests to the origin, want %d", round, o.requests, round)
		}
		req, err := http.NewRequest("GET", "http://example.com/p?utm=new&a=%31", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Invalidate(t.Context(), req.URL); err != nil {
			t.Fatal(err)
		}
	}
}
