//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/memcached"
)

// link is a proxy in front of a server of a test.
type link struct {
	proxy
	t testing.TB
}

// through starts a proxy in front of the server at addr.
func through(t testing.TB, addr string) link {
	t.Helper()
	p, err := startProxy(t.Name(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return link{p, t}
}

// add adds a toxic of a kind to what the server sends.
func (l link) add(kind string, attributes string) {
	l.t.Helper()
	if err := l.proxy.add(kind, "downstream", attributes); err != nil {
		l.t.Fatal(err)
	}
}

// hang makes the server seem to hang: connections stay open, and no answer arrives.
func (l link) hang() { l.add("timeout", `"timeout":0`) }

func newRedis(t testing.TB, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	return client
}

func startMemcached(t testing.TB) string {
	t.Helper()
	exe, port := peer.Program(t, "apt-get install memcached", "memcached"), peer.FreePort(t)
	return peer.StartServer(t, port, "version\r\n", exe, "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "0", "-u", "root").Addr
}

func newMemcached(t testing.TB, addrs ...string) storage.Store {
	client := memcache.New(addrs...)
	client.MaxIdleConns = 64
	t.Cleanup(func() { client.Close() })
	return memcached.New(client)
}

// origin answers at once. The body of a path tells how often it was sent a POST.
type origin struct {
	versions  sync.Map // *atomic.Int64 by path
	size      int
	validates bool                    // it answers 304 if the stored response is current
	after     func(req *http.Request) // called after the response is known, if not nil
}

func (o *origin) version(path string) *atomic.Int64 {
	v, _ := o.versions.LoadOrStore(path, new(atomic.Int64))
	return v.(*atomic.Int64)
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	v := o.version(req.URL.Path)
	if req.Method == http.MethodPost {
		v.Add(1)
	}
	body := fmt.Sprint(v.Load(), " ", strings.Repeat("x", o.size))
	if o.after != nil {
		o.after(req)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	status, etag := 200, strconv.Quote(req.URL.Path+body[:2])
	if o.validates && req.Header.Get("If-None-Match") == etag {
		status, body = 304, ""
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header:        http.Header{"Cache-Control": {"max-age=3600"}, "Etag": {etag}},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// open returns a Transport over a store.
func open(t testing.TB, store storage.Store, base http.RoundTripper) *cachecontrol.Transport {
	tr := &cachecontrol.Transport{Base: base, Store: store}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// fetch makes a request and returns how it was answered and the version in the body.
func fetch(ctx context.Context, tr http.RoundTripper, method, path string) (cachecontrol.Outcome, int64, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://example.com"+path, nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, err
	}
	text, _, _ := strings.Cut(string(body), " ")
	version, err := strconv.ParseInt(text, 10, 64)
	return cachecontrol.StatusOf(resp).Outcome, version, err
}

// must is fetch for a request that must not fail.
func must(t testing.TB, tr http.RoundTripper, method, path string) (cachecontrol.Outcome, int64) {
	t.Helper()
	got, version, err := fetch(t.Context(), tr, method, path)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return got, version
}

// sum returns the sum of counts by operation.
func sum(counts map[string]uint64) (n uint64) {
	for _, count := range counts {
		n += count
	}
	return n
}

// failures returns the number of calls of the store that have failed.
func failures(tr *cachecontrol.Transport) uint64 { return sum(tr.Stats().StoreErrors) }

// until calls f until it returns true.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// warm stores the responses for paths.
func warm(t testing.TB, tr *cachecontrol.Transport, paths []string) {
	t.Helper()
	for _, path := range paths {
		until(t, "GET "+path+" is a hit", func() bool {
			got, _ := must(t, tr, "GET", path)
			return got == cachecontrol.Hit
		})
	}
}

// giveUp makes requests for paths in turn until the store of tr has given up a server.
func giveUp(t testing.TB, tr *cachecontrol.Transport, paths []string) {
	t.Helper()
	n := 0
	until(t, "a server is given up", func() bool {
		must(t, tr, "GET", paths[n%len(paths)])
		n++
		return len(tr.Stats().SuspendedServers) > 0
	})
	t.Logf("given up after %d requests and %d failures", n, failures(tr))
}

func paths(n int) (all []string) {
	for i := range n {
		all = append(all, "/"+strconv.Itoa(i))
	}
	return all
}
