//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// BenchmarkDistance shows how long a body of 8 MB takes while it is stored in a Redis that is 20 ms away, and when it is read
// from there.
func BenchmarkDistance(b *testing.B) {
	l := through(b, redistest.Start(b).Addr)
	body := strings.Repeat("01234567", 1<<20)
	tr := &cachecontrol.Transport{Store: rediscache.New(newRedis(b, l.Listen)), Base: roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: int64(len(body)),
			Header: http.Header{"Cache-Control": {"max-age=60"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
			Body:   io.NopCloser(strings.NewReader(body)),
		}, nil
	})}
	defer tr.Close()
	get := func(i int, want cachecontrol.Outcome) time.Duration {
		start := time.Now()
		resp, err := tr.Client().Get(fmt.Sprint("http://example.com/", i))
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		took := time.Since(start)
		if got := cachecontrol.StatusOf(resp).Outcome; got != want || n != int64(len(body)) || err != nil {
			b.Fatalf("%v, %d bytes, %v, want %v, %d, nil", got, n, err, want, len(body))
		}
		return took
	}
	get(0, cachecontrol.Miss)
	l.add("latency", `"latency":20`)
	var miss, hit time.Duration
	n := 0
	for b.Loop() {
		n++
		miss += get(n, cachecontrol.Miss)
		for deadline := time.Now().Add(time.Minute); tr.Stats().Stored <= uint64(n) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		hit += get(n, cachecontrol.Hit)
	}
	b.ReportMetric(float64(miss.Milliseconds())/float64(n), "miss-ms")
	b.ReportMetric(float64(hit.Milliseconds())/float64(n), "hit-ms")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
