package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// example starts a server whose pages may be kept for a minute.
func example() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/silent" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		fmt.Fprintln(w, "Hello from", r.URL.Path)
	}))
}

// show gets a page, reads it, and says where it came from.
func show(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s from the cache: %v\n", body[:len(body)-1], cachecontrol.FromCache(resp))
}

// The zero value is a private cache in memory.
func Example() {
	server := example()
	defer server.Close()

	client := &http.Client{Transport: &cachecontrol.Transport{}}
	show(client, server.URL+"/a")
	show(client, server.URL+"/a")
	// Output:
	// Hello from /a from the cache: false
	// Hello from /a from the cache: true
}

func ExampleTransport_Client() {
	server := example()
	defer server.Close()

	cache := &cachecontrol.Transport{Base: server.Client().Transport}
	defer cache.Close()
	client := cache.Client()
	client.Timeout = 10 * time.Second
	show(client, server.URL+"/a")
	show(client, server.URL+"/a")
	// Output:
	// Hello from /a from the cache: false
	// Hello from /a from the cache: true
}

// A directory keeps responses from one run to the next. A Python program that uses CacheControl with
// FileCache(".webcache") may use the same one at the same time.
func ExampleTransport_fileCache() {
	server := example()
	defer server.Close()
	dir, err := os.MkdirTemp("", "webcache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	for range 2 { // two programs, one after the other
		store, err := directory.NewFileCache(dir)
		if err != nil {
			fmt.Println(err)
			return
		}
		cache := &cachecontrol.Transport{Store: store}
		show(cache.Client(), server.URL+"/a")
		cache.Close()
	}
	// Output:
	// Hello from /a from the cache: false
	// Hello from /a from the cache: true
}

// A heuristic makes responses fresh that do not say for how long they are.
func ExampleTransport_heuristic() {
	server := example()
	defer server.Close()

	cache := &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(time.Hour)}
	defer cache.Close()
	show(cache.Client(), server.URL+"/silent")
	show(cache.Client(), server.URL+"/silent")
	// Output:
	// Hello from /silent from the cache: false
	// Hello from /silent from the cache: true
}

// Each part of a site may have a cache of its own kind, or none.
func ExampleMounts() {
	server := example()
	defer server.Close()

	var mounts cachecontrol.Mounts
	mounts.Mount("http://", http.DefaultTransport)
	mounts.Mount(server.URL+"/static", &cachecontrol.Transport{})
	client := &http.Client{Transport: &mounts}
	for _, path := range []string{"/static/a", "/static/a", "/b", "/b"} {
		show(client, server.URL+path)
	}
	// Output:
	// Hello from /static/a from the cache: false
	// Hello from /static/a from the cache: true
	// Hello from /b from the cache: false
	// Hello from /b from the cache: false
}

// Status tells how a request was answered, and why.
func ExampleStatusOf() {
	server := example()
	defer server.Close()

	cache := &cachecontrol.Transport{}
	defer cache.Close()
	for _, path := range []string{"/a", "/a", "/silent"} {
		resp, err := cache.Client().Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status := cachecontrol.StatusOf(resp)
		fmt.Printf("%s: %s; stored: %v\n", status.Outcome, status.Reason.Description(), status.Stored)
	}
	// Output:
	// miss: nothing is stored for this URL; stored: true
	// hit: it is fresh; stored: false
	// miss: nothing is stored for this URL; stored: false
}
