package cachecontrol_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Every status, as the typed one and as the field that it was read from.
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
			status{Outcome: miss, Reason: rfc9111.NotStored, Stored: true, Storage: rfc9111.MaxAge, Forward: "uri-miss", ForwardStatus: 200, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=uri-miss;fwd-status=200;stored;ttl=10;detail=uri-miss/max-age"},
		{"not stored", []reply{ok("Cache-Control: no-store")}, 0, 0, "/", nil,
			status{Outcome: miss, Reason: rfc9111.NotStored, Storage: rfc9111.NoStoreResponse, Forward: "uri-miss", ForwardStatus: 200},
			"cachecontrol;fwd=uri-miss;fwd-status=200;detail=uri-miss/no-store"},
		{"hit", []reply{ok(cc)}, 1, 3 * time.Second, "/", nil,
			status{Outcome: hit, Reason: rfc9111.Fresh, HasTTL: true, TTL: 7 * time.Second},
			"cachecontrol;hit;ttl=7;detail=fresh"},
		{"half a second later", []reply{ok(cc)}, 1, 3500 * time.Millisecond, "/", nil,
			status{Outcome: hit, Reason: rfc9111.Fresh, HasTTL: true, TTL: 6 * time.Second},
			"cachecontrol;hit;ttl=6;detail=fresh"},
		{"stale", []reply{ok(cc), down}, 1, 15 * time.Second, "/", nil,
			status{Outcome: stale, Reason: rfc9111.OnError, Forward: "stale", HasTTL: true, TTL: -5 * time.Second},
			"cachecontrol;fwd=stale;ttl=-5;detail=stale-if-error"},
		{"max-stale", []reply{ok(cc)}, 1, 15 * time.Second, "/", []string{"Cache-Control: max-stale"},
			status{Outcome: stale, Reason: rfc9111.MaxStale, HasTTL: true, TTL: -5 * time.Second},
			"cachecontrol;hit;ttl=-5;detail=max-stale"},
		{"revalidated", []reply{ok(cc, `ETag: "a"`), {status: 304}}, 1, 15 * time.Second, "/", nil,
			status{Outcome: revalidated, Reason: rfc9111.Validated, Forward: "stale", ForwardStatus: 304, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=stale;fwd-status=304;ttl=10;detail=validated"},
		{"forced", []reply{ok(cc)}, 1, 0, "/", []string{"Cache-Control: no-cache"},
			status{Outcome: miss, Reason: rfc9111.NoCacheRequest, Stored: true, Storage: rfc9111.MaxAge, Forward: "request", ForwardStatus: 200, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=request;fwd-status=200;stored;ttl=10;detail=request-no-cache/max-age"},
		{"another variant", []reply{ok(cc, "Vary: X")}, 1, 0, "/", []string{"X: 1"},
			status{Outcome: miss, Reason: rfc9111.NoVariant, Stored: true, Storage: rfc9111.MaxAge, Forward: "vary-miss", ForwardStatus: 200, HasTTL: true, TTL: 10 * time.Second},
			"cachecontrol;fwd=vary-miss;fwd-status=200;stored;ttl=10;detail=vary-miss/max-age"},
		{"refused", []reply{ok(cc)}, 0, 0, "/", []string{"Cache-Control: only-if-cached"},
			status{Outcome: miss, Reason: rfc9111.OnlyIfCached},
			"cachecontrol;detail=only-if-cached"},
		{"method", []reply{ok(cc)}, 0, 0, "PUT /", nil,
			status{Outcome: bypass, Reason: rfc9111.MethodForwarded, Forward: "method", ForwardStatus: 200},
			"cachecontrol;fwd=method;fwd-status=200;detail=method"},
		{"upgrade", []reply{ok(cc)}, 0, 0, "/", []string{"Upgrade: x"},
			status{Outcome: bypass, Reason: rfc9111.UpgradeForwarded, Forward: "bypass", ForwardStatus: 200},
			"cachecontrol;fwd=bypass;fwd-status=200;detail=upgrade"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
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

// What other caches said stays, before what this one says; what pretends to be of this one is not believed.
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
			in(t, func(t *testing.T) {
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

// Nothing that comes from elsewhere is a status of this cache's, and nothing makes StatusOf fail.
func TestStatusOfStrangers(t *testing.T) {
	for _, resp := range []*http.Response{
		nil, {}, {Header: http.Header{}}, {Header: http.Header{"Cache-Status": {}}}, {Header: http.Header{"Cache-Status": {""}}},
		{Header: http.Header{"Cache-Status": {"other; hit"}}}, {Header: http.Header{"Cache-Status": {`"cachecontrol"; hit`}}},
		{Header: http.Header{"Cache-Status": {"(cachecontrol); hit"}}}, {Header: http.Header{"Cache-Status": {"cachecontrol; hit, other"}}},
		{Header: http.Header{"Cache-Status": {"cachecontrol; ="}}},
	} {
		if s := cachecontrol.StatusOf(resp); s != (cachecontrol.Status{}) {
			t.Errorf("%v: %+v", resp, s)
		}
		if cachecontrol.FromCache(resp) {
			t.Errorf("%v: FromCache", resp)
		}
	}
	odd := &http.Response{Header: http.Header{"Cache-Status": {`cachecontrol;ttl=x;fwd=1;fwd-status="a";detail="b"`}}}
	if s := cachecontrol.StatusOf(odd); s.TTL != 0 || s.Forward != "" || s.ForwardStatus != 0 {
		t.Errorf("%+v", s)
	}
}

// Whatever the reason, the field is a list of structured fields.
func TestCacheStatusIsWellFormed(t *testing.T) {
	for r := range rfc9111.BodyNotCacheable + 1 {
		if code := r.String(); code != "" {
			if _, err := httpsfv.UnmarshalList([]string{"cachecontrol;detail=" + code}); err != nil {
				t.Errorf("%s: %v", code, err)
			}
			if rfc9111.ParseReason(code) != r || r.Words() == "" {
				t.Errorf("%s is not told apart", code)
			}
		}
	}
}

func TestLogger(t *testing.T) {
	in(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &faultyStore{Store: storage.NewDictCache(), method: "Create", mode: "error", off: true}
		tr := &cachecontrol.Transport{
			Base:   replies(t, ok("Cache-Control: max-age=10", `ETag: "a"`), status(304), ok("Cache-Control: max-age=10")),
			Store:  store,
			Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		defer tr.Close()
		secret := "http://me:secret@example.com/"
		do(t, tr, secret)
		do(t, tr, secret)
		time.Sleep(10 * time.Second)
		do(t, tr, secret)
		do(t, tr, secret, `If-None-Match: "a"`)
		do(t, tr, "PUT "+secret)
		do(t, tr, "/other", "Cache-Control: only-if-cached")
		var got []string
		for line := range strings.Lines(log.String()) {
			var e struct{ Level, Method, URL, Outcome, Reason string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s %s", e.Level, e.Method, e.URL, e.Outcome, e.Reason))
		}
		want := []string{
			"DEBUG GET http://example.com/ miss uri-miss", "DEBUG GET http://example.com/ hit fresh",
			"DEBUG GET http://example.com/ revalidated validated", "DEBUG GET http://example.com/ hit fresh",
			"DEBUG PUT http://example.com/ bypass method", "DEBUG GET http://example.com/other miss only-if-cached",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		all := log.String()
		log.Reset()
		store.off = false
		do(t, tr, secret+"new")
		if !strings.Contains(log.String(), `"level":"WARN"`) || !strings.Contains(log.String(), errFaulty.Error()) {
			t.Errorf("of the store's failure the log says %q", log.String())
		}
		if strings.Contains(all+log.String(), "secret") {
			t.Error("the log holds a password")
		}
	})
}
