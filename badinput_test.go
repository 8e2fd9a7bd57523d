package cachecontrol_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// What no caller and no origin should do, and they do: nothing of it may panic, fail a request that would have
// succeeded without a cache, or store nonsense.

func TestOddRequests(t *testing.T) {
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
			in(t, func(t *testing.T) {
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
					t.Error("nothing was logged")
				}
			})
		})
	}
}

// What http.Transport says of a request that it cannot send is what the caller gets.
func TestOddRequestsOverHTTP(t *testing.T) {
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
			t.Errorf("%v: %v", req, resp)
		}
	}
}

// A caller may write any name into the map of a header, and net/http sends it as it is: the field is the same.
func TestNamesNotCanonical(t *testing.T) {
	for _, test := range []struct {
		name          string
		shared        bool
		reply         reply
		first, second http.Header
		want          cachecontrol.Outcome // of the second request
		status        int
	}{
		{"authorization", true, ok(), http.Header{"authorization": {"alice"}}, nil, miss, 200},
		{"vary", false, ok("Vary: X-User"), http.Header{"x-user": {"alice"}}, http.Header{"x-user": {"bob"}}, miss, 200},
		{"vary, the same", false, ok("Vary: x-user"), http.Header{"X-USER": {"alice"}}, http.Header{"x-user": {"alice"}}, hit, 200},
		{"vary, in two places", false, ok("Vary: X-User"), http.Header{"X-User": {"a"}, "x-user": {"b"}}, http.Header{"X-User": {"a", "b"}}, hit, 200},
		{"no-store", false, ok(), http.Header{"cache-control": {"no-store"}}, nil, miss, 200},
		{"no-cache", false, ok(), nil, http.Header{"CACHE-CONTROL": {"no-cache"}}, miss, 200},
		{"pragma", false, ok(), nil, http.Header{"PRAGMA": {"no-cache"}}, miss, 200},
		{"range", false, ok(), nil, http.Header{"range": {"bytes=0-0"}}, hit, 206},
		{"if-none-match", false, ok(), nil, http.Header{"if-none-match": {`"1"`}}, hit, 304},
		{"if-match", false, ok(), nil, http.Header{"if-match": {`"2"`}}, bypass, 200},
		{"if-match, the same", false, ok(), nil, http.Header{"if-match": {`"1"`}}, hit, 200},
		{"accept-encoding", false, ok("Vary: Accept-Encoding"), http.Header{"accept-encoding": {"br"}}, http.Header{"accept-encoding": {"gzip"}}, miss, 200},
		{"upgrade", false, ok(), nil, http.Header{"upgrade": {"websocket"}}, bypass, 200},
		{"upgrade, to HTTP/2", false, ok(), nil, http.Header{"upgrade": {"h2c"}}, hit, 200},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Collapse %v", test.name, collapse), func(t *testing.T) {
				in(t, func(t *testing.T) {
					test.reply.fields = append([]string{"Cache-Control: max-age=60", `ETag: "1"`}, test.reply.fields...)
					o := replies(t, test.reply)
					tr := &cachecontrol.Transport{Base: o, Shared: test.shared, Collapse: collapse}
					defer tr.Close()
					for i, h := range []http.Header{test.first, test.second} {
						req := request(t, "/")
						for name, lines := range h {
							req.Header[name] = lines
						}
						a := send(t, tr, req)
						if i == 1 && (a.outcome != test.want || a.StatusCode != test.status) {
							t.Errorf("%d %v, want %d %v", a.StatusCode, a.outcome, test.status, test.want)
						}
						if a.outcome != hit {
							for name, lines := range h {
								if got := o.last().Header[name]; !slices.Equal(got, lines) {
									t.Errorf("the origin got %q of %s, want %q", got, name, lines)
								}
							}
						}
					}
				})
			})
		}
	}
}

// The condition of a caller is not sent again in the background, however he spells it.
func TestNamesNotCanonicalInTheBackground(t *testing.T) {
	in(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=1, stale-while-revalidate=60", `ETag: "1"`))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(2 * time.Second)
		req := request(t, "/")
		for name, value := range map[string]string{"if-none-match": `"2"`, "range": "bytes=0-0", "x-api": "1"} {
			req.Header[name] = []string{value}
		}
		if a := send(t, tr, req); a.outcome != stale {
			t.Errorf("%v, want %v", a.outcome, stale)
		}
		synctest.Wait()
		want := http.Header{"Accept-Encoding": {"gzip, deflate"}, "If-None-Match": {`"1"`}}
		want[strings.ToLower("X-Api")] = []string{"1"}
		if diff := cmp.Diff(want, o.last().Header); diff != "" || o.requests() != 2 {
			t.Errorf("%d requests; the last (-want +got):\n%s", o.requests(), diff)
		}
	})
}

func TestOddResponses(t *testing.T) {
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
			in(t, func(t *testing.T) {
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

func TestBrokenDates(t *testing.T) {
	for _, d := range []string{
		"garbage", "0", "-1", "Thu, 99 Foo 2000 25:61:61 GMT", "Mon, 01 Jan 0000 00:00:00 GMT", "Sun, 31 Dec 9999 23:59:59 GMT",
		"Sat, 01 Jan 99999 00:00:00 GMT", strings.Repeat("9", 10000), "\x00\xff", `"Sat, 01 Jan 2000 00:00:00 GMT"`,
	} {
		runScenarios(t, []scenario{
			{
				name:   "Expires",
				origin: []reply{ok("Cache-Control: public", "Expires: "+d)},
				steps:  []step{{want: miss, body: "#1"}, {want: wantFar(d), status: 200}},
			}, {
				name:   "Date beside max-age",
				origin: []reply{ok("Date: "+d, "Cache-Control: max-age=60")},
				steps:  []step{{want: miss}, {want: wantFresh(d), status: 200}, {wait: time.Hour, want: miss}},
			}, {
				name:   "Last-Modified",
				origin: []reply{ok("Last-Modified: "+d, "Cache-Control: max-age=60"), ok()},
				steps:  []step{{want: miss}, {want: hit}, {wait: time.Hour, want: miss, body: "#2"}},
			},
		})
	}
}

// wantFar is hit for the only one of TestBrokenDates that is a date in the future.
func wantFar(d string) cachecontrol.Outcome {
	if strings.Contains(d, "9999 23") {
		return hit
	}
	return miss
}

// wantFresh is miss for the only one of TestBrokenDates that is a date in the past.
func wantFresh(d string) cachecontrol.Outcome {
	if strings.Contains(d, "0000 00") {
		return miss
	}
	return hit
}

func TestContradictoryDirectives(t *testing.T) {
	for cc, want := range map[string]cachecontrol.Outcome{
		"max-age=60, max-age=60":             hit,
		"max-age=60, max-age=0":              miss,
		"max-age=0, max-age=60":              miss,
		"max-age=60, no-store":               miss,
		"no-store, public, max-age=60":       miss,
		"max-age=60, no-cache":               miss,
		"public, private, max-age=60":        hit,
		"max-age=-1":                         miss,
		"max-age=1e9":                        miss,
		"max-age":                            miss,
		"max-age=":                           miss,
		"max-age=99999999999999999999999999": hit,
		`max-age="60"`:                       hit,
		"MAX-AGE=60":                         hit,
		",,, max-age=60 ,,,":                 hit,
		"max-age=60, =, \"":                  hit,
		`no-cache="`:                         miss,
		`x="no-store", max-age=60`:           hit,
		`x="a, no-store`:                     miss,
		"max-age=60;no-store":                miss,
		strings.Repeat("x, ", 1000):          miss,
	} {
		runScenarios(t, []scenario{{
			name:   cc[:min(len(cc), 40)],
			origin: []reply{ok("Cache-Control: " + cc)},
			steps:  []step{{want: miss}, {want: want}},
		}, {
			name:   "on two lines: " + cc[:min(len(cc), 40)],
			origin: []reply{ok("Cache-Control: x", "Cache-Control: "+cc)},
			steps:  []step{{want: miss}, {want: want}},
		}})
	}
}

func TestLyingContentLength(t *testing.T) {
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
			in(t, func(t *testing.T) {
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
					t.Errorf("it was stored: %v", resp.Header)
				}
			})
		})
	}
}

// server answers every request on a real connection with the bytes it is given, and closes the connection.
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
		"Content-Length too short": {head + "Content-Length: 3\r\n\r\n01234", "012", true}, // what follows belongs to no message
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
					t.Errorf("%s: afterwards: %v", name, outcome)
				}
				if got, _ := io.ReadAll(resp.Body); string(got) != test.body {
					t.Errorf("%s: afterwards: %q", name, got)
				}
				resp.Body.Close()
			}
		})
	}
}

// A loop of stored redirects is the client's to end, as it would one over the network.
func TestRedirectLoopInTheCache(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(301, "", "Location: "+map[string]string{"/a": "/b", "/b": "/a"}[req.URL.Path])
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for range 2 {
			resp, err := tr.Client().Get("http://example.com/a")
			if err == nil || !strings.Contains(err.Error(), "10 redirects") {
				t.Errorf("%v, %v", resp, err)
			}
		}
		if n := o.requests(); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// eachFile calls f for every file of a cache directory that is no lock.
func eachFile(t testing.TB, dir string, f func(path string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".lock") {
			n++
			f(path)
		}
		return err
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files, %v", n, err)
	}
}

func TestDamagedDirectory(t *testing.T) {
	makers := map[string]func(dir string) (storage.Store, error){
		"FileCache":             func(dir string) (storage.Store, error) { return storage.NewFileCache(dir) },
		"SeparateBodyFileCache": func(dir string) (storage.Store, error) { return storage.NewSeparateBodyFileCache(dir) },
	}
	rewrite := func(change func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			eachFile(t, dir, func(path string) {
				b, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, change(b), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	damages := map[string]func(t *testing.T, dir string){
		"empty":             rewrite(func([]byte) []byte { return nil }),
		"one byte":          rewrite(func(b []byte) []byte { return b[:1] }),
		"cut in the middle": rewrite(func(b []byte) []byte { return b[:len(b)/2] }),
		"without its end":   rewrite(func(b []byte) []byte { return b[:len(b)-1] }),
		"longer":            rewrite(func(b []byte) []byte { return append(b, 'x') }),
		"another version": rewrite(func(b []byte) []byte {
			return append([]byte("cc=3,"), b[min(len(b), 5):]...)
		}),
		"nonsense": rewrite(func(b []byte) []byte { return bytes.Repeat([]byte{0xc1}, len(b)) }),
		"a flipped bit in the body": rewrite(func(b []byte) []byte {
			i := bytes.Index(b, []byte("bodybody"))
			if i >= 0 {
				b[i+3] ^= 1
			}
			return b
		}),
		"directories in the place of files": func(t *testing.T, dir string) {
			eachFile(t, dir, func(path string) {
				if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
					t.Fatal(err)
				}
			})
		},
		"a file in the place of a directory": func(t *testing.T, dir string) {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				path := filepath.Join(dir, e.Name())
				if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"gone": func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		},
		"a file in its own place": func(t *testing.T, dir string) {
			if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	}
	for store, newStore := range makers {
		for name, damage := range damages {
			for _, size := range []int{8, 200 << 10} {
				t.Run(fmt.Sprintf("%s, %s, %d bytes", store, name, size), func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "cache")
					body := strings.Repeat("body", size/4)
					s, err := newStore(dir)
					if err != nil {
						t.Fatal(err)
					}
					o := replies(t, reply{body: body, fields: []string{"Cache-Control: max-age=3600", `ETag: "a"`}})
					fill := &cachecontrol.Transport{Base: o, Store: s}
					do(t, fill, "/")
					if a := do(t, fill, "/"); a.outcome != hit || a.body != body {
						t.Fatalf("before the damage: %v", a.outcome)
					}
					fill.Close()
					damage(t, dir)
					s, err = newStore(dir)
					if err != nil {
						return // said at the start, where it can be helped
					}
					tr := &cachecontrol.Transport{Base: o, Store: s}
					defer tr.Close()
					resp := open(t, tr, request(t, "/"))
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					var unreadable *storage.UnreadableError
					if string(got) != body && !(errors.As(err, &unreadable) && size > 64<<10) {
						t.Errorf("%v: %d bytes, %v", cachecontrol.StatusOf(resp).Outcome, len(got), err)
					}
					// The next good response takes its place, where it can.
					for range 2 {
						if a := do(t, tr, "/"); a.body != body {
							t.Errorf("%v: %d bytes", a.outcome, len(a.body))
						}
					}
				})
			}
		}
	}
}

func TestUnwritableDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may write everywhere; a directory that went away and cannot come back does the same.
		t.Log("as root: permissions do not hold")
	}
	dir := filepath.Join(t.TempDir(), "cache")
	for name, newStore := range map[string]func(string, ...storage.Option) (storage.Store, error){
		"FileCache": func(d string, o ...storage.Option) (storage.Store, error) { return storage.NewFileCache(d, o...) },
		"SeparateBodyFileCache": func(d string, o ...storage.Option) (storage.Store, error) {
			return storage.NewSeparateBodyFileCache(d, o...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s, err := newStore(dir)
			if err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() == 0 {
				err = errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
			} else {
				err = os.Chmod(dir, 0o500)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			defer os.Chmod(dir, 0o700)
			var log bytes.Buffer
			o := versions(t, "Cache-Control: max-age=60")
			tr := &cachecontrol.Transport{Base: o, Store: s, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			defer tr.Close()
			for range 2 {
				if a := do(t, tr, "/"); a.outcome != miss || a.body != "version 1" {
					t.Errorf("%v %q", a.outcome, a.body)
				}
			}
			do(t, tr, "PUT /")
			if a := do(t, tr, "/"); a.body != "version 2" {
				t.Errorf("%q", a.body)
			}
			if !strings.Contains(log.String(), "store failed") {
				t.Errorf("the log does not tell: %q", log.String())
			}
		})
	}
}

// TestBodyThatDidNotCome: a response that announces a body and has none is not stored as an empty one.
func TestBodyThatDidNotCome(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = nil, 10
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for i := range 2 {
			if _, err := tr.RoundTrip(request(t, "/")); err == nil || o.requests() != i+1 { // as http.Client
				t.Errorf("%d: error %v after %d requests, want an error for each", i+1, err, o.requests())
			}
		}
	})
}
