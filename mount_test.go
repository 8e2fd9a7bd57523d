package cachecontrol_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
)

// named answers with its own name.
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
		"http://b.com":                "http://",
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

// What nothing is mounted for goes to net/http, which says what is wrong with it.
func TestMountsWithoutAMount(t *testing.T) {
	var m cachecontrol.Mounts
	if resp, err := m.RoundTrip(&http.Request{Method: "GET", Header: http.Header{}}); err == nil {
		t.Errorf("no URL: %v", resp)
	}
	m.Mount("http://", named("http"))
	if resp, err := m.RoundTrip(request(t, "gopher://a.com/")); err == nil {
		t.Errorf("gopher: %v", resp)
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

// Mounts that lead back to themselves are an error: directly, through other Mounts and Transports, and where nothing is mounted. So is
// what leads to such Mounts. Closing idle connections there comes to its end.
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
