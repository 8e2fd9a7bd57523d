package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
)

// A RoundTripper may return a header with names in any form, which net/http would send as they are. They count as their canonical
// form does: whatever they decide, and in trailers too.
func TestResponseNamesNotCanonical(t *testing.T) {
	for _, test := range []struct {
		name   string
		shared bool
		set    http.Header
		with   string // a field of the second request
		want   cachecontrol.Outcome
	}{
		{"no-store", false, http.Header{"cache-control": {"no-store"}}, "", miss},
		{"no-store in two names", false, http.Header{"Cache-Control": {"max-age=60"}, "cache-control": {"no-store"}}, "", miss},
		{"private", true, http.Header{"CACHE-CONTROL": {"private, max-age=60"}}, "", miss},
		{"max-age", false, http.Header{"cache-control": {"max-age=60"}}, "", hit},
		{"expires", false, http.Header{"expires": {"Fri, 01 Jan 2100 00:00:00 GMT"}}, "", hit},
		{"vary", false, http.Header{"Cache-Control": {"max-age=60"}, "vary": {"X-A"}}, "X-A: b", miss},
		{"vary in two names", false, http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"X-B"}, "vary": {"X-A"}}, "X-A: b", miss},
		{"age", false, http.Header{"Cache-Control": {"max-age=60"}, "age": {"61"}}, "", miss},
		{"set-cookie", true, http.Header{"Cache-Control": {"max-age=60"}, "SET-COOKIE": {"session=alice"}}, "", miss},
		{"x-from-cache", false, http.Header{"x-from-cache": {"1"}}, "", miss},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Collapse %v", test.name, collapse), func(t *testing.T) {
				in(t, func(t *testing.T) {
					given := test.set.Clone()
					o := newOrigin(t, func(n int, req *http.Request) *http.Response {
						resp := respond(200, "body")
						for name, lines := range given {
							resp.Header[name] = lines
						}
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Shared: test.shared, Collapse: collapse}
					defer tr.Close()
					var fields []string
					if test.with != "" {
						fields = []string{test.with}
					}
					do(t, tr, "/")
					a := do(t, tr, "/", fields...)
					if a.outcome != test.want {
						t.Errorf("%v, want %v; %q", a.outcome, test.want, a.Header)
					}
					for name := range a.Header {
						if name != http.CanonicalHeaderKey(name) {
							t.Errorf("the caller got a field named %q", name)
						}
					}
				})
			})
		}
	}
	in(t, func(t *testing.T) { // a 304, and a trailer
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 2 {
				resp := respond(304, "")
				resp.Header["cache-control"] = []string{"no-store"}
				return resp
			}
			resp := respond(200, "body", "Cache-Control: no-cache", `ETag: "1"`)
			resp.Trailer = http.Header{"proxy-authenticate": {"x"}, "x-sum": {"1"}}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "/"); a.Trailer.Get("X-Sum") != "1" || len(a.Trailer) != 1 || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("validated: trailer %v, header %v", a.Trailer, a.Header)
		}
		if do(t, tr, "/"); o.last().Header.Get("If-None-Match") != "" {
			t.Error("the 304 said no-store, and the response is stored still")
		}
	})
}

// Methods that make no sense in CacheableMethods are reported at the first request: those that do nothing there, those whose
// responses cannot be stored, and what is no method.
func TestCacheableMethodsThatMakeNoSense(t *testing.T) {
	for method, want := range map[string]string{
		"HEAD": "answered from the response to GET", "CONNECT": "cannot be stored", "TRACE": "cannot be stored", "OPTIONS": "cannot be stored",
		"PUT": "cannot be stored", "DELETE": "cannot be stored", "": "no method", "a b": "no method", "get": "not GET", "Query": "not QUERY",
		"m\u00fc": "no method",
	} {
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", method}}
		closed := &once{Reader: strings.NewReader("")}
		req := request(t, "POST /")
		req.Body = closed
		_, err := tr.RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), want) || o.requests() > 0 || !closed.closed {
			t.Errorf("%q: error %v, want %q; %d requests, body closed: %v", method, err, want, o.requests(), closed.closed)
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, methods := range [][]string{nil, {}, {"GET", "GET"}, {"POST"}, {"QUERY", "PATCH", "REPORT", "purge"}} {
		tr := &cachecontrol.Transport{Base: replies(t, ok()), CacheableMethods: methods}
		do(t, tr, "/")
		tr.Close()
	}
}

var errGaveUp = errors.New("the caller gave up")

// A request whose context ends with a cause ends with that cause, as with http.Transport: before it is made, and while the origin
// is asked, by whatever mode.
func TestContextCause(t *testing.T) {
	for name, tr := range map[string]*cachecontrol.Transport{
		"plain": {}, "collapse": {Collapse: true}, "no drain": {DrainBytes: -1}, "drain": {DrainBytes: 1 << 10},
	} {
		for _, when := range []string{"before", "meanwhile"} {
			t.Run(name+", "+when, func(t *testing.T) {
				in(t, func(t *testing.T) {
					tr := &cachecontrol.Transport{Collapse: tr.Collapse, DrainBytes: tr.DrainBytes}
					defer tr.Close()
					ctx, cancel := context.WithCancelCause(t.Context())
					tr.Base = newOrigin(t, func(n int, req *http.Request) *http.Response { return nil })
					if when == "before" {
						cancel(errGaveUp)
					} else {
						tr.Base = roundTripFunc(func(req *http.Request) (*http.Response, error) {
							cancel(errGaveUp)
							<-req.Context().Done()
							return nil, context.Cause(req.Context())
						})
					}
					if _, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); !errors.Is(err, errGaveUp) {
						t.Errorf("%v, want %v", err, errGaveUp)
					}
				})
			})
		}
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A Base that leads back to its Transport is an error: by itself, through other Transports, Mounts and http.DefaultTransport.
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

// What a Base returns against the rules is treated as http.Client does.
func TestResponsesAgainstTheRules(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		in(t, func(t *testing.T) {
			var resp *http.Response
			tr := &cachecontrol.Transport{Collapse: collapse, Base: roundTripFunc(func(*http.Request) (*http.Response, error) { return resp, nil })}
			defer tr.Close()
			for _, method := range []string{"GET", "POST"} {
				if _, err := tr.RoundTrip(request(t, method+" /")); err == nil {
					t.Errorf("%s: no response and no error: no error", method)
				}
				resp = &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, ContentLength: 1}
				if _, err := tr.RoundTrip(request(t, method+" /")); err == nil {
					t.Errorf("%s: no Body and a length: no error", method)
				}
				resp = nil
			}
			resp = &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: 1}
			if a := do(t, tr, "HEAD /"); a.StatusCode != 200 {
				t.Errorf("HEAD: %v", a.StatusCode)
			}
			resp = &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1}
			if a := do(t, tr, "/"); a.body != "" {
				t.Errorf("no Body and no length: %q", a.body)
			}
			conn := new(strings.Builder)
			resp = &http.Response{StatusCode: 101, Header: http.Header{}, Body: struct {
				io.ReadCloser
				io.Writer
			}{io.NopCloser(strings.NewReader("hello")), conn}}
			got, err := tr.RoundTrip(request(t, "/"))
			if err != nil {
				t.Fatal(err)
			}
			w, ok := got.Body.(io.Writer)
			if !ok {
				t.Fatalf("Collapse %v: the body of a 101 is a %T, want an io.Writer", collapse, got.Body)
			}
			io.WriteString(w, "x")
			if b, err := io.ReadAll(got.Body); string(b) != "hello" || err != nil || conn.String() != "x" {
				t.Errorf("Collapse %v: read %q, %v; the connection got %q", collapse, b, err, conn)
			}
			got.Body.Close()
		})
	}
}
