package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	middleware "github.com/go-cachecontrol/cachecontrol/origin"
)

// The time that the middleware of package origin adds to a request is measured without a network: with a handler, a
// request that is the same every time, and a writer that costs next to nothing.

// originPrefix is the prefix of the names of these cases, and of no others.
const originPrefix = "origin/"

// bareHandler is the case with which the others are compared: the handler without middleware.
const bareHandler = originPrefix + "bare"

// pageHandler serves a page of 1 KiB and counts its calls. A cache runs it in another goroutine, but answers only
// after it has returned.
type pageHandler struct {
	body         []byte
	cacheControl []string // the lines of the field; may be empty
	runs         int
}

func (h *pageHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h.runs++
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	if h.cacheControl != nil {
		header["Cache-Control"] = h.cacheControl
	}
	w.Write(h.body)
}

// front is the middleware in front of the handler. close closes it.
type front struct {
	wrap  func(http.Handler) http.Handler
	close func() error
}

// exchange is a request and its expected response.
type exchange struct {
	method  string               // GET if empty
	path    string               // /page if empty
	status  int                  // 200 if 0
	runs    int                  // number of calls of the handler
	header  map[string]string    // the fields of the response; an empty value means any value
	outcome cachecontrol.Outcome // Unknown if there is no cache
}

// handlerCase is a case of the middleware.
type handlerCase struct {
	name         string
	front        func() front
	cacheControl []string  // set by the handler
	known        bool      // the request has the ETag or date of the first response
	exchange     exchange  // from the second request on
	contrast     *exchange // another request, which shows that the middleware is there although it does not change the first
}

// handlerCases are the cases of the middleware of package origin.
func handlerCases() []handlerCase {
	is := func(mw func(http.Handler) http.Handler) func() front {
		return func() front { return front{mw, func() error { return nil }} }
	}
	cache := func(opts ...middleware.CacheOption) func() front {
		return func() front {
			c := middleware.NewCache(nil, opts...)
			return front{c.Handler, c.Close}
		}
	}
	modified := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	version := func(*http.Request) (middleware.Validators, error) {
		return middleware.Validators{ETag: `"v1"`, LastModified: modified}, nil
	}
	validators := map[string]string{"Etag": `"v1"`, "Last-Modified": modified.Format(http.TimeFormat)}

	return []handlerCase{
		{
			name: "bare", front: is(func(h http.Handler) http.Handler { return h }),
			exchange: exchange{runs: 1},
			contrast: &exchange{method: http.MethodPut, path: "/other", runs: 1},
		},
		{
			name: "CacheFor", front: is(middleware.CacheFor(time.Hour)),
			exchange: exchange{runs: 1, header: map[string]string{"Cache-Control": "max-age=3600", "Expires": ""}},
		},
		{
			name: "CacheControl", front: is(middleware.CacheControl("public, max-age=3600")),
			exchange: exchange{runs: 1, header: map[string]string{"Cache-Control": "public, max-age=3600"}},
		},
		{
			name: "NoStore", front: is(middleware.NoStore()),
			exchange: exchange{runs: 1, header: map[string]string{"Cache-Control": "no-store"}},
		},
		{
			name: "Vary", front: is(middleware.Vary("Accept-Encoding")),
			exchange: exchange{runs: 1, header: map[string]string{"Vary": "Accept-Encoding"}},
		},
		{
			name: "Validate/200", front: is(middleware.Validate(version)),
			exchange: exchange{runs: 1, header: validators},
		},
		{
			name: "Validate/304", front: is(middleware.Validate(version)), known: true,
			exchange: exchange{status: http.StatusNotModified, header: map[string]string{"Etag": `"v1"`}},
		},
		{
			name: "RequirePrecondition/GET", front: is(middleware.RequirePrecondition(version)),
			exchange: exchange{runs: 1},
			contrast: &exchange{method: http.MethodPut, status: http.StatusPreconditionRequired},
		},
		{
			name: "AutoETag/200", front: is(middleware.AutoETag()),
			exchange: exchange{runs: 1, header: map[string]string{"Etag": "", "Content-Length": "1024"}},
		},
		{
			name: "AutoETag/304", front: is(middleware.AutoETag()), known: true,
			exchange: exchange{runs: 1, status: http.StatusNotModified, header: map[string]string{"Etag": ""}},
		},
		{
			name: "NewCache/hit", front: cache(), cacheControl: []string{fresh},
			exchange: exchange{outcome: cachecontrol.Hit, header: map[string]string{"Age": "", "Cache-Control": fresh}},
		},
		{
			name: "NewCache/exempt", front: cache(middleware.Exempt(middleware.PathPrefix("/page"))), cacheControl: []string{fresh},
			exchange: exchange{runs: 1, header: map[string]string{"Cache-Control": fresh}},
			contrast: &exchange{path: "/other", outcome: cachecontrol.Hit, header: map[string]string{"Age": "", "Cache-Control": fresh}},
		},
		{
			name: "NewCache/not-stored", front: cache(), cacheControl: []string{"no-store"},
			exchange: exchange{runs: 1, outcome: cachecontrol.Miss, header: map[string]string{"Cache-Control": "no-store"}},
		},
	}
}

// handlers returns these cases, each compared with the bare handler.
func handlers() []benchCase {
	var group []benchCase
	for _, c := range handlerCases() {
		bc := benchCase{name: originPrefix + c.name, open: func(string) (*load, error) { return c.load() }}
		if bc.name != bareHandler {
			bc.over = bareHandler
		}
		group = append(group, bc)
	}
	return group
}

// load makes the first request and returns the load that measures the following ones.
func (c *handlerCase) load() (*load, error) {
	page := &pageHandler{body: newPage(1<<10, "").body, cacheControl: c.cacheControl}
	f := c.front()
	h := f.wrap(page)
	req := c.exchange.request()
	first := httptest.NewRecorder()
	h.ServeHTTP(first, req)
	if c.known {
		tag := first.Header().Get("Etag")
		if tag == "" {
			f.close()
			return nil, errors.New("the first response has no ETag")
		}
		req.Header.Set("If-None-Match", tag)
	}

	want := sink{status: c.exchange.wantStatus()}
	if want.status == http.StatusOK {
		want.bytes = len(page.body)
	}
	w := &sink{header: http.Header{}}
	return &load{
		do: func() error {
			clear(w.header)
			w.status, w.bytes = 0, 0
			h.ServeHTTP(w, req)
			if w.status != want.status || w.bytes != want.bytes {
				return fmt.Errorf("the answer is %d with %d bytes, not %d with %d", w.status, w.bytes, want.status, want.bytes)
			}
			return nil
		},
		verify: func() error { return c.verify(h, page, req) },
		close:  func() { f.close() },
	}, nil
}

// verify makes a few requests and checks everything about their responses.
func (c *handlerCase) verify(h http.Handler, page *pageHandler, req *http.Request) error {
	for range 3 {
		if err := c.exchange.verify(h, page, req); err != nil {
			return err
		}
	}
	if c.contrast == nil {
		return nil
	}
	other := c.contrast.request()
	h.ServeHTTP(httptest.NewRecorder(), other)
	if err := c.contrast.verify(h, page, other); err != nil {
		return fmt.Errorf("%s %s: %w", other.Method, other.URL, err)
	}
	return nil
}

func (e *exchange) request() *http.Request {
	method, path := e.method, e.path
	if method == "" {
		method = http.MethodGet
	}
	if path == "" {
		path = "/page"
	}
	return httptest.NewRequest(method, path, nil)
}

func (e *exchange) wantStatus() int {
	if e.status == 0 {
		return http.StatusOK
	}
	return e.status
}

// verify makes the request, and returns an error if the response is not the expected one.
func (e *exchange) verify(h http.Handler, page *pageHandler, req *http.Request) error {
	runs := page.runs
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	resp := w.Result()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != e.wantStatus() {
		return fmt.Errorf("the status is %s", resp.Status)
	}
	switch {
	case resp.StatusCode == http.StatusOK && !bytes.Equal(got, page.body):
		return errors.New("the body is not the handler's")
	case resp.StatusCode == http.StatusNotModified && len(got) > 0:
		return errors.New("a 304 has a body")
	}
	if runs = page.runs - runs; runs != e.runs {
		return fmt.Errorf("the handler ran %d times", runs)
	}
	for name, value := range e.header {
		if got := resp.Header.Get(name); got == "" || value != "" && got != value {
			return fmt.Errorf("%s is %q", name, resp.Header[name])
		}
	}
	for name := range resp.Header {
		// A cache adds other fields.
		if _, ok := e.header[name]; !ok && name != "Content-Type" && e.outcome == cachecontrol.Unknown && resp.StatusCode < 400 {
			return fmt.Errorf("%s is %q", name, resp.Header[name])
		}
	}
	s := cachecontrol.StatusOf(resp)
	if s.Outcome != e.outcome || s.Stored {
		return fmt.Errorf("the outcome is %v, %v, stored: %v", s.Outcome, s.Reason, s.Stored)
	}
	return nil
}

// sink is an http.ResponseWriter that records only the status and the length of the body.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
}

func (s *sink) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	s.bytes += len(p)
	return len(p), nil
}
