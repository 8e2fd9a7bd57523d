package cachecontrol_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// StatusOf returns every status as Cache-Status has it.
func TestStatus(t *testing.T) {
	type status = cachecontrol.Status
	cc := "Cache-Control: max-age=10, stale-if-error=20"
	for _, test := range []struct {
		name   string
		origin []reply
		before int // requests before it
		wait   time.Duration
		do     string
		with   []string
		want   status
		text   string
	}{
		{"miss", []reply{ok(cc)}, 0, 0, "/", nil,
			status{Outcome: miss, Reason: rules.NotStored, Stored: true, Storage: rules.MaxAge, Forward: "uri-miss", ForwardStatus: 200, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=uri-miss;fwd-status=200;stored;ttl=10;detail=uri-miss/max-age"},
		{"not stored", []reply{ok("Cache-Control: no-store")}, 0, 0, "/", nil,
			status{Outcome: miss, Reason: rules.NotStored, Storage: rules.NoStoreResponse, Forward: "uri-miss", ForwardStatus: 200},
			"cachecontrol;fwd=uri-miss;fwd-status=200;detail=uri-miss/no-store"},
		{"hit", []reply{ok(cc)}, 1, 3 * time.Second, "/", nil,
			status{Outcome: hit, Reason: rules.Fresh, HasTTL: true, TTL: 7 * time.Second},
			"cachecontrol;hit;ttl=7;detail=fresh"},
		{"half a second later", []reply{ok(cc)}, 1, 3500 * time.Millisecond, "/", nil,
			status{Outcome: hit, Reason: rules.Fresh, HasTTL: true, TTL: 6 * time.Second},
			"cachecontrol;hit;ttl=6;detail=fresh"},
		{"stale", []reply{ok(cc), down}, 1, 15 * time.Second, "/", nil,
			status{Outcome: stale, Reason: rules.OnError, Forward: "stale", HasTTL: true, TTL: -5 * time.Second},
			"cachecontrol;fwd=stale;ttl=-5;detail=stale-if-error"},
		{"max-stale", []reply{ok(cc)}, 1, 15 * time.Second, "/", []string{"Cache-Control: max-stale"},
			status{Outcome: stale, Reason: rules.MaxStale, HasTTL: true, TTL: -5 * time.Second},
			"cachecontrol;hit;ttl=-5;detail=max-stale"},
		{"revalidated", []reply{ok(cc, `ETag: "a"`), {status: 304}}, 1, 15 * time.Second, "/", nil,
			status{Outcome: revalidated, Reason: rules.Validated, Forward: "stale", ForwardStatus: 304, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=stale;fwd-status=304;ttl=10;detail=validated"},
		{"forced", []reply{ok(cc)}, 1, 0, "/", []string{"Cache-Control: no-cache"},
			status{Outcome: miss, Reason: rules.NoCacheRequest, Stored: true, Storage: rules.MaxAge, Forward: "request", ForwardStatus: 200, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=request;fwd-status=200;stored;ttl=10;detail=request-no-cache/max-age"},
		{"another variant", []reply{ok(cc, "Vary: X")}, 1, 0, "/", []string{"X: 1"},
			status{Outcome: miss, Reason: rules.NoVariant, Stored: true, Storage: rules.MaxAge, Forward: "vary-miss", ForwardStatus: 200, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=vary-miss;fwd-status=200;stored;ttl=10;detail=vary-miss/max-age"},
		{"refused", []reply{ok(cc)}, 0, 0, "/", []string{"Cache-Control: only-if-cached"},
			status{Outcome: miss, Reason: rules.OnlyIfCached},
			"cachecontrol;detail=only-if-cached"},
		{"method", []reply{ok(cc)}, 0, 0, "PUT /", nil,
			status{Outcome: bypass, Reason: rules.MethodForwarded, Forward: "method", ForwardStatus: 200},
			"cachecontrol;fwd=method;fwd-status=200;detail=method"},
		{"upgrade", []reply{ok(cc)}, 0, 0, "/", []string{"Upgrade: x"},
			status{Outcome: bypass, Reason: rules.UpgradeForwarded, Forward: "bypass", ForwardStatus: 200},
			"cachecontrol;fwd=bypass;fwd-status=200;detail=upgrade"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &cachecontrol.Transport{Base: replies(t, test.origin...)}
				defer tr.Close()
				for range test.before {
					do(t, tr, "/")
				}
				time.Sleep(test.wait)
				a := do(t, tr, test.do, test.with...)
				if got := cachecontrol.StatusOf(a.Response); got != test.want {
					t.Errorf("%+v\nwant %+v", got, test.want)
				}
				if got := strings.Join(a.Header["Cache-Status"], " | "); got != test.text {
					t.Errorf("%s\nwant %s", got, test.text)
				}
			})
		})
	}
}

// Members of Cache-Status from other caches are kept in front of that of this cache, and are not taken for its own.
func TestOthersCacheStatus(t *testing.T) {
	for name, fields := range map[string][]string{
		"of another cache":           {"Cache-Status: ExampleCache; hit; ttl=3"},
		"of two":                     {"Cache-Status: a; fwd=uri-miss, b; hit", "Cache-Status: c"},
		"pretending to be this one":  {"Cache-Status: cachecontrol;hit;ttl=99;detail=fresh", "X-From-Cache: 1"},
		"that cannot be parsed":      {"Cache-Status: ;;;", "X-From-Cache: 1, 1"},
		"not canonical":              {"cache-status: cachecontrol;hit", "x-from-cache: 1"},
		"not finished":               {`Cache-Status: "abc`},
		"that spoils what follows":   {`Cache-Status: a; x="`},
		"of this one, of a 304 also": {"Cache-Status: cachecontrol;hit", "X-From-Cache: 1", `ETag: "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fields = append(fields, "Cache-Control: max-age=10", "Content-Length: 2")
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Header.Get("If-None-Match") != "" {
						return status(304, fields...).respond(n, req)
					}
					return ok(fields...).respond(n, req)
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				var theirs []string
				for _, f := range fields {
					if name, value, _ := strings.Cut(f, ":"); strings.EqualFold(name, "Cache-Status") {
						theirs = append(theirs, strings.TrimSpace(value))
					}
				}
				check := func(target string, want cachecontrol.Outcome) {
					t.Helper()
					a := do(t, tr, target)
					lines := a.Header["Cache-Status"]
					if a.outcome != want || cachecontrol.FromCache(a.Response) != (want == hit || want == revalidated) {
						t.Errorf("%v, want %v; from cache: %v; %q", a.outcome, want, cachecontrol.FromCache(a.Response), lines)
					}
					if len(lines) != len(theirs)+1 || strings.Join(lines[:len(theirs)], "|") != strings.Join(theirs, "|") {
						t.Errorf("%v: Cache-Status is %q, the origin's was %q", want, lines, theirs)
					}
				}
				check("/", miss)
				check("/", hit)
				check("PUT /other", bypass)
				time.Sleep(10 * time.Second)
				if o.handle(0, request(t, "/")).Header.Get("Etag") != "" {
					check("/", revalidated)
					check("/", hit)
				} else {
					check("/", miss)
				}
			})
		})
	}
}

// StatusOf returns Unknown for a Cache-Status that is not of this cache, and never fails.
func TestStatusOfOthers(t *testing.T) {
	for _, resp := range []*http.Response{
		nil, {}, {Header: http.Header{}}, {Header: http.Header{"Cache-Status": {}}}, {Header: http.Header{"Cache-Status": {""}}},
		{Header: http.Header{"Cache-Status": {"other; hit"}}}, {Header: http.Header{"Cache-Status": {`"cachecontrol"; hit`}}},
		{Header: http.Header{"Cache-Status": {"(cachecontrol); hit"}}}, {Header: http.Header{"Cache-Status": {"cachecontrol; hit, other"}}},
		{Header: http.Header{"Cache-Status": {"cachecontrol; ="}}},
	} {
		if s := cachecontrol.StatusOf(resp); s != (cachecontrol.Status{}) {
			t.Errorf("%v: %+v, want %+v", resp, s, (cachecontrol.Status{}))
		}
		if cachecontrol.FromCache(resp) {
			t.Errorf("FromCache(%v) = true, want false", resp)
		}
	}
	odd := &http.Response{Header: http.Header{"Cache-Status": {`cachecontrol;ttl=x;fwd=1;fwd-status="a";detail="b"`}}}
	if s := cachecontrol.StatusOf(odd); s.TTL != 0 || s.Forward != "" || s.ForwardStatus != 0 {
		t.Errorf("%v %q %v, want %v %q %v; %+v", s.TTL, s.Forward, s.ForwardStatus, 0, "", 0, s)
	}
}

// Cache-Status is a valid structured field for every reason.
func TestCacheStatusIsWellFormed(t *testing.T) {
	for r := range rules.Reasons() {
		field := "cachecontrol;detail=" + string(r)
		if _, err := httpsfv.UnmarshalList([]string{field}); err != nil {
			t.Errorf("%q is not a list: %v", field, err)
		}
		got := cachecontrol.StatusOf(&http.Response{Header: http.Header{"Cache-Status": {field}}}).Reason
		if got != cachecontrol.Reason(r) || got.Description() == "" {
			t.Errorf("the Reason of %q is %q with the description %q, want that of the field, described", field, got, got.Description())
		}
	}
}

// Programs such as go-github use X-From-Cache to see that X-RateLimit-Remaining is old. A response from a cache nearer
// to the origin keeps the field if that cache reports a hit in Cache-Status. FromCache is then false, because it
// describes this cache only.
func TestFromAnotherCache(t *testing.T) {
	for _, test := range []struct {
		name   string
		status []string // lines of the other's Cache-Status
		kept   bool
	}{
		{"a hit", []string{"far;hit"}, true},
		{"a hit of a Transport", []string{"cachecontrol;hit;ttl=59;detail=fresh"}, true},
		{"a hit with a name in quotes", []string{`"Cloud, Inc;"; hit; detail="a;b"`}, true},
		{"a hit further away", []string{"far;hit, near;fwd=uri-miss"}, true},
		{"a hit further away, in lines", []string{"far;hit", "near;fwd=uri-miss;stored"}, true},
		{"a hit near by", []string{"far;fwd=uri-miss, near;hit"}, true},
		{"a miss", []string{"far;fwd=uri-miss"}, false},
		{"not a hit", []string{"far;hit=?0"}, false},
		{"hit is not a boolean", []string{"far;hit=1", "near;hit=yes"}, false},
		{"a name that says hit", []string{"hit"}, false},
		{"only in a string", []string{`far;detail=";hit"`}, false},
		{"an inner list", []string{"(far;hit);hit"}, false},
		{"no Cache-Status", nil, false},
		{"an empty one", []string{""}, false},
		{"malformed", []string{"far;hit;;"}, false},
		{"malformed after a hit", []string{"far;hit", `"abc`}, false},
		{"forged", []string{"cachecontrol;hit;ttl=99;detail=fresh", "cachecontrol;hit"}, true},
		{"forged, revalidated", []string{"cachecontrol;fwd=stale;fwd-status=304;detail=validated"}, false},
	} {
		for _, request := range []string{"GET", "HEAD", "POST", "PUT", "a part", "no-store", "bypass", "304", "collapsed"} {
			t.Run(test.name+"/"+request, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fields := []string{"Cache-Control: max-age=60", "X-RateLimit-Remaining: 0", "x-from-cache: 1"}
					for _, line := range test.status {
						fields = append(fields, "Cache-Status: "+line)
					}
					method, with, reply := "GET", []string{}, ok(fields...)
					var control *cachecontrol.Control
					switch request {
					case "HEAD", "POST", "PUT":
						method = request
					case "a part":
						with = []string{"Range: bytes=0-1"}
						reply = status(206, append(fields, "Content-Range: bytes 0-1/5", `ETag: "a"`)...)
					case "no-store":
						with = []string{"Cache-Control: no-store"}
					case "bypass":
						control = &cachecontrol.Control{Mode: cachecontrol.ModeBypass}
					case "304":
						with = []string{`If-None-Match: "mine"`}
						reply = status(304, fields...)
					}
					o := replies(t, reply)
					if request == "collapsed" {
						o = newOrigin(t, func(n int, req *http.Request) *http.Response {
							time.Sleep(time.Second)
							return reply.respond(n, req)
						})
					}
					tr := &cachecontrol.Transport{Base: o, Collapse: request == "collapsed"}
					defer tr.Close()
					check := func(a answer) {
						t.Helper()
						if _, kept := a.Header[cachecontrol.XFromCache]; kept != test.kept {
							t.Errorf("X-From-Cache is %q, want it kept: %v", a.Header[cachecontrol.XFromCache], test.kept)
						}
						if cachecontrol.FromCache(a.Response) || a.outcome != miss && a.outcome != bypass {
							t.Errorf("FromCache %v, %v, want a response from the origin", cachecontrol.FromCache(a.Response), a.outcome)
						}
						if got := a.Header["Cache-Status"]; !slices.Equal(got[:len(got)-1], test.status) {
							t.Errorf("Cache-Status is %q, want the origin's %q first", got, test.status)
						}
					}
					ask := func() answer {
						req := requestWith(t, method+" /", with, control)
						return send(t, tr, req)
					}
					if request == "collapsed" {
						second := make(chan answer)
						go func() {
							time.Sleep(time.Millisecond)
							second <- ask()
						}()
						check(ask())
						a := <-second
						if !cachecontrol.StatusOf(a.Response).Collapsed {
							t.Errorf("Cache-Status %q, want collapsed", a.Header["Cache-Status"])
						}
						check(a)
						return
					}
					check(ask())
					if request == "GET" {
						a := ask()
						if a.outcome != hit || !cachecontrol.FromCache(a.Response) || strings.Join(a.Header[cachecontrol.XFromCache], "|") != "1" {
							t.Errorf("then: %v, header %q, want %v, X-From-Cache: 1", a.outcome, a.Header, hit)
						}
					}
				})
			})
		}
	}
}

func requestWith(t *testing.T, target string, with []string, control *cachecontrol.Control) *http.Request {
	req := request(t, target, with...)
	if control != nil {
		req = req.WithContext(cachecontrol.WithControl(req.Context(), *control))
	}
	return req
}

// X-From-Cache of another cache is not stored, with a response or after a validation, and has no effect in an entry.
func TestFromAnotherCacheIsNotStored(t *testing.T) {
	far := []string{"Cache-Control: max-age=10", `ETag: "a"`, "Cache-Status: far;hit", "X-From-Cache: 1"}
	for name, store := range allStores(t) {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, collapse), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					target := fmt.Sprintf("http://example.com/%v", collapse)
					tr := &cachecontrol.Transport{Base: replies(t, ok(far...), status(304, far...)), Store: store, Collapse: collapse}
					defer tr.Close()
					check := func(want cachecontrol.Outcome) {
						t.Helper()
						a := do(t, tr, target)
						if a.outcome != want || cachecontrol.FromCache(a.Response) != (want != miss) {
							t.Errorf("%v, want %v; FromCache %v", a.outcome, want, cachecontrol.FromCache(a.Response))
						}
						r, err := store.Get(t.Context(), target)
						if err != nil {
							t.Fatal(err)
						}
						r.Body.Close()
						if got := r.Entry.Header[cachecontrol.XFromCache]; got != nil {
							t.Errorf("after a %v: X-From-Cache: %q is stored", want, got)
						}
					}
					check(miss)
					check(hit)
					time.Sleep(11 * time.Second)
					check(revalidated)
					check(hit)
				})
			})
		}
	}
}

// A client like go-github works with two Transports in a row, the farther one in place of a proxy.
func TestRateLimitThroughTwoCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, "x", "Cache-Control: max-age=60", "X-RateLimit-Remaining: 0")
		})
		far := &cachecontrol.Transport{Base: o, Shared: true}
		defer far.Close()
		do(t, far, "/")
		near := &cachecontrol.Transport{Base: far}
		defer near.Close()
		for i, want := range []cachecontrol.Outcome{miss, hit} {
			a := do(t, near, "/")
			if a.outcome != want || a.Header.Get("X-From-Cache") == "" {
				t.Errorf("answer %d: %v, X-From-Cache %q, want a %v with it", i+1, a.outcome, a.Header["X-From-Cache"], want)
			}
		}
		time.Sleep(61 * time.Second)
		if a := do(t, near, "/"); a.outcome != miss || a.Header["X-From-Cache"] != nil {
			t.Errorf("a new response: %v, X-From-Cache %q, want %v, none", a.outcome, a.Header["X-From-Cache"], miss)
		}
	})
}

// FromCache depends on what this cache has set, and not on fields of others.
func TestFromCacheOfHeaders(t *testing.T) {
	for _, test := range []struct {
		mark, status string
		want         bool
	}{
		{"1", "cachecontrol;hit;ttl=1;detail=fresh", true},
		{"1", "cachecontrol;hit", true},
		{"1", "far;hit, cachecontrol;hit;ttl=1;detail=fresh", true},
		{"1", `far;detail="a", cachecontrol;hit`, true},
		{"1", "cachecontrol;fwd=stale;fwd-status=304;ttl=1;detail=validated", true},
		{"1", "cachecontrol;fwd=stale;fwd-status=503;ttl=-3;detail=stale-if-error", true},
		{"1", "cachecontrol;fwd=stale;fwd-status=304;collapsed;ttl=1;detail=collapsed", true},
		{"1", "cachecontrol;fwd=uri-miss;fwd-status=200;collapsed;ttl=1;detail=collapsed", false},
		{"1", "cachecontrol;fwd=uri-miss;fwd-status=304;detail=uri-miss/validated", false},
		{"1", "cachecontrol;fwd=uri-miss;fwd-status=200;stored;detail=uri-miss/max-age", false},
		{"1", "cachecontrol;hit, near;fwd=uri-miss", false},
		{"1", "cachecontrolled;hit", false},
		{"1", "cachecontrol;hit=?0", false},
		{"1", `cachecontrol;hit;x="`, false},
		{"1", "cachecontrol;hit;;", false},
		{"1", "far;hit", false},
		{"1", "", false},
	} {
		resp := &http.Response{Header: http.Header{"X-From-Cache": {test.mark}, "Cache-Status": {test.status}}}
		if got := cachecontrol.FromCache(resp); got != test.want {
			t.Errorf("FromCache of %q = %v, want %v", test.status, got, test.want)
		}
		if o := cachecontrol.StatusOf(resp).Outcome; (o == hit || o == stale || o == revalidated) != test.want {
			t.Errorf("StatusOf(%q) = %v, want one from the cache: %v", test.status, o, test.want)
		}
	}
}

// FuzzStatusOf checks that every Cache-Status can be read, and that StatusOf and FromCache agree.
func FuzzStatusOf(f *testing.F) {
	f.Add("cachecontrol;hit;ttl=10")
	f.Add(`"other";hit, cachecontrol;fwd=stale;fwd-status=304;detail=validated/none;collapsed`)
	f.Add(`cachecontrol;hit;ttl=-999999999999999;key="a\"b"`)
	f.Add("cachecontrol;hit=?0;fwd-status=x;ttl=1.5;detail=:AA==:")
	f.Fuzz(func(t *testing.T, field string) {
		resp := &http.Response{Header: http.Header{"Cache-Status": {field}, "X-From-Cache": {"1"}}}
		s := cachecontrol.StatusOf(resp)
		switch s.Outcome {
		case cachecontrol.Hit, cachecontrol.Stale, cachecontrol.Revalidated:
			if !cachecontrol.FromCache(resp) {
				t.Errorf("%q: the outcome is %v, but FromCache reports false", field, s.Outcome)
			}
		}
		if s.String() != cachecontrol.StatusOf(resp).String() {
			t.Errorf("%q: StatusOf differs from one call to the next", field)
		}
	})
}
