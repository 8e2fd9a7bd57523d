package cachecontrol_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
)

// reset makes the connection end in a reset.
func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

// Whatever an origin sends, the caller gets what it would get without the cache, and the stored response is complete.
func TestMalformedResponses(t *testing.T) {
	const (
		head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
		good = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 4\r\n\r\ngood"
	)
	write := func(s string) func(net.Conn) bool {
		return func(c net.Conn) bool {
			io.WriteString(c, s)
			return false
		}
	}
	for name, test := range map[string]struct {
		serve  func(net.Conn) bool
		with   string
		stored bool // the next request is answered from the store
	}{
		"well formed":                   {serve: write(head + "Content-Length: 4\r\n\r\nbody"), stored: true},
		"one length twice":              {serve: write(head + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody"), stored: true},
		"two lengths":                   {serve: write(head + "Content-Length: 4\r\nContent-Length: 3\r\n\r\nbody")},
		"two lengths in one":            {serve: write(head + "Content-Length: 4, 3\r\n\r\nbody")},
		"a length below 0":              {serve: write(head + "Content-Length: -1\r\n\r\nbody")},
		"a length with a sign":          {serve: write(head + "Content-Length: +4\r\n\r\nbody")},
		"a length that is none":         {serve: write(head + "Content-Length: 4x\r\n\r\nbody")},
		"an empty length":               {serve: write(head + "Content-Length: \r\n\r\nbody")},
		"a length beyond all":           {serve: write(head + "Content-Length: 99999999999999999999\r\n\r\nbody")},
		"a length of 2^63-1":            {serve: write(head + "Content-Length: 9223372036854775807\r\n\r\nbody")},
		"chunked, and a length":         {serve: write(head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), stored: true},
		"an unknown transfer coding":    {serve: write(head + "Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")},
		"chunked twice":                 {serve: write(head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")},
		"identity":                      {serve: write(head + "Transfer-Encoding: identity\r\n\r\nbody")},
		"a chunk of a size beyond all":  {serve: write(head + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nbody\r\n0\r\n\r\n")},
		"a chunk below 0":               {serve: write(head + "Transfer-Encoding: chunked\r\n\r\n-4\r\nbody\r\n0\r\n\r\n")},
		"a chunk longer than it says":   {serve: write(head + "Transfer-Encoding: chunked\r\n\r\n4\r\nbodybody\r\n0\r\n\r\n")},
		"an endless chunk extension":    {serve: write(head + "Transfer-Encoding: chunked\r\n\r\n4;" + strings.Repeat("x", 1<<20) + "\r\nbody\r\n0\r\n\r\n")},
		"a trailer cut short":           {serve: write(head + "Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n4\r\nbody\r\n0\r\nA: ")},
		"a trailer that frames":         {serve: write(head + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n4\r\nbody\r\n0\r\nContent-Length: 1\r\n\r\n")},
		"nothing":                       {serve: write("")},
		"a head cut short":              {serve: write(head)},
		"no HTTP":                       {serve: write("ICY 200 OK\r\n\r\nbody")},
		"another HTTP":                  {serve: write("HTTP/9.9 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nbody"), stored: true},
		"a status of two digits":        {serve: write("HTTP/1.1 20 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nbody")},
		"status 999":                    {serve: write("HTTP/1.1 999 Odd\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nbody"), stored: true},
		"status 000":                    {serve: write("HTTP/1.1 000 Odd\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nbody")},
		"NUL in a field":                {serve: write(head + "A: a\x00b\r\nContent-Length: 4\r\n\r\nbody")},
		"CR in a field":                 {serve: write(head + "A: a\rSet-Cookie: b\r\nContent-Length: 4\r\n\r\nbody")},
		"a folded field":                {serve: write(head + "A: a\r\n b\r\nContent-Length: 4\r\n\r\nbody"), stored: true},
		"bytes beyond ASCII":            {serve: write(head + "A: \xff\xfe\r\nContent-Length: 4\r\n\r\nbody"), stored: true},
		"a field without a colon":       {serve: write(head + "odd\r\nContent-Length: 4\r\n\r\nbody")},
		"a field without a name":        {serve: write(head + ": odd\r\nContent-Length: 4\r\n\r\nbody")},
		"a space before the colon":      {serve: write(head + "Content-Length : 4\r\n\r\nbody")},
		"lines that end in LF":          {serve: write(strings.ReplaceAll(head+"Content-Length: 4\r\n\r\n", "\r", "") + "body"), stored: true},
		"one interim response":          {serve: write("HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=99\r\n\r\n" + head + "Content-Length: 4\r\n\r\nbody"), stored: true},
		"a hundred interim responses":   {serve: write(strings.Repeat("HTTP/1.1 102 Processing\r\nA: a\r\n\r\n", 100) + head + "Content-Length: 4\r\n\r\nbody"), stored: true},
		"interim responses without end": {serve: repeat("HTTP/1.1 102 Processing\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n")},
		"other protocols, unasked":      {serve: write("HTTP/1.1 101 Switching Protocols\r\nCache-Control: max-age=60\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nbody")},
		"a header without end": {serve: func(c net.Conn) bool {
			io.WriteString(c, head)
			return repeat("A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")(c)
		}},
		"a field without end": {serve: func(c net.Conn) bool {
			io.WriteString(c, head+"A: ")
			return repeat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")(c)
		}},
		"a 304 that nobody asked for":  {serve: write("HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"1\"\r\nContent-Length: 4\r\n\r\nbody")},
		"a 204 with a body":            {serve: write("HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nbody"), stored: true},
		"a 206 that nobody asked for":  {serve: write("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-3/9\r\nContent-Length: 4\r\n\r\nbody")},
		"a 206 of the whole":           {serve: write("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-3/4\r\nContent-Length: 4\r\n\r\nbody")},
		"a 206 of another range":       {serve: write("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 5-8/9\r\nContent-Length: 4\r\n\r\nbody"), with: "Range: bytes=0-3"},
		"a 206 that is longer":         {serve: write("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 4\r\n\r\nbody"), with: "Range: bytes=0-1"},
		"a 206 of an impossible range": {serve: write("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 9-1/3\r\nContent-Length: 4\r\n\r\nbody"), with: "Range: bytes=0-3"},
		"a 206 with two ranges":        {serve: write("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-3/9\r\nContent-Range: bytes 5-8/9\r\nContent-Length: 4\r\n\r\nbody"), with: "Range: bytes=0-3"},
		"a 206 cut short":              {serve: write("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-8/9\r\nContent-Length: 9\r\n\r\nbody"), with: "Range: bytes=0-8"},
		"a 416 that nobody asked for":  {serve: write("HTTP/1.1 416 Range Not Satisfiable\r\nCache-Control: max-age=60\r\nContent-Range: bytes */4\r\nContent-Length: 0\r\n\r\n")},
		"a body cut by a reset":        {serve: func(c net.Conn) bool { io.WriteString(c, head+"Content-Length: 9\r\n\r\nbody"); reset(c); return false }},
		"a chunked body cut by a reset": {serve: func(c net.Conn) bool {
			io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n")
			reset(c)
			return false
		}},
		"a head cut by a reset": {serve: func(c net.Conn) bool { io.WriteString(c, head); reset(c); return false }},

		"a second answer, smuggled": {serve: func(c net.Conn) bool {
			io.WriteString(c, head+"Content-Length: 4\r\n\r\nbody"+head+"Content-Length: 4\r\n\r\nevil")
			return true
		}, stored: true},
		"a second answer after a 304": {serve: func(c net.Conn) bool {
			io.WriteString(c, "HTTP/1.1 304 Not Modified\r\n\r\n"+head+"Content-Length: 4\r\n\r\nevil")
			return true
		}},
		"more than the length, kept": {serve: func(c net.Conn) bool { io.WriteString(c, head+"Content-Length: 3\r\n\r\nbody"); return true }, stored: true},
	} {
		t.Run(name, func(t *testing.T) {
			var fields []string
			if test.with != "" {
				fields = append(fields, test.with)
			}
			for _, collapse := range []bool{false, true} {
				for storeName, store := range fileStores(t) {
					serve := func(c net.Conn, n int, _ *http.Request) bool {
						if n == 1 {
							return test.serve(c)
						}
						io.WriteString(c, good)
						return true
					}
					plain := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
					want, _ := ask(t, plain, request(t, rawServer(t, serve), append(fields, "Connection: close")...))
					plain.CloseIdleConnections()

					base := &http.Transport{MaxResponseHeaderBytes: 64 << 10}
					tr := &cachecontrol.Transport{Base: base, Store: store, Collapse: collapse}
					u := rawServer(t, serve)
					got, first := ask(t, tr, request(t, u, fields...))
					base.CloseIdleConnections() // surplus bytes on a connection are not for the cache to handle
					if got != want {
						t.Errorf("%s: with the cache %.80v, want %.80v as without it", storeName, got, want)
					}
					for range 2 {
						again, resp := ask(t, tr, request(t, u))
						if resp == nil {
							t.Fatalf("%s: the next request failed, want a response", storeName)
						}
						hit := cachecontrol.FromCache(resp)
						if hit != test.stored {
							t.Errorf("%s: stored: %v, want %v; first %v, then %v", storeName, hit, test.stored, first, resp)
						}
						switch {
						case hit && (again != want || want.failed):
							t.Errorf("%s: a hit with %v, the first was %v", storeName, again, want)
						case !hit && again.body != "good":
							t.Errorf("%s: %v from the origin, want %q", storeName, again, "good")
						}
						for name, lines := range resp.Header {
							if s := name + strings.Join(lines, ""); strings.ContainsAny(s, "\r\n\x00") {
								t.Errorf("%s: the field %q, want none with control characters", storeName, s)
							}
						}
					}
					tr.Close()
					base.CloseIdleConnections()
				}
			}
		})
	}
}

// repeat writes s until the client stops reading, at most 32 MiB.
func repeat(s string) func(net.Conn) bool {
	return func(c net.Conn) bool {
		many := strings.Repeat(s, 1+(64<<10)/len(s))
		for n := 0; n < 32<<20; n += len(many) {
			if _, err := io.WriteString(c, many); err != nil {
				break
			}
		}
		return false
	}
}

// A body that arrives slowly can be canceled at any byte, and is then not stored.
func TestSlowBodyCanceled(t *testing.T) {
	u := rawServer(t, func(c net.Conn, n int, req *http.Request) bool {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1000000\r\n\r\n")
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return false
			}
		}
	})
	for _, collapse := range []bool{false, true} {
		base := &http.Transport{}
		defer base.CloseIdleConnections()
		tr := &cachecontrol.Transport{Base: base, Collapse: collapse}
		defer tr.Close()
		for n := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			resp := open(t, tr, request(t, u).WithContext(ctx))
			if _, err := io.ReadFull(resp.Body, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.Canceled) { // bytes that have arrived may still be read
				t.Errorf("after %d bytes: %v, want %v", n, err, context.Canceled)
			}
			resp.Body.Close()
			if got := do(t, tr, u, "Cache-Control: only-if-cached"); got.StatusCode != 504 {
				t.Errorf("after %d bytes: only-if-cached is answered with %d, want 504", n, got.StatusCode)
			}
		}
	}
}

// With HTTP/2, a stream that is reset does not count as the end of a body, and the body must have its announced length.
func TestMalformedHTTP2(t *testing.T) {
	for name, test := range map[string]struct {
		handle func(w http.ResponseWriter)
		stored bool
	}{
		"well formed":         {func(w http.ResponseWriter) { io.WriteString(w, "body") }, true},
		"reset at once":       {func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, false},
		"reset with the head": {func(w http.ResponseWriter) { w.WriteHeader(200); w.(http.Flusher).Flush(); panic(http.ErrAbortHandler) }, false},
		"reset in the body": {func(w http.ResponseWriter) {
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, false},
		"reset, with a length": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, false},
		"shorter than its length": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "body")
		}, false},
		"longer than its length": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "bo")
			io.WriteString(w, "dy")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, collapse := range []bool{false, true} {
				var n atomic.Int32
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					if r.ProtoMajor != 2 {
						t.Errorf("protocol %s, want HTTP/2.0", r.Proto)
					}
					if n.Add(1) == 1 {
						test.handle(w)
						return
					}
					io.WriteString(w, "good")
				}))
				server.EnableHTTP2 = true
				server.StartTLS()
				defer server.Close()
				base := server.Client().Transport
				tr := &cachecontrol.Transport{Base: base, Collapse: collapse}
				defer tr.Close()
				first, _ := ask(t, tr, request(t, server.URL))
				again, resp := ask(t, tr, request(t, server.URL))
				if hit := cachecontrol.FromCache(resp); hit != test.stored || hit && again != first || !hit && again.body != "good" || hit == first.failed {
					t.Errorf("first %+v, then %+v, from the cache %v, want %v", first, again, hit, test.stored)
				}
			}
		})
	}
}

func TestUnusualRequests(t *testing.T) {
	for name, test := range map[string]struct {
		req  *http.Request
		want cachecontrol.Outcome // of the second time
	}{
		"no URL":       {&http.Request{Method: "GET", Header: http.Header{}}, bypass},
		"no URL, PUT":  {&http.Request{Method: "PUT", Header: http.Header{}}, bypass},
		"an empty URL": {&http.Request{Method: "GET", URL: &url.URL{}, Header: http.Header{}}, bypass},
		"no host":      {&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Path: "/"}, Header: http.Header{}}, bypass},
		"no host, but a Host": {
			&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Path: "/"}, Host: "example.com", Header: http.Header{}}, bypass},
		"no scheme":  {&http.Request{Method: "GET", URL: &url.URL{Host: "example.com", Path: "/"}, Header: http.Header{}}, bypass},
		"opaque":     {&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Opaque: "//example.com/"}, Header: http.Header{}}, bypass},
		"nil Header": {&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "example.com", Path: "/"}}, hit},
		"nil Header, PUT": {
			&http.Request{Method: "PUT", URL: &url.URL{Scheme: "http", Host: "example.com", Path: "/"}}, bypass},
		"no method":        {&http.Request{URL: &url.URL{Scheme: "http", Host: "example.com", Path: "/"}, Header: http.Header{}}, hit},
		"path without /":   {&http.Request{URL: &url.URL{Scheme: "http", Host: "example.com", Path: "a"}, Header: http.Header{}}, bypass},
		"header of no use": {&http.Request{URL: &url.URL{Scheme: "http", Host: "example.com"}, Header: http.Header{"Cache-Control": nil, "Range": {}, "X": {""}}}, bypass},
		"NoBody":           {&http.Request{URL: &url.URL{Scheme: "http", Host: "example.com"}, Header: http.Header{}, Body: http.NoBody}, hit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := replies(t, ok("Cache-Control: max-age=60", "Location: /x", "Content-Location: ::"))
				var log bytes.Buffer
				tr := &cachecontrol.Transport{Base: o, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
				defer tr.Close()
				for i := range 2 {
					resp, err := tr.RoundTrip(test.req)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if got := cachecontrol.StatusOf(resp).Outcome; i == 1 && got != test.want {
						t.Errorf("%v, want %v", got, test.want)
					}
				}
				if log.Len() == 0 {
					t.Error("the log is empty, want a record")
				}
			})
		})
	}
}

// The caller gets the error of http.Transport for a request that it cannot send.
func TestUnusualRequestsOverHTTP(t *testing.T) {
	tr := &cachecontrol.Transport{Base: &http.Transport{}}
	defer tr.Close()
	for _, req := range []*http.Request{
		{Method: "GET", Header: http.Header{}},
		{Method: "GET", URL: &url.URL{Scheme: "http"}, Header: http.Header{}},
		{Method: "GET", URL: &url.URL{Scheme: "gopher", Host: "example.com"}, Header: http.Header{}},
		{Method: "BAD METHOD", URL: &url.URL{Scheme: "http", Host: "example.com"}, Header: http.Header{}},
		{Method: "GET", URL: &url.URL{Scheme: "http", Host: "example.com"}, Header: http.Header{"X": {"a\nb"}}},
	} {
		if resp, err := tr.RoundTrip(req); err == nil {
			t.Errorf("RoundTrip(%v) = %v, want an error", req, resp)
		}
	}
}

func TestUnusualResponses(t *testing.T) {
	for name, make := range map[string]func() *http.Response{
		"nil Header":       func() *http.Response { return &http.Response{StatusCode: 200, Body: bytesBody("x"), ContentLength: 1} },
		"nil Body":         func() *http.Response { return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"a"`}}} },
		"nothing":          func() *http.Response { return &http.Response{} },
		"status 0":         func() *http.Response { return respond(0, "", "Cache-Control: max-age=60") },
		"status 99":        func() *http.Response { return respond(99, "", "Cache-Control: max-age=60") },
		"status 1000":      func() *http.Response { return respond(1000, "", "Cache-Control: max-age=60") },
		"a 304 of its own": func() *http.Response { return respond(304, "", "Cache-Control: max-age=60") },
		"a 206 of its own": func() *http.Response {
			return respond(206, "x", "Cache-Control: max-age=60", "Content-Range: bytes 0-0/9")
		},
		"a 101 of its own":    func() *http.Response { return respond(101, "", "Cache-Control: max-age=60") },
		"values without name": func() *http.Response { return respond(200, "", ": x", "Cache-Control: max-age=60") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(int, *http.Request) *http.Response { return make() })
				for _, store := range fileStores(t) {
					tr := &cachecontrol.Transport{Base: o, Store: store}
					for range 3 {
						want := make()
						if a := do(t, tr, "/"); a.StatusCode != want.StatusCode {
							t.Errorf("%d, want %d", a.StatusCode, want.StatusCode)
						}
					}
					tr.Close()
				}
			})
		})
	}
}

func TestWrongContentLength(t *testing.T) {
	for name, test := range map[string]struct {
		length int64
		field  string
		body   string
		err    error
	}{
		"longer":                       {10, "10", "01234", nil},
		"longer, found out":            {10, "10", "01234", io.ErrUnexpectedEOF},
		"shorter":                      {3, "3", "01234", nil},
		"longer, in the field alone":   {-1, "10", "01234", nil},
		"shorter, in the field alone":  {-1, "3", "01234", nil},
		"nothing said to come, but it": {0, "0", "01234", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
					resp := chunked(respond(200, "", "Cache-Control: max-age=60", "Content-Length: "+test.field), test.err, test.body)
					resp.ContentLength = test.length
					return resp
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				resp := open(t, tr, request(t, "/"))
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(got) != test.body || err != test.err {
					t.Errorf("the caller got %q, %v", got, err)
				}
				resp = open(t, tr, request(t, "/"))
				resp.Body.Close()
				if got := cachecontrol.StatusOf(resp).Outcome; got != miss {
					t.Errorf("it was stored: %v, want %v; header: %v", got, miss, resp.Header)
				}
			})
		})
	}
}

// server returns the URL of a server that answers each request with the given bytes and closes the connection.
func server(t testing.TB, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, answer)
			}
			c.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

func TestBrokenFramingOverAConnection(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nConnection: close\r\n"
	for name, test := range map[string]struct {
		answer string
		body   string
		whole  bool
	}{
		"Content-Length too long":  {head + "Content-Length: 10\r\n\r\n01234", "01234", false},
		"Content-Length too short": {head + "Content-Length: 3\r\n\r\n01234", "012", true}, // the bytes after it belong to no message
		"a chunk cut short":        {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\na\r\n567", "01234567", false},
		"no last chunk":            {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n", "01234", false},
		"a chunk of bad size":      {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\nxyz\r\n", "01234", false},
		"well formed":              {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n", "01234", true},
		"until it closes":          {head + "\r\n01234", "01234", true},
	} {
		t.Run(name, func(t *testing.T) {
			for name, store := range fileStores(t) {
				base := &http.Transport{}
				defer base.CloseIdleConnections()
				tr := &cachecontrol.Transport{Base: base, Store: store}
				defer tr.Close()
				u := server(t, test.answer)
				resp := open(t, tr, request(t, u))
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(got) != test.body || (err == nil) != test.whole {
					t.Errorf("%s: the caller got %q, %v", name, got, err)
				}
				resp = open(t, tr, request(t, u))
				if outcome := cachecontrol.StatusOf(resp).Outcome; (outcome == hit) != test.whole {
					t.Errorf("%s: afterwards: %v, want a hit: %v", name, outcome, test.whole)
				}
				if got, _ := io.ReadAll(resp.Body); string(got) != test.body {
					t.Errorf("%s: afterwards: %q, want %q", name, string(got), test.body)
				}
				resp.Body.Close()
			}
		})
	}
}

// A program that makes its own responses, such as a test, may omit what net/http sets. As in http.Response.Write,
// ContentLength 0 with a Body means an unknown length. The stored response has the real length.
func TestResponseLiterals(t *testing.T) {
	body := func() io.ReadCloser { return io.NopCloser(strings.NewReader("body")) }
	fresh := func(fields ...string) http.Header {
		return http.Header{"Cache-Control": {"max-age=60"}, "Content-Type": {"text/plain"}}
	}
	for name, test := range map[string]struct {
		resp http.Response
		want string
		then cachecontrol.Outcome
	}{
		"no length":          {http.Response{StatusCode: 200, Header: fresh(), Body: body()}, "body", hit},
		"negative length":    {http.Response{StatusCode: 200, Header: fresh(), Body: body(), ContentLength: -5}, "body", hit},
		"no length, HTTP/2":  {http.Response{StatusCode: 200, ProtoMajor: 2, Header: fresh(), Body: body()}, "body", hit},
		"404":                {http.Response{StatusCode: 404, Header: fresh(), Body: body()}, "body", hit},
		"nil body":           {http.Response{StatusCode: 200, Header: fresh()}, "", hit},
		"empty body":         {http.Response{StatusCode: 200, Header: fresh(), Body: io.NopCloser(strings.NewReader(""))}, "", hit},
		"NoBody":             {http.Response{StatusCode: 200, Header: fresh(), Body: http.NoBody}, "", hit},
		"204":                {http.Response{StatusCode: 204, Header: fresh(), Body: http.NoBody}, "", hit},
		"nil header":         {http.Response{StatusCode: 200, Body: body()}, "body", miss},
		"no status":          {http.Response{Header: fresh(), Body: body()}, "body", miss},
		"too short":          {http.Response{StatusCode: 200, Header: fresh(), Body: body(), ContentLength: 9}, "body", miss},
		"header is right":    {http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Length": {"4"}}, Body: body()}, "body", hit},
		"header is too long": {http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Length": {"9"}}, Body: body()}, "body", miss},
		"header disagrees":   {http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Length": {"9"}}, Body: body(), ContentLength: 4}, "body", hit},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, collapse), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := 0
					base := roundTripper(func(req *http.Request) (*http.Response, error) {
						if n++; n > 1 {
							return respond(200, "again"), nil
						}
						resp := test.resp
						resp.Header = resp.Header.Clone()
						if test.resp.Body != nil && test.resp.Body != http.NoBody {
							resp.Body = io.NopCloser(strings.NewReader(test.want))
						}
						return &resp, nil
					})
					tr := &cachecontrol.Transport{Base: base, Collapse: collapse}
					defer tr.Close()
					for _, want := range []cachecontrol.Outcome{miss, test.then} {
						resp := open(t, tr, request(t, "/"))
						got, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						synctest.Wait()
						outcome := cachecontrol.StatusOf(resp).Outcome
						if wantBody := test.want; outcome != want || err != nil || (n == 1 && string(got) != wantBody) {
							t.Errorf("%v, %q, %v; want %v, %q", outcome, got, err, want, wantBody)
						}
						if length := resp.Header.Get("Content-Length"); outcome == hit && (length != "" && length != fmt.Sprint(len(test.want)) || resp.ContentLength != int64(len(test.want))) {
							t.Errorf("a hit of %d bytes: Content-Length %q, ContentLength %d", len(test.want), length, resp.ContentLength)
						}
					}
				})
			})
		}
	}
}

// A response of Base that breaks the rules of RoundTripper is treated as http.Client treats it.
func TestResponsesAgainstTheRules(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var resp *http.Response
			tr := &cachecontrol.Transport{Collapse: collapse, Base: roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil })}
			defer tr.Close()
			for _, method := range []string{"GET", "POST"} {
				if _, err := tr.RoundTrip(request(t, method+" /")); err == nil {
					t.Errorf("%s: no response and no error: error nil, want one", method)
				}
				resp = &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, ContentLength: 1}
				if _, err := tr.RoundTrip(request(t, method+" /")); err == nil {
					t.Errorf("%s: no Body and a length: error nil, want one", method)
				}
				resp = nil
			}
			resp = &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: 1}
			if a := do(t, tr, "HEAD /"); a.StatusCode != 200 {
				t.Errorf("HEAD: %v, want %v", a.StatusCode, 200)
			}
			resp = &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1}
			if a := do(t, tr, "/"); a.body != "" {
				t.Errorf("no Body and no length: %q, want %q", a.body, "")
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
				t.Errorf("Collapse %v: read %q, %v; the connection got %q, want %q, nil; %q", collapse, b, err, conn, "hello", "x")
			}
			got.Body.Close()
		})
	}
}

// It is an error if Base returns neither a response nor an error, as for http.Client.
func TestBaseReturnsNothing(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		tr := &cachecontrol.Transport{Collapse: collapse, Base: roundTripper(func(*http.Request) (*http.Response, error) {
			return nil, nil
		})}
		for _, method := range []string{"GET", "PUT"} {
			if resp, err := tr.RoundTrip(request(t, method+" /")); err == nil {
				t.Errorf("%s: %v and no error, want an error", method, resp)
			}
		}
		tr.Close()
	}
}
