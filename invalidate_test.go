package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
)

func TestInvalidationByLocation(t *testing.T) {
	stored := ok("Cache-Control: max-age=60")
	for _, test := range []struct {
		name, field string
		gone        bool // what is stored for /b
	}{
		{"Location", "Location: /b", true},
		{"Content-Location", "Content-Location: /b", true},
		{"absolute", "Location: http://example.com/b", true},
		{"absolute, in capitals and with the port", "Location: HTTP://EXAMPLE.com:80/b", true},
		{"relative", "Location: b", true},
		{"with a fragment", "Location: /b#c", true},
		{"of another host", "Location: http://example.org/b", false},
		{"of another scheme", "Location: https://example.com/b", false},
		{"of another port", "Location: http://example.com:8080/b", false},
		{"of a host that looks alike", "Location: http://example.com@example.org/b", false},
		{"no URL", "Location: http://[/b", false},
		{"of another path", "Location: /c", false},
		{"of another query", "Location: /b?c", false},
	} {
		want, body := hit, "#1"
		if test.gone {
			want, body = miss, "#3"
		}
		runScenarios(t, []scenario{{
			name:   test.name,
			origin: []reply{stored, status(201, test.field), stored},
			steps:  []step{{do: "/b", want: miss}, {do: "POST /a", want: bypass}, {do: "/b", want: want, body: body}},
		}, {
			name:   test.name + ", when it fails",
			origin: []reply{stored, status(404, test.field), stored},
			steps:  []step{{do: "/b", want: miss}, {do: "POST /a", want: bypass}, {do: "/b", want: hit}},
		}, {
			name:   test.name + ", of GET",
			origin: []reply{stored, ok(test.field), stored},
			steps:  []step{{do: "/b", want: miss}, {do: "/a", want: miss}, {do: "/b", want: hit}},
		}})
	}
}

// A response that was under way when its URL was invalidated is not stored: it may be of the state before.
func TestInvalidationOfWhatIsUnderWay(t *testing.T) {
	for _, revalidating := range []bool{false, true} {
		in(t, func(t *testing.T) {
			var tr *cachecontrol.Transport
			o := versions(t, "Cache-Control: max-age=60")
			tr = &cachecontrol.Transport{Base: o}
			defer tr.Close()
			if revalidating {
				do(t, tr, "/")
			}
			slow := open(t, tr, request(t, "/", "Cache-Control: no-cache"))
			if revalidating {
				do(t, tr, "PUT /")
				io.Copy(io.Discard, slow.Body)
			} else {
				io.ReadFull(slow.Body, make([]byte, 3))
				do(t, tr, "PUT /")
				io.Copy(io.Discard, slow.Body)
			}
			slow.Body.Close()
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "version 2" {
				t.Errorf("revalidating %v: %v %q", revalidating, a.outcome, a.body)
			}
			if a := do(t, tr, "/"); a.outcome != hit || a.body != "version 2" {
				t.Errorf("and then: %v %q", a.outcome, a.body)
			}
		})
	}
}

// An invalidation between the lookup of a request and its way to the origin leaves no variant to be found again, also in stores
// that keep their variants until they expire.
func TestInvalidationAfterLookup(t *testing.T) {
	for name, store := range cookieStores(t) {
		t.Run(name, func(t *testing.T) {
			version := 1
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				if req.Method == http.MethodPut {
					version++
					return respond(204, "")
				}
				return respond(200, fmt.Sprintf("%d for %s", version, req.Header.Get("X-A")), "Cache-Control: max-age=600", "Vary: X-A")
			})
			var tr *cachecontrol.Transport
			puts := false
			tr = &cachecontrol.Transport{Base: o, Store: store, BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
				if !puts {
					return cachecontrol.ReuseByRules
				}
				puts = false
				do(t, tr, "PUT /")
				return cachecontrol.ReuseNever
			}}
			defer tr.Close()
			for _, x := range []string{"X-A: a", "X-A: b"} {
				do(t, tr, "/", x)
			}
			puts = true
			do(t, tr, "/", "X-A: a")
			for _, x := range []string{"a", "b"} {
				if a := do(t, tr, "/", "X-A: "+x); a.body != "2 for "+x {
					t.Errorf("%s: %v %q, want version 2", x, a.outcome, a.body)
				}
			}
		})
	}
}

func TestPOSTWithContentLocation(t *testing.T) {
	fresh := "Cache-Control: max-age=60"
	for _, test := range []struct {
		name   string
		answer reply
		want   cachecontrol.Outcome // of a GET after it
	}{
		{"its own URL, and fresh", ok(fresh, "Content-Location: /a"), hit},
		{"absolute", ok(fresh, "Content-Location: http://example.com/a"), hit},
		{"no freshness", ok("Content-Location: /a", `ETag: "a"`), miss},
		{"no-store", ok("Cache-Control: no-store, max-age=60", "Content-Location: /a"), miss},
		{"another URL", ok(fresh, "Content-Location: /b"), miss},
		{"another host", ok(fresh, "Content-Location: http://example.org/a"), miss},
		{"none", ok(fresh), miss},
		{"another status", status(201, fresh, "Content-Location: /a"), miss},
	} {
		runScenarios(t, []scenario{{
			name:   test.name,
			origin: []reply{test.answer, ok(fresh)},
			steps:  []step{{do: "POST /a", want: bypass, body: "#1"}, {do: "/a", want: test.want}, {do: "/b", want: miss}, {do: "POST /a", want: bypass}},
		}})
	}
	runScenarios(t, []scenario{{
		name:   "PUT, never",
		origin: []reply{ok(fresh, "Content-Location: /a")},
		steps:  []step{{do: "PUT /a", want: bypass, body: "#1"}, {do: "/a", want: miss}},
	}})
}

// A Host of its own makes another resource of the same URL, and other servers do not answer for each other.
// A POST that was under way when its URL was invalidated brings nothing to be stored either.
func TestInvalidationOfPOSTUnderWay(t *testing.T) {
	in(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{}
		defer tr.Close()
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == http.MethodPost {
				if err := tr.Invalidate(t.Context(), req.URL); err != nil {
					t.Error(err)
				}
			}
			return respond(200, req.Method, "Cache-Control: max-age=60", "Content-Location: http://example.com/")
		})
		tr.Base = o
		do(t, tr, "POST /")
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "GET" {
			t.Errorf("%v %q, want the origin's answer", a.outcome, a.body)
		}
	})
}

func TestHostOverride(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.URL.Host+" for "+req.Host, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		get := func(method, url, host string, want cachecontrol.Outcome) {
			t.Helper()
			req := request(t, method+" "+url)
			req.Host = host
			a := send(t, tr, req)
			if a.outcome != want || a.body != req.URL.Host+" for "+host {
				t.Errorf("%s for %s: %v %q, want %v", url, host, a.outcome, a.body, want)
			}
		}
		get("GET", "http://one.test/", "one.test", miss)
		get("GET", "http://one.test/", "two.test", miss)
		get("GET", "http://two.test/", "two.test", miss)
		get("GET", "http://two.test/", "one.test", miss)
		get("GET", "http://one.test/", "two.test", hit)
		get("GET", "http://one.test/", "one.test", hit)
		get("PUT", "http://one.test/", "two.test", bypass)
		get("GET", "http://one.test/", "two.test", miss)
		get("GET", "http://one.test/", "one.test", hit)
		get("GET", "http://two.test/", "two.test", hit)
	})
}

// A host with letters beyond ASCII is not a reg-name, and has no key: package strings makes an "i" of U+0130, and net/http another
// host. Nothing is stored for it, and what it answers invalidates nothing of another host.
func TestHostsBeyondASCII(t *testing.T) {
	for _, other := range []string{"\u0130.example", "\u212a.example", "\u1e9e.example"} {
		for _, host := range []string{"i.example", "k.example", "\u00df.example"} {
			first, again, body := miss, hit, "#1"
			if host == "\u00df.example" {
				first, again, body = bypass, bypass, "#4"
			}
			runScenarios(t, []scenario{
				{other + ", " + host, nil, []reply{ok("Cache-Control: max-age=60")}, []step{
					{do: "http://" + host + "/", want: first, body: "#1"},
					{do: "http://" + other + "/", want: bypass, body: "#2"},
					{do: "http://" + other + "/", want: bypass, body: "#3"},
					{do: "http://" + host + "/", want: again, body: body},
				}},
				{other + ", Location " + host, nil, []reply{ok("Cache-Control: max-age=60", "Content-Location: http://"+host+"/")}, []step{
					{do: "http://" + host + "/", want: first},
					{do: "POST http://" + other + "/x", want: bypass},
					{do: "http://" + host + "/", want: again},
				}},
			})
		}
	}
}

// TestUnsafeMethodInvalidates: a method that is stored because its user says so is still unsafe, and what it asks of the
// origin makes GET's response invalid (RFC 9111, section 4.4).
func TestUnsafeMethodInvalidates(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Method, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", "POST"}}
		defer tr.Close()
		for _, want := range []struct {
			target  string
			outcome cachecontrol.Outcome
		}{
			{"/", cachecontrol.Miss}, {"/", cachecontrol.Hit},
			{"POST /", cachecontrol.Miss}, {"POST /", cachecontrol.Hit},
			{"/", cachecontrol.Miss},
		} {
			if a := do(t, tr, want.target); a.outcome != want.outcome {
				t.Errorf("%s: %v, want %v", want.target, a.outcome, want.outcome)
			}
		}
	})
}

// It does so too where its body cannot be read twice, and so cannot be made part of a key.
func TestUnsafeMethodWithoutKeyInvalidates(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Method, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", "POST"}}
		defer tr.Close()
		do(t, tr, "/")
		req := request(t, "POST /")
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("body")), nil
		if a := send(t, tr, req); a.outcome != cachecontrol.Bypass {
			t.Errorf("POST: %v", a.outcome)
		}
		if a := do(t, tr, "/"); a.outcome != cachecontrol.Miss {
			t.Errorf("after the POST: %v", a.outcome)
		}
	})
}
