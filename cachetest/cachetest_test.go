package cachetest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
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
						t.Errorf("with cachetest:\n%s\nwithout:\n%s", got, direct)
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
					t.Errorf("recorded twice:\n%v\n%v", first, again)
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
		t.Errorf("%s\nwant\n%s", text, want)
	}
}

func TestFixture(t *testing.T) {
	dir := recordings(t)
	origin := answer(201, `{"id":1,"name":"a"}`, "Content-Type: application/json", "Content-Length: 19", "Set-Cookie: session=s3cret; Path=/; HttpOnly", "Location: /things/1")
	got := twice(t, dir, origin, func(client *http.Client) string {
		return send(client, "POST", "https://api.example.com/things?page=2", `{"name":"a"}`,
			"Content-Type: application/json", "Authorization: Bearer s3cret", "User-Agent: x", "Accept: application/json")
	}, cachetest.MatchHeader("authorization"))
	want := `POST https://api.example.com/things?page=2
Accept: application/json
Authorization: Bearer REDACTED
Content-Type: application/json
=== body json
{
  "name": "a"
}
=== response
HTTP/1.1 201 Created
Content-Type: application/json
Location: /things/1
Set-Cookie: session=REDACTED; Path=/; HttpOnly
=== body json
{
  "id": 1,
  "name": "a"
}
=== end
`
	if one(t, got) != want {
		t.Errorf("%s\nwant\n%s", one(t, got), want)
	}
	for name := range got {
		if !regexp.MustCompile(`^TestX/POST_api\.example\.com_things_page_2@[0-9a-f]{8}\.http$`).MatchString(name) {
			t.Errorf("its name is %s", name)
		}
	}
}

func zipped(s string, level int) string {
	var b strings.Builder
	zw, _ := gzip.NewWriterLevel(&b, level)
	io.WriteString(zw, s)
	zw.Close()
	return b.String()
}

func TestMatching(t *testing.T) {
	form := "Content-Type: application/x-www-form-urlencoded"
	tests := []struct {
		name           string
		method, url    string
		body           string
		fields         []string
		otherURL       string // "": the same
		otherBody      string // "": the same
		otherFields    []string
		opts           []cachetest.Option
		match          bool
		wantDifference string
	}{
		{name: "the same", method: "GET", url: "https://a.example/x", match: true},
		{name: "case of the host", method: "GET", url: "https://a.example/x", otherURL: "HTTPS://A.Example:443/x", match: true},
		{name: "empty path", method: "GET", url: "https://a.example", otherURL: "https://a.example/#f", match: true},
		{name: "order of parameters", method: "GET", url: "https://a.example/?b=1&a=2&b=0", otherURL: "https://a.example/?a=2&b=1&b=0", match: true},
		{name: "order of one parameter", method: "GET", url: "https://a.example/?b=1&b=0", otherURL: "https://a.example/?b=0&b=1",
			wantDifference: `query parameter b: "0", "1", recorded: "1", "0"`},
		{name: "parameter", method: "GET", url: "https://a.example/?page=1", otherURL: "https://a.example/?page=2&x=", wantDifference: "query parameter page: \"2\", recorded: \"1\"\n\tquery parameter x: \"\", recorded: none"},
		{name: "parameter without a value", method: "GET", url: "https://a.example/?a", otherURL: "https://a.example/?a=", wantDifference: `query parameters: "a=", recorded: "a"`},
		{name: "path", method: "GET", url: "https://a.example/x", otherURL: "https://a.example/X", wantDifference: "path: /X, recorded: /x"},
		{name: "host", method: "GET", url: "https://a.example/x", otherURL: "https://b.example/x", wantDifference: "host: b.example, recorded: a.example"},
		{name: "host that is the same to package strings", method: "GET", url: "https://k.example/x", otherURL: "https://\u212a.example/x", wantDifference: "host: \u212a.example, recorded: k.example"},
		{name: "scheme", method: "GET", url: "https://a.example/x", otherURL: "http://a.example/x", wantDifference: "scheme: http, recorded: https"},
		{name: "user", method: "GET", url: "https://u:one@a.example/x", otherURL: "https://u:two@a.example/x", match: true},
		{name: "user alone", method: "GET", url: "https://one@a.example/x", otherURL: "https://two@a.example/x", match: true},
		{name: "field that was not named", method: "GET", url: "https://a.example/", otherFields: []string{"Accept: a"}, match: true},
		{name: "field that was named", method: "GET", url: "https://a.example/", fields: []string{"Accept: b"}, otherFields: []string{"Accept: a"},
			opts: []cachetest.Option{cachetest.MatchHeader("accept")}, wantDifference: `header field Accept: "a", recorded: "b"`},
		{name: "credentials that are named", method: "GET", url: "https://a.example/", fields: []string{"Authorization: Bearer a"}, otherFields: []string{"Authorization: Bearer b"},
			opts: []cachetest.Option{cachetest.MatchHeader("Authorization")}, match: true},
		{name: "credentials that are missing", method: "GET", url: "https://a.example/", fields: []string{"Authorization: Bearer a"},
			opts: []cachetest.Option{cachetest.MatchHeader("Authorization")}, wantDifference: `header field Authorization: none, recorded: "Bearer REDACTED"`},
		{name: "range", method: "GET", url: "https://a.example/", fields: []string{"Range: bytes=0-1"}, otherFields: []string{"Range: bytes=2-3"},
			wantDifference: `header field Range: "bytes=2-3", recorded: "bytes=0-1"`},
		{name: "JSON written otherwise", method: "POST", url: "https://a.example/", body: `{"a":1,"b":[true]}`, otherBody: "{ \"b\": [true],\n\"a\": 1}\n", match: true},
		{name: "JSON that differs", method: "POST", url: "https://a.example/", body: `{"query":"q","variables":{"first":20,"ids":[1,2]}}`, otherBody: `{"query":"q","variables":{"first":10,"ids":[1]},"x":"y"}`,
			wantDifference: "body, variables.first: 10, recorded: 20\n\tbody, variables.ids: 1 elements, recorded: 2\n\tbody, x: \"y\", recorded: none"},
		{name: "big numbers", method: "POST", url: "https://a.example/", body: `{"a":9007199254740993}`, otherBody: `{"a":9007199254740992}`,
			wantDifference: "body, a: 9007199254740992, recorded: 9007199254740993"},
		{name: "form in another order", method: "POST", url: "https://a.example/", body: "a=1&b=2", otherBody: "b=2&a=1", fields: []string{form}, otherFields: []string{form}, match: true},
		{name: "form that differs", method: "POST", url: "https://a.example/", body: "a=1&b=2", otherBody: "b=2&a=3", fields: []string{form}, otherFields: []string{form},
			wantDifference: `form field a: "3", recorded: "1"`},
		{name: "text that differs", method: "PUT", url: "https://a.example/", body: "a\nb\nc", otherBody: "a\nB\nc", wantDifference: `body, line 2: "B", recorded: "b"`},
		{name: "text that is longer", method: "PUT", url: "https://a.example/", body: "a\nb", otherBody: "a\nb\nc", wantDifference: "body: 3 lines, recorded: 2"},
		{name: "JSON of other types", method: "PUT", url: "https://a.example/", body: `{"a":[1],"b":{"c":1}}`, otherBody: `{"a":{"x":1},"b":[1]}`,
			wantDifference: "body, a: {\"x\":1}, recorded: [1]\n\tbody, b: [1], recorded: {\"c\":1}"},
		{name: "JSON that differs everywhere", method: "PUT", url: "https://a.example/", body: `[1,2,3,4,5,6,7]`, otherBody: `[0,0,0,0,0,0,0]`,
			wantDifference: "body, [0]: 0, recorded: 1\n\tbody, [1]: 0, recorded: 2\n\tbody, [2]: 0, recorded: 3\n\tbody, [3]: 0, recorded: 4\n\tbody, [4]: 0, recorded: 5\n\tand 2 more"},
		{name: "other kinds of bodies", method: "PUT", url: "https://a.example/", body: `{"a":1}`, otherBody: strings.Repeat("x", 300),
			wantDifference: `body, line 1: "` + strings.Repeat("x", 200) + `...", recorded: "{\"a\":1}"`},
		{name: "compressed", method: "PUT", url: "https://a.example/", body: zipped("same", 1), otherBody: zipped("same", 9),
			fields: []string{"Content-Encoding: gzip"}, otherFields: []string{"Content-Encoding: gzip"}, match: true},
		{name: "host field", method: "GET", url: "https://a.example/", fields: []string{"Host: b.example"}, wantDifference: `header field Host: none, recorded: "b.example"`},
		{name: "body that is ignored", method: "PUT", url: "https://a.example/", body: "a", otherBody: "b", opts: []cachetest.Option{cachetest.IgnoreBody()}, match: true},
		{name: "redacted parameter", method: "GET", url: "https://a.example/?key=a", otherURL: "https://a.example/?key=b", opts: []cachetest.Option{cachetest.Redact("key")}, match: true},
		{name: "redacted member", method: "POST", url: "https://a.example/", body: `{"a":{"nonce":1}}`, otherBody: `{"a":{"nonce":2}}`, opts: []cachetest.Option{cachetest.Redact("Nonce")}, match: true},
		{name: "function", method: "GET", url: "https://a.example/1", otherURL: "https://a.example/2", match: true,
			opts: []cachetest.Option{cachetest.MatchFunc(func(req, recorded *http.Request) error { return nil })}},
		{name: "function that says no", method: "POST", url: "https://a.example/1", body: "one", otherBody: "two", wantDifference: "two is not one",
			opts: []cachetest.Option{cachetest.MatchFunc(func(req, recorded *http.Request) error {
				a, _ := io.ReadAll(req.Body)
				b, _ := io.ReadAll(recorded.Body)
				if string(a) == string(b) {
					return nil
				}
				return fmt.Errorf("%s is not %s", a, b)
			})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := recordings(t)
			passes(t, "TestX", func(tb testing.TB) {
				send(cachetest.Client(tb, dir, append(tt.opts, cachetest.Record(), cachetest.Base(answer(200, "yes")))...), tt.method, tt.url, tt.body, tt.fields...)
			})
			if tt.otherURL == "" {
				tt.otherURL = tt.url
			}
			if tt.otherBody == "" {
				tt.otherBody = tt.body
			}
			var got string
			f := runAs(t, "TestX", func(tb testing.TB) {
				got = send(cachetest.Client(tb, dir, append(tt.opts, cachetest.Base(down))...), tt.method, tt.otherURL, tt.otherBody, tt.otherFields...)
			})
			if matched := got == "yes" && !f.Failed(); matched != tt.match {
				t.Fatalf("matched: %v, want %v: %s\n%s", matched, tt.match, got, f.output())
			}
			if !strings.Contains(f.output(), "which differs:\n\n\t"+tt.wantDifference) && !tt.match {
				t.Errorf("the message is\n%s\nand has no\n%s", f.output(), tt.wantDifference)
			}
		})
	}
}

// The host that a request names instead of its URL's is compared as that is.
func TestMatchingHost(t *testing.T) {
	dir := recordings(t)
	ask := func(client *http.Client, host string) string {
		req, err := http.NewRequest("GET", "https://k.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			return err.Error()
		}
		resp.Body.Close()
		return ""
	}
	passes(t, "TestX", func(tb testing.TB) {
		ask(cachetest.Client(tb, dir, cachetest.Base(answer(200, "yes")), cachetest.Record()), "")
	})
	passes(t, "TestX", func(tb testing.TB) { ask(cachetest.Client(tb, dir, cachetest.Base(down)), "K.Example") })
	for _, other := range []string{"b.example", "\u212a.example"} { // the latter is the same to package strings
		got := fails(t, "TestX", func(tb testing.TB) { ask(cachetest.Client(tb, dir, cachetest.Base(down)), other) })
		if want := "header field Host: \"" + other + "\", recorded: none"; !strings.Contains(got, want) {
			t.Errorf("%s\nhas no %s", got, want)
		}
	}
}

func TestMissing(t *testing.T) {
	dir := filepath.Join(recordings(t), "http")
	t.Chdir(filepath.Dir(dir))
	ask := func(url string, opts ...cachetest.Option) func(tb testing.TB) {
		return func(tb testing.TB) {
			client := cachetest.Client(tb, "http", append(opts, cachetest.Base(down))...)
			for range 3 {
				if got := get(client, url); !strings.Contains(got, "no recording of GET "+url) {
					t.Errorf("the caller gets %q", got)
				}
			}
		}
	}
	want := `cachetest: no recording of

	GET https://api.example.com/users/2?page=1

Nothing is recorded in http/TestX/sub_test.
To record it:

	CACHECONTROL_RECORD=missing go test -run '^TestX$/^sub_test$' github.com/go-cachecontrol/cachecontrol/cachetest

CACHECONTROL_RECORD=1 records all requests of the test again.`
	if got := fails(t, "TestX/sub_test", ask("https://api.example.com/users/2?page=1")); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	passes(t, "TestX/sub_test", func(tb testing.TB) {
		client := cachetest.Client(tb, "http", cachetest.Base(answer(200, "a")), cachetest.Record())
		for _, url := range []string{"https://other.example/users/2?page=1", "https://api.example.com/users/1?page=1", "https://api.example.com/"} {
			get(client, url)
		}
	})
	want = `cachetest: no recording of

	GET https://api.example.com/users/2?page=1

The nearest of 3 in http/TestX/sub_test is

	GET https://api.example.com/users/1?page=1

in GET_api.example.com_users_1_page_1@[hash].http, which differs:

	path: /users/2, recorded: /users/1

To record it:

	CACHECONTROL_RECORD=missing go test -run '^TestX$/^sub_test$' github.com/go-cachecontrol/cachecontrol/cachetest

CACHECONTROL_RECORD=1 records all requests of the test again.`
	got := fails(t, "TestX/sub_test", ask("https://api.example.com/users/2?page=1"))
	if got = regexp.MustCompile(`@[0-9a-f]{8}\.`).ReplaceAllString(got, "@[hash]."); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestSequences(t *testing.T) {
	dir := recordings(t)
	n := 0
	counter := roundTripper(func(req *http.Request) (*http.Response, error) {
		n++
		return respond(req, 200, fmt.Sprint(n)), nil
	})
	ask := func(client *http.Client, n int) (got string) {
		for range n {
			got += " " + get(client, "https://a.example/x")
		}
		return got
	}
	m := twice(t, dir, counter, func(client *http.Client) string { return ask(client, 12) })
	if _, ok := m["TestX/GET_a.example_x.http"]; !ok || len(m) != 12 {
		t.Errorf("%v", slices.Sorted(maps.Keys(m)))
	}
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(down))
		if got := ask(client, 14); got != " 1 2 3 4 5 6 7 8 9 10 11 12 12 12" {
			t.Errorf("replayed:%s", got)
		}
	})
	if got := fails(t, "TestX", func(tb testing.TB) { ask(cachetest.Client(tb, dir, cachetest.Base(down), cachetest.Once()), 13) }); !strings.Contains(got, "made more often than it is recorded in") {
		t.Errorf("with Once: %s", got)
	}
	passes(t, "TestX", func(tb testing.TB) {
		a, b := cachetest.Client(tb, dir, cachetest.Base(down)), cachetest.Client(tb, dir, cachetest.Base(down))
		if got := ask(a, 2) + ask(b, 2); got != " 1 2 3 4" {
			t.Errorf("two clients of a test:%s", got)
		}
	})
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(counter), cachetest.Once(), cachetest.RecordMissing())
		if got := ask(client, 13); got != " 1 2 3 4 5 6 7 8 9 10 11 12 13" {
			t.Errorf("with one more recorded:%s", got)
		}
	})
	if m := files(t, dir); len(m) != 13 || !strings.Contains(m["TestX/GET_a.example_x@13.http"], "\n13\n") {
		t.Errorf("%v", m)
	}
}

func TestModes(t *testing.T) {
	dir := recordings(t)
	origin := func(body string) cachetest.Option { return cachetest.Base(answer(200, body)) }
	visit := func(opts []cachetest.Option, urls ...string) func(testing.TB) {
		return func(tb testing.TB) {
			client := cachetest.Client(tb, dir, opts...)
			for _, url := range urls {
				get(client, url)
			}
		}
	}
	const a, b, c = "https://a.example/a", "https://a.example/b", "https://a.example/c"
	opts := func(o ...cachetest.Option) []cachetest.Option { return o }
	texts := func() string {
		var out []string
		for name, text := range files(t, dir) {
			_, body, _ := strings.Cut(text, "=== body text\n")
			body, _, _ = strings.Cut(body, "\n")
			out = append(out, strings.TrimSuffix(name, ".http")[len("TestX/GET_a.example_"):]+"="+body)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	is := func(want string) {
		t.Helper()
		if got := texts(); got != want {
			t.Errorf("recorded: %s, want %s", got, want)
		}
	}
	passes(t, "TestX", visit(opts(origin("1"), cachetest.Record()), a, b))
	is("a=1 b=1")
	passes(t, "TestX", visit(opts(origin("2"), cachetest.RecordMissing()), a, c, c))
	is("a=1 b=1 c=2")

	// All anew: what is not used any more goes, but not where the test failed, or was skipped, or made no difference.
	t.Setenv("CACHECONTROL_RECORD", "1")
	runAs(t, "TestX", func(tb testing.TB) {
		visit(opts(origin("3")), a)(tb)
		tb.Errorf("no")
	})
	is("a=3 b=1 c=2")
	runAs(t, "TestX", func(tb testing.TB) {
		visit(opts(origin("4")), a)(tb)
		tb.SkipNow()
	})
	is("a=3 b=1 c=2")
	f := passes(t, "TestX", visit(opts(origin("2")), b, c))
	is("b=2 c=2")
	if !strings.Contains(f.output(), "0 new, 1 changed, 1 as they were, 1 removed") {
		t.Errorf("the log is %s", f.output())
	}
	passes(t, "TestX", visit(opts(origin("2"))))
	if m := files(t, dir); len(m) != 0 {
		t.Errorf("a test that asks for nothing leaves %v", m)
	}

	// What the environment says.
	t.Setenv("CACHECONTROL_RECORD", "missing")
	passes(t, "TestX", visit(opts(origin("5")), a))
	is("a=5")
	t.Setenv("CACHECONTROL_RECORD", "yes")
	if got := fails(t, "TestX", visit(nil, a)); !strings.Contains(got, "CACHECONTROL_RECORD=yes: it must be 1, to record all requests again, or missing") {
		t.Error(got)
	}
	t.Setenv("CACHECONTROL_RECORD", "")
	t.Setenv("CI", "true")
	for _, o := range opts(cachetest.Record(), cachetest.RecordMissing()) {
		if got := fails(t, "TestX", visit(opts(o, origin("6")), a)); !strings.Contains(got, "CI is set") {
			t.Error(got)
		}
	}
	t.Setenv("CI", "")
	got := fails(t, "TestX", func(tb testing.TB) {
		cachetest.Client(tb, dir)
		cachetest.Client(tb, dir, cachetest.Record())
	})
	if !strings.Contains(got, "different modes") {
		t.Error(got)
	}
	is("a=5")
}

func TestUnused(t *testing.T) {
	dir := recordings(t)
	record := func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(answer(200, "a")), cachetest.Record())
		get(client, "https://a.example/a")
		get(client, "https://a.example/b")
	}
	passes(t, "TestX", record)
	use := func(opts ...cachetest.Option) func(testing.TB) {
		return func(tb testing.TB) {
			get(cachetest.Client(tb, dir, append(opts, cachetest.Base(answer(200, "a")))...), "https://a.example/b")
		}
	}
	const want = "and removed when all requests are recorded again (CACHECONTROL_RECORD=1):\n\tGET_a.example_a.http"
	if f := passes(t, "TestX", use()); !strings.HasSuffix(f.output(), want) {
		t.Errorf("the log is %q", f.output())
	}
	if f := runAs(t, "TestX", use(cachetest.RequireAll())); !f.Failed() || !strings.HasSuffix(f.output(), want) {
		t.Errorf("with RequireAll: %q", f.output())
	}
	// What was left out on purpose is nobody's fault, and is not removed.
	for name, value := range map[string]string{"test.short": "true", "test.run": "TestX/sub", "test.skip": "TestX"} {
		setFlag(t, name, value)
		if f := passes(t, "TestX", use(cachetest.RequireAll())); f.output() != "" {
			t.Errorf("with -%s=%s: %s", name, value, f.output())
		}
		passes(t, "TestX", use(cachetest.RequireAll(), cachetest.Record()))
		if len(files(t, dir)) != 2 {
			t.Errorf("with -%s=%s: removed", name, value)
		}
		setFlag(t, name, map[string]string{"test.short": "false"}[name])
	}
}

func TestRedaction(t *testing.T) {
	dir := recordings(t)
	secrets := regexp.MustCompile(`s3cret[a-z0-9]*`)
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	io.WriteString(zw, `{"access_token":"s3cretg"}`)
	zw.Close()
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	mw.WriteField("password", "s3crethidden")
	mw.WriteField("user", "me")
	mw.WriteField("log", "event: {\"password\": \"s3cretmember\"}")
	mw.CreateFormFile("file", "a.txt")
	mw.Close()
	exchanges := []struct {
		url, body string
		fields    []string
		answer    string
		header    []string
		want      []string
	}{
		{"https://user:s3cret1@a.example/1?access_token=s3cret2&q=1&X-Amz-Signature=s3cret3", "", []string{"Authorization: Basic s3cret4", "Cookie: a=s3cret5", "X-Api-Key: s3cret6"},
			"ok", []string{"Set-Cookie: a=s3cret7; Path=/", "Set-Cookie: s3cret7b", "Location: https://a.example/?q=1&access_token=s3cret8#x", "X-Api-Key: s3cret9"},
			[]string{"https://REDACTED@a.example/1?access_token=REDACTED&q=1&X-Amz-Signature=REDACTED", "Set-Cookie: a=REDACTED; Path=/\nSet-Cookie: REDACTED\n",
				"Location: https://a.example/?q=1&access_token=REDACTED#x", "X-Api-Key: REDACTED"}},
		{"https://a.example/2", `{"client_secret":"s3cret1","n":{"apiKey":["s3cret2",{"x":"s3cret3"}],"pin":12345},"keep":1.50}`, []string{"Content-Type: application/json"},
			`{"refresh_token" : "s3cret4","url":"https://b.example/?id_token=s3cret5\u0026page=2", "pin": 67890,"access\u005ftoken":"s3cret6","none":null}`, nil,
			[]string{`"client_secret": "REDACTED"`, `"pin": 0`, `"keep": 1.50`, `{"refresh_token" : "REDACTED","url":"https://b.example/?id_token=REDACTED\u0026page=2", "pin": 0,`}},
		{"https://a.example/3", "grant_type=password&password=s3cret1&client%5Fsecret=s3cret2&user[password]=s3cret3", []string{"Content-Type: application/x-www-form-urlencoded"},
			"data: {\"access_token\": \"s3cret4\", \"n\": 1}\n\ndata: {\"pin\": [1234, {\"a\": [\"s3cret5\"]}], \"password\": null}\n\ndata: [DONE]\n\n", []string{"Content-Type: text/event-stream"},
			[]string{"grant_type=password&password=REDACTED&client%5Fsecret=REDACTED&user[password]=REDACTED", `data: {"access_token": "REDACTED", "n": 1}`, `data: {"pin": [0, {"a": ["REDACTED"]}], "password": null}`}},
		{"https://a.example/bots3cretpath/send", form.String(), []string{"Content-Type: " + mw.FormDataContentType()},
			"a literal s3cretliteral here", []string{"X-Odd: s3cretliteral"}, []string{"https://a.example/botREDACTED/send", "a literal [token] here", "boundary=cachetest-boundary", `name="password"` + "\n\nREDACTED\n--cachetest-boundary\n", `event: {"password": "REDACTED"}`}},
		{"https://a.example/4", zipped.String(), []string{"Content-Encoding: gzip", "Content-Type: application/json"},
			zipped.String(), []string{"Content-Encoding: gzip"}, []string{"=== body json gzip\n{\n  \"access_token\": \"REDACTED\"\n}\n=== response", "=== body json gzip\n{\n  \"access_token\": \"REDACTED\"\n}\n=== end"}},
		{"https://a.example/5", "", nil, `<a href="/?x=1&password=s3cret1">git clone https://me:s3cret3@a.example/x` + "\n" + `[{"password":"s3cret2"`, nil, []string{`<a href="/?x=1&password=REDACTED">git clone https://REDACTED@a.example/x`, `[{"password":"REDACTED"`}},
		{"https://a.example/6", "", nil, `{"password":"s3cret1"}` + "\n" + `{"password":"s3cret2","password":{"a":"s3cret3"}}` + "\n", nil, []string{`{"password":"REDACTED"}` + "\n" + `{"password":"REDACTED","password":{"a":"REDACTED"}}`}},
		{"https://a.example/7?filter=%7B%22pin%22%3A1234%7D&next=https%3A%2F%2Fs3cretinside1%40b.example%2F%3Fpassword%3Ds3cretinside2&at=a@b.example", "payload=" + url.QueryEscape(`{"token":"x","password":"s3cret3"}`) +
			`&raw={"a":"b&c","password":"s3cret4"}&keep=%7b%22a%22%3a1%7d`, []string{"Content-Type: application/x-www-form-urlencoded"},
			`{"clone_url":"https:\/\/s3cret5@a.example\/x","ssh":"ssh://git@a.example/x","mail":"a@b.example"}` + "\nHTTP://s3cret6@a.example", nil,
			[]string{"/7?filter=%7B%22pin%22%3A0%7D&next=https%3A%2F%2FREDACTED%40b.example%2F%3Fpassword%3DREDACTED&at=a@b.example", "payload=%7B%22token%22%3A%22REDACTED%22%2C%22password%22%3A%22REDACTED%22%7D&raw=",
				`"password":"REDACTED"}&keep=%7b%22a%22%3a1%7d`, `{"clone_url":"https:\/\/REDACTED@a.example\/x","ssh":"ssh://git@a.example/x","mail":"a@b.example"}`, "HTTP://REDACTED@a.example"}},
		{"https://a.example/8", `{"a":"b&password=s3cretinside","password":"s3cret2"}`, []string{"Content-Type: application/x-www-form-urlencoded"}, "ok", nil, []string{`"password": "REDACTED"`}},
	}
	opts := []cachetest.Option{cachetest.Redact("pin"), cachetest.RedactPattern(regexp.MustCompile(`/bot([^/]+)/`)), cachetest.Replace("s3cretliteral", "[token]"),
		cachetest.MatchHeader("Authorization", "X-Api-Key", "Cookie")}
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(req.Body)
		for _, x := range exchanges {
			if u, _ := url.Parse(x.url); u.Path == req.URL.Path {
				if string(body) != x.body || !strings.Contains(req.URL.String(), u.RawQuery) {
					t.Errorf("%s %q was sent, want %s %q", req.URL, body, x.url, x.body)
				}
				return respond(req, 200, x.answer, x.header...), nil
			}
		}
		return nil, errors.New("unknown")
	})
	ask := func(client *http.Client, change func(string) string) {
		for _, x := range exchanges {
			var fields []string
			for _, f := range x.fields {
				fields = append(fields, change(f))
			}
			send(client, "POST", change(x.url), change(x.body), fields...)
		}
	}
	passes(t, "TestX", func(tb testing.TB) {
		ask(cachetest.Client(tb, dir, append(opts, cachetest.Base(origin), cachetest.Record())...), func(s string) string { return s })
	})
	recorded := files(t, dir)
	if len(recorded) != len(exchanges) {
		t.Fatalf("%d recordings", len(recorded))
	}
	all := ""
	for name, text := range recorded {
		if found := secrets.FindString(name + text); found != "" {
			t.Errorf("%s holds %s:\n%s", name, found, text)
		}
		all += text
	}
	for _, x := range exchanges {
		for _, want := range x.want {
			if !strings.Contains(all, want) {
				t.Errorf("no recording holds %q", want)
			}
		}
	}
	if t.Failed() {
		t.Logf("%s", all)
	}
	// Replayed without secrets, and with others. A body that is coded is what it is.
	for _, other := range []string{"REDACTED", "x", ""} {
		passes(t, "TestX", func(tb testing.TB) {
			ask(cachetest.Client(tb, dir, append(opts, cachetest.Base(down))...), func(s string) string {
				// In a path or a text an empty one is none.
				return secrets.ReplaceAllString(strings.NewReplacer("s3cretpath", "abc", "s3cretinside", "def").Replace(s), other)
			})
		})
	}
	// Options that came later redact what was recorded before, in what is compared and in what is recorded anew.
	passes(t, "TestY", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "a")), cachetest.Record()), "https://a.example/?key=s3cret")
	})
	passes(t, "TestY", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(down), cachetest.Redact("key")), "https://a.example/?key=other")
	})
	passes(t, "TestY", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "a")), cachetest.Redact("key"), cachetest.Record()), "https://a.example/?key=s3cret")
	})
	for name, text := range files(t, dir) {
		if secrets.MatchString(text) {
			t.Errorf("%s still holds it", name)
		}
	}
}

func TestErrors(t *testing.T) {
	dir := recordings(t)
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	timeout := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 4711}, Addr: &net.TCPAddr{Port: 80}, Err: os.ErrDeadlineExceeded}
	for _, want := range []error{refused, timeout, context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, errors.New("odd:\n=== end\n")} {
		origin := roundTripper(func(*http.Request) (*http.Response, error) { return nil, want })
		got := fails(t, "TestX", func(tb testing.TB) {
			get(cachetest.Client(tb, dir, cachetest.Base(origin), cachetest.Record()), "https://a.example/")
		})
		if !strings.Contains(got, "could not be recorded: "+want.Error()) || !strings.Contains(got, "RecordErrors") || len(files(t, dir)) > 0 {
			t.Errorf("%v: %s", want, got)
		}
		d := t.TempDir()
		passes(t, "TestX", func(tb testing.TB) {
			get(cachetest.Client(tb, d, cachetest.Base(origin), cachetest.Record(), cachetest.RecordErrors()), "https://a.example/")
		})
		passes(t, "TestX", func(tb testing.TB) {
			_, err := cachetest.Client(tb, d, cachetest.Base(down)).Get("https://a.example/")
			var ne net.Error
			if !errors.As(err, &ne) || ne.Timeout() != (want == error(timeout) || want == context.DeadlineExceeded) {
				t.Errorf("%v: replayed as %v", want, err)
			}
			for _, is := range []error{syscall.ECONNREFUSED, context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF} {
				if errors.Is(err, is) != errors.Is(want, is) {
					t.Errorf("%v is %v: %v", err, is, errors.Is(err, is))
				}
			}
			if !strings.HasSuffix(err.Error(), strings.ReplaceAll(want.Error(), ":4711->", "")) {
				t.Errorf("%v: replayed as %v", want, err)
			}
		})
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
				t.Errorf("%s: %v, %v", name, resp, err)
			}
		})
		if !body.closed || f.Failed() {
			t.Errorf("%s: closed %v, %s", name, body.closed, f.output())
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
				t.Errorf("the request is %v", req)
			}
			if resp.Header.Get("A") != "1" {
				t.Errorf("the header is %v", resp.Header)
			}
			resp.Header["A"][0] = "2"
			body, _ := io.ReadAll(resp.Body)
			if string(body) != "abc" {
				t.Errorf("the body is %q", body)
			}
			body[0] = 'x'
		}
	})
}

// TestSpoiled: where a request could not be recorded, what there was stays as it was.
func TestSpoiled(t *testing.T) {
	dir := recordings(t)
	passes(t, "TestX", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "old")), cachetest.Record()), "https://a.example/")
	})
	before := files(t, dir)
	t.Setenv("CACHECONTROL_RECORD", "1")
	offline := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/b" {
			return nil, errors.New("offline")
		}
		return respond(req, 200, "new"), nil
	})
	fails(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(offline))
		get(client, "https://a.example/")
		get(client, "https://a.example/b")
	})
	got := fails(t, "TestX", func(tb testing.TB) {
		if _, err := cachetest.Client(tb, dir, cachetest.Base(offline)).Get("https://a.example/"); err != nil { // its body is left
			t.Error(err)
		}
	})
	if !strings.Contains(got, "neither read to its end nor closed") {
		t.Error(got)
	}
	got = fails(t, "TestX", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "a", "Bad name: x"))), "https://a.example/")
	})
	if !strings.Contains(got, "cannot be recorded") {
		t.Error(got)
	}
	if after := files(t, dir); !maps.Equal(before, after) {
		t.Errorf("%v, want %v", after, before)
	}
}

// TestEarlyClose: what is recorded of a body does not depend on how much of it its reader read.
func TestEarlyClose(t *testing.T) {
	dir := recordings(t)
	body := strings.Repeat("0123456789", 10_000)
	passes(t, "TestX", func(tb testing.TB) {
		resp, err := cachetest.Client(tb, dir, cachetest.Base(answer(200, body)), cachetest.Record()).Get("https://a.example/")
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(resp.Body, make([]byte, 10))
		resp.Body.Close()
	})
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir)
		if got := get(client, "https://a.example/"); got != body {
			t.Errorf("%d bytes", len(got))
		}
		resp, _ := client.Get("https://a.example/")
		resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("a closed body can be read")
		}
	})
}

// TestEndless: a stream of events without an end is recorded as far as it was read, and then waits to be closed.
func TestEndless(t *testing.T) {
	dir := recordings(t)
	synctest.Test(t, func(t *testing.T) {
		origin := roundTripper(func(req *http.Request) (*http.Response, error) {
			r, w := io.Pipe()
			context.AfterFunc(req.Context(), func() { w.CloseWithError(req.Context().Err()) })
			go func() {
				for i := 0; ; i++ {
					if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			resp := respond(req, 200, "", "Content-Type: text/event-stream")
			resp.Body, resp.ContentLength = r, -1
			return resp, nil
		})
		test := func(client *http.Client, cancelled bool) string {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", "https://a.example/events", nil)
			resp, err := client.Do(req)
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			var got strings.Builder
			for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
				got.WriteString(sc.Text())
				if strings.HasSuffix(sc.Text(), " 2") {
					break
				}
			}
			end := time.Now()
			if cancelled {
				cancel()
			} else {
				go resp.Body.Close()
			}
			_, err = io.ReadAll(resp.Body)
			return fmt.Sprint(got.String(), err != nil, time.Since(end))
		}
		for _, cancelled := range []bool{false, true} {
			m := twice(t, dir, origin, func(client *http.Client) string { return test(client, cancelled) })
			if !strings.Contains(one(t, m), "=== body text cut stream\ndata: 0\n\ndata: 1\n\ndata: 2\n\n") {
				t.Error(one(t, m))
			}
		}
		passes(t, "TestX", func(tb testing.TB) {
			if got := get(cachetest.Client(tb, dir), "https://a.example/events"); !strings.Contains(got, "ends here because its reader closed the body") {
				t.Errorf("read on: %q", got)
			}
		})
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
			t.Errorf("ends at %s", resp.Request.URL)
		}
		return describe(resp, err)
	}, cachetest.Replace(server.URL, "https://a.example"), cachetest.OmitHeader("Date"))
	if len(m) != 2 {
		t.Errorf("%v", m)
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
					t.Errorf("%q, want %q", got, want)
				}
			})
		}
		wg.Wait()
		return ""
	}
	first := twice(t, dir, origin, test)
	if second := twice(t, t.TempDir(), origin, test); !maps.Equal(first, second) || len(first) != 25 {
		t.Errorf("%d recordings, then %d", len(first), len(second))
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
							t.Errorf("%q, want %q", got, want)
						}
					}
				})
			}
		})
	}
	if n := asked.Load(); n != 60 {
		t.Errorf("asked %d times, want 60 while it recorded", n)
	}
	if m := files(t, dir); len(m) != 40 || m["TestParallel/group#01/sub_3/GET_a.example_3.http"] == "" || m["TestParallel/group#01/GET_a.example_3.http"] == "" {
		t.Errorf("%v", slices.Sorted(maps.Keys(m)))
	}
}

// TestAfterTheEnd: a goroutine that outlives its test gets an error, and does not bring the others down.
func TestAfterTheEnd(t *testing.T) {
	dir := recordings(t)
	var left *http.Client
	f := passes(t, "TestX", func(tb testing.TB) { left = cachetest.Client(tb, dir) })
	if got := get(left, "https://a.example/"); !strings.Contains(got, "no recording of GET https://a.example/") || f.Failed() {
		t.Errorf("%q\n%s", got, f.output())
	}
}

func TestByHand(t *testing.T) {
	dir := recordings(t)
	m := twice(t, dir, answer(200, `{"a":1}`, "Content-Type: application/json"), func(client *http.Client) string { return get(client, "https://a.example/") })
	path := filepath.Join(dir, "TestX", "GET_a.example.http")
	edit := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	replayed := func() (body string) {
		passes(t, "TestX", func(tb testing.TB) {
			resp, err := cachetest.Client(tb, dir, cachetest.Base(down)).Get("https://a.example/")
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			if resp.ContentLength != int64(len(b)) || resp.Header.Get("Content-Length") != fmt.Sprint(len(b)) {
				t.Errorf("the length is %d %v, of %d", resp.ContentLength, resp.Header, len(b))
			}
			body = string(b)
		})
		return body
	}
	text := strings.Replace(one(t, m), `"a": 1`, `"a": 1, "longer": "than before"`, 1)
	edit("# edited\n\n" + strings.Replace(text, "Content-Type", "content-length: 5\ncontent-type", 1))
	if got := replayed(); got != `{"a":1,"longer":"than before"}` {
		t.Errorf("%q", got)
	}
	edit(strings.ReplaceAll(text, "\n", "\r\n"))
	if got := replayed(); got != `{"a":1,"longer":"than before"}` {
		t.Errorf("with line ends converted: %q", got)
	}
	edit("GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n=== body text\nby hand\n=== end\n")
	if got := replayed(); got != "by hand" {
		t.Errorf("%q", got)
	}
	// What was written about a recording stays when it is made anew, and a file is not touched without need.
	edit("# why this is here\n" + one(t, m))
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if got := one(t, twice(t, dir, answer(200, `{"a":1}`, "Content-Type: application/json"), func(client *http.Client) string { return get(client, "https://a.example/") })); !strings.HasPrefix(got, "# why this is here\nGET ") {
		t.Error(got)
	}
	if fi, err := os.Stat(path); err != nil || !fi.ModTime().Equal(old) {
		t.Errorf("it was written again: %v", err)
	}
}

func TestBroken(t *testing.T) {
	dir := recordings(t)
	t.Chdir(dir)
	const head = "GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", "1: the file is empty"},
		{"only a comment", "# a\n", "2: the file is empty"},
		{"no URL", "GET\n", `1: not a method and a URL: "GET"`},
		{"field", "GET https://a.example/\nAccept\n", `2: not a header field: "Accept"`},
		{"quoted field", "GET https://a.example/\nA:= x\n", "2: the value of A is not a quoted string"},
		{"cut off", head + "=== body text\nab", "5: the file is cut off: its last line is not \"=== end\""},
		{"no answer", "GET https://a.example/\n=== end\n", "2: there is neither"},
		{"no status line", "GET https://a.example/\n=== response\n", "3: not a status line"},
		{"status line", "GET https://a.example/\n=== response\nHTTP/1.1 OK\n=== end\n", "3: not a status line such as"},
		{"unknown section", head + "=== bdy text\n=== end\n", `4: the line "=== bdy text" is unknown`},
		{"unknown coding", head + "=== body hex\n00\n=== end\n", `4: a body written as "hex" is unknown`},
		{"no coding", head + "=== body\n00\n=== end\n", `4: not a body`},
		{"unknown flag", head + "=== body text lf\na\n=== end\n", `4: a body written as text cannot be "lf"`},
		{"json", head + "=== body json\n{\n  \"a\": 1\n  \"b\": 2\n}\n=== end\n", "7: the body is not JSON"},
		{"base64", head + "=== body base64\n!\n=== end\n", "the body is not base64"},
		{"quoted", head + "=== body quoted\n\"a\"\nb\n=== end\n", "6: not a Go string: \"b\""},
		{"kind of error", "GET https://a.example/\n=== error odd\na\n=== end\n", `2: an unknown kind of error: "odd"`},
		{"conflict", head + "=== body text\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n=== end\n", "5: a merge conflict that is not resolved"},
		{"more", head + "=== end\n\nmore\n", `6: there is more after "=== end": "more"`},
		{"body of a 304", "GET https://a.example/\n=== response\nHTTP/1.1 304 Not Modified\n=== body text\na\n=== end\n", "304 has no body"},
		{"two responses", head + "=== response\nHTTP/1.1 200 OK\n=== end\n", `4: the line "=== response" is unknown or in the wrong place`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join("http", "TestX", "GET_a.example.http")
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tt.text), 0o666); err != nil {
				t.Fatal(err)
			}
			ask := func(opts ...cachetest.Option) func(testing.TB) {
				return func(tb testing.TB) {
					get(cachetest.Client(tb, "http", append(opts, cachetest.Base(answer(200, "a")))...), "https://a.example/")
				}
			}
			for _, opts := range [][]cachetest.Option{nil, {cachetest.RecordMissing()}} {
				if got := fails(t, "TestX", ask(opts...)); !strings.HasPrefix(got, "cachetest: http/TestX/GET_a.example.http:") || !strings.Contains(got, tt.want) {
					t.Errorf("%s\nwant %s", got, tt.want)
				}
			}
			if data, _ := os.ReadFile(path); string(data) != tt.text {
				t.Error("the file has changed")
			}
			passes(t, "TestX", ask(cachetest.Record()))
			passes(t, "TestX", ask())
		})
	}
}

func TestForeignFiles(t *testing.T) {
	dir := recordings(t)
	foreign := filepath.Join(dir, "TestX", "README.md")
	if err := os.MkdirAll(filepath.Dir(foreign), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, []byte("not ours"), 0o666); err != nil {
		t.Fatal(err)
	}
	twice(t, dir, answer(200, "a"), func(client *http.Client) string { return get(client, "https://a.example/") })
	passes(t, "TestX", func(tb testing.TB) { cachetest.Client(tb, dir, cachetest.Record()) })
	if m := files(t, dir); m["TestX/README.md"] != "not ours" || len(m) != 1 {
		t.Errorf("%v", m)
	}
}

// TestRepeats: what came several times in the end is recorded once, but for clients that replay each once.
func TestRepeats(t *testing.T) {
	dir := recordings(t)
	for _, tt := range []struct {
		answers string
		opts    []cachetest.Option
		want    int
	}{{"aaaa", nil, 1}, {"aabb", nil, 3}, {"aaba", nil, 4}, {"aaaa", []cachetest.Option{cachetest.Once()}, 4}} {
		i := -1
		origin := roundTripper(func(req *http.Request) (*http.Response, error) {
			i++
			return respond(req, 200, tt.answers[i:i+1]), nil
		})
		m := twice(t, dir, origin, func(client *http.Client) (got string) {
			for range tt.answers {
				got += get(client, "https://a.example/")
			}
			return got
		}, tt.opts...)
		if len(m) != tt.want {
			t.Errorf("%s: %d recordings, want %d", tt.answers, len(m), tt.want)
		}
	}
}

// TestLoose: what does not matter for a match does not change a recording that is made anew, nor does its name.
func TestLoose(t *testing.T) {
	for _, opt := range []cachetest.Option{
		cachetest.IgnoreBody(),
		cachetest.MatchFunc(func(req, recorded *http.Request) error {
			if req.URL.Path != recorded.URL.Path {
				return errors.New("another path")
			}
			return nil
		}),
	} {
		dir := recordings(t)
		test := func(bodies ...string) map[string]string {
			return twice(t, dir, answer(200, "yes"), func(client *http.Client) (got string) {
				for _, body := range bodies {
					got += send(client, "POST", "https://a.example/", body)
				}
				return got
			}, opt)
		}
		first := test("one")
		if second := test("two", "three"); !maps.Equal(first, second) || len(first) != 1 {
			t.Errorf("%v, then %v", first, second)
		}
		for name := range first {
			// A name of one's own stays.
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "TestX", "login.http")); err != nil {
				t.Fatal(err)
			}
		}
		if third := test("four"); len(third) != 1 || third["TestX/login.http"] != one(t, first) {
			t.Errorf("%v, then %v", first, third)
		}
	}
}

// TestTwoClients: what one client of a test recorded, another one sees by its own rules.
func TestTwoClients(t *testing.T) {
	dir := recordings(t)
	for _, opts := range [][]cachetest.Option{{cachetest.Record(), cachetest.Base(roundTripper(func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		return respond(req, 200, "for "+string(body)), err
	}))}, {cachetest.Base(down)}} {
		passes(t, "TestX", func(tb testing.TB) {
			strict, loose := cachetest.Client(tb, dir, opts...), cachetest.Client(tb, dir, append(opts, cachetest.IgnoreBody())...)
			for i, client := range []*http.Client{strict, loose, strict} {
				if got, want := send(client, "POST", "https://a.example/", fmt.Sprint(i)), fmt.Sprint("for ", i); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
	numbers := map[bool]int{}
	for name := range files(t, dir) {
		numbers[strings.HasSuffix(name, "@2.http")]++
	}
	if numbers[true] != 1 || numbers[false] != 2 {
		t.Errorf("%v", slices.Sorted(maps.Keys(files(t, dir))))
	}
}

// TestNeverTheSame: requests that no rule makes one have files of their own, even if they look alike.
func TestNeverTheSame(t *testing.T) {
	n := 0
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		n++
		return respond(req, 200, fmt.Sprint(n)), nil
	})
	dir := recordings(t)
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(origin), cachetest.Record(), cachetest.MatchFunc(func(req, recorded *http.Request) error { return errors.New("never") }))
		get(client, "https://a.example/")
		get(client, "https://a.example/")
	})
	if m := files(t, dir); len(m) != 2 {
		t.Errorf("%v", m)
	}
}

func TestOrphans(t *testing.T) {
	dir := recordings(t)
	for _, name := range []string{"TestGone", "TestGone/sub", "TestHere"} {
		d := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"a.http", "b.http"} {
			if err := os.WriteFile(filepath.Join(d, file), []byte("GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n=== end\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	passes(t, "TestHere", func(tb testing.TB) { cachetest.Client(tb, dir) })
	got, err := cachetest.Orphans(dir)
	if want := []string{filepath.Join(dir, "TestGone"), filepath.Join(dir, "TestGone", "sub")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := cachetest.Orphans(filepath.Join(dir, "none")); err != nil || got != nil {
		t.Errorf("of no directory: %v, %v", got, err)
	}
	setFlag(t, "test.run", "TestHere")
	if got, err := cachetest.Orphans(dir); err != nil || got != nil {
		t.Errorf("with -run: %v, %v", got, err)
	}
}

// TestBelowCache has the cache above what is recorded: it negotiates, validates and decodes as with a server.
func TestBelowCache(t *testing.T) {
	dir := recordings(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		t.Errorf("%v", m)
	}
	server.Client().CloseIdleConnections()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestGraphQLNames(t *testing.T) {
	for body, want := range map[string]string{
		`{"query":"query Me { me }"}`:                     "me",
		`{"query":"{ me }"}`:                              "",
		`{"query":"mutation\nA_b($x: Int) { a }"}`:        "a_b",
		`{"operationName":"B","query":"query A { me }"}`:  "b",
		`{"operationName":"../B","query":"{ me }"}`:       ".._b",
		`{"operationName":null,"query":["query A {me}"]}`: "",
		`[1]`: "",
	} {
		m := twice(t, recordings(t), answer(200, "a"), func(client *http.Client) string { return send(client, "POST", "https://a.example/graphql", body) })
		for name := range m {
			if want := strings.TrimSuffix("TestX/POST_a.example_graphql_"+want, "_") + "@"; !strings.HasPrefix(name, want) {
				t.Errorf("%s is in %s, want %s", body, name, want)
			}
		}
	}
}

func TestPassThrough(t *testing.T) {
	dir := recordings(t)
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(answer(200, "live")), cachetest.PassThrough(func(req *http.Request) bool { return req.URL.Hostname() == "127.0.0.1" }))
		if got := get(client, "http://127.0.0.1:1/"); got != "live" {
			t.Errorf("%q", got)
		}
	})
	if m := files(t, dir); len(m) > 0 {
		t.Errorf("%v", m)
	}
}

func TestSimilarNames(t *testing.T) {
	dir := recordings(t)
	fails(t, "TestOne", func(tb testing.TB) {
		cachetest.Client(tb, dir)
		if got := fails(t, "TestONE", func(tb testing.TB) { cachetest.Client(tb, dir) }); !strings.Contains(got, "differ only in case") {
			t.Error(got)
		}
		tb.Errorf("seen")
	})
	// As URLs that differ in case only.
	m := twice(t, t.TempDir(), roundTripper(func(req *http.Request) (*http.Response, error) {
		return respond(req, 200, req.URL.String()), nil
	}), func(client *http.Client) (got string) {
		for _, url := range []string{"/a", "/A", "/a/", "/a_", "/a?", "/a?b", "/a/b", "/a_b", "/a%2fb", "/con", "/é", "/" + strings.Repeat("x", 200), "/" + strings.Repeat("x", 201)} {
			got += get(client, "https://a.example"+url) + "\n"
		}
		return got
	})
	lower := map[string]bool{}
	for name := range m {
		lower[strings.ToLower(name)] = true
		if len(name) > 120 || regexp.MustCompile(`[^A-Za-z0-9_.@/-]`).MatchString(name) {
			t.Errorf("the name %s", name)
		}
	}
	if again := regexp.MustCompile(`@[0-9]{1,7}\.http`).FindAllString(strings.Join(slices.Collect(maps.Keys(m)), " "), -1); len(again) != 1 {
		t.Errorf("the numbers %v, want one for /a?, which is /a again", again)
	}
	if len(lower) != 13 {
		t.Errorf("%d names: %v", len(lower), slices.Sorted(maps.Keys(m)))
	}
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
