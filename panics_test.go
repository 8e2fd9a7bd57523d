package cachecontrol_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// panicOf returns the value that f panics with, or nil.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// A panic in Base or in a hook propagates to the caller from every goroutine, and requests that wait for the same
// response are answered.
func TestPanics(t *testing.T) {
	bang := errors.New("bang")
	for _, tt := range []struct {
		name string
		tr   *cachecontrol.Transport
		base bool // it is Base that panics, the first time
	}{
		{"base", &cachecontrol.Transport{}, true},
		{"base/drain", &cachecontrol.Transport{DrainBytes: 1}, true},
		{"base/collapse", &cachecontrol.Transport{Collapse: true}, true},
		{"hook/collapse", &cachecontrol.Transport{Collapse: true, BeforeStore: func(resp *http.Response, _ cachecontrol.RuleDecision) cachecontrol.StoreDecision {
			if resp.Header["X-Bang"] != nil {
				panic(bang)
			}
			return cachecontrol.StoreDecision{}
		}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				letGo := make(chan struct{})
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					<-letGo
					if n > 1 {
						return respond(200, "body", "Cache-Control: max-age=60")
					}
					if tt.base {
						panic(bang)
					}
					return chunked(respond(200, "", "Cache-Control: max-age=60", "X-Bang: 1"), nil)
				})
				tt.tr.Base = o
				defer tt.tr.Close()
				var all sync.WaitGroup
				all.Go(func() {
					if v := panicOf(func() { tt.tr.RoundTrip(request(t, "/")) }); v != bang {
						t.Errorf("the first caller got %v, want %v", v, bang)
					}
				})
				synctest.Wait()
				for range 5 {
					all.Go(func() {
						if a := do(t, tt.tr, "/"); a.body != "body" {
							t.Errorf("GET /: %q, want %q; status %d", a.body, "body", a.StatusCode)
						}
					})
				}
				synctest.Wait()
				close(letGo)
				all.Wait()
			})
		})
	}
}

// If a hook panics, the body that would be lost is closed.
func TestPanicClosesBodies(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	part := status(206, fresh, tag, "Content-Range: bytes 0-1/4")
	for _, tt := range []struct {
		name   string
		before []string // requests, answered by all replies but the last
		origin []reply
		do     string
		with   []string
	}{
		{"miss", nil, []reply{ok(fresh)}, "/", nil},
		{"validation", []string{"/"}, []reply{ok(tag), status(304, tag)}, "/", nil},
		{"POST with Content-Location", nil, []reply{ok(fresh, "Content-Location: /")}, "POST /", nil},
		{"part", nil, []reply{part}, "/", []string{"Range: bytes=0-1"}},
		{"part of what is stored whole", []string{"/"}, []reply{ok(tag), part}, "/", []string{"Range: bytes=0-1"}},
		{"rest of a part", []string{"/ Range:bytes=0-1"}, []reply{part, status(206, fresh, tag, "Content-Range: bytes 2-3/4")}, "/", nil},
	} {
		for _, byHeuristic := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, heuristic %v", tt.name, byHeuristic), func(t *testing.T) {
				if byHeuristic && tt.name == "POST with Content-Location" {
					return // it is not asked
				}
				synctest.Test(t, func(t *testing.T) {
					o := replies(t, tt.origin...)
					bangs := func() bool { return o.requests() == len(tt.origin) }
					tr := &cachecontrol.Transport{Base: o}
					defer tr.Close()
					if byHeuristic {
						tr.Heuristic = heuristics.Func(func(*http.Response) http.Header {
							if bangs() {
								panic("bang")
							}
							return nil
						})
					} else {
						tr.BeforeStore = func(*http.Response, cachecontrol.RuleDecision) (d cachecontrol.StoreDecision) {
							if bangs() {
								panic("bang")
							}
							return d
						}
					}
					for _, first := range tt.before {
						target, field, _ := strings.Cut(first, " ")
						do(t, tr, target, strings.Fields(field)...)
					}
					req := request(t, tt.do, tt.with...)
					if v := panicOf(func() { tr.RoundTrip(req) }); v != "bang" {
						t.Errorf("the caller got %v, want %v", v, "bang")
					}
				})
			})
		}
	}
}

// A follower whose hook panics counts as having left, so that the request can end.
func TestPanicOfAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, w := pipe("Cache-Control: max-age=60")
		defer w.Close()
		letGo := make(chan struct{})
		o := newOrigin(t, func(int, *http.Request) *http.Response { <-letGo; return resp })
		tr := &cachecontrol.Transport{Base: o, Collapse: true, DrainBytes: -1, BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			panic("bang")
		}}
		defer tr.Close()
		var all sync.WaitGroup
		all.Go(func() {
			a, err := tr.RoundTrip(request(t, "/"))
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Second)
			a.Body.Close()
		})
		synctest.Wait()
		all.Go(func() {
			if v := panicOf(func() { tr.RoundTrip(request(t, "/")) }); v != "bang" {
				t.Errorf("the follower got %v, want %v", v, "bang")
			}
		})
		synctest.Wait()
		close(letGo)
		all.Wait()
		o.allClosed()
	})
}

// If reading a shared body panics, all its readers get an error.
func TestPanicOfABody(t *testing.T) {
	for name, read := range map[string]brokenBody{
		"panic":     func([]byte) (int, error) { panic("bang") },
		"too much":  func(p []byte) (int, error) { return len(p) + 1, nil },
		"below all": func([]byte) (int, error) { return -1, nil },
	} {
		for _, fields := range []string{"Cache-Control: max-age=60", "Cache-Control: no-store"} {
			t.Run(name+"/"+fields, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrigin(t, func(int, *http.Request) *http.Response {
						resp := chunked(respond(200, "", fields), nil)
						resp.Body = read
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Collapse: true}
					defer tr.Close()
					resp := open(t, tr, request(t, "/"))
					defer resp.Body.Close()
					if b, err := io.ReadAll(resp.Body); err == nil || len(b) > 0 {
						t.Errorf("%q, %v", b, err)
					}
				})
			})
		}
	}
}

// brokenBody is a body that breaks the rules of io.Reader.
type brokenBody func([]byte) (int, error)

func (b brokenBody) Read(p []byte) (int, error) { return b(p) }

func (b brokenBody) Close() error { return nil }

// A panic of Base in the background is logged.
func TestPanicInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 2 {
				panic("bang")
			}
			return ok("Cache-Control: max-age=1, stale-while-revalidate=600").respond(n, req)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		for _, want := range []string{"#1", "#1", "#3"} {
			time.Sleep(2 * time.Second)
			if a := do(t, tr, "/"); a.body != want {
				t.Errorf("%q, want %q", a.body, want)
			}
			synctest.Wait()
		}
	})
}
