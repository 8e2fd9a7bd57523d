package rfc9111_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// transport is a cache in memory. It stores one response for each URL.
type transport struct {
	base http.RoundTripper

	mu     sync.Mutex // guards stored
	stored map[string]entry
}

type entry struct {
	policy *rfc9111.Policy
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	key := req.URL.String()
	t.mu.Lock()
	e, found := t.stored[key]
	t.mu.Unlock()

	out, action := req, rfc9111.Fetch
	if found {
		action = e.policy.Reuse(req, time.Now()).Action
	}
	switch action {
	case rfc9111.Serve:
		return e.response(req), nil
	case rfc9111.Validate, rfc9111.ServeAndValidate: // this cache has no background
		out = req.Clone(req.Context())
		out.Header = e.policy.ValidationHeader(req)
	case rfc9111.Refuse:
		return &http.Response{StatusCode: http.StatusGatewayTimeout, Body: http.NoBody, Request: req}, nil
	}

	requestTime := time.Now()
	resp, err := t.base.RoundTrip(out)
	responseTime := time.Now()
	failed := err != nil || rfc9111.ServerFailed(resp.StatusCode)
	if failed && found && e.policy.ReuseOnError(req, responseTime).Action == rfc9111.Serve {
		if err == nil {
			resp.Body.Close()
		}
		return e.response(req), nil
	}
	if err != nil {
		return nil, err
	}
	if out != req && resp.StatusCode == http.StatusNotModified {
		resp.Body.Close()
		p := e.policy.Update(req, resp, requestTime, responseTime)
		if p == nil {
			t.remove(key)
			return t.RoundTrip(req)
		}
		e.policy = p
		t.store(key, e)
		return e.response(req), nil
	}
	for _, u := range rfc9111.InvalidatedURLs(req, resp) {
		t.remove(u.String())
	}
	p := rfc9111.NewPolicy(req, resp, requestTime, responseTime, nil)
	if ok, _ := p.Storable(); ok {
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		t.store(key, entry{p, body})
	} else if rfc9111.Supersedes(resp.StatusCode) {
		t.remove(key)
	}
	return resp, nil
}

// response returns the stored response as the response to req.
func (e entry) response(req *http.Request) *http.Response {
	status, header := e.policy.Response(req, time.Now())
	resp := &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: req}
	if status != http.StatusNotModified && req.Method != http.MethodHead {
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(e.body)), int64(len(e.body))
	}
	return resp
}

func (t *transport) store(key string, e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored[key] = e
}

func (t *transport) remove(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.stored, key)
}

// origin is a server that always returns the same page.
type origin struct{ requests int }

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.requests++
	resp := &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"v1"`}},
		Body:       io.NopCloser(strings.NewReader("hello")),
		Request:    req,
	}
	if req.Header.Get("If-None-Match") == `"v1"` {
		resp.StatusCode, resp.Body = http.StatusNotModified, http.NoBody
	}
	return resp, nil
}

// A complete cache for one user, an http.RoundTripper in about a hundred lines.
func Example_transport() {
	server := &origin{}
	client := &http.Client{Transport: &transport{base: server, stored: make(map[string]entry)}}
	for _, cacheControl := range []string{"", "", "no-cache", "only-if-cached"} {
		req, _ := http.NewRequest("GET", "http://example.com/", nil)
		if cacheControl != "" {
			req.Header.Set("Cache-Control", cacheControl)
		}
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%q: %d %q, requests to the origin: %d\n", cacheControl, resp.StatusCode, body, server.requests)
	}
	// Output:
	// "": 200 "hello", requests to the origin: 1
	// "": 200 "hello", requests to the origin: 1
	// "no-cache": 200 "hello", requests to the origin: 2
	// "only-if-cached": 200 "hello", requests to the origin: 2
}

// received is the time of all responses in the examples.
var received = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// newRequest returns a GET request with the given header fields, as names and values.
func newRequest(fields ...string) *http.Request {
	req, err := http.NewRequest("GET", "http://example.com/", nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	return req
}

// newResponse returns a response received at that time, with the given header fields.
func newResponse(status int, fields ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{"Date": {received.Format(http.TimeFormat)}}}
	for i := 0; i < len(fields); i += 2 {
		resp.Header.Set(fields[i], fields[i+1])
	}
	return resp
}

func ExamplePolicy_Storable() {
	req := newRequest("Authorization", "Bearer abc")
	for _, opts := range []*rfc9111.Options{{}, {Shared: true}} {
		for _, cacheControl := range []string{"max-age=60", "max-age=60, public", "no-store"} {
			p := rfc9111.NewPolicy(req, newResponse(200, "Cache-Control", cacheControl), received, received, opts)
			ok, why := p.Storable()
			fmt.Printf("shared %t, %s: %t, %s\n", opts.Shared, cacheControl, ok, why)
		}
	}
	// Output:
	// shared false, max-age=60: true, max-age
	// shared false, max-age=60, public: true, max-age
	// shared false, no-store: false, no-store
	// shared true, max-age=60: false, authorization
	// shared true, max-age=60, public: true, max-age
	// shared true, no-store: false, no-store
}

func ExampleReason() {
	p := rfc9111.NewPolicy(newRequest(), newResponse(200, "Cache-Control", "no-store"), received, received, nil)
	_, why := p.Storable()
	fmt.Println(why)
	fmt.Println(why.Description())
	fmt.Println(why.Reference())
	fmt.Println(why == "no-store")
	// Output:
	// no-store
	// the response says no-store, which forbids storing it
	// RFC 9111, section 5.2.2.5
	// true
}

func ExamplePolicy_Lifetime() {
	resp := newResponse(200, "Cache-Control", "max-age=60", "Age", "20")
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, nil)
	lifetime, source := p.Lifetime()
	fmt.Println("lifetime:", lifetime, "from", source)
	fmt.Println("age on arrival:", p.Age(received))
	fmt.Println("age after 10 seconds:", p.Age(received.Add(10*time.Second)))
	// Output:
	// lifetime: 1m0s from max-age
	// age on arrival: 20s
	// age after 10 seconds: 30s
}

// A heuristic for responses without explicit freshness: a tenth of the time since they were last
// modified.
func ExamplePolicy_WithLifetime() {
	resp := newResponse(200, "Last-Modified", received.Add(-100*time.Hour).Format(http.TimeFormat))
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, nil)
	if _, source := p.Lifetime(); source == "no-freshness" && rfc9111.HeuristicallyCacheable(resp.StatusCode) {
		if modified, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
			p = p.WithLifetime(received.Sub(modified) / 10)
		}
	}
	fmt.Println(p.Lifetime())
	// Output:
	// 10h0m0s own-lifetime
}

func ExamplePolicy_Reuse() {
	resp := newResponse(200, "Cache-Control", "max-age=60, stale-while-revalidate=30", "Etag", `"v1"`)
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, nil)
	for _, after := range []time.Duration{10 * time.Second, 80 * time.Second, 100 * time.Second} {
		for _, cacheControl := range []string{"", "no-cache", "max-stale", "only-if-cached"} {
			d := p.Reuse(newRequest("Cache-Control", cacheControl), received.Add(after))
			fmt.Printf("after %v, %q: %v, %s\n", after, cacheControl, d.Action, d.Reason)
		}
	}
	// Output:
	// after 10s, "": serve, fresh
	// after 10s, "no-cache": validate, request-no-cache
	// after 10s, "max-stale": serve, fresh
	// after 10s, "only-if-cached": serve, fresh
	// after 1m20s, "": serve-and-validate, stale-while-revalidate
	// after 1m20s, "no-cache": validate, request-no-cache
	// after 1m20s, "max-stale": serve, max-stale
	// after 1m20s, "only-if-cached": serve-and-validate, stale-while-revalidate
	// after 1m40s, "": validate, stale
	// after 1m40s, "no-cache": validate, request-no-cache
	// after 1m40s, "max-stale": serve, max-stale
	// after 1m40s, "only-if-cached": refuse, only-if-cached
}

func ExamplePolicy_ReuseOnError() {
	resp := newResponse(200, "Cache-Control", "max-age=60, stale-if-error=3600")
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, nil)
	for _, after := range []time.Duration{time.Hour, 2 * time.Hour} {
		d := p.ReuseOnError(newRequest(), received.Add(after))
		fmt.Printf("after %v: %v, %s, stale for %v\n", after, d.Action, d.Reason, -d.TTL)
	}
	// Output:
	// after 1h0m0s: serve, stale-if-error, stale for 59m0s
	// after 2h0m0s: refuse, stale, stale for 1h59m0s
}

// Several responses for one URL, in different languages.
func ExamplePolicy_Matches() {
	var stored []*rfc9111.Policy
	for _, language := range []string{"en", "de"} {
		resp := newResponse(200, "Cache-Control", "max-age=60", "Vary", "Accept-Language", "Content-Language", language)
		stored = append(stored, rfc9111.NewPolicy(newRequest("Accept-Language", language), resp, received, received, nil))
	}
	for _, language := range []string{"de", "fr"} {
		req := newRequest("Accept-Language", language)
		for _, p := range stored {
			if p.Matches(req) {
				fmt.Println(language, "is answered in", p.StoredHeader().Get("Content-Language"))
			}
		}
	}
	fmt.Println("to be stored with the response:", stored[0].SelectingFields())
	// Output:
	// de is answered in de
	// to be stored with the response: [Accept-Language]
}

// The response to a request with a precondition, from the cache.
func ExamplePolicy_Response() {
	resp := newResponse(200, "Cache-Control", "max-age=60", "Etag", `"v1"`, "Content-Type", "text/html")
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, nil)
	for _, tag := range []string{`"v0"`, `"v1"`} {
		status, header := p.Response(newRequest("If-None-Match", tag), received.Add(5*time.Second))
		fmt.Printf("%d, Age: %s, Content-Type: %q\n", status, header.Get("Age"), header.Get("Content-Type"))
	}
	// Output:
	// 200, Age: 5, Content-Type: "text/html"
	// 304, Age: 5, Content-Type: ""
}

// Validation of a stale response.
func ExamplePolicy_Update() {
	resp := newResponse(200, "Cache-Control", "max-age=60", "Etag", `"v1"`, "Content-Type", "text/html")
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, nil)

	req, now := newRequest(), received.Add(time.Hour)
	header := p.ValidationHeader(req)
	fmt.Println("If-None-Match:", header.Get("If-None-Match"))

	notModified := newResponse(304, "Cache-Control", "max-age=90", "Etag", `"v1"`, "Date", now.Format(http.TimeFormat))
	if p = p.Update(req, notModified, now, now); p == nil {
		fmt.Println("the 304 is about another response")
		return
	}
	lifetime, _ := p.Lifetime()
	fmt.Println("lifetime:", lifetime, "age:", p.Age(now))
	fmt.Println("Content-Type:", p.StoredHeader().Get("Content-Type"))
	// Output:
	// If-None-Match: "v1"
	// lifetime: 1m30s age: 0s
	// Content-Type: text/html
}

func ExampleInvalidatedURLs() {
	req, _ := http.NewRequest("POST", "http://example.com/articles", nil)
	resp := newResponse(201, "Location", "/articles/17", "Content-Location", "http://other.example/")
	for _, u := range rfc9111.InvalidatedURLs(req, resp) {
		fmt.Println(u)
	}
	// Output:
	// http://example.com/articles
	// http://example.com/articles/17
}

func ExampleParseRequestDirectives() {
	d := rfc9111.ParseRequestDirectives(http.Header{"Cache-Control": {"max-stale, min-fresh=5, only-if-cached"}})
	fmt.Println(d.MinFresh, d.OnlyIfCached)
	fmt.Println("max-age is absent:", d.MaxAge < 0)
	// Output:
	// 5s true
	// max-age is absent: true
}

func ExampleParseResponseDirectives() {
	h := http.Header{"Cache-Control": {`private="Set-Cookie", max-age=60`, "must-revalidate"}}
	d := rfc9111.ParseResponseDirectives(h, true)
	fmt.Println(d.MaxAge, d.MustRevalidate, d.Private, d.PrivateFields)

	h.Set("CDN-Cache-Control", "max-age=600")
	fmt.Println(rfc9111.ParseResponseDirectives(h, true).MaxAge)
	fmt.Println(rfc9111.ParseResponseDirectives(h, false).MaxAge)
	// Output:
	// 1m0s true false [Set-Cookie]
	// 10m0s
	// 1m0s
}
