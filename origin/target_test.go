package origin_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
)

// reflecting returns a handler that writes all that it knows of the target of a request.
func reflecting(n *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "#%d %s %s %s", n.Add(1), r.Host, r.URL, r.RequestURI)
	})
}

// h2get makes a GET over HTTP/2 with pseudo-header fields that no client of net/http would send, and returns the body.
func h2get(t testing.TB, s *httptest.Server, method, authority, path string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	frame := func(kind, flags byte, stream uint32, payload []byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		return append(binary.BigEndian.AppendUint32(append(b, flags), stream), payload...)
	}
	var block []byte
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", authority}, {":path", path}} {
		block = append(block, 0) // literal without indexing, new name (RFC 7541, section 6.2.2)
		for _, s := range f {
			if len(s) > 126 {
				t.Fatalf("%q is too long", s)
			}
			block = append(append(block, byte(len(s))), s...)
		}
	}
	out := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, nil)...)
	out = append(out, frame(1, 5, 1, block)...) // HEADERS, END_STREAM and END_HEADERS
	if _, err := conn.Write(out); err != nil {
		t.Fatal(err)
	}
	var body strings.Builder
	in := bufio.NewReader(conn)
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			t.Fatalf("%s %s: %v", authority, path, err)
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[:4])>>8)
		if _, err := io.ReadFull(in, payload); err != nil {
			t.Fatal(err)
		}
		switch kind, flags := head[3], head[4]; {
		case kind == 3 || kind == 7: // RST_STREAM, GOAWAY
			return "reset"
		case kind == 4 && flags == 0:
			conn.Write(frame(4, 1, 0, nil))
		case kind <= 1:
			if kind == 0 {
				body.Write(payload)
			}
			if flags&1 != 0 {
				return body.String()
			}
		}
	}
}

// The target that a response is stored under is what the handler sees of it. The kind is every form of a request target and of an
// authority by which a client could have a response to one target stored under another one, or with another one in it: over
// HTTP/2, over HTTP/1.1, and by a direct call.
func TestCacheTargets(t *testing.T) {
	t.Run("HTTP/2", func(t *testing.T) {
		for _, evil := range [][3]string{
			{"GET", "www.example/account", "/uploads/evil"}, {"GET", "www.example?", "/account/uploads/evil"},
			{"GET", "www.example#", "/account/uploads/evil"}, {"POST", "www.example/account", "/uploads/evil"},
			{"GET", "www.example", "https://evil.example/account/uploads/evil"}, {"GET", "www.example", "javascript://www.example/account/uploads/evil"},
			{"GET", "www.example", "http://www.example/account/uploads/evil"}, {"GET", "www.example", "https:account/uploads/evil"},
			{"GET", "www.example", "https://u:p@www.example/account/uploads/evil"}, {"POST", "www.example", "https://evil.example/account/uploads/evil"},
			{"GET", "www.example, www.example", "/account/uploads/evil"}, {"GET", `www.example\`, "/account/uploads/evil"},
			{"GET", "www.example", "*"}, {"GET", "www.example", "/account/uploads/evil#x"}, {"GET", "www.example", "/account/uploads/evil?a#b"},
		} {
			var n atomic.Int64
			s := httptest.NewUnstartedServer(newCache(t).Handler(reflecting(&n)))
			s.EnableHTTP2 = true
			s.StartTLS()
			defer s.Close()
			h2get(t, s, evil[0], evil[1], evil[2])
			h2get(t, s, evil[0], evil[1], evil[2])
			first := h2get(t, s, "GET", "www.example", "/account/uploads/evil")
			const want = " www.example /account/uploads/evil /account/uploads/evil"
			if !strings.HasSuffix(first, want) || strings.Contains(first, "evil.example") {
				t.Errorf("after %q the victim's first answer is %q, want one that ends in %q", evil, first, want)
			}
			h2get(t, s, evil[0], evil[1], evil[2])
			if again := h2get(t, s, "GET", "www.example", "/account/uploads/evil"); again != first {
				t.Errorf("after %q once more the victim's second answer is %q, want the hit %q", evil, again, first)
			}
		}
	})
	t.Run("HTTP/1.1", func(t *testing.T) {
		for _, test := range []struct {
			name, request string
			body          string // of the second answer to it, "%s" for its request target; "": not looked at
		}{
			{"origin form", "GET /a HTTP/1.1\r\nHost: www.example", "#1 www.example /a /a"},
			{"absolute form", "GET http://www.example/a HTTP/1.1\r\nHost: evil.example", "#1 www.example /a /a"},
			{"absolute form, in capitals and with the port", "GET HTTP://WWW.example:80/a HTTP/1.1\r\nHost: evil.example", "#1 www.example /a /a"},
			{"another scheme", "GET javascript://www.example/a HTTP/1.1\r\nHost: www.example", "#2 www.example javascript://www.example/a javascript://www.example/a"},
			{"https without TLS", "GET https://www.example/a HTTP/1.1\r\nHost: www.example", "#2 www.example https://www.example/a https://www.example/a"},
			{"a user", "GET http://u:p@www.example/a HTTP/1.1\r\nHost: www.example", "#2 www.example http://u:p@www.example/a http://u:p@www.example/a"},
			{"opaque", "GET http:a HTTP/1.1\r\nHost: www.example", "#2 www.example http:a http:a"},
			{"asterisk", "GET * HTTP/1.1\r\nHost: www.example", "#2 www.example * *"},
			{"a fragment", "GET /a?b#c HTTP/1.1\r\nHost: www.example", "#2 www.example /a?b#c /a?b#c"},
			{"no number as port", "GET /b HTTP/1.1\r\nHost: www.example:x", "#2 www.example:x /b /b"},
			{"bytes that a path may not have", "GET /\"<a> HTTP/1.1\r\nHost: www.example", "#1 www.example /%22%3Ca%3E /%22%3Ca%3E"},
			{"a host and an empty port", "GET /a HTTP/1.1\r\nHost: WWW.example:", "#1 www.example /a /a"},
			{"no path", "GET http://www.example HTTP/1.1\r\nHost: www.example", "#1 www.example / /"},
		} {
			var n atomic.Int64
			s := serve(t, newCache(t).Handler(reflecting(&n)), false)
			var out string
			for range 2 {
				out = s.raw(test.request + "\r\nConnection: close\r\n\r\n")
			}
			if _, body, _ := strings.Cut(out, "\r\n\r\n"); body != test.body {
				t.Errorf("%s: the second answer is %q, want %q", test.name, body, test.body)
			}
			n.Store(10)
			_, body, _ := strings.Cut(s.raw("GET /a HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n"), "\r\n\r\n")
			if want := " www.example /a /a"; !strings.HasSuffix(body, want) {
				t.Errorf("%s: the next user gets %q, want one that ends in %q", test.name, body, want)
			}
		}
	})
	t.Run("direct", func(t *testing.T) {
		for name, change := range map[string]func(*http.Request){
			"another host in the URL":  func(r *http.Request) { r.URL.Host = "evil.example"; r.URL.Scheme = "http" },
			"a host without a scheme":  func(r *http.Request) { r.URL.Host = "evil.example" },
			"a scheme without a host":  func(r *http.Request) { r.URL.Scheme = "javascript" },
			"an opaque URL":            func(r *http.Request) { r.URL.Opaque = "//evil.example/a" },
			"a user":                   func(r *http.Request) { r.URL.User = url.User("u") },
			"a fragment in the query":  func(r *http.Request) { r.URL.RawQuery = "#b" },
			"a path in Host":           func(r *http.Request) { r.Host = "example.com/a" },
			"a path without a slash":   func(r *http.Request) { r.URL.Path = "a" },
			"no path":                  func(r *http.Request) { r.URL.Path = "" },
			"a path beyond the target": func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a", "/evil" },
		} {
			var n atomic.Int64
			h := newCache(t).Handler(reflecting(&n))
			for range 2 {
				r := httptest.NewRequest("GET", "/a", nil)
				change(r)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/a", nil))
			if body := w.Body.String(); !strings.HasSuffix(body, " example.com /a /a") || strings.Contains(body, "evil") {
				t.Errorf("%s: the next user gets %q, want one that ends in %q", name, body, " example.com /a /a")
			}
		}
	})
}

// A handler that lies behind something that changes the path sees its own path, and the target that the client sent.
func TestCacheBehindStripPrefix(t *testing.T) {
	var n atomic.Int64
	h := http.StripPrefix("/app", newCache(t).Handler(reflecting(&n)))
	for range 2 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/app/a", nil))
		if body, want := w.Body.String(), "#1 example.com /a /app/a"; body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
}

// The other middleware does not look at targets, and hands on what it got.
func TestMiddlewareHandsTargetsOn(t *testing.T) {
	for name, middleware := range map[string]func(http.Handler) http.Handler{
		"AutoETag": origin.AutoETag(),
		"Validate": origin.Validate(func(*http.Request) (origin.Validators, error) { return origin.Validators{ETag: `"1"`}, nil }),
	} {
		var n atomic.Int64
		s := serve(t, middleware(reflecting(&n)), false)
		out := s.raw("GET /b HTTP/1.1\r\nHost: www.example:x\r\nConnection: close\r\n\r\n")
		if want := "#1 www.example:x /b /b"; !strings.HasSuffix(out, want) {
			t.Errorf("%s: got %q, want it to end in %q", name, out, want)
		}
		if strings.Contains(out, cachecontrol.XFromCache) {
			t.Errorf("%s: got %q, want no hit", name, out)
		}
	}
}
