package rediscache_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// trips counts the round trips of a client.
type trips struct{ n atomic.Int64 }

func (t *trips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (t *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		t.n.Add(1)
		return next(ctx, cmd)
	}
}

func (t *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		t.n.Add(1)
		return next(ctx, cmds)
	}
}

// TestRoundTrips counts how often a request waits for Redis, before and after the origin is asked.
func TestRoundTrips(t *testing.T) {
	client := newClient(t, miniredis.RunT(t).Addr())
	count := new(trips)
	client.AddHook(count)
	header := http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}}
	var before int64
	tr := &cachecontrol.Transport{
		Base: roundTrip(func(req *http.Request) (*http.Response, error) {
			before = count.n.Load()
			resp := &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header.Clone(), Request: req}
			resp.Header["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
			if req.Header.Get("If-None-Match") != "" {
				resp.StatusCode, resp.Body = http.StatusNotModified, http.NoBody
			} else {
				resp.ContentLength, resp.Body = 4, io.NopCloser(strings.NewReader("body"))
			}
			return resp, nil
		}),
		Store: rediscache.New(client, patient),
	}
	defer tr.Close()
	stored := uint64(0)
	const warm = "http://example.com/warm"
	for _, test := range []struct {
		name, method, url string
		header            http.Header
		before, after     int64 // -1 if the origin must not be asked
	}{
		{"first", "GET", warm, nil, 1, 1}, // the client also loads the script: not counted below
		{"miss", "GET", "http://example.com/a", nil, 1, 1},
		{"miss with a query", "GET", "http://example.com/b?c", nil, 1, 1},
		{"hit", "GET", "http://example.com/a", nil, -1, 1},
		{"further hit", "GET", "http://example.com/a", nil, -1, 1},
		{"304", "GET", "http://example.com/a", http.Header{"Cache-Control": {"no-cache"}}, 1, 1},
		{"hit after a 304", "GET", "http://example.com/a", nil, -1, 1},
		{"POST", "POST", "http://example.com/a", nil, 0, 1},
		{"miss after a POST", "GET", "http://example.com/a", nil, 1, 1},
		{"hit after that", "GET", "http://example.com/a", nil, -1, 1},
		{"POST to what is not stored", "POST", "http://example.com/z", nil, 0, 1},
	} {
		req, err := http.NewRequest(test.method, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, lines := range test.header {
			req.Header[name] = lines
		}
		before = -1
		start := count.n.Load()
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil {
			t.Errorf("%s: body = %q, %v", test.name, body, err)
		}
		resp.Body.Close()
		if before >= 0 && req.Method == "GET" && test.name != "304" { // it is stored after the caller has the body
			stored++
		}
		for deadline := time.Now().Add(time.Minute); tr.Stats().Stored < stored && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		end := count.n.Load()
		if before >= 0 {
			before -= start
			end -= before
		}
		if end -= start; test.name != "first" && (before != test.before || end != test.after) {
			t.Errorf("%s: %d round trips before the origin was asked, %d after that, want %d, %d", test.name, before, end, test.before, test.after)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
