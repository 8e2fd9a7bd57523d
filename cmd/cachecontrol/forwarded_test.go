package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// Fields about the target of a request, which are not part of the key, must not change the responses for other clients.
// Origins build links, redirects and whole pages from such fields, under many names, and CGI and WSGI read an
// underscore like a hyphen.
func TestProxyRemovesFieldsAboutTheTarget(t *testing.T) {
	header := make(chan http.Header, 1)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		header <- r.Header
		w.Header().Set("Cache-Control", "no-store")
	})
	url, _ := startProxy(t, origin.URL)
	for _, name := range []string{
		"Forwarded", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Anything", "X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "X-Host",
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Front-End-Https", "X-Real-IP", "True-Client-IP", "Proxy",
		"X_Forwarded_Host", "x_original_url", "X-Forwarded_Host", "X_FORWARDED-FOR",
		"X-Original-Anything", "X-Rewrite-Anything", "X-Forward-Host", "X-Envoy-Original-Path", "X-HTTP-Host", "X-HTTP-Anything", "CF-Visitor",
		"X-Appengine-Https", "WL-Proxy-SSL", "X-Sendfile-Type", "X-Accel-Mapping",
		"Accept_Language",                                                               // by which a response may vary, under its other name
		"X.Forwarded.Host", "X.Original-URL", "Accept.Language", "X!Tenant", "X`Tenant", // PHP reads a dot like a hyphen, others read more so
	} {
		for _, method := range []string{"GET", "POST"} { // the latter takes another way
			raw(t, url, method+" / HTTP/1.1\r\nHost: evil.example\r\n"+name+": evil\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			for got, lines := range <-header {
				if strings.Contains(strings.Join(lines, ","), "evil") {
					t.Errorf("%s with %s: the origin saw %s: %q, want none of the client's", method, name, got, lines)
				}
			}
		}
	}
}

// Fields that a trusted proxy sets are passed on and are part of the key.
func TestProxyTrustForwarded(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s://%s%s for %s", r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-Prefix"),
			r.Header.Get("X-Forwarded-For"))
	})
	url, _ := startProxy(t, origin.URL, "--trust-forwarded")
	for _, test := range []struct{ host, prefix, want string }{
		{"a.example", "/x", "https://a.example/x for 192.0.2.1, 127.0.0.1"},
		{"b.example", "/x", "https://b.example/x for 192.0.2.1, 127.0.0.1"},
		{"a.example", "/y", "https://a.example/y for 192.0.2.1, 127.0.0.1"},
	} {
		for _, from := range []string{"", "1"} {
			resp, body := do(t, "GET", url, "X-Forwarded-Proto", "https", "X-Forwarded-Host", test.host, "X-Forwarded-Prefix", test.prefix,
				"X-Forwarded-For", "192.0.2.1")
			if got := resp.Header.Get("X-From-Cache"); body != test.want || got != from {
				t.Errorf("%v: body %q, X-From-Cache %q, want %q, %q", test, body, got, test.want, from)
			}
		}
	}
}

// A field with a name that servers may mistake for another one is not part of the key. It is not passed on even from a
// trusted proxy, unless it is about the target: then it is part of the key.
func TestProxyTrustForwardedNames(t *testing.T) {
	header := make(chan http.Header, 1)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { header <- r.Header })
	url, _ := startProxy(t, origin.URL, "--trust-forwarded")
	for name, want := range map[string]string{
		"X_Forwarded_Prefix": "v", "X-Original-Anything": "v", "Cf-Visitor": "v", "Accept_language": "", "X.tenant": "", "X-Tenant": "v",
	} {
		raw(t, url, "GET / HTTP/1.1\r\nHost: a\r\n"+name+": v\r\nConnection: close\r\n\r\n")
		if got := strings.Join((<-header)[http.CanonicalHeaderKey(name)], ","); got != want {
			t.Errorf("%s: the origin saw %q, want %q", name, got, want)
		}
	}
}

// A name given with --host reaches the origin as written on the command line. Each name has its own responses.
func TestProxyHost(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%q %d", r.Header["X-Forwarded-Host"], asked.Add(1))
	})
	url, _ := startProxy(t, origin.URL, "--host", "a.example", "--host", "b.example,[::1]:80")
	for _, test := range []struct{ host, want string }{
		{"a.example", `["a.example"] 1`},
		{"A.Example", `["a.example"] 1`},
		{"a.example:8080", `["a.example"] 1`},
		{"b.example", `["b.example"] 2`},
		{"[::1]:80", `["[::1]:80"] 3`},
		{"evil.example", `[] 4`},
		{"a.example.evil", `[] 4`},
		{"a.example", `["a.example"] 1`},
	} {
		if _, body := raw(t, url, "GET / HTTP/1.1\r\nHost: "+test.host+"\r\nConnection: close\r\n\r\n"); body != test.want {
			t.Errorf("Host: %s: body = %q, want %q", test.host, body, test.want)
		}
	}
	for _, bad := range []string{"", "https://a.example", "a.example/x", "a b"} {
		if code, _, _ := call(t, "proxy", "--upstream", origin.URL, "--host", bad); code != exitUsage {
			t.Errorf("--host %q: exit code %d, want %d", bad, code, exitUsage)
		}
	}
}

// The proxy is a shared cache by default. With --private, only one user may be able to reach it.
func TestProxyPrivate(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		io.WriteString(w, r.Header.Get("Authorization"))
	})
	for _, test := range []struct {
		flags []string
		want  string
	}{
		{nil, "bob"},
		{[]string{"--private"}, "alice"},
		{[]string{"--private", "--one-user"}, "alice"},
	} {
		url, _ := startProxy(t, origin.URL, test.flags...)
		do(t, "GET", url, "Authorization", "alice")
		if _, body := do(t, "GET", url, "Authorization", "bob"); body != test.want {
			t.Errorf("proxy %v: bob gets the page of %s, want that of %s", test.flags, body, test.want)
		}
	}
	for _, listen := range []string{":0", "0.0.0.0:0"} {
		if code, _, stderr := call(t, "proxy", "--upstream", origin.URL, "--private", "--listen", listen); code != exitUsage || !strings.Contains(stderr, "--one-user") {
			t.Errorf("--private --listen %s: exit code %d, %q, want %d and a hint", listen, code, stderr, exitUsage)
		}
	}
}

// A shared cache does not send the cookie of one user to another, except with --replay-set-cookie.
func TestProxySetCookie(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Set-Cookie", "session="+r.Header.Get("X-User"))
	})
	for _, test := range []struct {
		flags []string
		want  string
	}{
		{nil, "session=bob"},
		{[]string{"--replay-set-cookie"}, "session=alice"},
	} {
		url, _ := startProxy(t, origin.URL, test.flags...)
		do(t, "GET", url, "X-User", "alice")
		if resp, _ := do(t, "GET", url, "X-User", "bob"); resp.Header.Get("Set-Cookie") != test.want {
			t.Errorf("proxy %v: Set-Cookie for bob = %q, want %q", test.flags, resp.Header.Get("Set-Cookie"), test.want)
		}
	}
}
