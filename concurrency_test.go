package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// openFiles returns the number of open files of this process, or -1 if the system does not provide it.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// After 10,000 requests of callers that cancel at any point, close early, close twice or never close, the numbers of
// goroutines and files are as before, and each caller that read to the end got the right body.
func TestManyCallers(t *testing.T) {
	requests := rounds(10_000, 1_000)
	body := strings.Repeat("0123456789abcdef", 1000)
	httptest.NewServer(http.NotFoundHandler()).Close() // the first use of the network opens files that stay
	filesBefore, goroutinesBefore := openFiles(), runtime.NumGoroutine()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/wait"):
			<-r.Context().Done()
			return
		case r.Header.Get("If-None-Match") != "":
			w.WriteHeader(304)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		if strings.HasPrefix(r.URL.Path, "/stale") {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("ETag", `"1"`)
		}
		if r.URL.Query().Has("chunked") {
			w.(http.Flusher).Flush()
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		io.WriteString(w, body)
	}))
	base := &http.Transport{MaxIdleConnsPerHost: 100}
	var transports []*cachecontrol.Transport
	for name, store := range fileStores(t) {
		transports = append(transports, &cachecontrol.Transport{Base: base, Store: store, Collapse: name == "FileCache", DrainBytes: 1 << 20})
	}
	transports = append(transports, &cachecontrol.Transport{Base: base}, &cachecontrol.Transport{Base: base, Collapse: true})
	never, forget := context.WithCancel(t.Context()) // of the callers that never close

	call := func(i int) error {
		tr := transports[i%len(transports)]
		kind := i / len(transports) % 10
		path := []string{"/", "/stale", "/new" + fmt.Sprint(i)}[i%3]
		if kind == 1 {
			path = "/wait"
		}
		if i%2 == 0 {
			path += "?chunked"
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if kind == 9 {
			ctx = never
		}
		req, err := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
		if err != nil {
			return err
		}
		switch kind {
		case 0: // before
			cancel()
		case 1: // while it waits
			go func() { runtime.Gosched(); cancel() }()
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			if kind <= 1 && errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
		defer resp.Body.Close()
		switch kind {
		case 2: // in a read
			io.ReadFull(resp.Body, make([]byte, 1+i%len(body)))
			cancel()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		case 3: // after the end
			defer cancel()
		case 4: // closes early
			io.ReadFull(resp.Body, make([]byte, i%len(body)))
			return resp.Body.Close()
		case 5: // closes at once, and twice
			resp.Body.Close()
			return resp.Body.Close()
		case 6: // closes while it reads
			go resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			return nil
		case 7: // closes before it cancels
			resp.Body.Close()
			return nil
		case 9: // never closes
			io.ReadFull(resp.Body, make([]byte, i%100))
			resp.Body = http.NoBody
			return nil
		}
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
			return fmt.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
		return nil
	}
	var wg sync.WaitGroup
	next := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				if err := call(i); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
			}
		})
	}
	for i := range requests {
		next <- i
	}
	close(next)
	wg.Wait()
	forget()
	for _, tr := range transports {
		tr.Close()
	}
	base.CloseIdleConnections()
	server.Close()
	for try := 0; ; try++ {
		files, goroutines := openFiles(), runtime.NumGoroutine()
		if files <= filesBefore && goroutines <= goroutinesBefore {
			break
		}
		if try == 10_000 {
			t.Errorf("%d files and %d goroutines, want %d and %d as before", files, goroutines, filesBefore, goroutinesBefore)
			break
		}
		runtime.GC() // a hit that is never closed is a file until then, as with os.Open
		runtime.Gosched()
	}
}

// If two responses for a URL arrive at the same time, the one that ends last is stored, and is complete.
func TestConcurrentResponses(t *testing.T) {
	for name, store := range fileStores(t) {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
				return respond(200, strings.Repeat(string(rune('a'+n%26)), 5000), "Cache-Control: max-age=60")
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			done := make(chan string)
			for range 8 {
				go func() {
					var wrong string
					for range 20 {
						req, _ := http.NewRequest("GET", "http://example.com/", nil)
						req.Header.Set("Cache-Control", []string{"no-cache", "max-stale"}[len(wrong)%2])
						resp, err := tr.RoundTrip(req)
						if err != nil {
							wrong = err.Error()
							break
						}
						b, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if err != nil || len(b) != 5000 || strings.Trim(string(b), string(b[:1])) != "" {
							wrong = fmt.Sprintf("%v: %d bytes, %.40q", err, len(b), b)
							break
						}
					}
					done <- wrong
				}()
			}
			for range 8 {
				if wrong := <-done; wrong != "" {
					t.Error(wrong)
				}
			}
			if a := do(t, tr, "/"); a.outcome != hit {
				t.Errorf("afterwards: %v, want %v", a.outcome, hit)
			}
		})
	}
}

// Two callers and a validation in the background share no mutable data. The race detector checks this.
func TestCallersShareNoHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, fmt.Sprint("body ", n), "Cache-Control: max-age=1, stale-while-revalidate=100", "X-A: b", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		for range 20 {
			time.Sleep(2 * time.Second)
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() {
					req, _ := http.NewRequest("GET", "http://example.com/", nil)
					resp, err := tr.RoundTrip(req)
					if err != nil {
						t.Error(err)
						return
					}
					resp.Header.Set("X-A", "changed")
					req.Header.Set("X-Later", "changed")
					resp.Header.Add("Cache-Control", "no-store")
					if b, _ := io.ReadAll(resp.Body); !strings.HasPrefix(string(b), "body ") {
						t.Errorf("body %q, want %q and a number", b, "body ")
					}
					resp.Body.Close()
				})
			}
			both.Wait()
			synctest.Wait()
		}
		if n := o.requests(); n != 21 {
			t.Errorf("%d requests, want one at first and one for each refresh", n)
		}
	})
}
