package cachecontrol_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Programs as go-github look at X-From-Cache: if a response has it, its X-RateLimit-Remaining is old, and is not what the next call
// is refused by. The kind: what tells that a response is not of this moment is lost on its way through a second cache. It is told
// by a cache nearer to the origin, which must say in Cache-Status that it had a hit; FromCache stays false then, for it speaks
// of this cache alone.
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
				in(t, func(t *testing.T) {
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
						control = &cachecontrol.Control{Bypass: true}
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
							t.Errorf("Cache-Status is %q, the origin's was %q", got, test.status)
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
							t.Errorf("not collapsed: %q", a.Header["Cache-Status"])
						}
						check(a)
						return
					}
					check(ask())
					if request == "GET" {
						a := ask()
						if a.outcome != hit || !cachecontrol.FromCache(a.Response) || strings.Join(a.Header[cachecontrol.XFromCache], "|") != "1" {
							t.Errorf("then: %v, %q", a.outcome, a.Header)
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

// The other's field is stored by nothing, neither with a response nor when one is validated, and an entry that has it all the
// same says nothing by it.
func TestFromAnotherCacheIsNotStored(t *testing.T) {
	far := []string{"Cache-Control: max-age=10", `ETag: "a"`, "Cache-Status: far;hit", "X-From-Cache: 1"}
	stores := fileStores(t)
	stores["DictCache"], stores["FromKV"] = storage.NewDictCache(), storage.FromKV(new(memoryKV))
	for name, store := range stores {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, collapse), func(t *testing.T) {
				in(t, func(t *testing.T) {
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

// Two Transports in a row, the farther one a stand-in for a proxy, and a client that does as go-github does.
func TestRateLimitThroughTwoCaches(t *testing.T) {
	in(t, func(t *testing.T) {
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
			t.Errorf("a new response: %v, X-From-Cache %q", a.outcome, a.Header["X-From-Cache"])
		}
	})
}

// FromCache reads what this cache has said, and not the field of whoever has written it.
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
			t.Errorf("StatusOf %q: %v", test.status, o)
		}
	}
}
