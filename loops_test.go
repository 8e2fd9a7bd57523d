package cachecontrol_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
)

// A Base that sends each request through the Transport again is an error, although the loop cannot be seen in the
// types: with each method, with a body, with Collapse and over two Transports.
func TestBaseLoops(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*http.Request) *http.Request // changes the request before Base sends it again
	}{
		{"as it is", func(req *http.Request) *http.Request { return req }},
		{"a clone", func(req *http.Request) *http.Request { return req.Clone(req.Context()) }},
		{"a context of its own", func(req *http.Request) *http.Request {
			ctx, cancel := context.WithCancel(req.Context())
			context.AfterFunc(ctx, cancel)
			return req.WithContext(ctx)
		}},
		{"another URL", func(req *http.Request) *http.Request {
			req = req.Clone(req.Context())
			req.URL.Path += "x"
			return req
		}},
	} {
		for _, collapse := range []bool{false, true} {
			for _, ends := range []bool{false, true} {
				for _, drain := range []int64{0, -1} {
					for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS"} {
						t.Run(fmt.Sprintf("%s/%v/%v/%d/%s", test.name, collapse, ends, drain, method), func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) {
								n := 0
								tr := &cachecontrol.Transport{Collapse: collapse, CollapseTimeout: -1, DrainBytes: drain}
								defer tr.Close()
								far := &cachecontrol.Transport{Base: tr, Collapse: collapse, CollapseTimeout: -1, DrainBytes: drain}
								defer far.Close()
								var back http.RoundTripper = tr
								if ends {
									back = far
								}
								tr.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
									if n++; n > 1000 {
										panic("a loop")
									}
									return back.RoundTrip(test.change(req))
								})
								req := request(t, method+" /")
								if ends {
									ctx, cancel := context.WithCancel(t.Context())
									defer cancel()
									req = req.WithContext(ctx)
								}
								if method == "POST" {
									req.Body, req.ContentLength = io.NopCloser(bytes.NewReader([]byte("x"))), 1
								}
								resp, err := tr.RoundTrip(req)
								if err == nil || !strings.Contains(err.Error(), "leads back to the Transport") {
									t.Errorf("%v, %v, want an error that says so", resp, err)
								}
								if n > 100 {
									t.Errorf("%d requests until then, want at most 100", n)
								}
							})
						})
					}
				}
			}
		}
	}
}

// A Base may send other requests through the same client, such as for a token. They are answered, stored and shared
// like any others, also with requests that wait for them.
func TestBaseMakesOtherRequests(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		for _, deep := range []int{1, 5, 12} {
			t.Run(fmt.Sprintf("%v/%d", collapse, deep), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := replies(t, ok("Cache-Control: max-age=60"))
					tr := &cachecontrol.Transport{Collapse: collapse, CollapseTimeout: -1}
					defer tr.Close()
					tr.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
						level := strings.Count(req.URL.Path, "/")
						if level <= deep {
							token := req.Clone(req.Context())
							token.URL.Path = strings.Repeat("/t", level+1)
							resp, err := tr.RoundTrip(token)
							if err != nil {
								return nil, err
							}
							io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
						return o.RoundTrip(req)
					})
					for i := range 3 {
						if a := do(t, tr, fmt.Sprint("/", i)); a.outcome != miss {
							t.Errorf("page %d: %v, want %v", i, a.outcome, miss)
						}
						do(t, tr, fmt.Sprint("/", i))
					}
					if got, want := o.requests(), deep+3; got != want {
						t.Errorf("%d requests to the origin, want %d", got, want)
					}
				})
			})
		}
	}
}

// A Base that leads back to its Transport is an error: directly, or through other Transports, Mounts and
// http.DefaultTransport.
func TestBaseLeadsBack(t *testing.T) {
	original := http.DefaultTransport
	defer func() { http.DefaultTransport = original }()
	check := func(name string, rt *cachecontrol.Transport, more ...*cachecontrol.Transport) {
		t.Helper()
		for _, method := range []string{"GET", "POST"} {
			req := request(t, method+" http://127.0.0.1:1/")
			if _, err := rt.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "leads back to the Transport") {
				t.Errorf("%s, %s: %v, want an error that says so", name, method, err)
			}
		}
		for _, tr := range append(more, rt) {
			tr.Close()
		}
	}
	tr := &cachecontrol.Transport{}
	http.DefaultTransport = tr
	check("http.DefaultTransport", tr)

	tr = &cachecontrol.Transport{}
	tr.Base = tr
	check("itself", tr)

	a, b := &cachecontrol.Transport{}, &cachecontrol.Transport{}
	a.Base, b.Base = b, a
	check("another", a, b)

	outer, inner := &cachecontrol.Transport{}, &cachecontrol.Transport{}
	outer.Base, inner.Base = inner, inner
	check("another with a loop of its own", outer, inner)

	tr = &cachecontrol.Transport{}
	var mounts cachecontrol.Mounts
	mounts.Mount("http://", tr)
	tr.Base = &mounts
	check("Mounts", tr)

	tr = &cachecontrol.Transport{Base: new(cachecontrol.Mounts)}
	http.DefaultTransport = tr
	check("what is not mounted", tr)

	nested := &cachecontrol.Transport{Base: &cachecontrol.Transport{Base: replies(t, ok())}}
	defer nested.Close()
	defer nested.Base.(*cachecontrol.Transport).Close()
	do(t, nested, "/")
}
