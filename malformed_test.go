package cachecontrol_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
)

// rawServer serves each connection with what the function writes after each request, n counting from 1. It closes the
// connection when the function returns false.
func rawServer(t testing.TB, serve func(c net.Conn, n int, req *http.Request) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	var n atomic.Int32
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer func() {
					c.Close()
					mu.Lock()
					defer mu.Unlock()
					delete(conns, c)
				}()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil || !serve(c, int(n.Add(1)), req) {
						return
					}
				}
			})
		}
	})
	return "http://" + l.Addr().String() + "/"
}

// reset has the connection end in a reset.
func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

// answered is what a client has of an answer.
type answered struct {
	status int
	body   string
	failed bool // RoundTrip, or reading the body
}

func ask(t testing.TB, rt http.RoundTripper, req *http.Request) (answered, *http.Response) {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return answered{failed: true}, nil
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return answered{resp.StatusCode, string(body), err != nil}, resp
}

// Whatever an origin sends, the caller has what it would have without the cache, and what is stored is whole, or nothing.
func TestHostileOrigins(t *testing.T) {
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
					base.CloseIdleConnections() // what else is on a connection is net/http's matter
					if got != want {
						t.Errorf("%s: with the cache %.80v, without it %.80v", storeName, got, want)
					}
					for range 2 {
						again, resp := ask(t, tr, request(t, u))
						if resp == nil {
							t.Fatalf("%s: the next request failed", storeName)
						}
						hit := cachecontrol.FromCache(resp)
						if hit != test.stored {
							t.Errorf("%s: stored: %v, want %v; first %v, then %v", storeName, hit, test.stored, first, resp)
						}
						switch {
						case hit && (again != want || want.failed):
							t.Errorf("%s: a hit with %v, the first was %v", storeName, again, want)
						case !hit && again.body != "good":
							t.Errorf("%s: %v from the origin", storeName, again)
						}
						for name, lines := range resp.Header {
							if s := name + strings.Join(lines, ""); strings.ContainsAny(s, "\r\n\x00") {
								t.Errorf("%s: the field %q", storeName, s)
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

// repeat writes s until the client has enough, and 32 MiB at most.
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

// A 304 with a body, and another answer after it, brings the stored response up to date and nothing else.
func TestHostileValidation(t *testing.T) {
	u := rawServer(t, func(c net.Conn, n int, req *http.Request) bool {
		switch {
		case n == 1:
			io.WriteString(c, "HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\nETag: \"1\"\r\nContent-Length: 4\r\n\r\nbody")
		case req.Header.Get("If-None-Match") != "":
			io.WriteString(c, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 60\r\n\r\n"+
				"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil")
		}
		return true
	})
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	tr := &cachecontrol.Transport{Base: base}
	defer tr.Close()
	for i := range 5 {
		a := do(t, tr, u)
		if want := []cachecontrol.Outcome{miss, revalidated}[min(i, 1)]; a.body != "body" || a.outcome != want {
			t.Errorf("request %d: %v %q", i+1, a.outcome, a.body)
		}
		// Whether net/http notices what else is on a connection before it uses it again is not for the cache to say.
		base.CloseIdleConnections()
	}
}

// A body that drips can be given up at any byte; nothing of it is stored.
func TestHostileDrip(t *testing.T) {
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
			for { // what has come already may still be read
				if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("after %d bytes: %v", n, err)
					}
					break
				}
			}
			resp.Body.Close()
			if got := do(t, tr, u, "Cache-Control: only-if-cached"); got.StatusCode != 504 {
				t.Errorf("after %d bytes it is stored", n)
			}
		}
	}
}

// The same over HTTP/2: a stream that is reset is not the end of a body, and a length is held to.
func TestHostileHTTP2(t *testing.T) {
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
						t.Errorf("it is %s", r.Proto)
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
					t.Errorf("first %+v, then %+v, from the cache: %v", first, again, hit)
				}
			}
		})
	}
}
