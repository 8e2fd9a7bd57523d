package cachecontrol_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
)

// overWire runs the test against a real server, with HTTP/1.1 and with HTTP/2.
func overWire(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, rt http.RoundTripper, url string, requests *atomic.Int32)) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2=%v", h2), func(t *testing.T) {
			var requests atomic.Int32
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if want := map[bool]int{false: 1, true: 2}[h2]; r.ProtoMajor != want {
					t.Errorf("%s, want HTTP/%d", r.Proto, want)
				}
				handler(w, r)
			}))
			s.EnableHTTP2 = h2
			s.StartTLS()
			defer s.Close()
			tr := &cachecontrol.Transport{Base: s.Client().Transport}
			defer tr.Close()
			defer tr.CloseIdleConnections()
			test(t, tr, s.URL, &requests)
		})
	}
}

func TestOverConnections(t *testing.T) {
	text := strings.Repeat("over the wire ", 10_000)
	overWire(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"a"`)
		if r.URL.Path == "/fresh" {
			w.Header().Set("Cache-Control", "max-age=3600")
		}
		if r.Header.Get("If-None-Match") == `"a"` {
			w.WriteHeader(304)
			return
		}
		if r.URL.Path == "/gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, encode("gzip", text))
			return
		}
		io.WriteString(w, text)
	}, func(t *testing.T, rt http.RoundTripper, url string, requests *atomic.Int32) {
		for i, st := range []struct {
			target string
			want   cachecontrol.Outcome
		}{
			{"/fresh", miss}, {"/fresh", hit}, {"/tag", miss}, {"/tag", revalidated}, {"/gzip", miss}, {"/gzip", revalidated},
		} {
			if a := do(t, rt, url+st.target); a.outcome != st.want || a.body != text {
				t.Errorf("%d: %v, %d bytes; want %v", i, a.outcome, len(a.body), st.want)
			}
		}
		if n := requests.Load(); n != 5 {
			t.Errorf("%d requests, want 5", n)
		}
	})
}

// Trailers come after the body, on a miss and on a hit, and whether they were announced or not.
func TestTrailers(t *testing.T) {
	overWire(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Trailer", "X-Announced")
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Surprise", "2")
	}, func(t *testing.T, rt http.RoundTripper, url string, requests *atomic.Int32) {
		want := http.Header{"X-Announced": {"1"}, "X-Surprise": {"2"}}
		for _, outcome := range []cachecontrol.Outcome{miss, hit, hit} {
			a := do(t, rt, url)
			if a.outcome != outcome || a.body != "body" {
				t.Errorf("%v %q, want %v", a.outcome, a.body, outcome)
			}
			if diff := cmp.Diff(want, a.Trailer); diff != "" {
				t.Errorf("%v: trailer (-want +got):\n%s", outcome, diff)
			}
			a.Trailer.Set("X-Announced", "changed by the caller")
		}
	})
}

// With HTTP/2 a trailer may follow a body of known length. It is stored if the caller reads to EOF. If the caller stops
// at the last byte, the body is stored without it.
func TestTrailersWithLength(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Content-Length", "4")
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/reset" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Sum", "1")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, collapse := range []bool{false, true} {
		tr := &cachecontrol.Transport{Base: server.Client().Transport, Collapse: collapse}
		defer tr.Close()
		for _, want := range []cachecontrol.Outcome{miss, hit, hit} {
			if a := do(t, tr, server.URL); a.outcome != want || a.body != "body" || a.ContentLength != 4 || a.Trailer.Get("X-Sum") != "1" {
				t.Errorf("%v %q, length %d, trailer %v; want %v", a.outcome, a.body, a.ContentLength, a.Trailer, want)
			}
		}
		resp := open(t, tr, request(t, server.URL+"/exactly"))
		if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
		if a := do(t, tr, server.URL+"/exactly"); a.outcome != hit || a.body != "body" {
			t.Errorf("read to the last byte: %v %q, want %v %q", a.outcome, a.body, hit, "body")
		}
		if got, _ := ask(t, tr, request(t, server.URL+"/reset")); !got.failed {
			t.Error("a reset instead of the trailer: error nil, want one")
		}
		if a := do(t, tr, server.URL+"/reset", "Cache-Control: only-if-cached"); a.StatusCode != 504 {
			t.Errorf("what was reset is stored: %d, want %d; body %q", a.StatusCode, 504, a.body)
		}
	}
}

// If a JSON decoder reads one value of a response with a known length over the network, the response is stored.
func TestJSONOverConnection(t *testing.T) {
	overWire(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Length", "7")
		io.WriteString(w, `{"a":1}`)
	}, func(t *testing.T, rt http.RoundTripper, url string, requests *atomic.Int32) {
		for range 2 {
			resp := open(t, rt, request(t, url))
			var v struct{ A int }
			if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.A != 1 {
				t.Errorf("%v %v, want %v %v; %v", err, v.A, nil, 1, v)
			}
			resp.Body.Close()
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

// Interim responses reach the caller's trace.
func TestInterimResponsesReachTheTrace(t *testing.T) {
	overWire(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "body")
	}, func(t *testing.T, rt http.RoundTripper, url string, requests *atomic.Int32) {
		var got []int
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error { got = append(got, code); return nil },
		})
		for _, want := range []cachecontrol.Outcome{miss, hit} {
			if a := send(t, rt, request(t, url).WithContext(ctx)); a.outcome != want || a.StatusCode != 200 {
				t.Errorf("%v %d, want %v %d", a.outcome, a.StatusCode, want, 200)
			}
		}
		if !cmp.Equal(got, []int{103}) {
			t.Errorf("interim responses: %v, want one for the miss", got)
		}
	})
}

// If a caller cancels in the middle of a body, nothing is stored.
func TestCancelOverConnection(t *testing.T) {
	half := make(chan bool)
	overWire(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/half" {
			<-half
		}
	}, func(t *testing.T, rt http.RoundTripper, url string, requests *atomic.Int32) {
		ctx, cancel := context.WithCancel(t.Context())
		resp := open(t, rt, request(t, url+"/half").WithContext(ctx))
		io.ReadFull(resp.Body, make([]byte, 4))
		cancel()
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("error nil at the end of the body, want one")
		}
		resp.Body.Close()
		half <- true
		resp = open(t, rt, request(t, url+"/half", "Cache-Control: only-if-cached"))
		resp.Body.Close()
		if resp.StatusCode != 504 {
			t.Errorf("stored: %v, want %v; header: %v", resp.StatusCode, 504, resp.Header)
		}
	})
}

// A connection that changes its protocol is passed on unchanged.
func TestUpgrade(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			w.Header().Set("Cache-Control", "max-age=3600")
			return
		}
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nCache-Control: max-age=3600\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		io.WriteString(rw, line)
		rw.Flush()
	}))
	defer s.Close()
	base := &http.Transport{}
	tr := &cachecontrol.Transport{Base: base}
	defer tr.Close()
	defer base.CloseIdleConnections()
	do(t, tr, s.URL) // a stored response has no effect
	for range 2 {
		resp := open(t, tr, request(t, s.URL, "Connection: Upgrade", "Upgrade: echo"))
		rw, isConnection := resp.Body.(io.ReadWriteCloser)
		if resp.StatusCode != 101 || !isConnection {
			t.Fatalf("%d, Body is a %T, want 101, an io.ReadWriteCloser", resp.StatusCode, resp.Body)
		}
		io.WriteString(rw, "hello\n")
		if line, err := bufio.NewReader(rw).ReadString('\n'); line != "hello\n" || err != nil {
			t.Errorf("%q %v, want %q %v", line, err, "hello\n", nil)
		}
		rw.Close()
	}
}

// After a 304 the connection can be used again: all requests use one.
func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int32
	overWire(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"a"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(304)
		}
	}, func(t *testing.T, rt http.RoundTripper, url string, requests *atomic.Int32) {
		connections.Store(0)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) {
				if !i.Reused {
					connections.Add(1)
				}
			},
		})
		for range 5 {
			send(t, rt, request(t, url).WithContext(ctx))
		}
		if n := connections.Load(); n != 1 || requests.Load() != 5 {
			t.Errorf("%d connections for %d requests, want 1 for 5", n, requests.Load())
		}
	})
}

// Some clients offer with each request to continue with HTTP/2. The cache ignores such an offer and may answer. A
// request for another protocol, such as WebSocket, is sent to the origin.
func TestUpgradeOffers(t *testing.T) {
	for _, test := range []struct {
		upgrade, connection string
		want                cachecontrol.Outcome
		sent                string // Connection, as the origin gets it
	}{
		{"h2c", "Upgrade, HTTP2-Settings", cachecontrol.Hit, ""},
		{"H2C", "upgrade, http2-settings", cachecontrol.Hit, ""},
		{"h2c, h2c", "Upgrade, HTTP2-Settings, X-Hop", cachecontrol.Hit, "X-Hop"},
		{"", "Upgrade", cachecontrol.Hit, ""},
		{"websocket", "Upgrade", cachecontrol.Bypass, "Upgrade"},
		{"websocket, h2c", "Upgrade, HTTP2-Settings", cachecontrol.Bypass, "Upgrade, HTTP2-Settings"},
		{"h2c, TLS/1.0", "Upgrade, HTTP2-Settings", cachecontrol.Bypass, "Upgrade, HTTP2-Settings"},
		{"HTTP/3.0", "Upgrade", cachecontrol.Bypass, "Upgrade"},
	} {
		t.Run(test.upgrade, func(t *testing.T) {
			o := replies(t, ok("Cache-Control: max-age=60"))
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			ask := func() answer {
				req := request(t, "/", "Connection: "+test.connection, "HTTP2-Settings: AAMAAABkAAQAAP__")
				req.Header["Upgrade"] = []string{test.upgrade}
				before := req.Header.Clone()
				a := send(t, tr, req)
				if diff := cmp.Diff(before, req.Header); diff != "" {
					t.Errorf("the caller's request was changed (-want +got):\n%s", diff)
				}
				return a
			}
			ask()
			if a := ask(); a.outcome != test.want {
				t.Errorf("Upgrade: %s: outcome = %v, want %v", test.upgrade, a.outcome, test.want)
			}
			wantFields(t, "request", o.last().Header, []string{"Connection: " + test.sent})
			if got := o.last().Header["Upgrade"] != nil; got != (test.want == cachecontrol.Bypass) {
				t.Errorf("the origin gets Upgrade: %t, want %t", got, !got)
			}
		})
	}
}

// With ModeBypass a request is sent to the origin unchanged.
func TestUpgradeOfferBypassed(t *testing.T) {
	o := replies(t, ok())
	tr := &cachecontrol.Transport{Base: o}
	defer tr.Close()
	req := request(t, "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
	req = req.WithContext(cachecontrol.WithControl(req.Context(), cachecontrol.Control{Mode: cachecontrol.ModeBypass}))
	send(t, tr, req)
	if got := o.last().Header.Get("Upgrade"); got != "h2c" {
		t.Errorf("the origin gets Upgrade: %q, want %q", got, "h2c")
	}
}

// Interim responses are passed to the caller's trace as they arrive. They are not stored (RFC 9111, section 3).
func TestInterimResponses(t *testing.T) {
	for _, shared := range []bool{true, false} {
		t.Run(mode(shared), func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.WriteHeader(http.StatusProcessing)
				w.Header().Set("Link", "</a.css>; rel=preload")
				w.Header().Set("X-Early", "1")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				w.Header().Del("X-Early")
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "final")
			}))
			defer server.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			tr := &cachecontrol.Transport{Base: base, Shared: shared}
			defer tr.Close()
			for n, want := range []string{"102, 103 </a.css>; rel=preload 1", ""} {
				var got []string
				trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					got = append(got, strings.TrimSpace(fmt.Sprintf("%d %s %s", code, h.Get("Link"), h.Get("X-Early"))))
					return nil
				}}
				req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				a := send(t, tr, req)
				if a.StatusCode != 200 || a.body != "final" || a.Header["Link"] != nil || a.Header["X-Early"] != nil {
					t.Errorf("answer %d: %d %q %v %v, want %d %q %v %v; header: %v", n+1, a.StatusCode, a.body, a.Header["Link"], a.Header["X-Early"], 200, "final", nil, nil, a.Header)
				}
				if s := strings.Join(got, ", "); s != want {
					t.Errorf("interim responses of answer %d: %q, want %q", n+1, s, want)
				}
				if hit := a.outcome == hit; hit != (n == 1) {
					t.Errorf("answer %d: %v, want %v; outcome %v", n+1, hit, (n == 1), a.outcome)
				}
			}
			if asked != 1 {
				t.Errorf("%d requests to the origin, want 1", asked)
			}
		})
	}
}
