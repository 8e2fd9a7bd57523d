package cachetest_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// describe is all that a caller can see of a response, but for its date and age.
func describe(resp *http.Response, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	defer resp.Body.Close()
	var b strings.Builder
	fmt.Fprintln(&b, "before the body:", resp.Trailer)
	body, err := io.ReadAll(resp.Body)
	resp.Header.Del("Date")
	resp.Header.Del("Age")
	fmt.Fprintf(&b, "%s %d.%d %s, length %d, coding %v, uncompressed %v, error %v\n", resp.Proto, resp.ProtoMajor, resp.ProtoMinor,
		resp.Status, resp.ContentLength, resp.TransferEncoding, resp.Uncompressed, err)
	for _, h := range []http.Header{resp.Header, resp.Trailer} {
		for _, name := range slices.Sorted(maps.Keys(h)) {
			fmt.Fprintf(&b, "%s: %q\n", name, h[name])
		}
	}
	fmt.Fprintf(&b, "%q\n", body)
	return b.String()
}

// TestTrailerThatDoesNotCome: a response that announces a trailer and has none is recorded without it.
func TestTrailerThatDoesNotCome(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		io.WriteString(w, "a")
	}))
	defer server.Close()
	dir := recordings(t)
	twice(t, dir, server.Client().Transport, func(client *http.Client) string {
		resp, err := client.Get(server.URL)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprintf("%s %v %q", body, err, resp.Trailer.Get("Sum"))
	})
}

// TestBaseByHand: a Base may give what http.Client allows, and what it does not allow fails the test.
func TestBaseByHand(t *testing.T) {
	bare := roundTripper(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })
	files := twice(t, recordings(t), bare, func(client *http.Client) string {
		resp, err := client.Get("https://a.example/")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprintf("%d %q %v", resp.StatusCode, body, err)
	})
	if got := one(t, files); !strings.Contains(got, "HTTP/1.1 200 OK\n") {
		t.Error(got)
	}
	nothing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })
	why := fails(t, "TestX", func(tb testing.TB) {
		if resp, err := cachetest.Client(tb, recordings(t), cachetest.Base(nothing), cachetest.Record()).Get("https://a.example/"); err == nil {
			resp.Body.Close()
		}
	})
	if !strings.Contains(why, "neither a response nor an error") {
		t.Error(why)
	}
}

// TestAsNetHTTP has a server of net/http answer in all its ways, and the replayed answers be the same to the caller.
func TestAsNetHTTP(t *testing.T) {
	latin1 := "caf\xe9 au lait, " + strings.Repeat("encore ", 20)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	write := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			io.WriteString(w, body)
		}
	}
	zipped := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			io.WriteString(w, `{"plain":true}`)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		zw := gzip.NewWriter(w)
		io.WriteString(zw, `{"plain":false}`)
		zw.Close()
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		request func(req *http.Request)
		want    []string // what the fixture must show
	}{
		{"text", write("text/plain", "hello\n"), nil, []string{"=== body text\nhello\n\n=== end"}},
		{"no line end", write("text/plain", "hello"), nil, []string{"=== body text\nhello\n=== end"}},
		{"json", write("application/json", `{"a":[1,2.50,{}],"b":"\u00e9<"}`), nil, []string{"=== body json\n{\n  \"a\": [\n    1,\n    2.50,\n    {}\n  ],\n"}},
		{"json with line end", write("application/json", `{"a":1}`+"\n"), nil, []string{"=== body json\n{\n  \"a\": 1\n}\n\n=== end"}},
		{"json as Python writes it", write("application/json", `{"a": [1, 2], "b: c, \"": null}`), nil, []string{"=== body json spaced\n{\n  \"a\": [\n"}},
		{"json of its own style", write("application/json", "{ \"a\" : 1 }"), nil, []string{"=== body text\n{ \"a\" : 1 }\n"}},
		{"CRLF", write("text/plain", "a\r\nb\r\n"), nil, []string{"=== body text crlf\na\nb\n\n=== end"}},
		{"lone CR", write("text/plain", "a\rb\n"), nil, []string{"=== body quoted\n\"a\\rb\\n\"\n"}},
		{"section in the body", write("text/plain", "a\n=== end\nb"), nil, []string{`"=== end\n"`}},
		{"conflict in the body", write("text/plain", "<<<<<<< HEAD\n"), nil, []string{"quoted"}},
		{"bidirectional override", write("text/plain", "a\u202eb"), nil, []string{`"a\u202eb"`}},
		{"byte order mark", write("text/plain", "\ufeffa"), nil, []string{`"\ufeffa"`}},
		{"family", write("text/plain", "\U0001F468\u200d\U0001F469\u200d\U0001F467"), nil, []string{"=== body text\n\U0001F468\u200d"}},
		{"latin-1", write("text/plain; charset=iso-8859-1", latin1), nil, []string{`=== body quoted`, `"caf\xe9 au lait, encore`}},
		{"every byte", write("application/octet-stream", string(all)), nil, []string{"=== body base64\nAAECAwQF"}},
		{"only line ends", write("text/plain", "\n\n"), nil, []string{"=== body text\n\n\n\n=== end"}},
		{"empty", write("text/plain", ""), nil, nil},
		{"no content", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, nil, nil},
		{"not modified", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			w.WriteHeader(304)
		}, func(r *http.Request) { r.Header.Set("If-None-Match", `"1"`) }, []string{"If-None-Match: \"1\"\n", "HTTP/1.1 304 Not Modified\n"}},
		{"server error", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "oh", http.StatusServiceUnavailable) }, nil, []string{"HTTP/1.1 503 Service Unavailable"}},
		{"unknown status", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(299) }, nil, nil},
		{"head", write("text/plain", "hello"), func(r *http.Request) { r.Method = "HEAD" }, []string{"Content-Length: 5"}},
		{"chunked", func(w http.ResponseWriter, r *http.Request) {
			for _, s := range []string{"a", "b", "c"} {
				io.WriteString(w, s)
				w.(http.Flusher).Flush()
			}
		}, nil, []string{"Transfer-Encoding: chunked\n", "=== body text\nabc\n"}},
		{"events", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: {\"n\":%d}\n\n", i)
				w.(http.Flusher).Flush()
			}
		}, nil, []string{"data: {\"n\":0}\n\ndata: {\"n\":1}\n\n"}},
		{"trailer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Sum")
			io.WriteString(w, "a")
			w.Header().Set("Sum", "97")
		}, nil, []string{"=== trailer\nSum: 97\n=== end"}},
		{"gzip that net/http asked for", zipped, nil, []string{"Content-Encoding: gzip", "=== body json gzip\n{\n  \"plain\": false\n}\n"}},
		{"gzip that the caller asked for", zipped, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }, []string{"=== body json gzip\n{\n"}},
		{"no gzip", zipped, func(r *http.Request) { r.Header.Set("Accept-Encoding", "identity") }, []string{"=== body json\n{\n"}},
		{"not really gzip", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "no gzip")
		}, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }, []string{"=== body text\nno gzip\n"}},
		{"several lines of a field", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Link"] = []string{"</b>", "</a>"}
			w.Header().Set("Odd", "caf\xe9")
		}, nil, []string{"Link: </b>\nLink: </a>\nOdd:= \"caf\\xe9\"\n"}},
		{"range", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("0123456789"))
		}, func(r *http.Request) { r.Header.Set("Range", "bytes=2-4") }, []string{"Range: bytes=2-4\n", "206 Partial Content", "text\n234\n"}},
		{"post", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }, func(r *http.Request) {
			r.Method, r.Body = "POST", io.NopCloser(strings.NewReader(`{"query":"{ me }"}`))
			r.ContentLength = -1
		}, []string{"=== body json\n{\n  \"query\": \"{ me }\"\n}\n=== response"}},
		{"cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "short")
		}, nil, []string{"=== body text\nshort\n=== error unexpected EOF\nunexpected EOF\n=== end"}},
	}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for _, tt := range tests {
			t.Run(proto+" "+tt.name, func(t *testing.T) {
				if proto == "HTTP/2.0" && tt.name == "cut off" {
					t.Skip("HTTP/2 says it in words that name the stream")
				}
				dir := recordings(t)
				server := httptest.NewUnstartedServer(tt.handler)
				server.EnableHTTP2 = proto == "HTTP/2.0"
				server.StartTLS()
				defer server.Close()
				test := func(client *http.Client) string {
					req, err := http.NewRequest("GET", server.URL+"/a", nil)
					if err != nil {
						return err.Error()
					}
					if tt.request != nil {
						tt.request(req)
					}
					return describe(client.Do(req))
				}
				opts := []cachetest.Option{cachetest.Replace(server.URL, "https://api.example.com"), cachetest.RecordErrors(), cachetest.OmitHeader("Date")}
				direct := test(server.Client())
				first := twice(t, dir, server.Client().Transport, func(client *http.Client) string {
					got := test(client)
					if got != direct {
						t.Errorf("with cachetest:\n%s\nwant, as without it:\n%s", got, direct)
					}
					return got
				}, opts...)
				text := one(t, first)
				for _, want := range append(tt.want, proto) {
					if proto == "HTTP/2.0" {
						want = strings.NewReplacer("HTTP/1.1 503 Service Unavailable", "HTTP/2.0 503 Service Unavailable", "HTTP/1.1 304", "HTTP/2.0 304",
							"Transfer-Encoding: chunked\n", "", "=== body text\nabc", "=== body text stream\nabc").Replace(want)
					}
					if !strings.Contains(text, want) {
						t.Errorf("the recording has no %q:\n%s", want, text)
					}
				}
				if again := twice(t, t.TempDir(), server.Client().Transport, func(client *http.Client) string { test(client); return "" }, opts...); !maps.Equal(first, again) {
					t.Errorf("recorded again:\n%v\nwant\n%v", again, first)
				}
			})
		}
	}
}

// TestHTTP10 is for bodies that end with the connection.
func TestHTTP10(t *testing.T) {
	dir := recordings(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.0 200 Fine\r\nContent-Type: text/plain\r\n\r\nuntil the end")
	}()
	tr := &http.Transport{DisableKeepAlives: true}
	text := one(t, twice(t, dir, tr, func(client *http.Client) string {
		return describe(client.Get("http://" + ln.Addr().String() + "/"))
	}, cachetest.Replace(ln.Addr().String(), "old.example")))
	want := "GET http://old.example/\n=== response\nHTTP/1.0 200 Fine\nContent-Type: text/plain\n=== body text stream\nuntil the end\n=== end\n"
	if text != want {
		t.Errorf("the recording is\n%s\nwant\n%s", text, want)
	}
}

// TestCallerErrors: what is wrong with a request is the caller's error; its body is closed all the same.
func TestCallerErrors(t *testing.T) {
	dir := recordings(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken")
	u, _ := url.Parse("https://a.example/")
	for name, req := range map[string]*http.Request{
		"cancelled": (&http.Request{Method: "POST", URL: u}).WithContext(cancelled),
		"no URL":    {Method: "POST"},
		"body":      {Method: "POST", URL: u},
	} {
		body := &closing{Reader: iotest.ErrReader(broken)}
		req.Body = body
		f := passes(t, "TestX", func(tb testing.TB) {
			resp, err := cachetest.Transport(tb, dir).RoundTrip(req)
			if resp != nil || err == nil || name == "cancelled" && err != context.Canceled || name == "body" && err != broken {
				t.Errorf("%s: RoundTrip = %v, %v, want an error", name, resp, err)
			}
		})
		if !body.closed || f.Failed() {
			t.Errorf("%s: body closed: %v, want true; the log is %s", name, body.closed, f.output())
		}
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

// TestNotChanged: neither the request nor what was recorded is changed by what callers do.
func TestNotChanged(t *testing.T) {
	dir := recordings(t)
	passes(t, "TestX", func(tb testing.TB) {
		send(cachetest.Client(tb, dir, cachetest.Base(answer(200, "abc", "A: 1")), cachetest.Record()), "POST", "https://u:p@a.example/?password=x", "password")
	})
	passes(t, "TestX", func(tb testing.TB) {
		rt := cachetest.Transport(tb, dir)
		for range 2 {
			req, _ := http.NewRequest("POST", "https://u:p@a.example/?password=x", strings.NewReader("password"))
			req.Header.Set("Authorization", "a")
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if req.URL.String() != "https://u:p@a.example/?password=x" || len(req.Header) != 1 || req.Header.Get("Authorization") != "a" || resp.Request != req {
				t.Errorf("after the call the request is %v, want it unchanged", req)
			}
			if resp.Header.Get("A") != "1" {
				t.Errorf("header = %v, want A: 1", resp.Header)
			}
			resp.Header["A"][0] = "2"
			body, _ := io.ReadAll(resp.Body)
			if string(body) != "abc" {
				t.Errorf("body = %q, want %q", body, "abc")
			}
			body[0] = 'x'
		}
	})
}

func TestRedirects(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/a", http.RedirectHandler("/b", http.StatusFound))
	mux.HandleFunc("/b", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "b") })
	server := httptest.NewServer(mux)
	defer server.Close()
	m := twice(t, recordings(t), server.Client().Transport, func(client *http.Client) string {
		resp, err := client.Get(server.URL + "/a")
		if err == nil && resp.Request.URL.Path != "/b" {
			t.Errorf("the redirects end at %s, want /b", resp.Request.URL)
		}
		return describe(resp, err)
	}, cachetest.Replace(server.URL, "https://a.example"), cachetest.OmitHeader("Date"))
	if len(m) != 2 {
		t.Errorf("files = %v, want 2", m)
	}
}

// TestConcurrent: recordings of requests that are made at once are the same each time, wherever they are recorded.
func TestConcurrent(t *testing.T) {
	dir := recordings(t)
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(req.Body)
		return respond(req, 200, string(body)+req.URL.Path), nil
	})
	test := func(client *http.Client) string {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				want := fmt.Sprintf(`{"n":%d}/graphql`, i%25)
				if got := send(client, "POST", "https://a.example/graphql", fmt.Sprintf(`{"n":%d}`, i%25)); got != want {
					t.Errorf("replayed %q, want %q", got, want)
				}
			})
		}
		wg.Wait()
		return ""
	}
	first := twice(t, dir, origin, test)
	if second := twice(t, t.TempDir(), origin, test); !maps.Equal(first, second) || len(first) != 25 {
		t.Errorf("recorded %d files, then %d others, want the same 25", len(first), len(second))
	}
	if third := twice(t, dir, origin, test); !maps.Equal(first, third) {
		t.Error("recorded over the old ones they are others")
	}
}

// TestParallel uses recordings as tests do: each subtest its own, and all of them those of their parent.
func TestParallel(t *testing.T) {
	dir := recordings(t)
	var asked atomic.Int32
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		asked.Add(1)
		return respond(req, 200, "for "+req.URL.Path), nil
	})
	for round := range 2 {
		opts := []cachetest.Option{cachetest.Base(origin)}
		if round == 0 {
			opts = append(opts, cachetest.Record())
		} else if err := os.Rename(filepath.Join(dir, "TestParallel", "group"), filepath.Join(dir, "TestParallel", "group#01")); err != nil {
			t.Fatal(err)
		}
		t.Run("group", func(t *testing.T) {
			shared := cachetest.Client(t, dir, opts...)
			for i := range 20 {
				t.Run(fmt.Sprint("sub ", i), func(t *testing.T) {
					t.Parallel()
					own := cachetest.Client(t, dir, opts...)
					for _, client := range []*http.Client{shared, own, shared} {
						if got, want := get(client, fmt.Sprintf("https://a.example/%d", i)), fmt.Sprintf("for /%d", i); got != want {
							t.Errorf("replayed %q, want %q", got, want)
						}
					}
				})
			}
		})
	}
	if n := asked.Load(); n != 60 {
		t.Errorf("the origin was asked %d times, want 60, while it recorded", n)
	}
	if m := files(t, dir); len(m) != 40 || m["TestParallel/group#01/sub_3/GET_a.example_3.http"] == "" || m["TestParallel/group#01/GET_a.example_3.http"] == "" {
		t.Errorf("files = %v, want 40, one for each test and request", slices.Sorted(maps.Keys(m)))
	}
}

// TestAfterTheEnd: a goroutine that outlives its test gets an error, and does not bring the others down.
func TestAfterTheEnd(t *testing.T) {
	dir := recordings(t)
	var left *http.Client
	f := passes(t, "TestX", func(tb testing.TB) { left = cachetest.Client(tb, dir) })
	if got := get(left, "https://a.example/"); !strings.Contains(got, "no recording of GET https://a.example/") || f.Failed() {
		t.Errorf("after the test: got %q, want an error that names the request; the log is\n%s", got, f.output())
	}
}

// TestBelowCache has the cache above what is recorded: it negotiates, validates and decodes as with a server.
func TestBelowCache(t *testing.T) {
	dir := recordings(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Mon, 06 Jul 2026 10:00:00 GMT") // otherwise the recording has another 304 if a second passes
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Encoding", "gzip")
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		zw := gzip.NewWriter(w)
		io.WriteString(zw, "compressed")
		zw.Close()
	}))
	defer server.Close()
	m := twice(t, dir, nil, func(client *http.Client) (got string) {
		cache := &cachecontrol.Transport{Base: client.Transport}
		defer cache.Close()
		for range 3 {
			resp, err := cache.Client().Get(server.URL)
			if err != nil {
				return err.Error()
			}
			got += fmt.Sprintln(cachecontrol.StatusOf(resp).Outcome, describe(resp, nil))
		}
		return got
	}, cachetest.Replace(server.URL, "https://a.example"))
	if len(m) != 2 {
		t.Errorf("files = %v, want 2", m)
	}
	server.Client().CloseIdleConnections()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// BenchmarkReplay is a request that is replayed, its body read, out of a hundred recordings.
func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	b.Setenv("CI", "")
	body := `{"items":[` + strings.Repeat(`{"id":1,"name":"thing"},`, 40) + `{}]}`
	f := &fakeTB{TB: b, name: b.Name()}
	client := cachetest.Client(f, dir, cachetest.Base(answer(200, body, "Content-Type: application/json")), cachetest.Record())
	for i := range 100 {
		get(client, fmt.Sprintf("https://a.example/%d", i))
	}
	for _, clean := range f.cleanups {
		clean()
	}
	for _, kind := range []string{"GET", "POST"} {
		b.Run(kind, func(b *testing.B) {
			tb := &fakeTB{TB: b, name: f.name}
			client := cachetest.Client(tb, dir, cachetest.Base(answer(200, body)), cachetest.RecordMissing())
			payload := ""
			if kind == "POST" {
				payload = `{"query":"query { viewer { login } }","variables":{"first":10}}`
			}
			send(client, kind, "https://a.example/50", payload)
			for _, clean := range tb.cleanups {
				clean()
			}
			client = cachetest.Client(f, dir)
			b.ReportAllocs()
			for b.Loop() {
				if got := send(client, kind, "https://a.example/50", payload); got != body {
					b.Fatal(got)
				}
			}
		})
	}
}
