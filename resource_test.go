package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/keys"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// withoutQuery is a Transport.Key: all queries of a path are one resource.
func withoutQuery(req *http.Request) *url.URL {
	u := *req.URL
	u.RawQuery, u.ForceQuery = "", false
	return &u
}

// mirrored is a Transport.Key: all hosts have the same files, and /x/ of any is / of the others.
func mirrored(req *http.Request) *url.URL {
	u := *req.URL
	u.Host, u.Path = "all.example", "/"+strings.TrimPrefix(strings.TrimPrefix(u.Path, "/"), "x/")
	return &u
}

// keyedBy returns a Transport.Key that returns this URL for all requests.
func keyedBy(u *url.URL) func(*http.Request) *url.URL {
	return func(*http.Request) *url.URL { return u }
}

// URLs with one key share what is stored, and each request goes to its own URL.
func TestKey(t *testing.T) {
	const fresh, tag, vary = "Cache-Control: max-age=60", `ETag: "1"`, "Vary: X-A"
	all := &cachecontrol.Transport{Key: withoutQuery}
	runScenarios(t, []scenario{
		{"hit", all, []reply{ok(fresh)}, []step{
			{do: "/a?1", want: miss, body: "#1"}, {do: "/a?2", want: hit, body: "#1"}, {do: "/a", want: hit, body: "#1"}, {do: "/b?1", want: miss, body: "#2"},
			{do: "HEAD /a?3", want: hit},
		}},
		{"the URL itself is the key", &cachecontrol.Transport{Key: func(req *http.Request) *url.URL { return req.URL }}, []reply{ok(fresh)}, []step{
			{do: "/a?1", want: miss}, {do: "/a?1", want: hit, head: []string{"Cache-Status: cachecontrol;hit;ttl=60;detail=fresh"}}, {do: "/a?2", want: miss},
		}},
		{"no answer", &cachecontrol.Transport{Key: keyedBy(nil)}, []reply{ok(fresh)}, []step{
			{do: "/a?1", want: miss}, {do: "/a?1", want: hit, head: []string{"Cache-Status: cachecontrol;hit;ttl=60;detail=fresh"}}, {do: "/a?2", want: miss},
		}},
		{"validation", &cachecontrol.Transport{Key: withoutQuery}, []reply{ok(fresh, tag), status(304, fresh, tag), ok(fresh)}, []step{
			{do: "/a?1", want: miss}, {wait: time.Hour, do: "/a?2", want: revalidated, sent: []string{`If-None-Match: "1"`}, body: "#1"}, {do: "/a?3", want: hit, body: "#1"},
			{wait: time.Hour, do: "/a?1", want: miss, body: "#3"}, {do: "/a?2", want: hit, body: "#3"},
		}},
		{"variants", &cachecontrol.Transport{Key: withoutQuery}, []reply{ok(fresh, vary)}, []step{
			{do: "/a?1", with: []string{"X-A: a"}, want: miss}, {do: "/a?2", with: []string{"X-A: b"}, want: miss},
			{do: "/a?3", with: []string{"X-A: a"}, want: hit, body: "#1"}, {do: "/a?4", with: []string{"X-A: b"}, want: hit, body: "#2"},
			{do: "PUT /a?5", want: bypass}, {do: "/a?6", with: []string{"X-A: a"}, want: miss}, {do: "/a?7", with: []string{"X-A: b"}, want: miss},
		}},
		{"partitions", &cachecontrol.Transport{Key: withoutQuery, Partition: func(req *http.Request) string { return req.Header.Get("X-User") }}, []reply{ok(fresh)}, []step{
			{do: "/a?1", with: []string{"X-User: a"}, want: miss}, {do: "/a?2", with: []string{"X-User: b"}, want: miss},
			{do: "/a?3", with: []string{"X-User: a"}, want: hit, body: "#1"},
		}},
		{"methods", &cachecontrol.Transport{Key: withoutQuery, CacheableMethods: []string{"GET", "SEARCH"}}, []reply{ok(fresh)}, []step{
			{do: "SEARCH /a?1", want: miss}, {do: "SEARCH /a?2", want: hit, body: "#1"}, {do: "/a?2", want: miss},
			{do: "POST /a?3", want: bypass}, {do: "SEARCH /a?4", want: miss}, {do: "/a?5", want: miss},
		}},
		{"POST that is stored", &cachecontrol.Transport{Key: withoutQuery}, []reply{ok(fresh, "Content-Location: /a?2")}, []step{
			{do: "POST /a?1", want: bypass, storing: "method-not-storable"}, {do: "POST /a?2", want: bypass, storing: "max-age"}, {do: "/a?3", want: hit, body: "#2"},
		}},
		{"several ranges", &cachecontrol.Transport{Key: withoutQuery}, []reply{{body: digits, fields: []string{fresh, tag}}}, []step{
			{do: "/a?1", want: miss}, {do: "/a?2", with: []string{"Range: bytes=0-1,8-9"}, want: hit, status: 206},
		}},
		{"set by the program to bypass", &cachecontrol.Transport{Key: withoutQuery}, []reply{ok(fresh)}, []step{
			{do: "/a?1", want: miss}, {do: "/a?2", control: &cachecontrol.Control{Mode: cachecontrol.ModeBypass}, want: bypass}, {do: "/a?2", want: hit, body: "#1"},
			{do: "DELETE /a?2", control: &cachecontrol.Control{Mode: cachecontrol.ModeBypass}, want: bypass}, {do: "/a?3", want: miss},
		}},
	})
}

// A request to the origin has the URL of the caller, whatever the cause.
func TestKeyKeepsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=10, stale-while-revalidate=60", `ETag: "1"`))
		tr := &cachecontrol.Transport{Base: o, Key: withoutQuery, RefreshAhead: 2 * time.Second, Collapse: true}
		defer tr.Close()
		for i, tt := range []struct {
			wait   time.Duration
			target string
			want   cachecontrol.Outcome
			sent   string // query of the last request to the origin
		}{
			{0, "/?1", miss, "1"},
			{9 * time.Second, "/?2", hit, "2"},    // refreshed ahead
			{20 * time.Second, "/?3", stale, "3"}, // validated in the background
			{0, "PATCH /?4", bypass, "4"},
			{0, "/?5", miss, "5"},
		} {
			time.Sleep(tt.wait)
			a := do(t, tr, tt.target)
			synctest.Wait()
			if a.outcome != tt.want || a.Request.URL.RawQuery != tt.target[len(tt.target)-1:] {
				t.Errorf("step %d: %s is a %v for %v, want a %v for the request", i, tt.target, a.outcome, a.Request.URL, tt.want)
			}
			if got := o.last().URL.RawQuery; got != tt.sent {
				t.Errorf("step %d: %s: the origin was asked for ?%s, want ?%s", i, tt.target, got, tt.sent)
			}
		}
	})
}

// Status.Key is the URL of what is stored if it is not the URL of the request, without credentials.
func TestStatusKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{
			Base: o, Key: keys.Without("t"), Collapse: true,
			Logger: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		defer tr.Close()
		long := "/?x=" + strings.Repeat("x", 1<<10)
		for _, tt := range []struct {
			target, want string
			outcome      cachecontrol.Outcome
		}{
			{"/a", "", miss},
			{"/a?t=1", "http://example.com/a", hit},
			{"/a?t=1&b=%22%5C", "http://example.com/a?b=%22%5C", miss},
			{"/a?t=1&b=%22%5C", "http://example.com/a?b=%22%5C", hit},
			{"/a?t=1&b=\"\\\xe4", `http://example.com/a?b="\%E4`, miss},
			{"http://user:secret@example.com/a?t=1", "http://example.com/a", miss},
			{"http://user:secret@example.com/a?t=2", "http://example.com/a", hit},
			{"POST /a?t=1", "http://example.com/a", bypass},
			{"/a?t=3", "http://example.com/a", miss},
			{long, "", miss},
			{long + "&t=1", "", hit},
		} {
			a := do(t, tr, tt.target)
			s := cachecontrol.StatusOf(a.Response)
			if s.Key != tt.want || a.outcome != tt.outcome {
				t.Errorf("Status of %q is %v with the key %q, want %v with %q; Cache-Status: %q", tt.target, a.outcome, s.Key, tt.outcome, tt.want, a.Header["Cache-Status"])
			}
			if (a.outcome == hit) != cachecontrol.FromCache(a.Response) {
				t.Errorf("FromCache is %v for %q, which is a %v", !cachecontrol.FromCache(a.Response), tt.target, a.outcome)
			}
			if shown := "; key: " + tt.want; tt.want != "" && !strings.HasSuffix(s.String(), shown) {
				t.Errorf("the status of %q is %q, want it to end in %q", tt.target, s, shown)
			}
		}
		if log := text.String(); !strings.Contains(log, "key=http://example.com/a\n") || strings.Contains(log, "secret") {
			t.Errorf("the log is\n%s\nwant the keys in it, and no password", log)
		}
		refused := cachecontrol.WithControl(t.Context(), cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly})
		if a := send(t, tr, request(t, "/none?t=1").WithContext(refused)); a.StatusCode != 504 || cachecontrol.StatusOf(a.Response).Key != "http://example.com/none" {
			t.Errorf("the refusal is %d, %q; want 504 with a key", a.StatusCode, a.Header["Cache-Status"])
		}
	})
}

// What invalidates one of 1,000 URLs with one key invalidates all of them.
func TestKeyInvalidation(t *testing.T) {
	aliases := rounds(1000, 50)
	alias := func(i int) string { return fmt.Sprintf("http://example.com/a?alias=%d", i%aliases) }
	for name, by := range map[string]func(t *testing.T, tr *cachecontrol.Transport, i int){
		"POST": func(t *testing.T, tr *cachecontrol.Transport, i int) { do(t, tr, "POST "+alias(i)) },
		"POST to another URL": func(t *testing.T, tr *cachecontrol.Transport, i int) {
			do(t, tr, "POST /other", "X-Location: "+alias(i))
		},
		"Invalidate": func(t *testing.T, tr *cachecontrol.Transport, i int) {
			if err := tr.Invalidate(t.Context(), request(t, alias(i)).URL); err != nil {
				t.Errorf("Invalidate(%s): %v", alias(i), err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEachStore(t, func(t *testing.T, store storage.Store) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Method == "POST" {
						return respond(200, "", "Content-Location: "+req.Header.Get("X-Location"))
					}
					return respond(200, "body", "Cache-Control: max-age=60", "Vary: X-A")
				})
				tr := &cachecontrol.Transport{Base: o, Store: store, Key: withoutQuery, CacheableMethods: []string{"GET", "SEARCH"}}
				defer tr.Close()
				only := cachecontrol.WithControl(t.Context(), cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly})
				stored := func(target, variant string) bool {
					return send(t, tr, request(t, target, "X-A: "+variant).WithContext(only)).StatusCode == 200
				}
				step := 10
				if _, ok := store.(*storage.DictCache); ok {
					step = 1
				}
				for i := 0; i < aliases; i += step {
					do(t, tr, alias(i+1), "X-A: 1")
					if !stored(alias(i+2), "1") {
						t.Fatalf("%s is not stored after a request for %s", alias(i+2), alias(i+1))
					}
					if i == 0 {
						do(t, tr, alias(3), "X-A: 2")
						do(t, tr, "SEARCH "+alias(4))
					}
					by(t, tr, i)
					if i > 0 {
						if stored(alias(i+3), "1") {
							t.Fatalf("%s is still stored after %s was invalidated", alias(i+3), alias(i))
						}
						continue
					}
					for j := range aliases {
						if stored(alias(j), "1") || stored(alias(j), "2") || stored("SEARCH "+alias(j), "") {
							t.Fatalf("%s is still stored after %s was invalidated", alias(j), alias(i))
						}
					}
				}
			})
		})
	}
}

// An unsafe request invalidates what GET requests for its URL find, even if the Key distinguishes methods and headers.
func TestKeyInvalidationByOtherKey(t *testing.T) {
	fresh := ok("Cache-Control: max-age=60")
	runScenarios(t, []scenario{
		{"by method", &cachecontrol.Transport{Key: func(req *http.Request) *url.URL {
			if req.Method != http.MethodGet {
				return nil
			}
			return withoutQuery(req)
		}}, []reply{fresh}, []step{{do: "/a?1", want: miss}, {do: "POST /a?2", want: bypass}, {do: "/a?3", want: miss}}},
		{"by header", &cachecontrol.Transport{Key: func(req *http.Request) *url.URL {
			u := *req.URL
			u.RawQuery = req.Header.Get("X-A")
			return &u
		}}, []reply{fresh}, []step{
			{do: "/a", with: []string{"X-A: 1"}, want: miss}, {do: "/a", want: miss}, {do: "/a", with: []string{"X-A: 2"}, want: miss},
			{do: "POST /a", with: []string{"X-A: 1"}, want: bypass},
			{do: "/a", with: []string{"X-A: 1"}, want: miss}, {do: "/a", want: miss}, {do: "/a", with: []string{"X-A: 2"}, want: hit},
		}},
	})
}

// A response that is received while another URL of its key is invalidated is not stored.
func TestKeyInvalidationWhileReceiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := versions(t, "Cache-Control: max-age=60")
		tr := &cachecontrol.Transport{Base: o, Key: withoutQuery}
		defer tr.Close()
		slow := open(t, tr, request(t, "/?1"))
		do(t, tr, "PUT /?2")
		io.Copy(io.Discard, slow.Body)
		slow.Body.Close()
		if a := do(t, tr, "/?3"); a.outcome != miss || a.body != "version 2" {
			t.Errorf("GET /?3: %v %q, want %v %q", a.outcome, a.body, miss, "version 2")
		}
	})
}

// A URL that must not be a key is logged once. The cache does not handle the request.
func TestKeyRefused(t *testing.T) {
	at := func(change func(*url.URL)) func(*http.Request) *url.URL {
		return func(req *http.Request) *url.URL {
			u := *req.URL
			change(&u)
			return &u
		}
	}
	for _, tt := range []struct {
		name    string
		key     func(*http.Request) *url.URL
		across  bool
		refused bool
	}{
		{"empty", keyedBy(&url.URL{}), false, true},
		{"empty, across origins", keyedBy(&url.URL{}), true, true},
		{"relative", keyedBy(&url.URL{Path: "/a"}), false, true},
		{"relative, across origins", keyedBy(&url.URL{Path: "/a"}), true, true},
		{"another host", at(func(u *url.URL) { u.Host = "other.example" }), false, true},
		{"another host, allowed", at(func(u *url.URL) { u.Host = "other.example" }), true, false},
		{"another scheme", at(func(u *url.URL) { u.Scheme = "https" }), false, true},
		{"another port", at(func(u *url.URL) { u.Host = "example.com:8080" }), false, true},
		{"a name without letters that matter", at(func(u *url.URL) { u.Host = "EXAMPLE.com:080" }), false, false},
		{"a user", at(func(u *url.URL) { u.User = url.UserPassword("user", "secret") }), false, false},
		{"no host", at(func(u *url.URL) { u.Host = "" }), true, true},
		{"a bad host", at(func(u *url.URL) { u.Host = "a b" }), true, true},
		{"opaque", at(func(u *url.URL) { u.Opaque = "//example.com/a" }), false, true},
		{"opaque, across origins", at(func(u *url.URL) { u.Opaque = "//example.com/a" }), true, true},
		{"a fragment", at(func(u *url.URL) { u.Fragment = "f" }), false, false},
		{"a query with a space", at(func(u *url.URL) { u.RawQuery = "a b" }), false, true},
		{"a query with a #", at(func(u *url.URL) { u.RawQuery = "a#b" }), true, true},
		{"a query with a line break", at(func(u *url.URL) { u.RawQuery = "a\nb" }), false, true},
		{"a relative path", at(func(u *url.URL) { u.Path = "a" }), false, true},
		{"a path with any byte", at(func(u *url.URL) { u.Path = "/a #?%\x00\xff" }), false, false},
		{"a RawPath of another path", at(func(u *url.URL) { u.Path, u.RawPath = "/a", "/b" }), false, false},
		{"no path", at(func(u *url.URL) { u.Path = "" }), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log recordedLog
			o := replies(t, ok("Cache-Control: max-age=60"))
			tr := &cachecontrol.Transport{Base: o, Key: tt.key, KeyAcrossOrigins: tt.across, Logger: slog.New(&log)}
			defer tr.Close()
			want, reason := hit, cachecontrol.Reason("fresh")
			if tt.refused {
				want, reason = bypass, "key"
			}
			do(t, tr, "/x?1")
			a := do(t, tr, "/x?1")
			if got := cachecontrol.StatusOf(a.Response).Reason; a.outcome != want || got != reason {
				t.Errorf("the second answer is %v: %v; want %v: %v", a.outcome, got, want, reason)
			}
			for range 3 {
				do(t, tr, "POST /x?1")
			}
			err := tr.Invalidate(t.Context(), request(t, "/x?1").URL)
			if (err != nil) != tt.refused {
				t.Errorf("Invalidate: %v, want an error: %v", err, tt.refused)
			}
			warnings := 0
			for _, r := range log.all() {
				if r.Level == slog.LevelWarn {
					warnings++
				}
			}
			if want := map[bool]int{true: 1}[tt.refused]; warnings != want {
				t.Errorf("%d warnings, want %d", warnings, want)
			}
		})
	}
}

// The Key of a request that the cache does not handle is refused for it only: another one for the URL invalidates what
// is stored under the URL itself.
func TestKeyRefusedInvalidates(t *testing.T) {
	tr := &cachecontrol.Transport{Key: func(req *http.Request) *url.URL {
		if req.Method == "POST" {
			return &url.URL{}
		}
		return nil
	}}
	runScenarios(t, []scenario{{"POST", tr, []reply{ok("Cache-Control: max-age=60")}, []step{
		{do: "/a", want: miss}, {do: "/a", want: hit}, {do: "POST /a", want: bypass}, {do: "/a", want: miss},
	}}})
}

// The server that is asked, and user and password of the URL, remain in the key whatever the Key is.
func TestKeyKeepsServerAndUser(t *testing.T) {
	o := replies(t, ok("Cache-Control: max-age=60"))
	for _, across := range []bool{false, true} {
		tr := &cachecontrol.Transport{Base: o, Key: withoutQuery, KeyAcrossOrigins: across}
		defer tr.Close()
		for _, tt := range []struct {
			target, host string
			want         cachecontrol.Outcome
		}{
			{"http://192.0.2.1/?1", "a.example", miss},
			{"http://192.0.2.1/?2", "b.example", miss},
			{"http://192.0.2.2/?3", "a.example", miss},
			{"http://a.example/?4", "", miss},
			{"http://192.0.2.1/?5", "a.example", hit},
			{"http://192.0.2.1/?6", "b.example", hit},
			{"http://u:1@a.example/?1", "", miss},
			{"http://u:2@a.example/?1", "", miss},
			{"http://u:1@a.example/?2", "", hit},
			{"http://a.example/?2", "", hit},
		} {
			req := request(t, tt.target)
			if tt.host != "" {
				req.Host = tt.host
			}
			if a := send(t, tr, req); a.outcome != tt.want {
				t.Errorf("GET %s with Host %q, across origins %v: %v, want %v", tt.target, tt.host, across, a.outcome, tt.want)
			}
		}
	}
}

// A Key that names the authority of the Host field keeps the server in the key, unless it may leave the origin.
func TestKeyOfHost(t *testing.T) {
	byHost := func(req *http.Request) *url.URL { return &url.URL{Scheme: "http", Host: req.Host, Path: "/"} }
	for across, want := range map[bool]cachecontrol.Outcome{false: miss, true: hit} {
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60")), Key: byHost, KeyAcrossOrigins: across}
		defer tr.Close()
		for _, server := range []string{"192.0.2.1", "192.0.2.2"} {
			req := request(t, "http://"+server+"/")
			req.Host = "a.example"
			if a := send(t, tr, req); server == "192.0.2.2" && a.outcome != want {
				t.Errorf("across origins %v: the second server's answer is a %v, want %v", across, a.outcome, want)
			}
		}
	}
}

// With KeyAcrossOrigins several origins share what is stored. Users of different URLs do not.
func TestKeyAcrossOrigins(t *testing.T) {
	fresh := ok("Cache-Control: max-age=60")
	tr := func() *cachecontrol.Transport {
		return &cachecontrol.Transport{Key: mirrored, KeyAcrossOrigins: true}
	}
	runScenarios(t, []scenario{
		{"hit", tr(), []reply{fresh}, []step{
			{do: "http://a.example/f", want: miss}, {do: "https://b.example:8443/x/f", want: miss}, {do: "http://b.example/x/f", want: hit, body: "#1"},
			{do: "http://b.example/g", want: miss}, {do: "DELETE http://c.example/f", want: bypass}, {do: "http://a.example/f", want: miss},
		}},
		{"Location", tr(), []reply{fresh, fresh, status(201, "Location: /x/f"), fresh}, []step{
			{do: "http://a.example/f", want: miss}, {do: "http://a.example/f", want: hit},
			{do: "http://a.example/g", want: miss}, {do: "POST http://b.example/h", want: bypass}, {do: "http://a.example/f", want: miss},
		}},
		{"Location of another origin", tr(), []reply{fresh, status(201, "Location: http://a.example/f"), fresh}, []step{
			{do: "http://a.example/f", want: miss}, {do: "POST http://b.example/h", want: bypass}, {do: "http://a.example/f", want: hit},
		}},
		{"users", tr(), []reply{fresh}, []step{
			{do: "http://u:1@a.example/f", want: miss}, {do: "http://a.example/f", want: miss}, {do: "http://u:2@b.example/f", want: miss}, {do: "http://u:1@b.example/f", want: hit, body: "#1"},
		}},
		{"users, of another user's key", &cachecontrol.Transport{
			Key:              keyedBy(&url.URL{Scheme: "http", Host: "all.example", Path: "/", User: url.User("v")}),
			KeyAcrossOrigins: true,
		}, []reply{fresh}, []step{
			{do: "http://u@a.example/", want: miss}, {do: "http://a.example/", want: miss}, {do: "http://v@a.example/", want: miss},
			{do: "http://u@b.example/", want: hit, body: "#1"}, {do: "http://b.example/", want: hit, body: "#2"},
		}},
	})
}

// Another URL with the key gets the references of a stored response as its own origin means them.
func TestKeyResolvesReferences(t *testing.T) {
	for _, tt := range []struct {
		name, target, location string
		across                 bool
		first, other           string // Location that the first request gets, and a later one for another URL
	}{
		{"absolute", "/d/f", "http://example.com/d/./g", false, "http://example.com/d/./g", "http://example.com/d/./g"},
		{"absolute path", "/d/f", "/g", false, "/g", "/g"},
		{"authority", "/d/f", "//other.example/g", false, "//other.example/g", "//other.example/g"},
		{"path", "/d/f", "g?q#f", false, "g?q#f", "/d/g?q#f"},
		{"dots", "/d/f", "../g", false, "../g", "/g"},
		{"query", "/d/f?a", "?q", false, "?q", "/d/f?q"},
		{"path, with a password", "http://u:p@example.com/d/f", "g", false, "g", "/d/g"},
		{"two slashes", "http://example.com//evil.example/f", "g", false, "g", "http://example.com//evil.example/g"},
		{"malformed", "/d/f", "%zz", false, "%zz", "%zz"},
		{"none", "/d/f", "", false, "", ""},
		{"path, across origins", "/d/f", "g", true, "g", "http://example.com/d/g"},
		{"absolute path, across origins", "http://u:p@example.com/d/f", "/g", true, "/g", "http://example.com/g"},
		{"authority, across origins", "/d/f", "//other.example/g", true, "//other.example/g", "http://other.example/g"},
	} {
		for _, name := range []string{"Location", "Content-Location"} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				inEachStore(t, func(t *testing.T, store storage.Store) {
					field := name + ": " + tt.location
					tag := `ETag: "1"`
					o := replies(t, status(301, "Cache-Control: max-age=10", tag, field), status(304, "Cache-Control: max-age=10", tag, field))
					key := func(req *http.Request) *url.URL {
						u := *req.URL
						u.Path, u.RawQuery = "/key/", ""
						return &u
					}
					tr := &cachecontrol.Transport{Base: o, Store: store, Key: key, KeyAcrossOrigins: tt.across}
					defer tr.Close()
					user := ""
					if strings.Contains(tt.target, "@") {
						user = "u:p@"
					}
					check := func(what, target, want string) {
						t.Helper()
						if a := do(t, tr, target); a.Header.Get(name) != want {
							t.Errorf("%s of %s is %q, want %q; %v", name, what, a.Header.Get(name), want, a.outcome)
						}
					}
					other := "http://" + user + "example.com/elsewhere/very/deep"
					check("the first response", tt.target, tt.first)
					check("a hit for another URL", other, tt.other)
					time.Sleep(time.Minute)
					check("a validated response", tt.target, tt.other)
					check("a hit after that", other, tt.other)
				})
			})
		}
	}
}

// A panic in Key reaches the caller. The body of the request, and of a response, is closed, and nothing waits.
func TestKeyPanics(t *testing.T) {
	bang := errors.New("bang")
	for _, collapse := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				return respond(200, "body", "Cache-Control: max-age=60", "Location: /bang")
			})
			tr := &cachecontrol.Transport{Base: o, Collapse: collapse, Key: func(req *http.Request) *url.URL {
				if req.URL.Path == "/bang" {
					panic(bang)
				}
				return nil
			}}
			defer tr.Close()
			do(t, tr, "/a")
			body := &tracked{ReadCloser: bytesBody("x"), o: o}
			req := request(t, "POST /bang")
			req.Body, req.ContentLength = body, 1
			for name, call := range map[string]func(){
				"GET":        func() { tr.RoundTrip(request(t, "/bang")) },
				"POST":       func() { tr.RoundTrip(req) },
				"Location":   func() { tr.RoundTrip(request(t, "POST /a")) },
				"Invalidate": func() { tr.Invalidate(t.Context(), request(t, "/bang").URL) },
			} {
				if v := panicOf(call); v != bang {
					t.Errorf("%s: the panic is %v, want %v", name, v, bang)
				}
			}
			if body.closed == 0 {
				t.Errorf("the body of the request is open after the panic, want it closed")
			}
			for range 2 {
				do(t, tr, "/b")
			}
			if a := do(t, tr, "/b"); a.outcome != hit {
				t.Errorf("GET /b after the panics is a %v, want %v", a.outcome, hit)
			}
		})
	}
}

// Requests for several URLs with one key share a response that is being received.
func TestKeyCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			<-letGo
			return respond(200, req.URL.RawQuery, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, Key: withoutQuery, Collapse: true}
		defer tr.Close()
		answers := make(chan answer, 100)
		for i := range cap(answers) {
			go func() { answers <- do(t, tr, fmt.Sprintf("/?%d", i)) }()
		}
		synctest.Wait()
		close(letGo)
		for range cap(answers) {
			if a := <-answers; a.body != o.last().URL.RawQuery {
				t.Errorf("a body is %q, want that of the only request, %q", a.body, o.last().URL.RawQuery)
			}
		}
		if got := o.requests(); got != 1 {
			t.Errorf("%d requests to the origin, want 1", got)
		}
	})
}

// While one URL of a key is slow, the others get the stale response as well.
func TestKeyStaleIfSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n > 1 {
				time.Sleep(10 * time.Second)
			}
			return respond(200, fmt.Sprint(n), "Cache-Control: max-age=10, stale-if-error=1000")
		})
		tr := &cachecontrol.Transport{Base: o, Key: withoutQuery, StaleIfSlow: time.Second}
		defer tr.Close()
		do(t, tr, "/?1")
		time.Sleep(time.Minute)
		for i := range 5 {
			if a := do(t, tr, fmt.Sprintf("/?%d", i)); a.outcome != stale {
				t.Errorf("GET /?%d is a %v, want %v", i, a.outcome, stale)
			}
		}
		time.Sleep(20 * time.Second)
		if a := do(t, tr, "/?9"); a.outcome != hit && a.outcome != stale || o.requests() > 3 {
			t.Errorf("later: %v after %d requests, want a stored answer after 2", a.outcome, o.requests())
		}
	})
}

// The rest of a body is requested at the URL of the caller, whose signature is valid.
func TestKeyResume(t *testing.T) {
	body := strings.Repeat("0123456789", 10_000)
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			tag := `ETag: "1"`
			if n == 1 {
				resp := respond(200, body, "Cache-Control: max-age=60", tag)
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:50_000]), failingReader{errCut}))
				return resp
			}
			resp := respond(206, body[50_000:], "Cache-Control: max-age=60", tag, "Content-Range: bytes 50000-99999/100000")
			return resp
		})
		tr := &cachecontrol.Transport{Base: o, Store: store, Key: withoutQuery}
		defer tr.Close()
		resp := open(t, tr, request(t, "/?1"))
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		a := do(t, tr, "/?2")
		if a.body != body {
			t.Errorf("GET /?2: %d bytes, want the %d bytes of the whole", len(a.body), len(body))
		}
		if got := o.last(); got.URL.RawQuery != "2" || got.Header.Get("Range") != "bytes=50000-" {
			t.Errorf("the origin was asked for ?%s with Range %q, want ?2 with bytes=50000-", got.URL.RawQuery, got.Header.Get("Range"))
		}
		if a := do(t, tr, "/?3"); a.outcome != hit || a.body != body {
			t.Errorf("GET /?3: %v with %d bytes, want %v", a.outcome, len(a.body), hit)
		}
	})
}

// A failure holds back validations for all URLs of the key at that origin, but not at other origins with the key.
func TestKeyBackoff(t *testing.T) {
	const sie = "Cache-Control: max-age=10, stale-if-error=1000000"
	for _, tt := range []struct {
		name         string
		key          func(*http.Request) *url.URL
		first, other string // the URLs that are asked after each other
		want         int    // requests to the origin, all of which fail
	}{
		{"other query", withoutQuery, "http://a.example/f?1", "http://a.example/f?2", 1},
		{"the key itself", withoutQuery, "http://a.example/f?1", "http://a.example/f", 1},
		{"from the key itself", withoutQuery, "http://a.example/f", "http://a.example/f?1", 1},
		{"other mirror", mirrored, "http://a.example/f", "http://b.example/f", 2},
		{"from the mirror that is the key", mirrored, "http://all.example/f", "http://b.example/f", 2},
		{"other path of the mirror", mirrored, "http://a.example/f", "http://a.example/x/f", 1},
	} {
		for _, background := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/background %v", tt.name, background), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cc := sie
					if background {
						cc += ", stale-while-revalidate=1000000"
					}
					o := replies(t, ok(cc), status(500))
					tr := &cachecontrol.Transport{Base: o, Key: tt.key, KeyAcrossOrigins: true}
					defer tr.Close()
					do(t, tr, "http://c.example/f")
					if !strings.Contains(tt.name, "mirror") {
						do(t, tr, tt.first)
						o.handle = replies(t, ok(cc)).handle
						do(t, tr, tt.first)
					}
					time.Sleep(time.Minute)
					o.handle = replies(t, status(500)).handle
					before := o.requests()
					for _, target := range []string{tt.first, tt.other, tt.first, tt.other} {
						if a := do(t, tr, target); a.outcome != stale {
							t.Errorf("GET %s: %v, want %v", target, a.outcome, stale)
						}
						synctest.Wait()
					}
					if got := o.requests() - before; got != tt.want {
						t.Errorf("%d requests to the origin, want %d", got, tt.want)
					}
				})
			})
		}
	}
}

// KeyAcrossOrigins has no effect without Key.
func TestKeyConfig(t *testing.T) {
	tr := &cachecontrol.Transport{KeyAcrossOrigins: true}
	defer tr.Close()
	if _, err := tr.RoundTrip(request(t, "/")); err == nil || !strings.Contains(err.Error(), "Transport.KeyAcrossOrigins is true without Key") {
		t.Errorf("RoundTrip: %v, want an error about KeyAcrossOrigins", err)
	}
}

// The Key gets the context of the call that invalidates.
func TestKeyContext(t *testing.T) {
	type contextKey struct{}
	seen := 0
	tr := &cachecontrol.Transport{Base: replies(t, ok()), Key: func(req *http.Request) *url.URL {
		seen++
		if req.Context().Value(contextKey{}) != "x" || req.Header == nil {
			t.Errorf("the context of %v is %v, and its header %v; want those of the call", req.URL, req.Context(), req.Header)
		}
		return nil
	}}
	defer tr.Close()
	ctx := context.WithValue(t.Context(), contextKey{}, "x")
	send(t, tr, request(t, "/a").WithContext(ctx))
	send(t, tr, request(t, "POST /a").WithContext(ctx))
	if err := tr.Invalidate(ctx, request(t, "/a").URL); err != nil {
		t.Error(err)
	}
	if want := 4; seen != want { // for the POST twice: once as it is, and once as a GET request
		t.Errorf("Key was called %d times, want %d", seen, want)
	}
}
