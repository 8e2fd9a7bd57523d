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
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// withContent returns a request with a body and these fields, "Name: value".
func withContent(t *testing.T, target, content string, fields ...string) *http.Request {
	t.Helper()
	req := request(t, target, fields...)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(content)), int64(len(content))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
	return req
}

// reading returns an origin that reads the body of each request.
func reading(t *testing.T, fields ...string) *origin {
	return newOrigin(t, func(n int, req *http.Request) *http.Response {
		if req.Body != nil {
			io.Copy(io.Discard, req.Body)
			req.Body.Close()
		}
		return respond(200, fmt.Sprintf("#%d", n), append([]string{"Cache-Control: max-age=600"}, fields...)...)
	})
}

// The response to a request with content answers only requests with the same content and the same fields about it (RFC
// 10008, section 2.7).
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
	for name, store := range storeKinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &cachecontrol.Transport{Base: reading(t), Store: store(t), CacheableMethods: []string{"GET", "QUERY", "POST", "SEARCH"}}
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

// An invalidation applies to all stored responses for the URL (RFC 9111, section 4.4), also to those with a method and
// content in their key: in each store, and through each Transport that shares it, even if it does not store responses
// to these methods.
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
			send(t, tr, req.WithContext(cachecontrol.WithControl(req.Context(), cachecontrol.Control{Mode: cachecontrol.ModeBypass})))
		},
	}
	for name, store := range storeKinds {
		for how, invalidate := range invalidators {
			for _, through := range []string{"the same", "another", "one for GET", "one for PUT and GET of a partition"} {
				t.Run(name+", "+how+", "+through, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := store(t)
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

// A response to QUERY that is being received when its URL is invalidated is not used by the same Transport, and, once a
// response is stored for the URL, not by another process either.
func TestInvalidationOfOtherMethodsWhileReceiving(t *testing.T) {
	for name, store := range storeKinds {
		for _, through := range []string{"the same", "another"} {
			for _, when := range []string{"header", "body"} {
				t.Run(name+", "+through+", "+when, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := store(t)
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

// Concurrent requests with different content for a URL without stored responses are all stored.
func TestOtherMethodsAtOnce(t *testing.T) {
	for _, drain := range []int64{-1, 1 << 10} {
		synctest.Test(t, func(t *testing.T) {
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

// Invalidating a URL takes the same number of store calls for many stored responses to other methods as for none.
func TestInvalidationIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := &hookedStore{Store: storage.NewDictCache(), before: func(context.Context, string, string) error {
			calls++
			return nil
		}}
		tr := &cachecontrol.Transport{Base: reading(t), Store: s, CacheableMethods: []string{"QUERY"}}
		defer tr.Close()
		count := func() int {
			before := calls
			do(t, tr, "PUT /")
			return calls - before
		}
		none := count()
		for i := range 20 {
			send(t, tr, withContent(t, "QUERY /", fmt.Sprint(i)))
		}
		if many := count(); many != none || many > 6 { // two of them leave a notice for other processes
			t.Errorf("%d calls of the store, want %d, and at most 6", many, none)
		}
	})
}

func TestRequestBodiesInKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			b, _ := io.ReadAll(req.Body)
			req.Body.Close()
			return respond(200, fmt.Sprintf("#%d for %s", n, b), "Cache-Control: max-age=60", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", "POST"}}
		defer tr.Close()
		post := func(body, contentType string, want cachecontrol.Outcome, wantBody string) {
			t.Helper()
			req, err := http.NewRequest("POST", "http://example.com/", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", contentType)
			watched := &once{Reader: req.Body}
			req.Body = watched
			if a := send(t, tr, req); a.outcome != want || a.body != wantBody {
				t.Errorf("POST %q: %v %q, want %v %q", body, a.outcome, a.body, want, wantBody)
			}
			if !watched.closed {
				t.Errorf("POST %q: the body of the request is closed: false, want true", body)
			}
		}
		post("a", "text/plain", miss, "#1 for a")
		post("a", "text/plain", hit, "#1 for a")
		post("b", "text/plain", miss, "#2 for b")
		post("a", "text/html", miss, "#3 for a")
		post("", "text/plain", miss, "#4 for ")
		post("a", "text/plain", hit, "#1 for a")
		// A body that can be read only once is read into memory.
		for _, want := range []cachecontrol.Outcome{miss, hit} {
			req := request(t, "POST /")
			req.Body = io.NopCloser(strings.NewReader("a"))
			if a := send(t, tr, req); a.outcome != want || a.body != "#5 for a" {
				t.Errorf("%v %q, want %v %q", a.outcome, a.body, want, "#5 for a")
			}
		}
	})
}

// An origin answers 412 to If-None-Match on a method that is not for retrieval (RFC 9110, section 13.1.2). The caller, who set no
// condition, gets the response to the request without it.
func TestRefusedValidationOfOtherMethods(t *testing.T) {
	runScenarios(t, []scenario{{
		"POST", &cachecontrol.Transport{CacheableMethods: []string{"POST"}}, []reply{ok(`ETag: "1"`), status(412), ok("Cache-Control: max-age=60")}, []step{
			{do: "POST /", content: "a", want: miss, body: "#1"},
			{do: "POST /", content: "a", want: miss, status: 200, body: "#3", sent: []string{"If-None-Match:"}},
			{do: "POST /", content: "a", want: hit, body: "#3"},
		},
	}, {
		"the caller's own condition", &cachecontrol.Transport{CacheableMethods: []string{"POST"}}, []reply{ok(`ETag: "1"`), status(412)}, []step{
			{do: "POST /", content: "a", want: miss, body: "#1"},
			{do: "POST /", content: "a", with: []string{`If-None-Match: "1"`}, want: bypass, status: 412},
		},
	}})
}

// A request that is sent again sends its body again.
func TestAskingAgainWithABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			b, err := io.ReadAll(req.Body)
			req.Body.Close()
			got = append(got, fmt.Sprint(string(b), err))
			if req.Header.Get("If-None-Match") != "" {
				return respond(304, "", `ETag: "of another"`)
			}
			return respond(200, fmt.Sprint("#", n), `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"POST"}}
		defer tr.Close()
		for i, want := range []string{"#1", "#3"} {
			req, err := http.NewRequest("POST", "http://example.com/", &once{Reader: strings.NewReader("body")})
			if err != nil {
				t.Fatal(err)
			}
			req.GetBody = func() (io.ReadCloser, error) { return &once{Reader: strings.NewReader("body")}, nil }
			if a := send(t, tr, req); a.body != want {
				t.Errorf("%d: %v %q, want %q", i, a.outcome, a.body, want)
			}
		}
		if want := []string{"body<nil>", "body<nil>", "body<nil>"}; !slices.Equal(got, want) {
			t.Errorf("the origin got %q, want %q", got, want)
		}

	})
}

// A response to POST or PATCH with explicit freshness and with the URL of the request in Content-Location answers GET
// (RFC 9110, section 9.3.3, and RFC 5789, section 2).
func TestContentLocationOfPost(t *testing.T) {
	const own = "Content-Location: http://example.com/"
	for _, method := range []string{"POST", "PATCH"} {
		inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
			var all []scenario
			for name, tt := range map[string]struct {
				reply reply
				want  cachecontrol.Outcome
			}{
				"max-age":           {ok("Cache-Control: max-age=60", own), hit},
				"Expires":           {ok("Expires: {1h}", own), hit},
				"relative":          {ok("Cache-Control: max-age=60", "Content-Location: /"), hit},
				"another URL":       {ok("Cache-Control: max-age=60", "Content-Location: /other"), miss},
				"another origin":    {ok("Cache-Control: max-age=60", "Content-Location: http://example.org/"), miss},
				"none":              {ok("Cache-Control: max-age=60"), miss},
				"no freshness":      {ok(own, `ETag: "1"`), miss},
				"no-store":          {ok(own, "Cache-Control: max-age=60, no-store"), miss},
				"another status":    {status(201, own, "Cache-Control: max-age=60"), miss},
				"a failure":         {status(500, own, "Cache-Control: max-age=60"), miss},
				"Vary: *":           {ok(own, "Cache-Control: max-age=60", "Vary: *"), miss},
				"a lifetime of 0":   {ok(own, "Cache-Control: max-age=0"), miss},
				"of another method": {ok(own, "Cache-Control: max-age=60"), miss},
			} {
				first := method + " /"
				if name == "of another method" {
					first = "PUT /"
				}
				all = append(all, scenario{method + " " + name, tr(), []reply{tt.reply, ok()}, []step{
					{do: first, want: bypass}, {want: tt.want},
				}})
			}
			return all
		})
	}
}

// Invalid values in CacheableMethods are reported at the first request.
func TestInvalidCacheableMethods(t *testing.T) {
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

func TestPOSTWithContentLocation(t *testing.T) {
	fresh := "Cache-Control: max-age=60"
	for _, test := range []struct {
		name   string
		answer reply
		want   cachecontrol.Outcome // of a GET after it
	}{
		{"its own URL, and fresh", ok(fresh, "Content-Location: /a"), hit},
		{"absolute", ok(fresh, "Content-Location: http://example.com/a"), hit},
		{"no freshness", ok("Content-Location: /a", `ETag: "a"`), miss},
		{"no-store", ok("Cache-Control: no-store, max-age=60", "Content-Location: /a"), miss},
		{"another URL", ok(fresh, "Content-Location: /b"), miss},
		{"another host", ok(fresh, "Content-Location: http://example.org/a"), miss},
		{"none", ok(fresh), miss},
		{"another status", status(201, fresh, "Content-Location: /a"), miss},
	} {
		runScenarios(t, []scenario{{
			name:   test.name,
			origin: []reply{test.answer, ok(fresh)},
			steps:  []step{{do: "POST /a", want: bypass, body: "#1"}, {do: "/a", want: test.want}, {do: "/b", want: miss}, {do: "POST /a", want: bypass}},
		}})
	}
	runScenarios(t, []scenario{{
		name:   "PUT, never",
		origin: []reply{ok(fresh, "Content-Location: /a")},
		steps:  []step{{do: "PUT /a", want: bypass, body: "#1"}, {do: "/a", want: miss}},
	}})
}

func TestCacheableMethods(t *testing.T) {
	runScenarios(t, []scenario{{
		name:      "POST and GET apart",
		transport: &cachecontrol.Transport{CacheableMethods: []string{"GET", "POST"}},
		origin:    []reply{ok("Cache-Control: max-age=60")},
		steps: []step{
			{do: "POST /", want: miss, body: "#1"}, {do: "POST /", want: hit, body: "#1"},
			{want: miss, body: "#2"}, {want: hit, body: "#2"},
		},
	}, {
		name:      "POST alone",
		transport: &cachecontrol.Transport{CacheableMethods: []string{"POST"}},
		origin:    []reply{ok("Cache-Control: max-age=60")},
		steps:     []step{{want: bypass}, {want: bypass}, {do: "POST /", want: miss}, {do: "POST /", want: hit}},
	}, {
		name:   "by default only GET",
		origin: []reply{ok("Cache-Control: max-age=60")},
		steps:  []step{{do: "POST /", want: bypass}, {do: "POST /", want: bypass}, {do: "OPTIONS /", want: bypass}, {do: "OPTIONS /", want: bypass}},
	}})
}
