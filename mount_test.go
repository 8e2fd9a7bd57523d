package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// named returns a RoundTripper that answers with its name.
func named(name string) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		return respond(200, name), nil
	})
}

func TestMounts(t *testing.T) {
	var m cachecontrol.Mounts
	for _, prefix := range []string{
		"http://", "https://", "http://a.com", "http://b.com/", "http://A.com/API", "http://a.com/API/v2/", "http://a.com:8080",
		"HTTPS://C.com/x", "http://gone.com", "http://a.com/enc%20oded", "http://i.com",
	} {
		m.Mount(prefix, named(prefix))
	}
	m.Mount("http://b.com/", named("replaced"))
	m.Mount("http://gone.com", nil)
	for url, want := range map[string]string{
		"http://z.com/":               "http://",
		"https://z.com/":              "https://",
		"http://a.com":                "http://a.com",
		"http://a.com/":               "http://a.com",
		"http://A.COM/x":              "http://a.com",
		"http://a.com?q":              "http://a.com",
		"http://user:pass@a.com/":     "http://a.com",
		"http://a.com.evil.org/":      "http://",
		"http://a.comx/":              "http://",
		"http://a.com@evil.org/":      "http://",
		"http://xa.com/":              "http://",
		"http://a.com:8080/":          "http://a.com:8080",
		"http://a.com:80801/":         "http://",
		"http://a.com:81/":            "http://",
		"http://b.com":                "replaced",
		"http://b.com/x":              "replaced",
		"http://a.com/API":            "http://A.com/API",
		"http://a.com/API/":           "http://A.com/API",
		"http://a.com/API/v1/x":       "http://A.com/API",
		"http://a.com/API?x":          "http://A.com/API",
		"http://a.com/APIx":           "http://a.com",
		"http://a.com/api":            "http://a.com",
		"http://a.com/API/v2":         "http://A.com/API",
		"http://a.com/API/v2/":        "http://a.com/API/v2/",
		"http://a.com/API/v2/x":       "http://a.com/API/v2/",
		"http://a.com/API/v2x":        "http://A.com/API",
		"https://c.COM/x/y":           "HTTPS://C.com/x",
		"https://c.com/X":             "https://",
		"http://gone.com/":            "http://",
		"http://I.com/":               "http://i.com",
		"http://\u0130.com/":          "http://",
		"http://a.com/enc%20oded/x":   "http://a.com/enc%20oded",
		"http://a.com/other%2Fx":      "http://a.com",
		"http://a.com/API%2Fv2/x":     "http://a.com",
		"http://a.com/x/../API/v2/x":  "http://a.com",
		"http://a.com/#http://b.com/": "http://a.com",
	} {
		t.Run(url, func(t *testing.T) {
			req := request(t, url)
			resp, err := m.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, _ := resp.Body.Read(b)
			if string(b[:n]) != want {
				t.Errorf("it went to %q, want %q", b[:n], want)
			}
		})
	}
}

// Different spellings of a URL go to the same RoundTripper: with another case of scheme and host, a default port, an
// empty port, leading zeros in a port, an empty path, or a user.
func TestMountsOfOneURLInSeveralSpellings(t *testing.T) {
	for _, spellings := range [][]string{
		{"https://h.com", "https://h.com/", "https://h.com:443", "https://h.com:443/", "HTTPS://H.COM:0443/", "https://h.com:"},
		{"http://h.com", "http://h.com/", "http://h.com:80", "http://H.com:80/", "hTTp://h.com:/"},
		{"http://h.com/a", "http://h.com:80/a", "HTTP://H.com:/a"},
		{"http://h.com:8080/a/", "http://H.com:08080/a/"},
		{"http://[::1]", "http://[::1]:80/"},
		{"http://h.com/a%20b", "http://h.com/a b"},
		{"http://\u00fc.com", "HTTP://\u00fc.COM"},
	} {
		for _, prefix := range spellings {
			for _, target := range spellings {
				if strings.Contains(target, " ") {
					continue // of a prefix alone
				}
				var m cachecontrol.Mounts
				m.Mount("http://", named("no"))
				m.Mount("https://", named("no"))
				m.Mount("http://h.com:443", named("no"))
				m.Mount("https://h.com:80", named("no"))
				m.Mount(prefix, named("yes"))
				for _, target := range []string{target, target + "?q#f", strings.Replace(target, "://", "://u:p@", 1)} {
					resp, err := m.RoundTrip(request(t, target))
					if err != nil {
						t.Fatal(err)
					}
					if b, _ := io.ReadAll(resp.Body); string(b) != "yes" {
						t.Errorf("GET %s: body %q, want %q of the RoundTripper for %q", target, b, "yes", prefix)
					}
				}
				m.Mount(target, nil)
				resp, err := m.RoundTrip(request(t, target))
				if err != nil {
					t.Fatal(err)
				}
				if b, _ := io.ReadAll(resp.Body); string(b) != "no" {
					t.Errorf("GET %s, nothing mounted for %q: body %q, want %q", target, prefix, b, "no")
				}
			}
		}
	}
}

// Mount panics for a prefix that no URL can match.
func TestMountsOfNoURL(t *testing.T) {
	for _, prefix := range []string{
		"", "/", "example.com", "example.com/x", "example.com:80", "localhost:8080", "//example.com", "http", "http:", "http:/", "http:/h", "http:h", "://",
		"://h", "http:///x", "http://:80", "http://:80/x", "http://u@h.com", "http://u:secret@h.com/", "http://h.com/?q", "http://h.com?", "http://h.com/#f",
		"http://h.com#", "http://?q", "http://#f", "http://a b.com/", "http://h.com:x/", "http://h.com/%zz", " http://h.com", "http://h.com\n", "1http://h.com",
	} {
		for _, rt := range []http.RoundTripper{named("x"), nil} {
			func() {
				defer func() {
					p := recover()
					if p == nil {
						t.Errorf("Mount(%q, %v) returned, want a panic", prefix, rt)
					}
					if strings.Contains(fmt.Sprint(p), "secret") {
						t.Errorf("Mount(%q) panics with %v, want no password in it", prefix, p)
					}
				}()
				new(cachecontrol.Mounts).Mount(prefix, rt)
			}()
		}
	}
}

// A request without a mount goes to http.DefaultTransport, which returns the error if there is one.
func TestMountsWithoutAMount(t *testing.T) {
	var m cachecontrol.Mounts
	if resp, err := m.RoundTrip(&http.Request{Method: "GET", Header: http.Header{}}); err == nil {
		t.Errorf("no URL: %v, want an error", resp)
	}
	m.Mount("http://", named("http"))
	if resp, err := m.RoundTrip(request(t, "gopher://a.com/")); err == nil {
		t.Errorf("gopher: %v, want an error", resp)
	}
}

func TestMountingWhileInUse(t *testing.T) {
	var m cachecontrol.Mounts
	m.Mount("http://", named("all"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				m.Mount("http://a.com", named("a"))
				req, _ := http.NewRequest("GET", "http://a.com/", nil)
				if _, err := m.RoundTrip(req); err != nil {
					t.Error(err)
				}
				m.Mount("http://a.com", nil)
			}
		})
	}
	all.Wait()
}

// Mounts that lead back to themselves are an error: directly, through other Mounts and Transports, and without a mount.
// CloseIdleConnections returns even so.
func TestMountsLeadBack(t *testing.T) {
	original := http.DefaultTransport
	defer func() { http.DefaultTransport = original }()
	mounted := func(rt http.RoundTripper) *cachecontrol.Mounts {
		m := new(cachecontrol.Mounts)
		if rt != nil {
			m.Mount("http://", rt)
			m.Mount("http://127.0.0.1", rt)
		}
		return m
	}
	itself, another, through, byDefault := mounted(nil), mounted(nil), mounted(nil), mounted(nil)
	itself.Mount("http://", itself)
	another.Mount("http://", mounted(another))
	tr := &cachecontrol.Transport{Base: through}
	through.Mount("http://", tr)
	for name, rt := range map[string]http.RoundTripper{
		"itself": itself, "other Mounts": another, "a Transport": through, "http.DefaultTransport": byDefault,
		"into a loop": mounted(itself), "a Transport into a loop": &cachecontrol.Transport{Base: itself},
	} {
		http.DefaultTransport = byDefault
		for _, method := range []string{"GET", "POST"} {
			if _, err := rt.RoundTrip(request(t, method+" http://127.0.0.1:1/")); err == nil || !strings.Contains(err.Error(), "leads back to") {
				t.Errorf("%s, %s: %v, want an error that says so", name, method, err)
			}
		}
		rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
		if c, ok := rt.(*cachecontrol.Transport); ok {
			c.Close()
		}
	}
	tr.Close()
	if resp, err := mounted(mounted(named("end"))).RoundTrip(request(t, "http://127.0.0.1:1/")); err != nil || resp.StatusCode != 200 {
		t.Errorf("Mounts in Mounts: %v, %v", resp, err)
	}
}

func TestMountsForSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok())
		day := &cachecontrol.Transport{Base: o, Heuristic: heuristics.OneDay}
		plain := &cachecontrol.Transport{Base: o}
		defer day.Close()
		defer plain.Close()
		var m cachecontrol.Mounts
		m.Mount("http://", plain)
		m.Mount("http://my.example.com", day)
		for i, st := range []step{
			{do: "http://my.example.com/a", want: miss}, {do: "http://my.example.com/a", want: hit},
			{do: "http://example.com/a", want: miss}, {do: "http://example.com/a", want: miss},
		} {
			st.run(t, fmt.Sprint(i), &m, o)
		}
	})
}
