package cachecontrol_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// lasting is a BeforeStore that gives every response a lifetime.
func lasting(*http.Response, cachecontrol.RuleDecision) cachecontrol.StoreDecision {
	return cachecontrol.StoreDecision{Lifetime: time.Hour}
}

// 428, 431 and 511 are never stored, whatever the response and the program say (RFC 6585, sections 3 to 6). 429 is
// stored if the program lists it and gives it a lifetime.
func TestStatusesNeverStored(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, code := range []int{428, 429, 431, 511} {
			with := func(change func(*cachecontrol.Transport)) *cachecontrol.Transport {
				t := tr()
				change(t)
				return t
			}
			named := []int{200, code}
			twice := []step{{want: miss, storing: "never-stored", status: code}, {want: miss, body: "#2", status: code}}
			for name, t := range map[string]*cachecontrol.Transport{
				"":            tr(),
				"named":       with(func(t *cachecontrol.Transport) { t.CacheableStatusCodes = named }),
				"a lifetime":  with(func(t *cachecontrol.Transport) { t.BeforeStore = lasting }),
				"replay":      with(func(t *cachecontrol.Transport) { t.Replay, t.CacheableStatusCodes = true, named }),
				"a heuristic": with(func(t *cachecontrol.Transport) { t.Heuristic = heuristics.ExpiresAfter(time.Hour) }),
				"collapsed":   with(func(t *cachecontrol.Transport) { t.Collapse = true }),
			} {
				all = append(all, scenario{fmt.Sprint(code, " ", name), t, []reply{status(code, "Cache-Control: max-age=60, public", `ETag: "a"`)}, twice})
			}
			refused := []reply{status(code, "Cache-Control: max-age=60, public")}
			if code == 431 { // the request is sent again without the condition
				refused = append(refused, refused[0])
			}
			all = append(all,
				scenario{fmt.Sprint(code, " in answer to a validation"), tr(),
					slices.Concat([]reply{ok("Cache-Control: max-age=1, public", `ETag: "a"`)}, refused, []reply{status(304)}),
					[]step{{want: miss}, {wait: time.Minute, want: miss, status: code}, {want: revalidated, status: 200, body: "#1"}}},
				scenario{fmt.Sprint(code, " to POST"), tr(), []reply{status(code, "Cache-Control: max-age=60, public", "Content-Location: /")},
					[]step{{do: "POST /", want: bypass, status: code}, {want: miss, status: code}}})
			both := with(func(t *cachecontrol.Transport) { t.CacheableStatusCodes, t.BeforeStore = named, lasting })
			if code == 429 {
				twice = []step{{want: miss, status: code}, {want: hit, body: "#1", status: code}}
			}
			all = append(all, scenario{fmt.Sprint(code, " named, with a lifetime"), both, []reply{status(code)}, twice})
		}
		return all
	})
}

// A status that is not cacheable by default is stored if the program lists it and gives it a lifetime, unless no-store
// forbids that.
func TestStatusesOfTheProgram(t *testing.T) {
	var all []scenario
	statuses := []int{201, 202, 302, 303, 307, 400, 402, 403, 406, 409, 418, 422, 451, 500, 502, 503, 504, 599}
	for _, code := range statuses {
		named := []int{200, code}
		kept := []step{{want: miss, storing: "own-lifetime", status: code}, {wait: 59 * time.Minute, want: hit, status: code, body: "#1"}, {wait: time.Minute, want: miss}}
		dropped := []step{{want: miss, status: code}, {want: miss, status: code, body: "#2"}}
		tr := func(change func(*cachecontrol.Transport)) *cachecontrol.Transport {
			t := &cachecontrol.Transport{}
			change(t)
			return t
		}
		ask := func(steps []step) []step {
			steps = slices.Clone(steps)
			for i := range steps {
				steps[i].control = &cachecontrol.Control{Lifetime: time.Hour}
			}
			return steps
		}
		says := func(fields ...string) []reply { return []reply{status(code, append(fields, "Location: /next")...)} }
		all = append(all,
			scenario{fmt.Sprint(code, " by BeforeStore"), tr(func(t *cachecontrol.Transport) { t.BeforeStore = lasting }), says(), kept},
			scenario{fmt.Sprint(code, " by both"), tr(func(t *cachecontrol.Transport) { t.BeforeStore, t.CacheableStatusCodes = lasting, named }), says(), kept},
			scenario{fmt.Sprint(code, " by a Control"), tr(func(t *cachecontrol.Transport) { t.CacheableStatusCodes = named }), says(), ask(kept)},
			scenario{fmt.Sprint(code, " by a Control that does not name it"), nil, says(), ask(dropped)},
			scenario{fmt.Sprint(code, " excluded"), tr(func(t *cachecontrol.Transport) { t.BeforeStore, t.CacheableStatusCodes = lasting, []int{200} }), says(), dropped},
			scenario{fmt.Sprint(code, " named, without a lifetime"), tr(func(t *cachecontrol.Transport) { t.CacheableStatusCodes = named }), says(`ETag: "a"`), dropped},
			scenario{fmt.Sprint(code, " no-store"), tr(func(t *cachecontrol.Transport) { t.BeforeStore, t.CacheableStatusCodes = lasting, named }), says("Cache-Control: no-store"), dropped},
			scenario{fmt.Sprint(code, " replayed"), tr(func(t *cachecontrol.Transport) { t.Replay, t.CacheableStatusCodes = true, named }), says(), []step{
				{want: miss, storing: "replay"}, {wait: time.Hour, want: stale, status: code, body: "#1"},
			}},
			scenario{fmt.Sprint(code, " replayed, not named"), tr(func(t *cachecontrol.Transport) { t.Replay = true }), says(), dropped},
			scenario{fmt.Sprint(code, " replayed, no-store"), tr(func(t *cachecontrol.Transport) { t.Replay, t.CacheableStatusCodes = true, named }), says("Cache-Control: no-store"), dropped},
		)
	}
	runScenarios(t, all)
}

// Replay follows a chain of stored redirects.
func TestReplayRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := map[string]string{"/a": "/b", "/b": "/c", "/c": "/d"}
		code := map[string]int{"/a": 302, "/b": 303, "/c": 307}
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if to := next[req.URL.Path]; to != "" {
				return respond(code[req.URL.Path], "elsewhere", "Location: "+to)
			}
			return respond(200, "here")
		})
		tr := &cachecontrol.Transport{Base: o, Replay: true, CacheableStatusCodes: []int{200, 302, 303, 307}}
		for path := range next {
			do(t, tr, path)
		}
		do(t, tr, "/d")
		time.Sleep(1000 * time.Hour)
		req := request(t, "/a")
		req = req.WithContext(cachecontrol.WithControl(req.Context(), cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}))
		resp, err := tr.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Request.URL.Path != "/d" || o.requests() != 4 {
			t.Errorf("%d from %s after %d requests to the origin, want 200 from /d after 4", resp.StatusCode, resp.Request.URL, o.requests())
		}
	})
}

// A response that rejects credentials is stored only if its Vary names their field, so that it does not answer requests
// with others.
func TestCredentialsRefused(t *testing.T) {
	const fresh = "Cache-Control: max-age=60, public"
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for code, field := range map[int]string{401: "Authorization", 407: "Proxy-Authorization"} {
			good, bad := []string{field + ": Basic good"}, []string{field + ": Basic bad"}
			replay, named := tr(), tr()
			replay.Replay, replay.CacheableStatusCodes = true, []int{200, code}
			named.BeforeStore, named.CacheableStatusCodes = lasting, []int{200, code}
			alone := []step{
				{with: bad, want: miss, status: code, storing: "credentials"}, {with: bad, want: miss, status: code}, {with: good, want: miss, body: "#3", status: 200},
			}
			refused := func(fields ...string) []reply {
				r := status(code, append(fields, "WWW-Authenticate: Basic", "Proxy-Authenticate: Basic")...)
				return []reply{r, r, ok(fresh)}
			}
			all = append(all,
				scenario{fmt.Sprint(code), tr(), refused(fresh), alone},
				scenario{fmt.Sprint(code, " and Vary that names others"), tr(), refused(fresh, "Vary: Cookie, Accept"), alone},
				scenario{fmt.Sprint(code, " and Vary that names the other field"), tr(),
					refused(fresh, "Vary: "+map[int]string{401: "Proxy-Authorization", 407: "Authorization"}[code]), alone},
				scenario{fmt.Sprint(code, " replayed"), replay, refused(fresh), alone},
				scenario{fmt.Sprint(code, " named"), named, refused(fresh), alone},
				scenario{fmt.Sprint(code, " and none at first"), tr(), refused(fresh), []step{
					{want: miss, status: code}, {want: miss, status: code}, {with: good, want: miss, status: 200},
				}},
				scenario{fmt.Sprint(code, " and Vary"), tr(), []reply{status(code, fresh, "Vary: Accept, "+field), status(code, fresh, "Vary: Accept, "+field), ok(fresh, "Vary: Accept, "+field)}, []step{
					{with: bad, want: miss, status: code}, {with: bad, want: hit, status: code, body: "#1"},
					{want: miss, status: code, body: "#2"}, {want: hit, status: code, body: "#2"},
					{with: good, want: miss, status: 200, body: "#3"}, {with: good, want: hit, status: 200, body: "#3"},
					{with: bad, want: hit, status: code, body: "#1"},
				}},
				scenario{fmt.Sprint(code, " in answer to a validation"), tr(), []reply{ok("Cache-Control: max-age=1, public", `ETag: "a"`), status(code, fresh), status(304)}, []step{
					{with: good, want: miss}, {wait: time.Minute, with: bad, want: miss, status: code}, {with: good, want: revalidated, status: 200, body: "#1"},
				}},
			)
		}
		return all
	})
}

// authorizing is a RoundTripper behind the cache that adds credentials, as that of package oauth2 does.
type authorizing struct {
	http.RoundTripper
	field, token string
}

func (a *authorizing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set(a.field, a.token)
	return a.RoundTripper.RoundTrip(req)
}

// A response that rejects credentials added by Base is not stored, because Vary cannot select by them.
func TestCredentialsOfBase(t *testing.T) {
	for code, field := range map[int]string{401: "Authorization", 407: "Proxy-Authorization"} {
		synctest.Test(t, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				if req.Header.Get(field) != "good" {
					return respond(code, "no", "Cache-Control: max-age=60", "Vary: "+field)
				}
				return respond(200, "yes", "Cache-Control: max-age=60", "Vary: "+field)
			})
			base := &authorizing{o, field, "expired"}
			tr := &cachecontrol.Transport{Base: base}
			if a := do(t, tr, "/"); a.StatusCode != code {
				t.Errorf("status %d, want %d", a.StatusCode, code)
			}
			base.token = "good"
			if a := do(t, tr, "/"); a.StatusCode != 200 || a.outcome != miss {
				t.Errorf("%d: with better credentials %d, %v, want 200, %v", code, a.StatusCode, a.outcome, miss)
			}
		})
	}
}

// A 401 that another program has stored without Vary is not used.
func TestStoredStatusesOfOthers(t *testing.T) {
	for _, code := range []int{401, 407, 428, 429, 431, 511} {
		synctest.Test(t, func(t *testing.T) {
			store := storage.NewDictCache()
			putEntry(t, store, "http://example.com/", code, "no", "Cache-Control: max-age=60, public")
			o := replies(t, ok())
			tr := &cachecontrol.Transport{Base: o, Store: store}
			step{want: miss, status: 200}.run(t, fmt.Sprint(code), tr, o)
		})
	}
}

func TestRedirectsAreStored(t *testing.T) {
	noCache := []string{"Cache-Control: no-cache"}
	var scenarios []scenario
	for _, code := range []int{301, 308} {
		name := fmt.Sprint(code)
		scenarios = append(scenarios, scenario{
			name:   name + " without freshness is kept for ever, whatever its Date",
			origin: []reply{status(code, "Location: /elsewhere", "Date: {-10000h}")},
			steps: []step{
				{want: miss, storing: "permanent"}, {want: hit, status: code, head: []string{"Location: /elsewhere"}},
				{wait: 20000 * time.Hour, want: hit},
				{want: miss, with: noCache, body: "#2"}, {want: hit, body: "#2"},
			},
		}, scenario{
			name:   name + " without a Date is kept too",
			origin: []reply{status(code, "Location: /elsewhere", "Date:")},
			steps:  []step{{want: miss}, {wait: 20000 * time.Hour, want: hit}},
		}, scenario{
			name:   name + " with a lifetime has that, unlike in Python",
			origin: []reply{status(code, "Location: /elsewhere", "Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {wait: 59 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, scenario{
			name:   name + " with no-store is not stored",
			origin: []reply{status(code, "Location: /elsewhere", "Cache-Control: no-store")},
			steps:  []step{{want: miss}, {want: miss}},
		})
	}
	runScenarios(t, append(scenarios, scenario{
		name:   "300 with a lifetime",
		origin: []reply{status(300, "Cache-Control: max-age=60")},
		steps:  []step{{want: miss}, {want: hit, status: 300}, {want: miss, with: noCache}},
	}, scenario{
		name:   "300 and 302 without one",
		origin: []reply{status(300), status(302, "Location: /elsewhere")},
		steps:  []step{{want: miss}, {want: miss}, {want: miss}},
	}))
}

func TestStatuses(t *testing.T) {
	stored := map[int]bool{200: true, 203: true, 300: true, 301: true, 308: true}
	var scenarios []scenario
	for _, code := range []int{200, 201, 203, 204, 300, 301, 302, 307, 308, 400, 404, 410, 500, 503} {
		want := miss
		if stored[code] {
			want = hit
		}
		fields := []string{"Cache-Control: max-age=3600", "Location: /elsewhere"}
		scenarios = append(scenarios, scenario{
			name:      fmt.Sprintf("%d, among CacheControl's", code),
			transport: &cachecontrol.Transport{CacheableStatusCodes: slices.Collect(maps.Keys(stored))},
			origin:    []reply{status(code, fields...)},
			steps:     []step{{want: miss, status: code}, {want: want, status: code}},
		}, scenario{
			name:   fmt.Sprintf("%d, with max-age", code), // RFC 9111, section 3: any final status
			origin: []reply{status(code, fields...)},
			steps:  []step{{want: miss, status: code}, {want: hit, status: code}},
		})
	}
	runScenarios(t, append(scenarios, scenario{
		name:      "a status of one's own choice",
		transport: &cachecontrol.Transport{CacheableStatusCodes: []int{404}},
		origin:    []reply{status(404, "Cache-Control: max-age=60"), ok("Cache-Control: max-age=60")},
		steps: []step{
			{want: miss}, {want: hit, status: 404},
			{do: "/b", want: miss, storing: "status-excluded"}, {do: "/b", want: miss},
		},
	}))
}

// http.Client ends a loop of stored redirects, as it does over the network.
func TestRedirectLoopInTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(301, "", "Location: "+map[string]string{"/a": "/b", "/b": "/a"}[req.URL.Path])
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for range 2 {
			resp, err := tr.Client().Get("http://example.com/a")
			if err == nil || !strings.Contains(err.Error(), "10 redirects") {
				t.Errorf("%v, %v", resp, err)
			}
		}
		if n := o.requests(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
}
