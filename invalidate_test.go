package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

func TestInvalidationByLocation(t *testing.T) {
	stored := ok("Cache-Control: max-age=60")
	for _, test := range []struct {
		name, field string
		gone        bool // whether the response stored for /b is removed
	}{
		{"Location", "Location: /b", true},
		{"Content-Location", "Content-Location: /b", true},
		{"absolute", "Location: http://example.com/b", true},
		{"absolute, in capitals and with the port", "Location: HTTP://EXAMPLE.com:80/b", true},
		{"relative", "Location: b", true},
		{"with a fragment", "Location: /b#c", true},
		{"of another host", "Location: http://example.org/b", false},
		{"of another scheme", "Location: https://example.com/b", false},
		{"of another port", "Location: http://example.com:8080/b", false},
		{"of a host that looks alike", "Location: http://example.com@example.org/b", false},
		{"no URL", "Location: http://[/b", false},
		{"of another path", "Location: /c", false},
		{"of another query", "Location: /b?c", false},
	} {
		want, body := hit, "#1"
		if test.gone {
			want, body = miss, "#3"
		}
		runScenarios(t, []scenario{{
			name:   test.name,
			origin: []reply{stored, status(201, test.field), stored},
			steps:  []step{{do: "/b", want: miss}, {do: "POST /a", want: bypass}, {do: "/b", want: want, body: body}},
		}, {
			name:   test.name + ", when it fails",
			origin: []reply{stored, status(404, test.field), stored},
			steps:  []step{{do: "/b", want: miss}, {do: "POST /a", want: bypass}, {do: "/b", want: hit}},
		}, {
			name:   test.name + ", of GET",
			origin: []reply{stored, ok(test.field), stored},
			steps:  []step{{do: "/b", want: miss}, {do: "/a", want: miss}, {do: "/b", want: hit}},
		}})
	}
}

// A response that is being received when its URL is invalidated is not stored, because it may be older than the change.
func TestInvalidationWhileReceiving(t *testing.T) {
	for _, revalidating := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var tr *cachecontrol.Transport
			o := versions(t, "Cache-Control: max-age=60")
			tr = &cachecontrol.Transport{Base: o}
			defer tr.Close()
			if revalidating {
				do(t, tr, "/")
			}
			slow := open(t, tr, request(t, "/", "Cache-Control: no-cache"))
			if revalidating {
				do(t, tr, "PUT /")
				io.Copy(io.Discard, slow.Body)
			} else {
				io.ReadFull(slow.Body, make([]byte, 3))
				do(t, tr, "PUT /")
				io.Copy(io.Discard, slow.Body)
			}
			slow.Body.Close()
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "version 2" {
				t.Errorf("revalidating %v: %v %q, want %v %q", revalidating, a.outcome, a.body, miss, "version 2")
			}
			if a := do(t, tr, "/"); a.outcome != hit || a.body != "version 2" {
				t.Errorf("and then: %v %q, want %v %q", a.outcome, a.body, hit, "version 2")
			}
		})
	}
}

// If a URL is invalidated after a request has looked it up, its variants are not found again, even in a store that
// keeps them until they expire.
func TestInvalidationAfterLookup(t *testing.T) {
	for name, store := range allStores(t) {
		t.Run(name, func(t *testing.T) {
			version := 1
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				if req.Method == http.MethodPut {
					version++
					return respond(204, "")
				}
				return respond(200, fmt.Sprintf("%d for %s", version, req.Header.Get("X-A")), "Cache-Control: max-age=600", "Vary: X-A")
			})
			var tr *cachecontrol.Transport
			puts := false
			tr = &cachecontrol.Transport{Base: o, Store: store, BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
				if !puts {
					return cachecontrol.ReuseDecision{}
				}
				puts = false
				do(t, tr, "PUT /")
				return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseNever}
			}}
			defer tr.Close()
			for _, x := range []string{"X-A: a", "X-A: b"} {
				do(t, tr, "/", x)
			}
			puts = true
			do(t, tr, "/", "X-A: a")
			for _, x := range []string{"a", "b"} {
				if a := do(t, tr, "/", "X-A: "+x); a.body != "2 for "+x {
					t.Errorf("%s: %v %q, want version 2", x, a.outcome, a.body)
				}
			}
		})
	}
}

// A response to POST that is being received when its URL is invalidated is not stored either.
func TestInvalidationWhileReceivingPOST(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{}
		defer tr.Close()
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == http.MethodPost {
				if err := tr.Invalidate(t.Context(), req.URL); err != nil {
					t.Error(err)
				}
			}
			return respond(200, req.Method, "Cache-Control: max-age=60", "Content-Location: http://example.com/")
		})
		tr.Base = o
		do(t, tr, "POST /")
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "GET" {
			t.Errorf("%v %q, want the origin's answer", a.outcome, a.body)
		}
	})
}

// An unsafe method that is declared cacheable still invalidates the response to GET (RFC 9111, section 4.4).
func TestUnsafeMethodInvalidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Method, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", "POST"}}
		defer tr.Close()
		for _, want := range []struct {
			target  string
			outcome cachecontrol.Outcome
		}{
			{"/", cachecontrol.Miss}, {"/", cachecontrol.Hit},
			{"POST /", cachecontrol.Miss}, {"POST /", cachecontrol.Hit},
			{"/", cachecontrol.Miss},
		} {
			if a := do(t, tr, want.target); a.outcome != want.outcome {
				t.Errorf("%s: %v, want %v", want.target, a.outcome, want.outcome)
			}
		}
	})
}

// So does an unsafe request without a key, because its content is too long.
func TestUnsafeMethodWithoutKeyInvalidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Method, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", "POST"}}
		defer tr.Close()
		do(t, tr, "/")
		req := request(t, "POST /")
		req.Body, req.GetBody = io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20+1))), nil
		if a := send(t, tr, req); a.outcome != cachecontrol.Bypass {
			t.Errorf("POST: %v, want %v", a.outcome, cachecontrol.Bypass)
		}
		if a := do(t, tr, "/"); a.outcome != cachecontrol.Miss {
			t.Errorf("after the POST: %v, want %v", a.outcome, cachecontrol.Miss)
		}
	})
}

func TestInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60", "Vary: A"))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for _, path := range []string{"/a", "/b"} {
			do(t, tr, path, "A: 1")
			do(t, tr, path, "A: 2")
		}
		if err := tr.Invalidate(t.Context(), &url.URL{Scheme: "HTTP", Host: "Example.com", Path: "/a", Fragment: "x"}); err != nil {
			t.Error(err)
		}
		for _, test := range []struct {
			path, field string
			want        cachecontrol.Outcome
		}{{"/a", "A: 1", cachecontrol.Miss}, {"/a", "A: 2", cachecontrol.Miss}, {"/b", "A: 1", cachecontrol.Hit}, {"/b", "A: 2", cachecontrol.Hit}} {
			if a := do(t, tr, test.path, test.field); a.outcome != test.want {
				t.Errorf("%s %s: %v, want %v", test.path, test.field, a.outcome, test.want)
			}
		}
	})
}

// A response that is being received when its URL is invalidated is not stored.
func TestInvalidateWhileReceiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &url.URL{Scheme: "http", Host: "example.com", Path: "/"}
		var tr *cachecontrol.Transport
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				tr.Invalidate(t.Context(), u)
			}
			return ok("Cache-Control: max-age=60").respond(n, req)
		})
		tr = &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for i, want := range []cachecontrol.Outcome{cachecontrol.Miss, cachecontrol.Miss, cachecontrol.Hit} {
			if a := do(t, tr, "/"); a.outcome != want {
				t.Errorf("request %d: %v, want %v", i+1, a.outcome, want)
			}
		}
	})
}

func TestInvalidateErrors(t *testing.T) {
	tr := &cachecontrol.Transport{Store: &faultyStore{Store: storage.NewDictCache(), method: "Delete", mode: "error"}}
	defer tr.Close()
	if err := tr.Invalidate(t.Context(), &url.URL{Path: "/"}); err == nil {
		t.Error("a URL without a host: error nil, want one")
	}
	if err := tr.Invalidate(t.Context(), &url.URL{Scheme: "http", Host: "a"}); !errors.Is(err, errFaulty) {
		t.Errorf("the store's error is %v, want %v", err, errFaulty)
	}
}

// When an invalidation has returned, no request finds an older response, even one that was being committed.
func TestInvalidationWaitsForCommit(t *testing.T) {
	for _, how := range []string{"PUT", "Invalidate"} {
		synctest.Test(t, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=60")
			})
			held := make(chan struct{})
			store := &hookedStore{Store: storage.NewDictCache(), before: func(_ context.Context, op, _ string) error {
				if op == "Commit" {
					<-held
				}
				return nil
			}}
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			var callers sync.WaitGroup
			callers.Go(func() { do(t, tr, "/") })
			synctest.Wait()
			callers.Go(func() {
				if how == "PUT" {
					do(t, tr, "PUT /")
				} else if err := tr.Invalidate(t.Context(), request(t, "/").URL); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			close(held)
			callers.Wait()
			if a := do(t, tr, "/"); a.outcome != miss {
				t.Errorf("%s: %v %q, want %v", how, a.outcome, a.body, miss)
			}
		})
	}
}

// A response that is being committed when its URL is invalidated is not used, even if the invalidation found nothing to
// delete.
func TestInvalidationDuringCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reached, letGo := make(chan struct{}), make(chan struct{})
		store := &hookedStore{Store: storage.NewDictCache(), before: func(_ context.Context, op, key string) error {
			if op == "Commit" && key == "http://example.com/" {
				reached <- struct{}{}
				<-letGo
			}
			return nil
		}}
		o := versions(t, "Cache-Control: max-age=60")
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			do(t, tr, "/")
		}()
		<-reached
		do(t, tr, "PUT /")
		letGo <- struct{}{}
		<-done
		resp, err := tr.RoundTrip(request(t, "/", "Cache-Control: only-if-cached"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 504 {
			t.Errorf("the old version was stored: %v, want %v; header: %v", resp.StatusCode, 504, resp.Header)
		}
	})
}

// The files of variants are deleted with the entry that lists them, because they cannot be found without it.
func TestInvalidatedVariantsAreDeleted(t *testing.T) {
	for _, how := range []string{"a request", "Invalidate"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				s, err := directory.NewFileCache(dir)
				if err != nil {
					t.Fatal(err)
				}
				tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60", "Vary: X-A")), Store: s}
				defer tr.Close()
				for _, value := range []string{"1", "2", "3"} {
					send(t, tr, request(t, "/", "X-A: "+value))
					send(t, tr, request(t, "/other", "X-A: "+value))
				}
				if n := len(entryFiles(t, dir)); n != 6 {
					t.Fatalf("%d entries, want 6", n)
				}
				if how == "Invalidate" {
					if err := tr.Invalidate(t.Context(), request(t, "/").URL); err != nil {
						t.Fatal(err)
					}
				} else {
					send(t, tr, request(t, "POST /"))
				}
				if n := len(entryFiles(t, dir)); n != 3 {
					t.Errorf("%d entries are left of both URLs, want the 3 of one", n)
				}
			})
		})
	}
}

func TestUnsafeMethodsInvalidate(t *testing.T) {
	for _, method := range []string{"PUT", "PATCH", "DELETE", "POST", "BREW"} {
		runScenarios(t, []scenario{{
			name:   method,
			origin: []reply{ok("Cache-Control: max-age=60"), status(204), ok("Cache-Control: max-age=60")},
			steps: []step{
				{want: miss}, {want: hit},
				{do: method + " /#fragment", want: bypass},
				{want: miss, body: "#3"},
			},
		}, {
			name:   method + " that fails",
			origin: []reply{ok("Cache-Control: max-age=60"), status(500)},
			steps:  []step{{want: miss}, {do: method + " /", want: bypass, status: 500}, {want: hit}},
		}, {
			name:   method + " of another URL",
			origin: []reply{ok("Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {do: method + " /?x", want: bypass}, {want: hit}},
		}})
	}
	for _, method := range []string{"OPTIONS", "TRACE", "PROPFIND"} {
		runScenarios(t, []scenario{{
			name:   method + " is safe",
			origin: []reply{ok("Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {do: method + " /", want: bypass}, {want: hit}},
		}})
	}
}

// An unsafe request that fails does not invalidate the URLs in Location and Content-Location. One that succeeds does,
// also with an unknown method (RFC 9111, section 4.4).
func TestInvalidatedLocations(t *testing.T) {
	for _, field := range []string{"Location", "Content-Location"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "FOO"} {
			for code, want := range map[int]cachecontrol.Outcome{200: miss, 303: miss, 500: hit, 404: hit} {
				inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
					return []scenario{{fmt.Sprintf("%s %s %d", field, method, code), tr(),
						[]reply{ok("Cache-Control: max-age=60"), status(code, field+": /other?x=1")},
						[]step{
							{do: "/other?x=1", want: miss},
							{do: method + " /", want: bypass},
							{do: "/other?x=1", want: want},
						},
					}}
				})
			}
		}
	}
}
