package rediscache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// Processes that store further variants of a URL at the same moment lose none of them.
func TestVariantsOfProcesses(t *testing.T) {
	const processes, each = 4, 4
	origin := roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: -1,
			Header: http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"X-Variant"}},
			Body:   io.NopCloser(strings.NewReader(req.Header.Get("X-Variant"))),
		}, nil
	})
	addr := miniredis.RunT(t).Addr()
	request := func(tr *cachecontrol.Transport, variant string) string {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://example.com/", nil)
		if err != nil {
			t.Error(err)
			return ""
		}
		req.Header.Set("X-Variant", variant)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != variant || err != nil {
			t.Errorf("variant %s: body = %q, %v", variant, body, err)
		}
		return resp.Header.Get("Cache-Status")
	}
	var all []*cachecontrol.Transport
	for range processes {
		all = append(all, &cachecontrol.Transport{Base: origin, Store: rediscache.New(newClient(t, addr), patient)})
	}
	request(all[0], "first")
	all[0].Close() // waits until everything is stored
	all[0] = &cachecontrol.Transport{Base: origin, Store: rediscache.New(newClient(t, addr), patient)}
	var requests sync.WaitGroup
	for i, tr := range all {
		for j := range each {
			requests.Go(func() { request(tr, fmt.Sprint(i, ".", j)) })
		}
	}
	requests.Wait()
	for _, tr := range all {
		tr.Close()
	}
	reader := &cachecontrol.Transport{Base: origin, Store: rediscache.New(newClient(t, addr), patient)}
	defer reader.Close()
	for i := range all {
		for j := range each {
			if got := request(reader, fmt.Sprint(i, ".", j)); !strings.Contains(got, "hit") {
				t.Errorf("variant %d.%d: Cache-Status = %q, want a hit", i, j, got)
			}
		}
	}
}
