package rfc9111_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// withMethod returns req with another method.
func withMethod(method string, req *http.Request) *http.Request {
	req.Method = method
	return req
}

func TestStorable(t *testing.T) {
	get := newRequest()
	shared := &rfc9111.Options{Shared: true, WithholdSetCookie: true}
	for _, tt := range []struct {
		name string
		opts *rfc9111.Options
		req  *http.Request
		resp *http.Response
		want bool
		why  rfc9111.Reason
	}{
		{"fresh", nil, get, newResponse(200, "Cache-Control", "max-age=60"), true, "max-age"},
		{"no method", nil, &http.Request{}, newResponse(200, "Cache-Control", "max-age=60"), true, "max-age"},
		{"no header", nil, &http.Request{Method: "GET"}, &http.Response{StatusCode: 200}, false, "nothing-to-reuse"},
		{"validator", nil, get, newResponse(200, "Etag", `"a"`), true, "validator"},
		{"HEAD", nil, withMethod("HEAD", newRequest()), newResponse(200, "Cache-Control", "max-age=60"), false, "method-not-storable"},
		{"POST", nil, withMethod("POST", newRequest()), newResponse(200, "Cache-Control", "max-age=60"), false, "method-not-storable"},
		{"part", nil, newRequest("Range", "bytes=0-1"), newResponse(206, "Cache-Control", "max-age=60"), false, "partial-unusable"},
		{"whole response to a range request", nil, newRequest("Range", "bytes=0-1"), newResponse(200, "Cache-Control", "max-age=60"), true, "max-age"},
		{"416", nil, newRequest("Range", "bytes=9-"), newResponse(416, "Cache-Control", "max-age=60"), false, "partial-unusable"},
		{"304", nil, newRequest("If-None-Match", `"a"`), newResponse(304, "Etag", `"a"`), false, "not-modified-unasked"},
		{"412 to a precondition", nil, newRequest("If-Match", `"a"`), newResponse(412, "Cache-Control", "max-age=60"), false, "precondition"},
		{"412 without one", nil, get, newResponse(412, "Cache-Control", "max-age=60"), true, "max-age"},
		{"no-store in the request", nil, newRequest("Cache-Control", "no-store"), newResponse(200, "Cache-Control", "max-age=60"), false, "request-no-store"},
		{"Vary: *", nil, get, newResponse(200, "Cache-Control", "max-age=60", "Vary", "*"), false, "vary-any"},
		{"private", shared, get, newResponse(200, "Cache-Control", "max-age=60, private"), false, "private"},
		{"cookie", shared, get, newResponse(200, "Cache-Control", "max-age=60", "Set-Cookie", "a=1"), false, "set-cookie"},
		{"public cookie", shared, get, newResponse(200, "Cache-Control", "max-age=60, public", "Set-Cookie", "a=1"), true, "max-age"},
		{"cookie as any field", &rfc9111.Options{Shared: true}, get, newResponse(200, "Cache-Control", "max-age=60", "Set-Cookie", "a=1"), true, "max-age"},
		{"stale-if-error", &rfc9111.Options{StaleIfError: time.Hour}, get, newResponse(200), false, "nothing-to-reuse"},
		{"stale-while-revalidate", &rfc9111.Options{StaleWhileRevalidate: time.Hour}, get, newResponse(200), false, "nothing-to-reuse"},
	} {
		p := rfc9111.NewPolicy(tt.req, tt.resp, received, received, tt.opts)
		if got, why := p.Storable(); got != tt.want || why != tt.why {
			t.Errorf("%s: Storable() = %v, %q, want %v, %q", tt.name, got, why, tt.want, tt.why)
		}
	}
}

func TestReuse(t *testing.T) {
	fresh, stale := received.Add(time.Second), received.Add(time.Hour)
	for _, tt := range []struct {
		name   string
		header []string // of the response
		req    *http.Request
		now    time.Time
		want   rfc9111.Action
		why    rfc9111.Reason
	}{
		{"GET", nil, newRequest(), fresh, rfc9111.Serve, "fresh"},
		{"no method", nil, &http.Request{}, fresh, rfc9111.Serve, "fresh"},
		{"HEAD", nil, withMethod("HEAD", newRequest()), fresh, rfc9111.Serve, "fresh"},
		{"a range", nil, newRequest("Range", "bytes=0-1"), fresh, rfc9111.Serve, "fresh"},
		{"POST", nil, withMethod("POST", newRequest()), fresh, rfc9111.Fetch, "method"},
		{"POST, only if cached", nil, withMethod("POST", newRequest("Cache-Control", "only-if-cached")), fresh, rfc9111.Fetch, "method"},
		{"OPTIONS, only if cached", nil, withMethod("OPTIONS", newRequest("Cache-Control", "only-if-cached")), fresh, rfc9111.Refuse, "only-if-cached"},
		{"an upgrade", nil, newRequest("Connection", "upgrade", "Upgrade", "websocket"), fresh, rfc9111.Fetch, "upgrade"},
		{"another variant", []string{"Vary", "Accept"}, newRequest("Accept", "text/html"), fresh, rfc9111.Fetch, "vary-miss"},
		{"another variant, only if cached", []string{"Vary", "Accept"}, newRequest("Accept", "a/b", "Cache-Control", "only-if-cached"), fresh, rfc9111.Refuse, "only-if-cached"},
		{"any variant", []string{"Vary", "*"}, newRequest(), fresh, rfc9111.Fetch, "vary-miss"},
		{"stale, no validator", nil, newRequest(), stale, rfc9111.Fetch, "stale"},
		{"stale, with a validator", []string{"Etag", `"a"`}, newRequest(), stale, rfc9111.Validate, "stale"},
		{"If-Match that is true", []string{"Etag", `"a"`}, newRequest("If-Match", `"a"`), fresh, rfc9111.Serve, "fresh"},
		{"If-Match that is false", []string{"Etag", `"a"`}, newRequest("If-Match", `"b"`), fresh, rfc9111.Fetch, "precondition"},
		{"If-Match, stale", []string{"Etag", `"a"`}, newRequest("If-Match", `"a"`), stale, rfc9111.Fetch, "precondition"},
		{"If-Match, stale but allowed", []string{"Etag", `"a"`}, newRequest("If-Match", `"a"`, "Cache-Control", "max-stale"), stale, rfc9111.Fetch, "precondition"},
		{"If-Match, not to be reused", []string{"Etag", `"a"`}, newRequest("If-Match", `"a"`, "Cache-Control", "no-cache"), fresh, rfc9111.Fetch, "precondition"},
		{"If-Match, 404", []string{"status", "404", "Etag", `"a"`}, newRequest("If-Match", `"a"`), fresh, rfc9111.Fetch, "precondition"},
		{"If-None-Match", []string{"Etag", `"a"`}, newRequest("If-None-Match", `"a"`), stale, rfc9111.Validate, "stale"},
		{"rejected credentials", []string{"status", "401"}, newRequest("Authorization", "b"), fresh, rfc9111.Fetch, "unusable"},
	} {
		status, header := 200, tt.header
		if header != nil && header[0] == "status" {
			status, _ = strconv.Atoi(header[1])
			header = header[2:]
		}
		resp := newResponse(status, append([]string{"Cache-Control", "max-age=60"}, header...)...)
		p := rfc9111.NewPolicy(newRequest(), resp, received, received, nil)
		d := p.Reuse(tt.req, tt.now)
		if d.Action != tt.want || d.Reason != tt.why {
			t.Errorf("%s: Reuse = %v, %q, want %v, %q", tt.name, d.Action, d.Reason, tt.want, tt.why)
		}
		if age := tt.now.Sub(received); d.Age != age || d.TTL != time.Minute-age {
			t.Errorf("%s: Reuse has the age %v and the TTL %v, want %v and %v", tt.name, d.Age, d.TTL, age, time.Minute-age)
		}
	}
}

func TestReuseOnError(t *testing.T) {
	resp := newResponse(200, "Cache-Control", "max-age=60", "Vary", "Accept", "Etag", `"a"`)
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, &rfc9111.Options{StaleIfError: time.Hour})
	for _, tt := range []struct {
		req  *http.Request
		now  time.Duration
		want rfc9111.Action
		why  rfc9111.Reason
	}{
		{newRequest(), 10 * time.Minute, rfc9111.Serve, "stale-if-error"},
		{newRequest(), 2 * time.Hour, rfc9111.Refuse, "stale"},
		{newRequest("Accept", "a/b"), 10 * time.Minute, rfc9111.Refuse, "vary-miss"},
		{newRequest("If-Match", `"a"`), 10 * time.Minute, rfc9111.Refuse, "precondition"},
		{withMethod("PUT", newRequest()), 10 * time.Minute, rfc9111.Refuse, "method"},
	} {
		if d := p.ReuseOnError(tt.req, received.Add(tt.now)); d.Action != tt.want || d.Reason != tt.why {
			t.Errorf("%s %v after %v: ReuseOnError = %v, %q, want %v, %q",
				tt.req.Method, tt.req.Header, tt.now, d.Action, d.Reason, tt.want, tt.why)
		}
	}
}

func TestUpdate(t *testing.T) {
	resp := newResponse(200, "Cache-Control", "max-age=60", "Etag", `"a"`, "Content-Length", "5", "Vary", "Accept", "X", "1")
	stored := rfc9111.NewPolicy(newRequest("Accept", "a/b", "X", "x"), resp, received, received, nil)
	later := received.Add(time.Hour)
	date := later.Format(http.TimeFormat)
	get := newRequest("Accept", "a/b", "X", "y")
	head := withMethod("HEAD", get.Clone(t.Context()))
	for _, tt := range []struct {
		name string
		req  *http.Request
		resp *http.Response
		want bool // whether the response confirms the stored one
	}{
		{"304", get, newResponse(304, "Etag", `"a"`, "Date", date), true},
		{"304 without a tag", get, newResponse(304, "Date", date), true},
		{"304 about another", get, newResponse(304, "Etag", `"b"`, "Date", date), false},
		{"200", get, newResponse(200, "Etag", `"a"`, "Date", date), false},
		{"HEAD", head, newResponse(200, "Etag", `"a"`, "Content-Length", "5", "Date", date), true},
		{"HEAD about another", head, newResponse(200, "Etag", `"b"`, "Date", date), false},
		{"HEAD with another length", head, newResponse(200, "Content-Length", "6", "Date", date), false},
		{"HEAD of a missing resource", head, newResponse(404, "Date", date), false},
	} {
		p := stored.Update(tt.req, tt.resp, later, later)
		if (p != nil) != tt.want {
			t.Errorf("%s: Update = %v, want a policy: %v", tt.name, p, tt.want)
		}
		if p == nil {
			continue
		}
		if age := p.Age(later); age != 0 {
			t.Errorf("%s: the age after Update is %v, want 0", tt.name, age)
		}
		want := http.Header{
			"Cache-Control": {"max-age=60"}, "Etag": {`"a"`}, "Content-Length": {"5"}, "Vary": {"Accept"}, "X": {"1"}, "Date": {date},
		}
		if diff := cmp.Diff(want, p.StoredHeader()); diff != "" {
			t.Errorf("%s: StoredHeader after Update (-want +got)\n%s", tt.name, diff)
		}
		if ok, why := p.Storable(); !ok || why != "max-age" {
			t.Errorf("%s: Storable after Update = %v, %q, want true, max-age", tt.name, ok, why)
		}
	}

	// The fields that selected the response before still do, and those in the new Vary, too.
	p := stored.Update(get, newResponse(304, "Vary", "X", "Date", date), later, later)
	if got, want := p.SelectingFields(), []string{"X", "Accept"}; !slices.Equal(got, want) {
		t.Errorf("SelectingFields after Update = %q, want %q", got, want)
	}
	if !p.Matches(get) || p.Matches(newRequest("Accept", "a/b", "X", "x")) || p.Matches(newRequest("X", "y")) {
		t.Error("Matches after Update does not compare with the validation request")
	}
	if p := stored.Update(get, newResponse(304, "Cache-Control", "no-store", "Date", date), later, later); p == nil {
		t.Error("Update by a 304 with no-store = nil, want a policy")
	} else if ok, why := p.Storable(); ok || why != "no-store" {
		t.Errorf("Storable after a 304 with no-store = %v, %q, want false, no-store", ok, why)
	}
}

func TestHeaders(t *testing.T) {
	resp := newResponse(200, "Cache-Control", `no-cache="X-User", max-age=60`, "X-User", "me", "Etag", `"a"`, "Connection", "X-Hop",
		"X-Hop", "1", "Keep-Alive", "1", "Set-Cookie", "a=1", "Content-Type", "text/html")
	p := rfc9111.NewPolicy(newRequest(), resp, received, received, &rfc9111.Options{WithholdSetCookie: true})
	date := received.Format(http.TimeFormat)
	resp.Header.Set("Etag", "changed by the caller")
	wantStored := http.Header{
		"Cache-Control": {`no-cache="X-User", max-age=60`}, "X-User": {"me"}, "Etag": {`"a"`}, "Content-Type": {"text/html"}, "Date": {date},
	}
	if diff := cmp.Diff(wantStored, p.StoredHeader()); diff != "" {
		t.Errorf("StoredHeader (-want +got)\n%s", diff)
	}
	status, header := p.Response(newRequest(), received.Add(1500*time.Millisecond))
	want := http.Header{
		"Cache-Control": {`no-cache="X-User", max-age=60`}, "Etag": {`"a"`}, "Content-Type": {"text/html"}, "Date": {date}, "Age": {"1"},
	}
	if diff := cmp.Diff(want, header); diff != "" || status != 200 {
		t.Errorf("Response: status %d, want 200, header (-want +got)\n%s", status, diff)
	}
	status, header = p.Response(newRequest("If-None-Match", `W/"a"`), received)
	want = http.Header{"Cache-Control": {`no-cache="X-User", max-age=60`}, "Etag": {`"a"`}, "Date": {date}, "Age": {"0"}}
	if diff := cmp.Diff(want, header); diff != "" || status != 304 {
		t.Errorf("Response to If-None-Match: status %d, want 304, header (-want +got)\n%s", status, diff)
	}
	req := newRequest("If-None-Match", `"b"`, "If-Modified-Since", date, "Range", "bytes=0-", "If-Range", `"b"`, "Accept", "a/b")
	if diff := cmp.Diff(http.Header{"If-None-Match": {`"a"`}, "Accept": {"a/b"}}, p.ValidationHeader(req)); diff != "" {
		t.Errorf("ValidationHeader (-want +got)\n%s", diff)
	}
	withoutTag := rfc9111.NewPolicy(newRequest(), newResponse(200, "Cache-Control", "max-age=60"), received, received, nil)
	if diff := cmp.Diff(http.Header{"Accept": {"a/b"}}, withoutTag.ValidationHeader(req)); diff != "" {
		t.Errorf("ValidationHeader of a response without validators (-want +got)\n%s", diff)
	}
	if got := req.Header.Get("If-None-Match"); got != `"b"` {
		t.Errorf("ValidationHeader changed the header of the request: If-None-Match is %q", got)
	}
}

func TestWithLifetime(t *testing.T) {
	p := rfc9111.NewPolicy(newRequest(), newResponse(200), received, received, nil)
	if ok, why := p.Storable(); ok || why != "nothing-to-reuse" {
		t.Errorf("Storable() = %v, %q, want false, nothing-to-reuse", ok, why)
	}
	q := p.WithLifetime(time.Hour)
	if ok, why := q.Storable(); !ok || why != "own-lifetime" {
		t.Errorf("Storable() with a lifetime = %v, %q, want true, own-lifetime", ok, why)
	}
	if got := q.Retention(); got != time.Hour {
		t.Errorf("Retention() = %v, want 1h", got)
	}
	if lifetime, why := p.Lifetime(); lifetime != 0 || why != "no-freshness" || p.WithLifetime(0) != p {
		t.Errorf("WithLifetime changed the policy: Lifetime() = %v, %q", lifetime, why)
	}
}

// TestPolicyAgain computes a policy from what a program stores, and compares it with the first one.
func TestPolicyAgain(t *testing.T) {
	opts := &rfc9111.Options{Shared: true, WithholdSetCookie: true}
	req := newRequest("Accept-Language", "de, en;q=0.5", "Origin", "https://a.example", "User-Agent", "x")
	resp := newResponse(200, "Cache-Control", "public, max-age=60, stale-if-error=60", "Vary", "accept-language", "Age", "10",
		"Access-Control-Allow-Origin", "https://a.example", "Set-Cookie", "a=1", "Etag", `"a"`)
	first := rfc9111.NewPolicy(req, resp, received.Add(-time.Second), received, opts)
	if got, want := first.SelectingFields(), []string{"Accept-Language", "Origin"}; !slices.Equal(got, want) {
		t.Errorf("SelectingFields() = %q, want %q", got, want)
	}

	stored := &http.Request{Method: req.Method, URL: req.URL, Header: make(http.Header)}
	for _, name := range first.SelectingFields() {
		stored.Header[name] = req.Header[name]
	}
	again := rfc9111.NewPolicy(stored, &http.Response{StatusCode: 200, Header: first.StoredHeader()}, received.Add(-time.Second), received, opts)
	for _, req := range []*http.Request{
		req, stored, newRequest(), newRequest("Accept-Language", "en;q=0.5,de", "Origin", "https://a.example"), newRequest("Origin", "https://b.example"),
	} {
		for _, after := range []time.Duration{0, 49 * time.Second, time.Minute, time.Hour} {
			now := received.Add(after)
			if got, want := again.Reuse(req, now), first.Reuse(req, now); got != want {
				t.Errorf("%v after %v: Reuse = %+v, want %+v", req.Header, after, got, want)
			}
			if got, want := again.ReuseOnError(req, now), first.ReuseOnError(req, now); got != want {
				t.Errorf("%v after %v: ReuseOnError = %+v, want %+v", req.Header, after, got, want)
			}
		}
	}
	if d := again.Reuse(newRequest("Accept-Language", "en;q=0.5,de", "Origin", "https://a.example"), received); d.Action != rfc9111.Serve {
		t.Errorf("Reuse for an equivalent Accept-Language = %v, %q, want serve", d.Action, d.Reason)
	}
}

func TestInvalidatedURLs(t *testing.T) {
	for _, tt := range []struct {
		name string
		req  *http.Request
		resp *http.Response
		want []string
	}{
		{"GET", newRequest(), newResponse(200), nil},
		{"PUT", withMethod("PUT", newRequest()), newResponse(204), []string{"http://example.com/"}},
		{"an error", withMethod("PUT", newRequest()), newResponse(500), nil},
		{"Host", &http.Request{Method: "PUT", URL: &url.URL{Scheme: "http", Host: "10.0.0.1", Path: "/a"}, Host: "example.com"}, newResponse(200),
			[]string{"http://example.com/a"}},
		{"no Host", &http.Request{Method: "PUT", URL: &url.URL{Scheme: "http", Host: "example.com", Path: "/a"}}, newResponse(200),
			[]string{"http://example.com/a"}},
		{"in a server", &http.Request{Method: "POST", URL: &url.URL{Path: "/a"}, Host: "example.com"}, newResponse(303, "Location", "b"),
			[]string{"http://example.com/a", "http://example.com/b"}},
		{"in a TLS server", &http.Request{Method: "DELETE", URL: &url.URL{Path: "/a"}, Host: "example.com", TLS: &tls.ConnectionState{}},
			newResponse(200, "Location", "http://example.com/b"), []string{"https://example.com/a"}},
	} {
		var got []string
		for _, u := range rfc9111.InvalidatedURLs(tt.req, tt.resp) {
			got = append(got, u.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: InvalidatedURLs = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestStatusCodes(t *testing.T) {
	functions := []func(int) bool{rfc9111.Supersedes, rfc9111.ServerFailed, rfc9111.HeuristicallyCacheable}
	for _, tt := range []struct {
		status int
		want   []bool
	}{
		{200, []bool{true, false, true}},
		{206, []bool{false, false, true}},
		{302, []bool{false, false, false}},
		{404, []bool{true, false, true}},
		{429, []bool{false, false, false}},
		{501, []bool{false, false, true}},
		{503, []bool{false, true, false}},
	} {
		var got []bool
		for _, f := range functions {
			got = append(got, f(tt.status))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%d: Supersedes, ServerFailed, HeuristicallyCacheable = %v, want %v", tt.status, got, tt.want)
		}
	}
}

func TestActionString(t *testing.T) {
	for a, want := range []string{"fetch", "validate", "serve-and-validate", "serve", "refuse", "unknown"} {
		if got := rfc9111.Action(a).String(); got != want {
			t.Errorf("Action(%d).String() = %q, want %q", a, got, want)
		}
	}
}

func TestAllocations(t *testing.T) {
	req := newRequest("Cache-Control", "max-stale=10", "Accept-Language", "de")
	resp := newResponse(200, "Cache-Control", "max-age=60", "Etag", `"a"`)
	p := rfc9111.NewPolicy(req, resp, received, received, nil)
	now := received.Add(time.Minute)
	for _, tt := range []struct {
		name string
		want float64
		f    func()
	}{
		{"Storable", 0, func() { p.Storable() }},
		{"Lifetime", 0, func() { p.Lifetime() }},
		{"Age", 0, func() { p.Age(now) }},
		{"Reuse", 0, func() { p.Reuse(req, now) }},
		{"ReuseOnError", 0, func() { p.ReuseOnError(req, now) }},
		{"Matches", 0, func() { p.Matches(req) }},
		{"ParseResponseDirectives", 0, func() { rfc9111.ParseResponseDirectives(resp.Header, false) }},
		{"ParseRequestDirectives", 0, func() { rfc9111.ParseRequestDirectives(req.Header) }},
		{"NewPolicy", 4, func() { rfc9111.NewPolicy(req, resp, received, received, nil) }}, // the policy and the stored header
	} {
		if got := testing.AllocsPerRun(100, tt.f); got > tt.want {
			t.Errorf("%s makes %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}
