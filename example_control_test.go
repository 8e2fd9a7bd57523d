package cachecontrol_test

import (
	"context"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// Each request can ask the cache for something of its own, of which the origin sees nothing.
func ExampleWithControl() {
	server := example()
	defer server.Close()
	cache := &cachecontrol.Transport{}
	defer cache.Close()
	client := cache.Client()

	get := func(what string, c cachecontrol.Control) {
		ctx := cachecontrol.WithControl(context.Background(), c)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/a", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		fmt.Printf("%s: %d, %v\n", what, resp.StatusCode, cachecontrol.StatusOf(resp).Outcome)
	}
	get("offline, before there is anything", cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly})
	get("nothing special", cachecontrol.Control{})
	get("once more", cachecontrol.Control{})
	get("as the origin has it now", cachecontrol.Control{Mode: cachecontrol.ModeRefresh})
	get("round the cache", cachecontrol.Control{Mode: cachecontrol.ModeBypass})
	get("offline", cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly, MaxStale: -1})
	get("for another user", cachecontrol.Control{Partition: "another user"})
	// Output:
	// offline, before there is anything: 504, miss
	// nothing special: 200, miss
	// once more: 200, hit
	// as the origin has it now: 200, miss
	// round the cache: 200, bypass
	// offline: 200, hit
	// for another user: 200, miss
}

// One private Transport for several users: each has a part of the cache to itself.
func ExampleTransport_Partition() {
	server := example()
	defer server.Close()
	cache := &cachecontrol.Transport{
		Partition: func(req *http.Request) string { return req.Header.Get("Authorization") },
	}
	defer cache.Close()

	for _, token := range []string{"Bearer alice", "Bearer bob", "Bearer alice"} {
		req, err := http.NewRequest(http.MethodGet, server.URL+"/mine", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", token)
		resp, err := cache.RoundTrip(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		fmt.Printf("%s: %v\n", token, cachecontrol.StatusOf(resp).Outcome)
	}
	// Output:
	// Bearer alice: miss
	// Bearer bob: miss
	// Bearer alice: hit
}

// Two hooks decide for single URLs: what is stored and for how long, and what is used.
func ExampleTransport_BeforeStore() {
	server := example()
	defer server.Close()
	cache := &cachecontrol.Transport{
		BeforeStore: func(resp *http.Response, _ cachecontrol.RuleDecision) cachecontrol.StoreDecision {
			switch resp.Request.URL.Path {
			case "/account":
				return cachecontrol.StoreDecision{Refuse: true}
			case "/silent": // it says nothing about caching
				return cachecontrol.StoreDecision{Lifetime: time.Hour}
			}
			return cachecontrol.StoreDecision{}
		},
		BeforeReuse: func(req *http.Request, stored cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			if req.URL.Path == "/prices" && stored.Age > 0 {
				return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseValidate}
			}
			return cachecontrol.ReuseDecision{}
		},
	}
	defer cache.Close()
	for _, path := range []string{"/account", "/account", "/silent", "/silent"} {
		show(cache.Client(), server.URL+path)
	}
	// Output:
	// Hello from /account from the cache: false
	// Hello from /account from the cache: false
	// Hello from /silent from the cache: false
	// Hello from /silent from the cache: true
}

// What was once fetched is there for ever: for debugging, and without a network.
func ExampleTransport_Replay() {
	server := example()
	dir, err := os.MkdirTemp("", "replay")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := directory.NewFileCache(dir, directory.Forever())
	if err != nil {
		fmt.Println(err)
		return
	}
	cache := &cachecontrol.Transport{Store: store, Replay: true}
	defer cache.Close()
	show(cache.Client(), server.URL+"/silent")
	server.Close()
	show(cache.Client(), server.URL+"/silent")
	// Output:
	// Hello from /silent from the cache: false
	// Hello from /silent from the cache: true
}

// What a Transport has counted, for a program and for expvar.
func ExampleTransport_Stats() {
	server := example()
	defer server.Close()
	cache := &cachecontrol.Transport{}
	defer cache.Close()
	for _, path := range []string{"/a", "/a", "/a", "/silent"} {
		show(cache.Client(), server.URL+path)
	}
	s := cache.Stats()
	fmt.Printf("%d hits, %d misses, %d requests to the origin\n", s.Hits, s.Misses, s.OriginRequests)
	for reason, n := range s.NotStored {
		fmt.Printf("%d not stored: %s\n", n, reason.Description())
	}
	variable := expvar.Func(func() any { return cache.Stats().Hits }) // expvar.Publish gives it a name
	fmt.Println("expvar:", variable)
	// Output:
	// Hello from /a from the cache: false
	// Hello from /a from the cache: true
	// Hello from /a from the cache: true
	// Hello from /silent from the cache: false
	// 2 hits, 2 misses, 2 requests to the origin
	// 1 not stored: it has no usable freshness (max-age, Expires) and no usable validator (ETag, Last-Modified) to revalidate with
	// expvar: 2
}
