package cachecontrol_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// Only the response that sets a cookie returns it. The tests in this file cover each way in which a stored response is
// returned: hits, validations, stale responses, HEAD, ranges, shared flights, Replay, validations in the background,
// trailers, and entries of other programs.

func TestSetCookieIsNotReplayed(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "a"`
	set := func(n string) []string { return []string{"Set-Cookie: c=" + n, "Set-Cookie2: d=" + n} }
	none := []string{"Set-Cookie:", "Set-Cookie2:"}
	asks := []string{"Cache-Control: no-cache"}
	with := func(cookie string, fields ...string) reply { return ok(append(fields, set(cookie)...)...) }
	for _, shared := range []bool{false, true} {
		// public lets a shared cache store the response at all.
		fresh := fresh + ", public"
		tr := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: shared} }
		replay, staleIfDown, staleIfFailing, drains := tr(), tr(), tr(), tr()
		replay.Replay, staleIfDown.StaleIfError, staleIfFailing.StaleIfError, drains.DrainBytes = true, time.Hour, time.Hour, 1<<10
		t.Run(mode(shared), func(t *testing.T) {
			runScenarios(t, []scenario{
				{"a hit", tr(), []reply{with("1", fresh)}, []step{
					{want: miss, head: set("1")}, {want: hit, head: none},
				}},
				{"a hit after a request that was drained", drains, []reply{with("1", fresh)}, []step{
					{want: miss, head: set("1")}, {want: hit, head: none},
				}},
				{"HEAD", tr(), []reply{with("1", fresh)}, []step{
					{want: miss, head: set("1")}, {do: "HEAD /", want: hit, head: none},
				}},
				{"a range of a whole response", tr(), []reply{with("1", fresh)}, []step{
					{want: miss}, {with: []string{"Range: bytes=0-0"}, want: hit, status: 206, head: none},
					{with: []string{"Range: bytes=9-"}, want: hit, status: 416, head: none},
				}},
				{"a range of a stored part", tr(), []reply{
					{status: 206, body: "#1", fields: append(set("1"), fresh, tag, "Content-Range: bytes 0-1/9")},
					{status: 206, body: "#2", fields: append(set("2"), fresh, tag, "Content-Range: bytes 2-3/9")},
					{status: 206, body: "#3456", fields: append(set("3"), fresh, tag, "Content-Range: bytes 4-8/9")},
				}, []step{
					{with: []string{"Range: bytes=0-1"}, want: miss, status: 206, head: set("1")},
					{with: []string{"Range: bytes=0-1"}, want: hit, status: 206, head: none},
					{with: []string{"Range: bytes=2-3"}, want: miss, status: 206, head: set("2")},
					{with: []string{"Range: bytes=1-2"}, want: hit, status: 206, head: none},
					{want: miss, body: "#1#2#3456", status: 200, head: set("3")},
					{want: hit, body: "#1#2#3456", status: 200, head: none},
				}},
				{"the rest of a part, which sets none", tr(), []reply{
					{status: 206, body: "#1", fields: append(set("1"), fresh, tag, "Content-Range: bytes 0-1/4")},
					{status: 206, body: "#2", fields: []string{fresh, tag, "Content-Range: bytes 2-3/4"}},
				}, []step{
					{with: []string{"Range: bytes=0-1"}, want: miss, status: 206, head: set("1")},
					{want: miss, body: "#1#2", head: none},
				}},
				{"a 304 without cookies", tr(), []reply{with("1", fresh, tag), status(304)}, []step{
					{want: miss, head: set("1")}, {with: asks, want: revalidated, head: none}, {want: hit, head: none},
				}},
				{"a 304 with its own", tr(), []reply{with("1", fresh, tag), status(304, set("2")...), status(304)}, []step{
					{want: miss, head: set("1")}, {with: asks, want: revalidated, head: set("2")}, {want: hit, head: none},
					{with: asks, want: revalidated, head: none},
				}},
				{"a 304 to HEAD", tr(), []reply{with("1", fresh, tag), status(304, set("2")...)}, []step{
					{want: miss}, {do: "HEAD /", with: asks, want: revalidated, head: set("2")}, {do: "HEAD /", want: hit, head: none},
				}},
				{"a 304 for the caller's own copy", tr(), []reply{with("1", fresh, tag), status(304, append(set("2"), tag)...)}, []step{
					{want: miss},
					{with: []string{`If-None-Match: "a"`}, want: hit, status: 304, head: none},
					{with: []string{`If-None-Match: "a"`, asks[0]}, want: miss, status: 304, head: set("2")},
					{want: hit, head: none},
				}},
				{"a HEAD that confirms the response", tr(), []reply{with("1", fresh, tag), with("2", fresh, tag)}, []step{
					{want: miss}, {do: "HEAD /", with: asks, want: miss, head: set("2"), storing: "validated-by-head"}, {want: hit, head: none},
				}},
				{"named by no-cache, and confirmed", tr(), []reply{with("1", fresh+`, no-cache="set-cookie"`, tag), status(304)}, []step{
					{want: miss, head: set("1")}, {want: hit, head: none}, {with: asks, want: revalidated, head: none},
				}},
				{"stale, for an origin that is down", staleIfDown, []reply{with("1", "Cache-Control: max-age=1, public"), down}, []step{
					{want: miss}, {wait: time.Minute, want: stale, head: none},
				}},
				{"stale, for an origin that fails with a cookie", staleIfFailing,
					[]reply{with("1", "Cache-Control: max-age=1, public"), status(503, set("2")...)}, []step{
						{want: miss}, {wait: time.Minute, want: stale, head: none},
					}},
				{"replay", replay, []reply{with("1", "Cache-Control: public")}, []step{
					{want: miss, head: set("1")}, {wait: time.Hour, want: stale, head: none},
				}},
				{"a variant that is not the first", tr(), []reply{with("1", fresh, "Vary: A"), with("2", fresh, "Vary: A")}, []step{
					{want: miss}, {with: []string{"A: 1"}, want: miss, head: set("2")}, {with: []string{"A: 1"}, want: hit, head: none}, {want: hit, head: none},
				}},
				{"in a trailer", tr(), []reply{{fields: []string{fresh, tag}, tail: set("1")}, status(304)}, []step{
					{want: miss, tail: set("1")}, {want: hit, tail: none}, {with: asks, want: revalidated, tail: none},
				}},
			})
		})
	}
}

// With ReplaySetCookie, Set-Cookie is a field like any other, as in RFC 9111.
func TestReplaySetCookie(t *testing.T) {
	const tag = `ETag: "a"`
	one, two := "Set-Cookie: c=1", "Set-Cookie: c=2"
	for _, shared := range []bool{false, true} {
		t.Run(mode(shared), func(t *testing.T) {
			runScenarios(t, []scenario{{
				"hits and validations", &cachecontrol.Transport{Shared: shared, ReplaySetCookie: true},
				[]reply{{fields: []string{"Cache-Control: max-age=60", tag, one}, tail: []string{one}}, status(304), status(304, two)},
				[]step{
					{want: miss, head: []string{one}}, {want: hit, head: []string{one}, tail: []string{one}},
					{with: []string{"Cache-Control: no-cache"}, want: revalidated, head: []string{one}},
					{with: []string{"Cache-Control: no-cache"}, want: revalidated, head: []string{two}},
					{want: hit, head: []string{two}},
				},
			}})
		})
	}
}

// A shared cache stores a response with Set-Cookie only if the origin declares it to be for all users. After a 304 with
// Set-Cookie the updated response is used for that request only.
func TestSetCookieInSharedCache(t *testing.T) {
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	const cookie, cookie2 = "Set-Cookie: c=1", "Set-Cookie2: c=1"
	var all []scenario
	for cc, want := range map[string]cachecontrol.Outcome{
		"max-age=60":                               miss,
		"max-age=60, must-revalidate":              miss,
		"max-age=60, public":                       hit,
		"s-maxage=60":                              hit,
		"max-age=60, public=1":                     miss,
		"max-age=60, s-maxage=x":                   miss,
		"max-age=60, proxy-revalidate, immutable":  miss,
		`max-age=60, no-cache="set-cookie"`:        miss,
		"max-age=60, public, private=\"x\"":        hit,
		"max-age=60, public, no-store":             miss,
		"max-age=60, public; private, unknown=\"x": miss,
	} {
		storing := ""
		if want == miss && !strings.Contains(cc, "no-store") && !strings.Contains(cc, "; private") && !strings.Contains(cc, "=x") {
			storing = "set-cookie"
		}
		all = append(all,
			scenario{cc, shared(), []reply{ok("Cache-Control: "+cc, cookie)}, []step{
				{want: miss, storing: storing, head: []string{cookie}}, {want: want},
			}},
			scenario{cc + ", Set-Cookie2", shared(), []reply{ok("Cache-Control: "+cc, cookie2)}, []step{{want: miss}, {want: want}}},
		)
	}
	all = append(all, scenario{"private names it", shared(), []reply{ok(`Cache-Control: max-age=60, private="set-cookie"`, cookie)},
		[]step{{want: miss, head: []string{cookie}}, {want: hit, head: []string{"Set-Cookie:"}}}},
		scenario{"private names another", shared(), []reply{ok(`Cache-Control: max-age=60, private="set-cookie"`, cookie, cookie2)},
			[]step{{want: miss, head: []string{cookie}}, {want: miss}}})
	asks := []string{"Cache-Control: no-cache"}
	const fresh, tag, csp = "Cache-Control: max-age=60", `ETag: "a"`, "Content-Security-Policy: default-src 'self'"
	all = append(all,
		scenario{"CDN-Cache-Control decides", shared(), []reply{ok("Cache-Control: max-age=60, public", "CDN-Cache-Control: max-age=60", cookie)},
			[]step{{want: miss, storing: "set-cookie"}, {want: miss}}},
		scenario{"a 304 for one user", shared(), []reply{
			ok(fresh, tag, csp), status(304, cookie, fresh, "Content-Security-Policy: default-src *", "Access-Control-Allow-Origin: https://a.example"), status(304),
		}, []step{
			{want: miss}, {wait: 61 * time.Second, want: revalidated, head: []string{cookie}},
			// The 304 was not for this one.
			{want: revalidated, body: "#1", head: []string{"Set-Cookie:", csp, "Access-Control-Allow-Origin:"}}, {want: hit, body: "#1"},
		}},
		scenario{"a 304 for everybody", shared(), []reply{ok(fresh+", public", tag, "X: 1"), status(304, cookie, "X: 2")}, []step{
			{want: miss}, {with: asks, want: revalidated, head: []string{cookie, "X: 2"}}, {want: hit, head: []string{"Set-Cookie:", "X: 2"}},
		}},
		scenario{"a HEAD for one user", shared(), []reply{ok(fresh, tag, "X: 1"), ok(fresh, tag, "X: 2", cookie)}, []step{
			{want: miss}, {do: "HEAD /", with: asks, want: miss, head: []string{cookie, "X: 2"}}, {want: hit, head: []string{"Set-Cookie:", "X: 1"}},
		}},
		scenario{"a part for one user", shared(), []reply{{status: 206, body: "#1", fields: []string{fresh, tag, cookie, "Content-Range: bytes 0-1/4"}}}, []step{
			{with: []string{"Range: bytes=0-1"}, want: miss, storing: "set-cookie"}, {with: []string{"Range: bytes=0-1"}, want: miss},
		}},
		scenario{"replay", &cachecontrol.Transport{Shared: true, Replay: true}, []reply{ok(fresh, cookie)}, []step{{want: miss, storing: "set-cookie"}, {want: miss}}},
		scenario{"POST with Content-Location", shared(), []reply{ok(fresh, cookie, "Content-Location: /")}, []step{{do: "POST /", want: bypass}, {want: miss}}},
	)
	runScenarios(t, all)
}

// Set-Cookie in an entry of another program, or of an older version, is not returned. A shared cache does not use such
// an entry.
func TestSetCookieOfAnotherCache(t *testing.T) {
	for name, store := range allStores(t) {
		for _, shared := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				put := func(path, cc string) {
					putEntry(t, store, "http://example.com"+path, 200, "body", "Cache-Control: "+cc, `ETag: "a"`, "Set-Cookie: c=old")
				}
				path := "/" + strings.NewReplacer(" ", "-").Replace(name) + mode(shared)
				put(path, "max-age=60, public")
				put(path+"-mine", "max-age=60")
				o := replies(t, status(304, "Set-Cookie: c=new"), status(304), ok("Cache-Control: max-age=60"))
				tr := &cachecontrol.Transport{Base: o, Store: store, Shared: shared}
				for i, st := range []step{
					{want: hit, head: []string{"Set-Cookie:"}},
					{with: []string{"Cache-Control: no-cache"}, want: revalidated, head: []string{"Set-Cookie: c=new"}},
					{want: hit, head: []string{"Set-Cookie:"}},
					{with: []string{"Cache-Control: no-cache"}, want: revalidated, head: []string{"Set-Cookie:"}},
				} {
					st.do = path
					st.run(t, name+" "+mode(shared)+", step "+string(rune('1'+i)), tr, o)
				}
				st := step{do: path + "-mine", want: hit, head: []string{"Set-Cookie:"}}
				if shared {
					st.want = miss
				}
				st.run(t, name+" "+mode(shared)+", for one user", tr, o)
			})
		}
	}
}

// No store contains a cookie.
func TestSetCookieIsNotStored(t *testing.T) {
	for name, store := range allStores(t) {
		synctest.Test(t, func(t *testing.T) {
			path := "/" + strings.NewReplacer(" ", "-").Replace(name)
			o := replies(t, reply{fields: []string{"Cache-Control: max-age=60", `ETag: "a"`, "Set-Cookie: c=1"}, tail: []string{"Set-Cookie: c=2"}},
				status(304, "Set-Cookie: c=3"))
			tr := &cachecontrol.Transport{Base: o, Store: store}
			for range 2 {
				do(t, tr, path, "Cache-Control: no-cache")
				r, err := store.Get(context.Background(), "http://example.com"+path)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				r.Body.Close()
				if r.Entry.Header["Set-Cookie"] != nil || r.Entry.Trailer != nil {
					t.Errorf("%s: stored Set-Cookie %q, trailer %v, want none", name, r.Entry.Header["Set-Cookie"], r.Entry.Trailer)
				}
			}
		})
	}
}

// Requests that share a response in flight do not get its cookie. Only the request that was sent does.
func TestSetCookieInFlight(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			origin := reply{fields: []string{"Cache-Control: max-age=60, public", "Set-Cookie: c=1"}, tail: []string{"Set-Cookie: c=2", "X: 1"}}
			g := newGate(t, origin.respond)
			tr := &cachecontrol.Transport{Base: g, Collapse: true, Shared: shared}
			defer tr.Close()
			var a answers
			a.add(t, 5, tr, get(t))
			time.Sleep(time.Second)
			close(g.letGo)
			all, collapsed := a.wait(t)
			if len(all) != 5 || collapsed != 4 {
				t.Fatalf("%s: %d answers, %d collapsed, want 5 and 4", mode(shared), len(all), collapsed)
			}
			for _, x := range all {
				head, tail := "c=1", "c=2"
				if cachecontrol.StatusOf(x.Response).Collapsed {
					head, tail = "", ""
				}
				if h, tr := x.Header.Get("Set-Cookie"), x.Trailer.Get("Set-Cookie"); h != head || tr != tail || x.Trailer.Get("X") != "1" {
					t.Errorf("%s, %v: Set-Cookie %q and %q, want %q and %q", mode(shared), x.outcome, h, tr, head, tail)
				}
			}
		})
	}
}

// Of several requests that wait for a 304, the one that was sent gets its cookie.
func TestSetCookieOfSharedValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := replies(t, ok("Cache-Control: max-age=1", `ETag: "a"`))
		tr := &cachecontrol.Transport{Base: origin, Collapse: true}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(time.Minute)
		later := status(304, "Cache-Control: max-age=60", "Set-Cookie: c=1")
		origin.handle = func(n int, req *http.Request) *http.Response {
			time.Sleep(time.Second)
			return later.respond(n, req)
		}
		var a answers
		a.add(t, 5, tr, get(t))
		all, _ := a.wait(t)
		set := 0
		for _, x := range all {
			if x.Header.Get("Set-Cookie") == "c=1" {
				set++
			}
		}
		if set != 1 || origin.requests() != 2 {
			t.Errorf("%d of %d answers set the cookie, for %d requests to the origin, want 1 for 2", set, len(all), origin.requests())
		}
	})
}

// With a Jar, a response stored before the login does not log the user out.
func TestSetCookieWithJar(t *testing.T) {
	for _, lifetime := range []string{"max-age=60", "no-cache"} {
		var sessions atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session := "anonymous"
			if r.URL.Path == "/login" {
				session = "alice"
			}
			if _, err := r.Cookie("session"); err != nil || r.URL.Path == "/login" {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: session, Path: "/"})
				sessions.Add(1)
			}
			w.Header().Set("Cache-Control", lifetime)
			w.Header().Set("ETag", `"a"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
			}
		}))
		defer server.Close()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		tr := &cachecontrol.Transport{}
		defer tr.Close()
		client := &http.Client{Transport: tr, Jar: jar}
		var resp *http.Response
		for _, path := range []string{"/about", "/login", "/about"} {
			if resp, err = client.Get(server.URL + path); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if !cachecontrol.FromCache(resp) {
			t.Errorf("%s: the second /about: FromCache = false, want true", lifetime)
		}
		if got := jar.Cookies(resp.Request.URL); len(got) != 1 || got[0].Value != "alice" {
			t.Errorf("%s: after the second /about the jar holds %v, want alice's session", lifetime, got)
		}
	}
}
