package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

// startProxy runs "cachecontrol proxy" until the test ends. It returns its URL and its stderr.
func startProxy(t testing.TB, upstream string, flags ...string) (string, *buffer) {
	t.Helper()
	url, stderr, interrupt, ended := launchProxy(t, upstream, flags...)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		interrupt()
		if code := <-ended; code != exitOK {
			t.Errorf("the proxy ended with exit code %d, want %d; stderr %s", code, exitOK, stderr)
		}
	})
	return url, stderr
}

// launchProxy runs "cachecontrol proxy" until it is interrupted. It returns its URL, its stderr, and a channel for its
// exit code.
func launchProxy(t testing.TB, upstream string, flags ...string) (url string, stderr *buffer, interrupt func(), ended <-chan int) {
	t.Helper()
	ready := make(chan string, 1)
	stderr = &buffer{}
	listening := regexp.MustCompile(`listening on (http://\S+),`)
	stderr.line = func(line string) {
		if m := listening.FindStringSubmatch(line); m != nil {
			ready <- m[1]
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		args := append([]string{"proxy", "--listen", "127.0.0.1:0", "--upstream", upstream}, flags...)
		code <- run(ctx, args, io.Discard, stderr)
	}()
	select {
	case url := <-ready:
		return url, stderr, cancel, code
	case code := <-code:
		cancel()
		t.Fatalf("the proxy ended with exit code %d: %s", code, stderr)
	}
	panic("not reached")
}

func newOrigin(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func do(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// wantFields checks the fields of a request that the origin has received.
func wantFields(t *testing.T, got http.Header, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if v := got.Get(name); v != value {
			t.Errorf("the origin got %s: %q, want %q", name, v, value)
		}
	}
}

func TestProxyPassesOn(t *testing.T) {
	type seen struct {
		method, uri, host, body string
		header                  http.Header
	}
	requests := make(chan seen, 1)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- seen{r.Method, r.RequestURI, r.Host, string(body), r.Header}
		w.Header()["Content-Type"] = nil
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(299)
		io.WriteString(w, "<html>")
	})
	url, _ := startProxy(t, origin.URL)

	for _, test := range []struct{ method, uri string }{
		{"GET", "/"},
		{"GET", "/a%2Fb//c?x=1;y=%zz&&"},
		{"GET", "/?"},
		{"M-SEARCH", "/unknown"},
		{"OPTIONS", "/x"},
		{"DELETE", "/x"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = strings.TrimPrefix(url, "http:") + test.uri // as it is, not as net/url would write it
		req.Header.Set("X-Forwarded-For", "192.0.2.1")
		req.Header.Set("User-Agent", "")
		req.Header.Set("Accept-Encoding", "br")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		got := <-requests
		if got.method != test.method || got.uri != test.uri || got.body != "" {
			t.Errorf("%v: the origin saw %s %s with the body %q", test, got.method, got.uri, got.body)
		}
		if want := strings.TrimPrefix(origin.URL, "http://"); got.host != want {
			t.Errorf("%v: the origin saw Host %q, want its own, %q", test, got.host, want)
		}
		wantFields(t, got.header, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "",
			"X-Forwarded-Proto": "http", "Accept-Encoding": "br", "User-Agent": "", "Transfer-Encoding": "",
		})
		if resp.StatusCode != 299 || string(body) != "<html>" {
			t.Errorf("%v: got status %d, body %q", test, resp.StatusCode, body)
		}
		if v, ok := resp.Header["Content-Type"]; ok {
			t.Errorf("%v: got Content-Type %q, which the origin did not send", test, v)
		}
	}

	resp, err := http.Post(url+"/post", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := <-requests; got.method != "POST" || got.body != "hello" {
		t.Errorf("the origin saw %s with the body %q", got.method, got.body)
	}
}

func TestProxyUpstreamPath(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	url, _ := startProxy(t, origin.URL+"/base/")
	if _, got := do(t, "GET", url+"/x?y"); got != "/base/x?y" {
		t.Errorf("the origin was asked for %s", got)
	}
}

// TestProxyKeepHost: the upstream server gets the Host that the client has sent, and a response for one host is not sent to another.
func TestProxyKeepHost(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Location", "http://"+r.Host+"/dir/")
		io.WriteString(w, r.Host)
	})
	kept, _ := startProxy(t, origin.URL, "--keep-host")
	trusting, _ := startProxy(t, origin.URL, "--keep-host", "--trust-forwarded")
	plain, _ := startProxy(t, origin.URL)
	own := strings.TrimPrefix(origin.URL, "http://")
	for _, test := range []struct{ proxy, host, want, location, status string }{
		{kept, "a.example", "a.example", "http://a.example/dir/", "fwd=uri-miss"},
		{kept, "b.example:8080", "b.example:8080", "http://b.example:8080/dir/", "fwd=uri-miss"},
		{kept, "a.example", "a.example", "http://a.example/dir/", "hit"},
		{kept, own, own, "/dir/", "fwd=uri-miss"},
		{trusting, "a.example", "a.example", "http://a.example/dir/", "fwd=uri-miss"},
		{plain, "a.example", own, "/dir/", "fwd=uri-miss"},
		{plain, "b.example", own, "/dir/", "hit"},
	} {
		resp, got := raw(t, test.proxy, "GET / HTTP/1.1\r\nHost: "+test.host+"\r\nConnection: close\r\n\r\n")
		if location := resp.Header.Get("Location"); got != test.want || location != test.location {
			t.Errorf("Host %s: the origin saw %s, and the client Location %s, want %s and %s", test.host, got, location, test.want, test.location)
		}
		if got := resp.Header.Get("Cache-Status"); !strings.Contains(got, test.status) {
			t.Errorf("Host %s: Cache-Status %q, want %s", test.host, got, test.status)
		}
	}
}

// OPTIONS * has no path, so that of the upstream URL is not added.
func TestProxyAsterisk(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{
		DisableGeneralOptionsHandler: true,
		Handler:                      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) }),
	}
	go origin.Serve(listener)
	t.Cleanup(func() { origin.Close() })
	url, _ := startProxy(t, "http://"+listener.Addr().String()+"/base")
	resp, body := raw(t, url, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if resp.StatusCode != 200 || body != "*" {
		t.Errorf("got %s %q", resp.Status, body)
	}
	if resp, _ := raw(t, url, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n"); resp.StatusCode != 501 {
		t.Errorf("CONNECT: got %s", resp.Status)
	}
}

// raw sends a request given as text.
func raw(t *testing.T, url, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, request)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestProxyEarlyHints(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		io.WriteString(w, "body")
	})
	url, _ := startProxy(t, origin.URL)
	var interim []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			interim = append(interim, fmt.Sprint(code, " ", h.Get("Link")))
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	want := []string{"103 </style.css>; rel=preload", "102 </style.css>; rel=preload"}
	if !slices.Equal(interim, want) {
		t.Errorf("got the interim responses %q, want %q", interim, want)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Link") != "" {
		t.Errorf("got %s, Link %q", resp.Status, resp.Header.Get("Link"))
	}
}

// After an upgrade, both sides have a connection.
func TestProxyUpgrade(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(conn, buf)
	})
	url, _ := startProxy(t, origin.URL)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	read := bufio.NewReader(conn)
	resp, err := http.ReadResponse(read, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	for _, want := range []string{"one\n", "two\n"} {
		io.WriteString(conn, want)
		if got, err := read.ReadString('\n'); got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

// Each part of a body arrives before the origin sends the next, whether its length is known or not.
func TestProxyStreams(t *testing.T) {
	parts := []string{"one ", "two ", "three"}
	for _, length := range []string{"", "13"} {
		t.Run("length "+length, func(t *testing.T) {
			next := make(chan bool)
			origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				w.Header().Set("Cache-Control", "max-age=60")
				for _, part := range parts {
					io.WriteString(w, part)
					w.(http.Flusher).Flush()
					<-next
				}
			})
			url, _ := startProxy(t, origin.URL)
			resp, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for _, part := range parts {
				buf := make([]byte, len(part))
				if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != part {
					t.Errorf("got %q, %v; want %q", buf, err, part)
				}
				next <- true
			}
			if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
				t.Errorf("then got %q, %v", rest, err)
			}
		})
	}
}

func TestProxyRequestTrailers(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Trailer)
	})
	url, _ := startProxy(t, origin.URL)
	for _, method := range []string{"POST", "QUERY"} {
		req, err := http.NewRequest(method, url, io.MultiReader(strings.NewReader("content"))) // of unknown length
		if err != nil {
			t.Fatal(err)
		}
		req.Trailer = http.Header{"X-Sum": {"42"}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := "map[X-Sum:[42]]"; err != nil || string(got) != want {
			t.Errorf("%s: the origin got the trailer %s, %v; want %s", method, got, err, want)
		}
	}
}

func TestProxyTrailers(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "42")
	})
	url, _ := startProxy(t, origin.URL)
	if resp, _ := do(t, "GET", url); resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("got the trailer %v", resp.Trailer)
	}
}

func TestProxyCaches(t *testing.T) {
	for _, store := range []string{"memory", "file", "separate"} {
		t.Run(store, func(t *testing.T) {
			var asked atomic.Int32
			origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "body")
			})
			arg := store
			if store != "memory" {
				arg += ":" + t.TempDir()
			}
			url, stderr := startProxy(t, origin.URL, "--store", arg, "-v")
			for i := range 3 {
				resp, body := do(t, "GET", url)
				status := resp.Header.Get("Cache-Status")
				if hit := strings.Contains(status, "hit"); body != "body" || hit != (i > 0) {
					t.Errorf("request %d: got %q, Cache-Status %q", i+1, body, status)
				}
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("the origin was asked %d times", n)
			}
			if !strings.Contains(stderr.String(), "level=DEBUG") {
				t.Errorf("-v logged nothing: %s", stderr)
			}
		})
	}
}

// A QUERY is answered from the cache if its content is the same. Content that is too long is passed on.
func TestProxyQuery(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s %d %q %v", r.Method, len(content), content[:min(len(content), 5)], err)
	})
	url, _ := startProxy(t, origin.URL)
	long := strings.Repeat("x", 1<<20+1)
	for i, test := range []struct {
		content io.Reader
		with    string // a header field
		want    string
		status  string // in Cache-Status
	}{
		{strings.NewReader("a"), "", `QUERY 1 "a" <nil>`, "fwd=uri-miss"},
		{io.MultiReader(strings.NewReader("a")), "", `QUERY 1 "a" <nil>`, "hit"}, // chunked
		{strings.NewReader("a"), "Content-Language: de", `QUERY 1 "a" <nil>`, "fwd=uri-miss"},
		{strings.NewReader("a"), "Authorization: x", `QUERY 1 "a" <nil>`, "hit"},
		{strings.NewReader("b"), "Authorization: x", `QUERY 1 "b" <nil>`, "detail=uri-miss/authorization"}, // not in a shared cache
		{strings.NewReader("b"), "", `QUERY 1 "b" <nil>`, "fwd=uri-miss"},
		{strings.NewReader(long), "", `QUERY 1048577 "xxxxx" <nil>`, "detail=request-body"},
		{io.MultiReader(strings.NewReader(long)), "", `QUERY 1048577 "xxxxx" <nil>`, "detail=request-body"},
	} {
		req, err := http.NewRequest("QUERY", url, test.content)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "text/plain")
		if name, value, ok := strings.Cut(test.with, ": "); ok {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if status := resp.Header.Get("Cache-Status"); err != nil || string(body) != test.want || !strings.Contains(status, test.status) {
			t.Errorf("request %d: %q, %v, Cache-Status %q; want %q, %q", i+1, body, err, status, test.want, test.status)
		}
	}
}

// A body that is longer than the limit of the store is not stored.
func TestProxyMaxBytes(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, strings.Repeat("x", 200<<10))
	})
	for _, store := range []string{"memory", "file:", "separate:"} {
		for limit, want := range map[string]bool{"100K": false, "1M": true} {
			arg := store
			if store != "memory" {
				arg += t.TempDir()
			}
			url, _ := startProxy(t, origin.URL, "--store", arg, "--max-bytes", limit)
			do(t, "GET", url)
			if resp, _ := do(t, "GET", url); cachecontrol.FromCache(resp) != want {
				t.Errorf("%s, %s: kept %v, want %v", store, limit, !want, want)
			}
		}
	}
}

// Entries that have not been used for --max-age are removed when others are stored.
func TestProxyMaxAge(t *testing.T) {
	origin := newEcho(t)
	named := func(digit string) string {
		for i := 0; ; i++ {
			if url := fmt.Sprintf("%s/%d?Cache-Control=max-age=60", origin.URL, i); strings.HasPrefix(cachedir.Hash(url), digit) {
				return url
			}
		}
	}
	old, other := named("0"), named("f")
	for _, flags := range [][]string{nil, {"--max-age", "2h"}} {
		f := newFilled(t, false)
		f.page(old, 200, 0, "old", "Cache-Control: max-age=60")
		f.age(3 * time.Hour)
		url, _ := startProxy(t, origin.URL, append(flags, "--store", "file:"+f.dir)...)
		// On a slow disk, the walk through the directory takes several steps. There is at most one in a second, after an entry was stored.
		for start := time.Now(); ; {
			do(t, "GET", url+strings.TrimPrefix(other, origin.URL), "Cache-Control", "no-cache")
			if flags == nil || !f.has(old) || time.Since(start) > time.Minute {
				break
			}
		}
		if want := flags == nil; f.has(old) != want || !f.has(other) {
			t.Errorf("%q: there are %q, want the old entry %t, and the other", flags, f.files(), want)
		}
	}
}

// Concurrent requests share one request to the origin.
func TestProxyCollapse(t *testing.T) {
	var asked atomic.Int32
	first := make(chan bool)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "4")
		if asked.Add(1) == 1 {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-first
		}
		io.WriteString(w, "body")
	})
	url, _ := startProxy(t, origin.URL, "--collapse")
	resp, err := http.Get(url) // its head is there, and its body is not
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	second, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Body.Close()
	if !strings.Contains(second.Header.Get("Cache-Status"), "collapsed") {
		t.Errorf("Cache-Status %q", second.Header.Get("Cache-Status"))
	}
	close(first)
	for _, resp := range []*http.Response{resp, second} {
		if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil {
			t.Errorf("%q %v, want %q %v", string(body), err, "body", nil)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// A hit on a response that becomes stale soon starts a validation in the background.
func TestProxyRefreshAhead(t *testing.T) {
	asked := make(chan string, 9)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("If-None-Match")
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Etag", `"1"`)
		io.WriteString(w, "body")
	})
	url, _ := startProxy(t, origin.URL, "--refresh-ahead", "1h")
	do(t, "GET", url)
	if resp, _ := do(t, "GET", url); !cachecontrol.FromCache(resp) {
		t.Errorf("Cache-Status %q", resp.Header.Get("Cache-Status"))
	}
	if first, second := <-asked, <-asked; first != "" || second != `"1"` {
		t.Errorf("the origin was asked with %q and %q", first, second)
	}
}

// Responses that take longer than --grace are cut off, and a message says so.
func TestProxyGrace(t *testing.T) {
	started := make(chan bool)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		started <- true
		<-r.Context().Done()
	})
	url, stderr, interrupt, ended := launchProxy(t, origin.URL, "--grace", "1ns")
	go func() {
		<-started
		interrupt()
	}()
	if resp, err := http.Get(url); err == nil {
		resp.Body.Close()
		t.Errorf("got %s", resp.Status)
	}
	if code := <-ended; code != exitOK || !strings.Contains(stderr.String(), "responses still in progress after 1ns are cut off") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestProxyShared(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60, private")
	})
	url, _ := startProxy(t, origin.URL)
	do(t, "GET", url)
	do(t, "GET", url)
	if n := asked.Load(); n != 2 {
		t.Errorf("the origin was asked %d times for a private response", n)
	}
}

func TestProxyUpstreamDown(t *testing.T) {
	origin := httptest.NewServer(nil)
	origin.Close()
	url, stderr := startProxy(t, origin.URL)
	resp, body := do(t, "GET", url+"/x")
	if got, want := resp.Header.Get("Cache-Status"), "cachecontrol;fwd=miss;detail=upstream-failed"; got != want {
		t.Errorf("Cache-Status = %q, want %q", got, want)
	}
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "could not be reached") {
		t.Errorf("got %s: %q", resp.Status, body)
	}
	if !strings.Contains(stderr.String(), "GET "+origin.URL+"/x: ") {
		t.Errorf("stderr does not say which request failed: %s", stderr)
	}
}

func TestProxyBadResponse(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, "nonsense\r\n\r\n")
		conn.Close()
	})
	url, _ := startProxy(t, origin.URL)
	if resp, _ := do(t, "GET", url); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %s", resp.Status)
	}
}

// A request that is not idempotent, and that the origin answers by closing the connection, is not sent a second time.
func TestProxySendsOnce(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "first")
	})
	url, _ := startProxy(t, origin.URL)
	do(t, "POST", url) // leaves a connection to use again
	if resp, _ := do(t, "POST", url); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %s", resp.Status)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the origin was asked %d times for two requests", n)
	}
}

// A client sees that a response is incomplete if the origin did not send all of it.
func TestProxyTruncated(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "short")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	url, stderr := startProxy(t, origin.URL)
	for range 2 {
		resp, err := http.Get(url)
		if err != nil {
			continue // it ended before the header was sent on
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Errorf("got %q, and no error", body)
		}
	}
	if strings.Contains(stderr.String(), "panic") {
		t.Errorf("stderr: %s", stderr)
	}
}

// A client that disconnects is not reported.
func TestProxyClientGone(t *testing.T) {
	started, ended := make(chan bool), make(chan bool)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		started <- true
		<-r.Context().Done()
		ended <- true
	})
	url, stderr := startProxy(t, origin.URL)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Error("a cancelled request was answered")
	}
	<-ended
	if lines := strings.Split(strings.TrimSpace(stderr.String()), "\n"); len(lines) != 1 {
		t.Errorf("stderr has %d lines, want 1: %q", len(lines), lines)
	}
}

// A request in progress is answered after the proxy has been interrupted.
func TestProxyFinishesRequests(t *testing.T) {
	started, finish := make(chan bool), make(chan bool)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		started <- true
		<-finish
		io.WriteString(w, "done")
	})
	url, _, interrupt, ended := launchProxy(t, origin.URL)
	go func() {
		<-started
		interrupt()
		// Once new connections are refused the proxy is on its way out.
		for {
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				break
			}
			conn.Close()
		}
		finish <- true
	}()
	if resp, body := do(t, "GET", url); resp.StatusCode != 200 || body != "done" {
		t.Errorf("got %s %q", resp.Status, body)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestProxyFailures(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	code, _, stderr := call(t, "proxy", "--listen", taken.Addr().String(), "--upstream", "http://127.0.0.1:1")
	if code != exitFailed || !strings.Contains(stderr, "Choose another address with --listen") {
		t.Errorf("a taken address: exit code %d, stderr %q", code, stderr)
	}

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"file:", "separate:"} {
		code, _, stderr = call(t, "proxy", "--upstream", "http://127.0.0.1:1", "--store", kind+file)
		if code != exitFailed || !strings.Contains(stderr, "cannot open the store") || !strings.Contains(stderr, "--store memory") {
			t.Errorf("a file where a directory should be: exit code %d, stderr %q", code, stderr)
		}
	}
}

// With --ignore-params and --ignore-signatures several URLs have the same stored responses. The origin gets all parameters.
func TestProxyIgnores(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.URL.RawQuery)
	})
	for _, tt := range []struct {
		flags        []string
		first, other string
		hit          bool
	}{
		{nil, "/?a=1&utm_source=x", "/?a=1&utm_source=y", false},
		{[]string{"--ignore-params", "fbclid,utm_*"}, "/?a=1&utm_source=x", "/?fbclid=1&a=1&utm_medium=y", true},
		{[]string{"--ignore-params", "fbclid", "--ignore-params", "utm_*"}, "/?a=1&utm_source=x", "/?a=1", true},
		{[]string{"--ignore-params", "fbclid"}, "/?a=1&fbclid=x", "/?a=2&fbclid=x", false},
		{[]string{"--ignore-params", "fbclid"}, "/?X-Amz-Signature=1", "/?X-Amz-Signature=2", false},
		{[]string{"--private", "--ignore-signatures"}, "/?X-Amz-Signature=1&X-Amz-Date=3", "/?X-Amz-Signature=2", true},
		{[]string{"--private", "--ignore-signatures", "--ignore-params", "fbclid"}, "/?X-Amz-Signature=1&fbclid=1", "/", true},
	} {
		proxy, _ := startProxy(t, origin.URL, tt.flags...)
		if _, body := do(t, "GET", proxy+tt.first); "/?"+body != tt.first {
			t.Errorf("proxy %v: the origin was asked for ?%s, want %s", tt.flags, body, tt.first)
		}
		resp, _ := do(t, "GET", proxy+tt.other)
		if status := resp.Header.Get("Cache-Status"); strings.Contains(status, ";hit") != tt.hit {
			t.Errorf("proxy %v: Cache-Status of %s is %q, want a hit: %v", tt.flags, tt.other, status, tt.hit)
		}
	}
	for _, flags := range [][]string{
		{"--ignore-signatures"}, {"--ignore-params", ""}, {"--ignore-params", "a,,b"}, {"--ignore-params", "a=1"}, {"--ignore-params", "*a"}, {"--ignore-params", "a&b"},
	} {
		if code, _, stderr := call(t, append([]string{"proxy", "--upstream", origin.URL}, flags...)...); code != exitUsage {
			t.Errorf("proxy %v: exit code %d, %q; want %d", flags, code, stderr, exitUsage)
		}
	}
}

// The client gets the bytes of the origin, even if it cannot decode them, on a miss and on a hit (RFC 9110, section 7.7).
func TestProxyTransformsNothing(t *testing.T) {
	var coded bytes.Buffer
	z := gzip.NewWriter(&coded)
	io.WriteString(z, "text")
	z.Close()
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, no-transform")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "text/plain")
		w.Write(coded.Bytes())
	})
	url, _ := startProxy(t, origin.URL)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	for i, want := range []string{"uri-miss", "hit", "hit"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			req.Header.Set("Accept-Encoding", "identity")
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(body, coded.Bytes()) || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("request %d: got %q, coding %q, %v; want the bytes of the origin", i, body, resp.Header.Get("Content-Encoding"), err)
		}
		if got := resp.Header.Get("Cache-Status"); !strings.Contains(got, want) {
			t.Errorf("request %d: Cache-Status = %q, want %q in it", i, got, want)
		}
	}
}
