package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// withContent makes a request that has a body, whose metadata are fields as "Name: value".
func withContent(t *testing.T, target, content string, fields ...string) *http.Request {
	t.Helper()
	req := request(t, target, fields...)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(content)), int64(len(content))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
	return req
}

// reading is an origin that reads the body of each request.
func reading(t *testing.T, fields ...string) *origin {
	return newOrigin(t, func(n int, req *http.Request) *http.Response {
		if req.Body != nil {
			io.Copy(io.Discard, req.Body)
			req.Body.Close()
		}
		return respond(200, fmt.Sprintf("#%d", n), append([]string{"Cache-Control: max-age=600"}, fields...)...)
	})
}

// The response to a request with content answers only a request with the same content, of the same kind (RFC 10008, section
// 2.7). The kind is every field that says how the content is to be read.
func TestContentMetadataInKeys(t *testing.T) {
	requests := []struct {
		target, content string
		fields          []string
	}{
		{"QUERY /", "a", nil},
		{"QUERY /", "b", nil},
		{"QUERY /", "", nil},
		{"QUERY /?q", "a", nil},
		{"POST /", "a", nil},
		{"GET /", "a", nil},
		{"QUERY /", "a", []string{"Content-Type: text/plain"}},
		{"QUERY /", "a", []string{"Content-Type: application/sql"}},
		{"QUERY /", "a", []string{"Content-Encoding: gzip"}},
		{"QUERY /", "a", []string{"Content-Encoding: deflate"}},
		{"QUERY /", "a", []string{"Content-Encoding: gzip", "Content-Encoding: deflate"}},
		{"QUERY /", "a", []string{"Content-Language: gzip"}},
		{"QUERY /", "a", []string{"Content-Language: de"}},
		{"QUERY /", "a", []string{"Content-Language: de", "Content-Type: text/plain"}},
		{"QUERY /", "a", []string{"Content-Location: /x"}},
		{"QUERY /", "a", []string{"Content-Type: text/plain&body=00", "Content-Language: de"}},
		{"QUERY /", "a", []string{"Content-Type: ", "Content-Encoding: text/plain"}},
		{"QUERY /", "", []string{"Content-Type: text/plain"}},
		{"SEARCH /", "a", nil},
	}
	for name, store := range targetStores(t) {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				tr := &cachecontrol.Transport{Base: reading(t), Store: store(), CacheableMethods: []string{"GET", "QUERY", "POST", "SEARCH"}}
				defer tr.Close()
				for round, want := range []cachecontrol.Outcome{miss, hit} {
					for i, r := range requests {
						a := send(t, tr, withContent(t, r.target, r.content, r.fields...))
						if body := fmt.Sprintf("#%d", i+1); a.outcome != want || a.body != body {
							t.Errorf("round %d, %s %q %q: %v %q, want %v %q", round+1, r.target, r.content, r.fields, a.outcome, a.body, want, body)
						}
					}
				}
				lower := withContent(t, "QUERY /", "a")
				lower.Header["content-encoding"] = []string{"gzip"}
				if a := send(t, tr, lower); a.outcome != hit || a.body != "#9" {
					t.Errorf("content-encoding: %v %q, want %v %q", a.outcome, a.body, hit, "#9")
				}
				trailing := withContent(t, "QUERY /", "a")
				trailing.Trailer = http.Header{"Content-Language": nil}
				if a := send(t, tr, trailing); a.outcome != bypass {
					t.Errorf("with a trailer: %v, want %v", a.outcome, bypass)
				}
				unnamed := withContent(t, "GET /", "a")
				unnamed.Method = ""
				if a := send(t, tr, unnamed); a.outcome != hit || a.body != "#6" {
					t.Errorf("no method: %v %q, want %v %q", a.outcome, a.body, hit, "#6")
				}
			})
		})
	}
}

// What invalidates a URL invalidates all stored responses with that target URI (RFC 9111, section 4.4), also those whose key
// holds a method and content: in each store, through each Transport that shares it, set up for those methods or not, and while a
// request is under way.
func TestInvalidationOfOtherMethods(t *testing.T) {
	u, err := url.Parse("http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	stored := []func(t *testing.T) *http.Request{
		func(t *testing.T) *http.Request { return withContent(t, "QUERY /", "a") },
		func(t *testing.T) *http.Request { return withContent(t, "QUERY /", "b", "Content-Type: text/plain") },
		func(t *testing.T) *http.Request { return withContent(t, "POST /", "a") },
		func(t *testing.T) *http.Request { return request(t, "POST /") },
		func(t *testing.T) *http.Request { return withContent(t, "GET /", "a") },
		func(t *testing.T) *http.Request { return request(t, "GET /") },
	}
	invalidators := map[string]func(t *testing.T, tr *cachecontrol.Transport){
		"PUT":        func(t *testing.T, tr *cachecontrol.Transport) { do(t, tr, "PUT /") },
		"DELETE":     func(t *testing.T, tr *cachecontrol.Transport) { do(t, tr, "DELETE http://EXAMPLE.com:80/") },
		"PATCH":      func(t *testing.T, tr *cachecontrol.Transport) { send(t, tr, withContent(t, "PATCH /", "x")) },
		"Location":   func(t *testing.T, tr *cachecontrol.Transport) { do(t, tr, "PUT /other") },
		"Invalidate": func(t *testing.T, tr *cachecontrol.Transport) { must(t, tr.Invalidate(t.Context(), u)) },
		"Bypass": func(t *testing.T, tr *cachecontrol.Transport) {
			req := request(t, "PUT /")
			send(t, tr, req.WithContext(cachecontrol.WithControl(req.Context(), cachecontrol.Control{Bypass: true})))
		},
	}
	for name, store := range targetStores(t) {
		for how, invalidate := range invalidators {
			for _, through := range []string{"the same", "another", "one for GET", "one for PUT and GET of a partition"} {
				t.Run(name+", "+how+", "+through, func(t *testing.T) {
					in(t, func(t *testing.T) {
						s := store()
						o := reading(t, "Location: /")
						methods := []string{"GET", "QUERY", "POST"}
						tr := &cachecontrol.Transport{Base: o, Store: s, CacheableMethods: methods}
						defer tr.Close()
						by, gone := tr, true
						switch through {
						case "another":
							by = &cachecontrol.Transport{Base: o, Store: s, CacheableMethods: methods}
						case "one for GET":
							by = &cachecontrol.Transport{Base: o, Store: s}
						case "one for PUT and GET of a partition":
							by = &cachecontrol.Transport{Base: o, Store: s, Partition: func(*http.Request) string { return "another" }}
							gone = false
						}
						for _, r := range stored {
							if a := send(t, tr, r(t)); a.outcome != miss {
								t.Fatalf("%s %q: %v, want %v", a.Request.Method, a.Request.Header, a.outcome, miss)
							}
						}
						for _, r := range stored[:5] {
							if a := send(t, tr, r(t)); a.outcome != hit {
								t.Fatalf("%s %q: %v, want %v", a.Request.Method, a.Request.Header, a.outcome, hit)
							}
						}
						invalidate(t, by)
						want := miss
						if !gone {
							want = hit
						}
						for _, r := range stored {
							if a := send(t, tr, r(t)); a.outcome != want {
								t.Errorf("afterwards, %s %q: %v, want %v", a.Request.Method, a.Request.Header, a.outcome, want)
							}
						}
						for _, r := range stored[:5] {
							if a := send(t, tr, r(t)); a.outcome != hit {
								t.Errorf("stored again, %s %q: %v, want %v", a.Request.Method, a.Request.Header, a.outcome, hit)
							}
						}
					})
				})
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// A response to QUERY that is under way when its URL is invalidated is not used again: by the same Transport, and, once something is
// stored for the URL, by one of another process.
func TestInvalidationOfOtherMethodsUnderWay(t *testing.T) {
	for name, store := range targetStores(t) {
		for _, through := range []string{"the same", "another"} {
			for _, when := range []string{"header", "body"} {
				t.Run(name+", "+through+", "+when, func(t *testing.T) {
					in(t, func(t *testing.T) {
						s := store()
						inner := reading(t)
						var invalidate func()
						o := newOrigin(t, func(n int, req *http.Request) *http.Response {
							resp := inner.handle(n, req)
							if req.Method == "QUERY" && when == "header" && invalidate != nil {
								f := invalidate
								invalidate = nil
								f()
							}
							return resp
						})
						tr := &cachecontrol.Transport{Base: o, Store: s, CacheableMethods: []string{"GET", "QUERY"}}
						defer tr.Close()
						by := tr
						if through == "another" {
							by = &cachecontrol.Transport{Base: o, Store: s}
						}
						send(t, tr, withContent(t, "QUERY /", "known"))
						invalidate = func() { do(t, by, "PUT /") }
						resp, err := tr.RoundTrip(withContent(t, "QUERY /", "a"))
						if err != nil {
							t.Fatal(err)
						}
						if when == "body" {
							invalidate()
						}
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if a := send(t, tr, withContent(t, "QUERY /", "a")); a.outcome != miss {
							t.Errorf("afterwards: %v, want %v", a.outcome, miss)
						}
						if a := send(t, tr, withContent(t, "QUERY /", "a")); a.outcome != hit {
							t.Errorf("stored again: %v, want %v", a.outcome, hit)
						}
					})
				})
			}
		}
	}
}

// Requests with different content that are under way at the same time for a URL of which nothing is stored yet are all stored.
func TestOtherMethodsAtOnce(t *testing.T) {
	for _, drain := range []int64{-1, 1 << 10} {
		in(t, func(t *testing.T) {
			testOtherMethodsAtOnce(t, &cachecontrol.Transport{Base: reading(t), DrainBytes: drain, CacheableMethods: []string{"QUERY"}})
		})
	}
}

func testOtherMethodsAtOnce(t *testing.T, tr *cachecontrol.Transport) {
	defer tr.Close()
	var open []*http.Response
	contents := []string{"", "a", "b", "c"}
	of := func(content string) *http.Request {
		if content == "" {
			return request(t, "QUERY /")
		}
		return withContent(t, "QUERY /", content)
	}
	for _, content := range contents {
		resp, err := tr.RoundTrip(of(content))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
	}
	for _, resp := range slices.Backward(open) {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	for _, content := range contents {
		if a := send(t, tr, of(content)); a.outcome != hit {
			t.Errorf("%q: %v, want %v", content, a.outcome, hit)
		}
	}
}

// An invalidation stays cheap: a URL with many stored responses to other methods costs no more calls of the store than one with
// none.
func TestInvalidationIsCheap(t *testing.T) {
	in(t, func(t *testing.T) {
		s := &callStore{Store: storage.NewDictCache()}
		tr := &cachecontrol.Transport{Base: reading(t), Store: s, CacheableMethods: []string{"QUERY"}}
		defer tr.Close()
		count := func() int {
			before := s.calls
			do(t, tr, "PUT /")
			return s.calls - before
		}
		none := count()
		for i := range 20 {
			send(t, tr, withContent(t, "QUERY /", fmt.Sprint(i)))
		}
		if many := count(); many != none || many > 3 {
			t.Errorf("%d calls of the store, want %d, and at most 3", many, none)
		}
	})
}

// callStore counts the calls of a store.
type callStore struct {
	storage.Store
	calls int
}

func (s *callStore) Delete(ctx context.Context, key string) error {
	s.calls++
	return s.Store.Delete(ctx, key)
}

func (s *callStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	s.calls++
	return s.Store.Get(ctx, key)
}
