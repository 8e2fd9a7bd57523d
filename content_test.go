package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// echo is an origin that reads the content of each request, and answers with it. If reading fails, so does the request.
func echo(t *testing.T) (*origin, http.RoundTripper) {
	o := newOrigin(t, func(n int, req *http.Request) *http.Response {
		content, _ := io.ReadAll(req.Body)
		return respond(200, fmt.Sprintf("#%d %s", n, content), "Cache-Control: max-age=60")
	})
	return o, roundTripper(func(req *http.Request) (*http.Response, error) {
		var content []byte
		if req.Body != nil {
			var err error
			content, err = io.ReadAll(req.Body)
			req.Body.Close()
			if err != nil {
				return nil, err
			}
		}
		read := *req
		read.Body = io.NopCloser(bytes.NewReader(content))
		return o.RoundTrip(&read)
	})
}

// The content of a request reaches the origin whatever kind of body it has, and is part of the key if it is complete and not too
// long.
func TestKindsOfContent(t *testing.T) {
	const most = 1 << 20
	long := strings.Repeat("x", most)
	body := func(make func() io.Reader) func(*http.Request) {
		return func(req *http.Request) { req.Body = &once{Reader: make()} }
	}
	text := func(s string) func(*http.Request) { return body(func() io.Reader { return strings.NewReader(s) }) }
	tests := map[string]struct {
		set  func(*http.Request)
		want cachecontrol.Outcome // of the second request
		got  string               // by the origin, or the error of the request
	}{
		"none":               {func(*http.Request) {}, hit, ""},
		"http.NoBody":        {func(req *http.Request) { req.Body = http.NoBody }, hit, ""},
		"empty":              {text(""), hit, ""},
		"the longest":        {text(long), hit, long},
		"too long":           {text(long + "y"), bypass, long + "y"},
		"much too long":      {text(long + long + "y"), bypass, long + long + "y"},
		"byte by byte":       {body(func() io.Reader { return iotest.OneByteReader(strings.NewReader("ab")) }), hit, "ab"},
		"with EOF":           {body(func() io.Reader { return iotest.DataErrReader(strings.NewReader("ab")) }), hit, "ab"},
		"nothing sometimes":  {body(func() io.Reader { return &sometimes{text: "ab"} }), hit, "ab"},
		"of unknown length":  {func(req *http.Request) { text("ab")(req); req.ContentLength = -1 }, hit, "ab"},
		"of known length":    {func(req *http.Request) { text("ab")(req); req.ContentLength = 2 }, hit, "ab"},
		"shorter":            {func(req *http.Request) { text("ab")(req); req.ContentLength = 3 }, bypass, "ab"},
		"longer":             {func(req *http.Request) { text("ab")(req); req.ContentLength = 1 }, bypass, "ab"},
		"announced too long": {func(req *http.Request) { text(long + "y")(req); req.ContentLength = most + 1 }, bypass, long + "y"},
		"with a trailer":     {func(req *http.Request) { text("ab")(req); req.Trailer = http.Header{"A": nil} }, bypass, "ab"},
		"GetBody fails": {func(req *http.Request) {
			text("ab")(req)
			req.GetBody = func() (io.ReadCloser, error) { return nil, errFaulty }
		}, hit, "ab"},
		"GetBody panics": {func(req *http.Request) {
			text("ab")(req)
			req.GetBody = func() (io.ReadCloser, error) { panic("GetBody") }
		}, hit, "ab"},
		"GetBody lies": {func(req *http.Request) {
			text("ab")(req)
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("ac")), nil }
		}, hit, "ab"},
		"an error at once":      {body(func() io.Reader { return iotest.ErrReader(errFaulty) }), unknown, errFaulty.Error()},
		"an error later":        {body(func() io.Reader { return io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(errFaulty)) }), unknown, errFaulty.Error()},
		"an error at the limit": {body(func() io.Reader { return io.MultiReader(strings.NewReader(long), iotest.ErrReader(errFaulty)) }), unknown, errFaulty.Error()},
		"an error after it":     {body(func() io.Reader { return io.MultiReader(strings.NewReader(long+"y"), iotest.ErrReader(errFaulty)) }), unknown, errFaulty.Error()},
		"an unexpected end":     {body(func() io.Reader { return iotest.ErrReader(io.ErrUnexpectedEOF) }), unknown, io.ErrUnexpectedEOF.Error()},
		"Read panics":           {body(func() io.Reader { return readerFunc(func([]byte) (int, error) { panic("Read") }) }), unknown, "panic: Read"},
		"Read does not return":  {body(func() io.Reader { return readerFunc(func([]byte) (int, error) { runtime.Goexit(); return 0, nil }) }), unknown, "cachecontrol: the body of the request has not returned from Read"},
	}
	for name, tt := range tests {
		for _, store := range []string{"DictCache", "FileCache"} {
			t.Run(name+", "+store, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o, base := echo(t)
					tr := &cachecontrol.Transport{Base: base, Store: storeKinds[store](t)}
					defer tr.Close()
					for i := range 2 {
						req := request(t, "QUERY /")
						tt.set(req)
						given := req.Body
						unchanged := checkRequest(t, req)
						got, outcome := roundTrip(tr, req)
						unchanged()
						want, wantOutcome := tt.got, miss
						if i > 0 || tt.want != hit {
							wantOutcome = tt.want
						}
						if wantOutcome != unknown {
							want = fmt.Sprintf("#%d %s", o.requests(), tt.got)
						}
						if got != want || outcome != wantOutcome {
							t.Errorf("request %d: %v %.50q (%d bytes), want %v %.50q (%d bytes)", i+1, outcome, got, len(got), wantOutcome, want, len(want))
						}
						if b, ok := given.(*once); ok && !b.closed {
							t.Errorf("request %d: the body is closed: false, want true", i+1)
						}
					}
				})
			})
		}
	}
}

// roundTrip returns the body of the response, or the error or the panic in its place.
func roundTrip(tr *cachecontrol.Transport, req *http.Request) (text string, outcome cachecontrol.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint("panic: ", v)
		}
	}()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err.Error(), unknown
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error(), unknown
	}
	return string(body), cachecontrol.StatusOf(resp).Outcome
}

// sometimes is a reader that returns nothing at each second Read.
type sometimes struct {
	text string
	n    int
}

func (r *sometimes) Read(p []byte) (int, error) {
	if r.n++; r.n%2 == 1 {
		return 0, nil
	}
	if r.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], r.text)
	r.text = r.text[n:]
	return n, nil
}

// A request ends with its context, also while its content is read, and its body is closed.
func TestContentThatDoesNotCome(t *testing.T) {
	type end struct {
		name string
		set  func(*http.Request) *http.Request
		want error
	}
	ends := []end{
		{"canceled", func(req *http.Request) *http.Request {
			ctx, cancel := context.WithCancelCause(req.Context())
			time.AfterFunc(time.Second, func() { cancel(errFaulty) })
			return req.WithContext(ctx)
		}, errFaulty},
		{"deadline", func(req *http.Request) *http.Request {
			ctx, cancel := context.WithTimeout(req.Context(), time.Second)
			t.Cleanup(cancel)
			return req.WithContext(ctx)
		}, context.DeadlineExceeded},
		{"Request.Cancel", func(req *http.Request) *http.Request {
			c := make(chan struct{})
			time.AfterFunc(time.Second, func() { close(c) })
			//lint:ignore SA1019 old programs set it
			req.Cancel = c
			return req
		}, context.Canceled},
	}
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, base := echo(t)
				tr := &cachecontrol.Transport{Base: base}
				defer tr.Close()
				r, w := io.Pipe()
				req := request(t, "QUERY /")
				req.Body = r
				if _, err := tr.RoundTrip(end.set(req)); !errors.Is(err, end.want) {
					t.Errorf("error %v, want %v", err, end.want)
				}
				synctest.Wait()
				if _, err := w.Write([]byte("a")); err != io.ErrClosedPipe {
					t.Errorf("after the end, Write = %v, want %v", err, io.ErrClosedPipe)
				}
				wantRequests(t, o, 0)
			})
		})
	}
}

// What NormalizeContent does to its argument, or returns, changes only the key.
func TestNormalizeContentHook(t *testing.T) {
	const kind = "Content-Type: text/plain"
	for _, tt := range []struct {
		name      string
		normalize func(string, []byte) []byte
		contents  []string
		want      []cachecontrol.Outcome
	}{
		{"nil", nil, []string{"a", "A"}, []cachecontrol.Outcome{miss, miss}},
		{"in place", func(_ string, b []byte) []byte {
			for i := range b {
				b[i] |= 0x20
			}
			return b
		}, []string{"a", "A", "b"}, []cachecontrol.Outcome{miss, hit, miss}},
		{"returns nil", func(string, []byte) []byte { return nil }, []string{"a", "b", "a"}, []cachecontrol.Outcome{miss, miss, hit}},
		{"returns nothing", func(string, []byte) []byte { return []byte{} }, []string{"a", "b"}, []cachecontrol.Outcome{miss, hit}},
		{"returns a header", func(string, []byte) []byte { return []byte("Content-Type") }, []string{"a", "b"}, []cachecontrol.Outcome{miss, hit}},
		{"returns more than 1 MiB", func(string, []byte) []byte { return make([]byte, 2<<20) }, []string{"a", "b"}, []cachecontrol.Outcome{miss, hit}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, base := echo(t)
				tr := &cachecontrol.Transport{Base: base, NormalizeContent: tt.normalize, CacheableMethods: []string{"POST"}}
				defer tr.Close()
				for i, content := range tt.contents {
					before := o.requests()
					a := send(t, tr, withContent(t, "POST /", content, kind))
					if a.outcome != tt.want[i] {
						t.Errorf("%q: %v, want %v", content, a.outcome, tt.want[i])
					}
					if want := fmt.Sprintf("#%d %s", before+1, content); a.outcome == miss && a.body != want {
						t.Errorf("the origin answers %q, want %q", a.body, want)
					}
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // a panic is the caller's
		o, base := echo(t)
		tr := &cachecontrol.Transport{Base: base, NormalizeContent: func(string, []byte) []byte { panic("hook") }}
		defer tr.Close()
		req := request(t, "QUERY /", kind)
		body := &once{Reader: strings.NewReader("a")}
		req.Body = body
		if got, _ := roundTrip(tr, req); got != "panic: hook" || !body.closed {
			t.Errorf("%q, body closed: %v; want %q, true", got, body.closed, "panic: hook")
		}
		wantRequests(t, o, 0)
	})
}

// Concurrent requests with the same content share a response, also before anything is stored for the URL. Each of those with
// other content gets its own.
func TestCollapsedQueries(t *testing.T) {
	for _, withIndex := range []bool{false, true} {
		t.Run(fmt.Sprint("index stored: ", withIndex), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, base := echo(t)
				tr := &cachecontrol.Transport{Collapse: true, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
					time.Sleep(time.Second)
					return base.RoundTrip(req)
				})}
				defer tr.Close()
				if withIndex {
					send(t, tr, withContent(t, "QUERY /", "c"))
				}
				before := o.requests()
				var a answers
				contents := []string{"a", "b"}
				a.add(t, 20, tr, func(i int) *http.Request {
					req := request(t, "QUERY /")
					req.Body = io.NopCloser(strings.NewReader(contents[i%2]))
					return req
				})
				all, collapsed := a.wait(t)
				if n := o.requests() - before; n != 2 || collapsed != 18 {
					t.Errorf("%d requests to the origin, %d collapsed, want 2 and 18", n, collapsed)
				}
				count := map[string]int{}
				for _, x := range all {
					_, content, _ := strings.Cut(x.body, " ")
					count[content]++
				}
				if count["a"] != 10 || count["b"] != 10 {
					t.Errorf("answers by content: %v, want 10 for a and 10 for b", count)
				}
				for _, content := range contents {
					if a := send(t, tr, withContent(t, "QUERY /", content)); a.outcome != hit {
						t.Errorf("afterwards, %s: %v, want %v", content, a.outcome, hit)
					}
				}
			})
		})
	}
}

// A request does not share the response to one that was sent before the URL was invalidated.
func TestCollapsedQueriesAfterInvalidation(t *testing.T) {
	for _, withIndex := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o, base := echo(t)
			tr := &cachecontrol.Transport{Collapse: true, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				if req.Method == "QUERY" {
					time.Sleep(time.Second)
				}
				return base.RoundTrip(req)
			})}
			defer tr.Close()
			if withIndex {
				send(t, tr, withContent(t, "QUERY /", "c"))
			}
			before := o.requests()
			var a answers
			query := func(int) *http.Request { return withContent(t, "QUERY /", "a") }
			a.add(t, 1, tr, query)
			time.Sleep(time.Millisecond) // until it has been sent
			do(t, tr, "PUT /")
			a.add(t, 1, tr, query)
			a.wait(t)
			if n := o.requests() - before; n != 3 {
				t.Errorf("index stored: %v: %d requests to the origin, want 3", withIndex, n)
			}
			if a := send(t, tr, query(0)); a.outcome != hit || a.body != fmt.Sprintf("#%d a", o.requests()) {
				t.Errorf("index stored: %v: afterwards: %v %q, want a %v on the last response", withIndex, a.outcome, a.body, hit)
			}
		})
	}
}

// A response to QUERY that breaks off goes on, and its content is sent again.
func TestResumedQuery(t *testing.T) {
	const whole = "0123456789"
	var asked []string
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			content, _ := io.ReadAll(req.Body)
			asked = append(asked, fmt.Sprint(string(content), req.Header["Range"], req.Header["If-Range"]))
			if n > 1 {
				return respond(206, whole[4:], `ETag: "1"`, "Content-Range: bytes 4-9/10", "Cache-Control: max-age=60")
			}
			resp := respond(200, "", `ETag: "1"`, "Cache-Control: max-age=60")
			resp.ContentLength, resp.Header["Content-Length"] = 10, []string{"10"}
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(whole[:4]), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp
		})
		tr := &cachecontrol.Transport{Base: o, ResumeBodies: true}
		defer tr.Close()
		for _, want := range []cachecontrol.Outcome{miss, hit} {
			req := request(t, "QUERY /")
			req.Body = io.NopCloser(bytes.NewBufferString("a"))
			if a := send(t, tr, req); a.body != whole || a.outcome != want {
				t.Errorf("%v %q, want %v %q", a.outcome, a.body, want, whole)
			}
		}
	})
	if got, want := fmt.Sprint(asked), `[a[] [] a[bytes=4-9] ["1"]]`; got != want {
		t.Errorf("the origin got %s, want %s", got, want)
	}
}

// The rest of a body that is closed early is read in the background, and the response is stored.
func TestDrainedQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, base := echo(t)
		tr := &cachecontrol.Transport{Base: base}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		resp := open(t, tr, withContent(t, "QUERY /", "a").WithContext(ctx))
		resp.Body.Close()
		cancel()
		synctest.Wait()
		if a := send(t, tr, withContent(t, "QUERY /", "a")); a.outcome != hit {
			t.Errorf("%v, want %v", a.outcome, hit)
		}
	})
}
