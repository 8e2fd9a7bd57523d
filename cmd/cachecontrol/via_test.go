package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// A request that comes back to a proxy is refused, however many proxies are in between.
func TestProxyLoop(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		addrs := make([]string, n)
		for i := range addrs {
			addrs[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(peer.FreePort(t)))
		}
		for i, addr := range addrs {
			startProxy(t, "http://"+addrs[(i+1)%n], "--listen", addr)
		}
		for _, method := range []string{"GET", "POST", "HEAD"} {
			if resp, _ := do(t, method, "http://"+addrs[0]+"/"); resp.StatusCode != http.StatusLoopDetected {
				t.Errorf("%s through a ring of %d proxies: status %d, want %d", method, n, resp.StatusCode, http.StatusLoopDetected)
			}
		}
	}
}

// Each proxy adds itself to Via. A Vary on Via does not create a variant for each start of a proxy.
func TestProxyVia(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Via", "1.1 origin")
		w.Header().Set("Vary", "Via")
		fmt.Fprintf(w, "%d %s", asked.Add(1), strings.Join(r.Header["Via"], ", "))
	})
	inner, _ := startProxy(t, origin.URL)
	outer, _ := startProxy(t, inner)
	request := regexp.MustCompile(`^1 1\.0 client, 1\.1 cachecontrol-\w+, 1\.1 cachecontrol-\w+$`)
	response := regexp.MustCompile(`^1\.1 origin, 1\.1 cachecontrol-\w+, 1\.1 cachecontrol-\w+$`)
	for range 2 {
		resp, body := do(t, "GET", outer, "Via", "1.0 client")
		if !request.MatchString(body) {
			t.Errorf("the origin saw %q, want %v", body, request)
		}
		if got := strings.Join(resp.Header["Via"], ", "); !response.MatchString(got) {
			t.Errorf("Via of the response = %q, want %v", got, response)
		}
	}
}

func TestProxyMaxForwards(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(299)
		io.WriteString(w, r.Header.Get("Max-Forwards"))
	})
	proxy, _ := startProxy(t, origin.URL)
	for _, test := range []struct {
		method, value string
		status        int
		body          string
	}{
		{"OPTIONS", "0", 204, ""},
		{"TRACE", "0", 405, ""},
		{"OPTIONS", "1", 299, "0"},
		{"OPTIONS", "17", 299, "16"},
		{"OPTIONS", "-1", 299, "-1"},
		{"OPTIONS", "x", 299, "x"},
		{"OPTIONS", "+5", 299, "+5"},
		{"GET", "0", 299, "0"}, // it counts for no other method
	} {
		resp, body := do(t, test.method, proxy, "Max-Forwards", test.value)
		if resp.StatusCode != test.status || test.status == 299 && body != test.body {
			t.Errorf("%s with Max-Forwards: %s: status %d, the origin saw %q, want %d, %q", test.method, test.value, resp.StatusCode, body, test.status, test.body)
		}
	}
}

func TestHasDotDot(t *testing.T) {
	for path, want := range map[string]bool{
		"/": false, "/a/b": false, "/a..b/..c/...": false, "/a;x=../b": false, "/%2e": false, "/..a": false, "/%252f": false,
		"/..": true, "/../a": true, "/a/../b": true, "/%2e%2e/a": true, "/.%2E/a": true, "/%2e./": true, "/..%2fa": true, "/a%2f..%2fb": true,
		"/..%5ca": true, `/..\a`: true, "/..;/a": true, "/..;x=1/a": true, "/%252e%252e/a": true, "/%25252e%25252e/": true,
		"/..%00/a": true, "/..%00.png/a": true, "/..%20/a": true, "/.%09./a": true, "/%0a../a": true, "/a%00../b": false, "/a%20b/%20": false,
		"/%c0%ae%c0%ae/a": true, "/%e0%80%ae./a": true, "/..%c0%afa": true, "/..%c1%9ca": true, "/%c3%ae": false,
	} {
		u, err := url.Parse("http://h" + path)
		if err != nil {
			u = &url.URL{Path: path}
		}
		if got := hasDotDot(u); got != want {
			t.Errorf("climbs(%q) = %t, want %t", path, got, want)
		}
	}
}

// Clients of the proxy cannot reach anything outside of the path of the upstream URL.
func TestProxyStaysInPath(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	within, _ := startProxy(t, origin.URL+"/app")
	open, _ := startProxy(t, origin.URL)
	for _, path := range []string{"/../admin", "/%2e%2e/admin", "/x/..%2f../admin", "/..;/admin"} {
		request := "GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		if resp, body := raw(t, within, request); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d, %q, want %d", path, resp.StatusCode, body, http.StatusBadRequest)
		}
		if resp, body := raw(t, open, request); resp.StatusCode != http.StatusOK || body != path {
			t.Errorf("%s without a path of the upstream's: status %d, the origin saw %q, want it as it is", path, resp.StatusCode, body)
		}
	}
}

// A request target has a path, or is "*" if the method is OPTIONS. Of other targets that net/http accepts, the upstream
// server would get the part after the scheme: a target outside of its path, or one in absolute form, which overrides
// Host.
func TestProxyTargetForms(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	for _, base := range []string{"", "/app"} {
		url, _ := startProxy(t, origin.URL+base)
		for _, test := range []struct{ line, want string }{
			{"GET x:http://internal.example/secret", ""}, {"POST x:http://internal.example/secret", ""}, {"GET x:admin", ""}, {"GET http:admin", ""},
			{"GET x:*", ""}, {"OPTIONS x:*", ""}, {"GET *", ""}, {"POST *", ""}, {"GET x:", ""}, {"GET x:?q", ""}, {"GET x:/a", ""}, {"GET x://h/a", ""},
			{"GET http:///a", ""}, {"OPTIONS http:a", ""},
			{"GET http://other.example/a", "/a"}, {"GET HTTPS://other.example/a?b", "/a?b"}, {"GET http://other.example", "/"}, {"POST http://other.example?q", "/?q"},
			{"GET /x:a", "/x:a"}, {"GET //h/a", "//h/a"}, {"GET /*", "/*"},
		} {
			resp, body := raw(t, url, test.line+" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			if test.want == "" && resp.StatusCode == http.StatusBadRequest {
				continue
			}
			if want := base + test.want; test.want == "" || body != want {
				t.Errorf("%q: status %d, the origin saw %q, want %q", test.line, resp.StatusCode, body, want)
			}
		}
	}
}

// wireOrigin is an origin that sends the same bytes as the response to each request.
func wireOrigin(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					write(conn)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// An invalid status does not cause a panic, and endless interim responses are not awaited for ever.
func TestProxyInvalidResponses(t *testing.T) {
	for _, status := range []string{"099", "000", "001"} {
		proxy, _ := startProxy(t, wireOrigin(t, func(w io.Writer) error {
			_, err := io.WriteString(w, "HTTP/1.1 "+status+" x\r\nContent-Length: 0\r\n\r\n")
			return err
		}))
		for _, method := range []string{"GET", "POST"} {
			if resp, _ := do(t, method, proxy); resp.StatusCode != http.StatusBadGateway {
				t.Errorf("%s, origin's status %s: status %d, want %d", method, status, resp.StatusCode, http.StatusBadGateway)
			}
		}
	}
	for _, size := range []int{1 << 10, 500 << 10} {
		proxy, _ := startProxy(t, wireOrigin(t, func(w io.Writer) error {
			for {
				if _, err := io.WriteString(w, "HTTP/1.1 103 Early Hints\r\nLink: </"+strings.Repeat("x", size)+">\r\n\r\n"); err != nil {
					return err
				}
			}
		}))
		for _, method := range []string{"GET", "POST"} {
			if resp, _ := do(t, method, proxy); resp.StatusCode != http.StatusBadGateway {
				t.Errorf("%s, interim responses of %d bytes without end: status %d, want %d", method, size, resp.StatusCode, http.StatusBadGateway)
			}
		}
	}
}
