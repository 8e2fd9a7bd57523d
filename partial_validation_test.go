package cachecontrol_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	tag1      = `ETag: "1"`
	fresh60   = "Cache-Control: max-age=60"
	fresh10   = "Cache-Control: max-age=10"
	modified1 = "Last-Modified: Fri, 31 Dec 1999 23:00:00 GMT"
	modified2 = "Last-Modified: Fri, 31 Dec 1999 23:30:00 GMT"
)

// A response that shows that a whole stored response is out of date shows the same for a part (RFC 9111, sections 4.3.5
// and 4.4), even if it is not stored.
func TestPartRefuted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    string
		with  []string
		reply reply
		part  reply // zero: bytes 2 to 5 of 10
	}{
		{"HEAD, another tag", "HEAD /", nil, ok(fresh60, `ETag: "2"`), reply{}},
		{"HEAD, another date", "HEAD /", nil, ok(fresh60, tag1, modified2), reply{}},
		{"HEAD, another length", "HEAD /", nil, ok(fresh60, "Content-Length: 11"), reply{}},
		{"HEAD, 404", "HEAD /", nil, status(404), reply{}},
		{"HEAD, 410", "HEAD /", nil, status(410), reply{}},
		{"HEAD, shorter than the part", "HEAD /", nil, ok(fresh60, "Content-Length: 5"),
			reply{status: 206, body: "2345", fields: []string{fresh60, tag1, modified1, "Content-Range: bytes 2-5/*"}}},
		{"HEAD with a length, of which the part knows nothing, without validators", "HEAD /", nil, ok(fresh60, "Content-Length: 8"),
			reply{status: 206, body: "2345", fields: []string{fresh60, "Content-Range: bytes 2-5/*"}}},
		{"206, shorter than the part, no-store", "/", []string{"Range: bytes=0-0"},
			reply{status: 206, body: "0", fields: []string{"Cache-Control: no-store", `ETag: W/"1"`, modified1, "Content-Range: bytes 0-0/5"}},
			reply{status: 206, body: "2345", fields: []string{fresh60, tag1, modified1, "Content-Range: bytes 2-5/*"}}},
		{"404", "/", nil, status(404), reply{}},
		{"410", "/", nil, status(410), reply{}},
		{"404 that is stored", "/", nil, status(404, fresh10), reply{}},
		{"200, another tag, no-store", "/", nil, ok("Cache-Control: no-store", `ETag: "2"`), reply{}},
		{"200, no tag, no-store", "/", nil, ok("Cache-Control: no-store"), reply{}},
		{"200, the same tag, no-store", "/", nil, ok("Cache-Control: no-store", tag1), reply{}},
		{"200 to another range, no-store", "/", []string{"Range: bytes=7-8"}, ok("Cache-Control: no-store", `ETag: "2"`), reply{}},
		{"404 to another range", "/", []string{"Range: bytes=7-8"}, status(404), reply{}},
		{"206, another tag, no-store", "/", []string{"Range: bytes=7-8"}, partReply(7, 8, "Cache-Control: no-store", `ETag: "2"`), reply{}},
		{"206, no tag, no-store", "/", []string{"Range: bytes=7-8"}, partReply(7, 8, "Cache-Control: no-store"), reply{}},
		{"206, another date, no-store", "/", []string{"Range: bytes=7-8"}, partReply(7, 8, "Cache-Control: no-store", modified2, `ETag: W/"1"`), reply{}},
		{"206, the same tag, no-store", "/", []string{"Range: bytes=7-8"}, partReply(7, 8, "Cache-Control: no-store", tag1, modified1), reply{}},
		{"416, another length", "/", []string{"Range: bytes=20-30"}, status(416, "Content-Range: bytes */11"), reply{}},
		{"416, shorter", "/", []string{"Range: bytes=20-30"}, status(416, "Content-Range: bytes */5"),
			reply{status: 206, body: "2345", fields: []string{fresh60, tag1, modified1, "Content-Range: bytes 2-5/*"}}},
		{"200 for the caller's own copy, no-store", "/", []string{`If-None-Match: "1"`}, ok("Cache-Control: no-store", `ETag: "2"`), reply{}},
		{"404 for the caller's own copy", "/", []string{`If-None-Match: "1"`}, status(404), reply{}},
		{"404 to a validation", "/", []string{"Range: bytes=2-3", "Cache-Control: no-cache"}, status(404), reply{}},
		{"200 to a validation, no-store", "/", []string{"Range: bytes=2-3", "Cache-Control: no-cache"}, ok("Cache-Control: no-store", `ETag: "2"`), reply{}},
		{"206 to a validation, no-store", "/", []string{"Range: bytes=2-3", "Cache-Control: no-cache"}, partReply(2, 3, "Cache-Control: no-store", `ETag: "2"`), reply{}},
		{"304 to a validation, no-store", "/", []string{"Range: bytes=2-3", "Cache-Control: no-cache"}, status(304, "Cache-Control: no-store", tag1), reply{}},
		{"404 for the rest", "/", nil, status(404), partReply(0, 3, fresh60, tag1, modified1)},
		{"200 for the rest, another tag, no-store", "/", nil, ok("Cache-Control: no-store", `ETag: "2"`), partReply(0, 3, fresh60, tag1, modified1)},
		{"PUT", "PUT /", nil, ok(), reply{}},
		{"DELETE", "DELETE /", nil, status(204), reply{}},
		{"POST", "POST /", nil, ok(), reply{}},
		{"an unknown method", "FOO /", nil, ok(), reply{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				part := tt.part
				if part.status == 0 {
					part = partReply(2, 5, fresh60, tag1, modified1)
				}
				o := replies(t, part, tt.reply, status(500, "Cache-Control: no-store"))
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=0-5")
				if a := do(t, tr, "/", "Range: bytes=2-3"); a.outcome != hit {
					t.Fatalf("a range of the part: %v, want hit", a.outcome)
				}
				do(t, tr, tt.do, tt.with...)
				if a := do(t, tr, "/", "Range: bytes=2-3"); a.StatusCode == 206 {
					t.Errorf("the part answers: %v %d, want another status", a.outcome, a.StatusCode)
				}
				if _, body := peek(t, s, partKey); body != "" {
					t.Errorf("the part is still stored: %q, want %q", body, "")
				}
			})
		})
	}
}

// A part is not used if a more recent whole response is stored that the request would select, even if that response cannot answer the
// request (RFC 9111, section 4). Both are stored after a time in which the store could not find the whole response.
func TestPartOlderThanWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coded := reply{status: 403, body: string(gzipped("no")), fields: []string{modified1, "Expires: 0", "Content-Encoding: gzip"}}
		o := replies(t, ok("Cache-Control: max-age=0", tag1), partReply(0, 3, fresh60, tag1), coded, ok(fresh60, `ETag: "2"`))
		hidden := ""
		s := &hookedStore{Store: storage.NewDictCache(), before: func(_ context.Context, op, key string) error {
			if op == "Get" && key == hidden {
				return errFaulty
			}
			return nil
		}}
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/")
		hidden = wholeKey
		do(t, tr, "/", "Range: bytes=0-3")
		wantPart(t, do(t, tr, "/", "Range: bytes=0-3"), hit, "bytes 0-3/10", "0123")
		hidden = ""
		time.Sleep(time.Second)
		if a := do(t, tr, "/", "Accept-Encoding: gzip", "Cache-Control: no-cache"); cachecontrol.StatusOf(a.Response).Storage != "validator" {
			t.Fatalf("403: Cache-Status %q, want it stored for its validator", a.Header["Cache-Status"])
		}
		if a := do(t, tr, "/", "Range: bytes=0-3"); a.outcome != miss {
			t.Errorf("a range, after a more recent 403 was stored: %v %d %q, want miss", a.outcome, a.StatusCode, a.body)
		}
	})
}

// A 404 or 410 removes a whole response at once, even if its body is cut short or the request has a range. So does a
// 206 of another representation after a 304 that confirms nothing.
func TestWholeRefutedWithPart(t *testing.T) {
	runScenarios(t, []scenario{{"HEAD, 404 after a 304 about neither", nil,
		[]reply{ok(fresh60, tag1), status(304, `ETag: "3"`), status(404), ok(fresh60)},
		[]step{{want: miss}, {do: "HEAD /", with: []string{"Cache-Control: no-cache"}, want: miss, status: 404}, {want: miss, body: "#4"}},
	}, {"a part, 404 after a 304 about neither", nil,
		[]reply{partReply(2, 5, fresh60, tag1), status(304, `ETag: "3"`), status(404, "Cache-Control: no-store"), ok(fresh60)},
		[]step{
			{with: []string{"Range: bytes=2-5"}, want: miss},
			{with: []string{"Range: bytes=2-5", "Cache-Control: no-cache"}, want: miss, status: 404},
			{with: []string{"Range: bytes=2-5"}, want: miss, body: "#4"},
		},
	}})
	for _, tt := range []struct {
		name    string
		with    []string
		replies []reply
		reads   bool
	}{
		{"404 to a range", []string{"Range: bytes=0-1"}, []reply{status(404)}, true},
		{"410 to a range, no-store", []string{"Range: bytes=0-1"}, []reply{status(410, "Cache-Control: no-store")}, true},
		{"404 that is not read", nil, []reply{status(404, fresh60)}, false},
		{"410 that is not read", nil, []reply{status(410, fresh60)}, false},
		{"another 206 after a 304 about neither", []string{"Range: bytes=0-1"}, []reply{status(304, `ETag: "3"`), partReply(0, 1, fresh60, `ETag: "2"`)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				o := replies(t, append(append([]reply{ok(fresh60, tag1)}, tt.replies...), status(500))...)
				tr := &cachecontrol.Transport{Base: o, Store: s, DrainBytes: -1}
				defer tr.Close()
				do(t, tr, "/")
				resp, err := tr.RoundTrip(request(t, "/", append(tt.with, "Cache-Control: no-cache")...))
				if err != nil {
					t.Fatal(err)
				}
				if tt.reads {
					io.Copy(io.Discard, resp.Body)
				}
				resp.Body.Close()
				if a := do(t, tr, "/"); a.body == "#1" {
					t.Errorf("body %q (%v), want another than that of the old response", a.body, a.outcome)
				}
			})
		})
	}
}

// Transport.Invalidate and a new whole response remove the part too, so that it does not answer later.
func TestPartRemoved(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		o := replies(t, partReply(2, 5, fresh60, tag1), partReply(2, 5, fresh60, tag1), ok(fresh10, tag1))
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=2-5")
		if err := tr.Invalidate(context.Background(), &url.URL{Scheme: "http", Host: "example.com", Path: "/"}); err != nil {
			t.Fatal(err)
		}
		wantStored(t, s, "", "")
		do(t, tr, "/", "Range: bytes=2-5")
		wantStored(t, s, "", "2345")
		do(t, tr, "/")
		wantStored(t, s, "#3", "")
	})
}

// A response that does not refute a whole response does not refute a part.
func TestPartKept(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    string
		with  []string
		reply reply
	}{
		{"HEAD, the same", "HEAD /", nil, ok(fresh60, tag1, modified1, "Content-Length: 10")},
		{"HEAD, 500", "HEAD /", nil, status(500)},
		{"HEAD, 403", "HEAD /", nil, status(403)},
		{"500", "/", nil, status(500)},
		{"503", "/", nil, status(503)},
		{"403", "/", nil, status(403)},
		{"429", "/", nil, status(429)},
		{"503 to another range", "/", []string{"Range: bytes=7-8"}, status(503)},
		{"416, the same length", "/", []string{"Range: bytes=20-30"}, status(416, "Content-Range: bytes */10")},
		{"304 for the caller's own copy", "/", []string{`If-None-Match: "0"`}, status(304, `ETag: "0"`)},
		{"206, the same tag, no-store in the request", "/", []string{"Range: bytes=7-8", "Cache-Control: no-store"}, partReply(7, 8, fresh60, tag1, modified1)},
		{"503 to a validation", "/", []string{"Range: bytes=2-3", "Cache-Control: no-cache"}, status(503)},
		{"PUT that fails", "PUT /", nil, status(409)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := replies(t, partReply(2, 5, fresh60, tag1, modified1), tt.reply)
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=2-5")
				do(t, tr, tt.do, tt.with...)
				wantPart(t, do(t, tr, "/", "Range: bytes=2-3"), hit, "bytes 2-3/10", "23")
			})
		})
	}
}

// A part that the origin confirms gets the updated header (RFC 9111, sections 4.3.4 and 4.3.5), also if it is a
// variant, and is still a part.
func TestPartConfirmed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    string
		with  []string
		reply reply
	}{
		{"by HEAD", "HEAD /", nil, ok(fresh60, tag1, "X-From: second", "Vary: X-User")},
		{"by a 304", "/", []string{"Range: bytes=2-3"}, status(304, fresh60, tag1, "X-From: second", "Vary: X-User")},
		{"by a 304 for the caller's own copy", "/", []string{`If-None-Match: "1"`}, status(304, fresh60, tag1, "X-From: second", "Vary: X-User")},
		{"by a 304 for the caller's own copy of a range", "/", []string{"Range: bytes=2-3", `If-None-Match: "1"`}, status(304, fresh60, tag1, "X-From: second", "Vary: X-User")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				o := replies(t, partReply(2, 5, fresh10, tag1, "X-From: first", "Vary: X-User"), tt.reply, status(500))
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=2-5")
				time.Sleep(20 * time.Second)
				do(t, tr, tt.do, tt.with...)
				a := do(t, tr, "/", "Range: bytes=2-5")
				wantPart(t, a, hit, "bytes 2-5/10", "2345")
				if got := a.Header.Get("X-From"); got != "second" {
					t.Errorf("X-From = %q, want second", got)
				}
				wantStored(t, s, "", "2345")
				wantRequests(t, o, 2)
			})
		})
	}
}

// If the origin fails, a stale part is used like a whole response (RFC 9111, section 4.2.4, and RFC 5861), but only for
// a range within it.
func TestPartUsedOnError(t *testing.T) {
	const ranged = "Range: bytes=2-3"
	for _, tt := range []struct {
		name      string
		transport *cachecontrol.Transport
		cc        string
		control   *cachecontrol.Control
		with      []string
		want      bool
	}{
		{name: "nothing allows it", cc: "max-age=10", with: []string{ranged}},
		{name: "stale-if-error", cc: "max-age=10, stale-if-error=60", with: []string{ranged}, want: true},
		{name: "stale-if-error of the request", cc: "max-age=10", with: []string{ranged, "Cache-Control: stale-if-error=60"}, want: true},
		{name: "StaleIfError", transport: &cachecontrol.Transport{StaleIfError: time.Minute}, cc: "max-age=10", with: []string{ranged}, want: true},
		{name: "StaleIfError, must-revalidate", transport: &cachecontrol.Transport{StaleIfError: time.Minute}, cc: "max-age=10, must-revalidate", with: []string{ranged}},
		{name: "StaleIfError, too stale", transport: &cachecontrol.Transport{StaleIfError: time.Second}, cc: "max-age=10", with: []string{ranged}},
		{name: "ModeRefresh, MaxStale", cc: "max-age=10", control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh, MaxStale: time.Minute}, with: []string{ranged}, want: true},
		{name: "Refresh", cc: "max-age=10", control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, with: []string{ranged}},
		{name: "MaxStale", cc: "max-age=10", control: &cachecontrol.Control{MaxStale: -1}, with: []string{ranged}, want: true},
		{name: "max-stale", cc: "max-age=10", with: []string{ranged, "Cache-Control: max-stale=60"}, want: true},
		{name: "Replay", transport: &cachecontrol.Transport{Replay: true}, cc: "max-age=10", control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, with: []string{ranged}, want: true},
		{name: "shared, s-maxage", transport: &cachecontrol.Transport{Shared: true, StaleIfError: time.Minute}, cc: "s-maxage=10", with: []string{ranged}},
		{name: "If-Range", cc: "max-age=10, stale-if-error=60", with: []string{ranged, `If-Range: "1"`}, want: true},
		{name: "another If-Range", cc: "max-age=10, stale-if-error=60", with: []string{ranged, `If-Range: "2"`}},
		{name: "another range", cc: "max-age=10, stale-if-error=60", with: []string{"Range: bytes=4-8"}},
		{name: "the whole", cc: "max-age=10, stale-if-error=60"},
		{name: "the whole, max-stale", cc: "max-age=10, stale-if-error=60", with: []string{"Cache-Control: max-stale"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, failure := range []reply{down, status(503)} {
				eachStore(t, func(t *testing.T, s *watchedStore) {
					o := replies(t, partReply(2, 5, "Cache-Control: "+tt.cc, tag1), failure)
					tr := cmp.Or(tt.transport, &cachecontrol.Transport{})
					tr = &cachecontrol.Transport{Base: o, Store: s, StaleIfError: tr.StaleIfError, Replay: tr.Replay, Shared: tr.Shared}
					defer tr.Close()
					do(t, tr, "/", "Range: bytes=2-5")
					time.Sleep(20 * time.Second)
					req := request(t, "/", tt.with...)
					if tt.control != nil {
						req = req.WithContext(cachecontrol.WithControl(req.Context(), *tt.control))
					}
					resp, err := tr.RoundTrip(req)
					if err != nil {
						if tt.want {
							t.Errorf("error %v, want the part", err)
						}
						return
					}
					body, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if got := resp.StatusCode == 206 && string(body) == "23" && cachecontrol.FromCache(resp); got != tt.want {
						t.Errorf("%d %q, answered by the part: %v, want %v", resp.StatusCode, body, got, tt.want)
					}
				})
			}
		})
	}
}

// A part may be used while it is validated in the background (RFC 5861, section 3), also ahead of its expiry. Only the
// range that was requested is validated.
func TestPartValidatedInBackground(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cc        string
		ahead     time.Duration
		validated reply
		then      string // X-From afterwards
	}{
		{"stale-while-revalidate, 304", "max-age=10, stale-while-revalidate=60", 0, status(304, fresh60, tag1, "X-From: second"), "second"},
		{"stale-while-revalidate, 206", "max-age=10, stale-while-revalidate=60", 0, partReply(2, 3, fresh60, `ETag: "2"`, "X-From: second"), "second"},
		{"stale-while-revalidate, 503", "max-age=10, stale-while-revalidate=60", 0, status(503), "first"},
		{"RefreshAhead", "max-age=30", 15 * time.Second, status(304, fresh60, tag1, "X-From: second"), "second"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				o := replies(t, partReply(2, 5, "Cache-Control: "+tt.cc, tag1, "X-From: first"), tt.validated)
				tr := &cachecontrol.Transport{Base: o, Store: s, RefreshAhead: tt.ahead}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=2-5")
				time.Sleep(20 * time.Second)
				a := do(t, tr, "/", "Range: bytes=2-3")
				if a.StatusCode != 206 || a.body != "23" || !cachecontrol.FromCache(a.Response) {
					t.Errorf("%d %q, Cache-Status %q, want 206 %q from the cache", a.StatusCode, a.body, a.Header["Cache-Status"], "23")
				}
				synctest.Wait()
				wantRequests(t, o, 2)
				if h := o.last().Header; h.Get("Range") != "bytes=2-3" || h.Get("If-None-Match") != `"1"` {
					t.Errorf("validated with %v, want Range: bytes=2-3, If-None-Match: 1", h)
				}
				if a = do(t, tr, "/", "Range: bytes=2-3"); a.body != "23" || a.Header.Get("X-From") != tt.then {
					t.Errorf("%q with X-From %q, want %q", a.body, a.Header.Get("X-From"), tt.then)
				}
				synctest.Wait()
			})
		})
	}
}

// BeforeReuse applies to parts. A part that it refuses is not combined either, and the response of the origin can still
// refute it.
func TestPartRefusedByProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var own cachecontrol.Reuse
		o := replies(t, partReply(2, 5, fresh60, tag1), partReply(6, 8, fresh60, tag1), status(404))
		tr := &cachecontrol.Transport{Base: o, BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			return cachecontrol.ReuseDecision{Use: own}
		}}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=2-5")
		own = cachecontrol.ReuseNever
		wantPart(t, do(t, tr, "/", "Range: bytes=6-8"), miss, "bytes 6-8/10", "678")
		own = cachecontrol.ReuseByRules
		wantPart(t, do(t, tr, "/", "Range: bytes=6-8"), hit, "bytes 6-8/10", "678")
		own = cachecontrol.ReuseNever
		do(t, tr, "/")
		own = cachecontrol.ReuseByRules
		if a := do(t, tr, "/", "Range: bytes=6-8"); a.StatusCode != 404 {
			t.Errorf("status %d, want 404", a.StatusCode)
		}
	})
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// Coded bytes are returned only to callers that asked for the coding. The rest of an uncoded part is therefore
// requested without a coding. If it is coded anyway, it is decoded or requested again.
func TestPartCompletedInOtherCoding(t *testing.T) {
	long := strings.Repeat(digits, 20)
	coded := gzipped(long)
	whole200 := func(tag, body string, fields ...string) reply {
		return reply{body: body, fields: append(fields, fresh60, "ETag: "+tag, "Vary: Accept-Encoding")}
	}
	part := func(s string, first, last int, fields ...string) reply {
		return reply{status: 206, body: s[first : last+1], fields: append(fields, fresh60, `ETag: "1"`, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(s)))}
	}
	const gz = "Content-Encoding: gzip"
	for _, tt := range []struct {
		name    string
		with    []string // the caller of the part
		replies []reply
		sent    []string // with the second request
		asked   int
	}{
		{"200, coded", nil, []reply{part(long, 0, 3), whole200(`"2"`, coded, gz)}, []string{"Accept-Encoding: identity", `If-Range: "1"`}, 2},
		{"200, not coded", nil, []reply{part(long, 0, 3), whole200(`"2"`, long)}, []string{"Accept-Encoding: identity"}, 2},
		{"If-Range ignored, and coded", nil, []reply{part(long, 0, 3), part(coded, 4, len(coded)-1, gz), whole200(`"1"`, coded, gz)}, nil, 3},
		{"a coded rest, of the same length", nil, []reply{part(coded, 0, 3), part(coded, 4, len(coded)-1, gz), whole200(`"1"`, coded, gz)}, nil, 3},
		{"416", nil, []reply{part(long, 0, 3), status(416, "Content-Range: bytes */4"), whole200(`"2"`, coded, gz)}, nil, 3},
		{"404, coded", nil, []reply{part(long, 0, 3), {status: 404, body: coded, fields: []string{gz}}}, nil, 2},
		{"a coded part", []string{"Accept-Encoding: gzip"}, []reply{part(coded, 0, 3, gz), part(coded, 4, len(coded)-1)}, []string{"Accept-Encoding: gzip, deflate", "Range: bytes=4-"}, 2},
		{"a coded part, another 200", []string{"Accept-Encoding: gzip"}, []reply{part(coded, 0, 3, gz), whole200(`"2"`, coded, gz)}, nil, 2},
		{"a coded part, and one that is not", []string{"Accept-Encoding: gzip"}, []reply{part(coded, 0, 3, gz), part(coded, 4, len(coded)-1, "Content-Encoding: identity"), whole200(`"2"`, coded, gz)}, nil, 3},
		{"a part in a coding that is not known", []string{"Accept-Encoding: br"}, []reply{part(coded, 0, 3, "Content-Encoding: br"), whole200(`"2"`, coded, gz)}, []string{"Accept-Encoding: gzip, deflate", "Range:"}, 2},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Collapse %v", tt.name, collapse), func(t *testing.T) {
				eachStore(t, func(t *testing.T, s *watchedStore) {
					o := replies(t, tt.replies...)
					tr := &cachecontrol.Transport{Base: o, Store: s, Collapse: collapse}
					defer tr.Close()
					do(t, tr, "/", append(tt.with, "Range: bytes=0-3")...)
					for i := range 2 {
						a := do(t, tr, "/")
						if i == 0 && tt.sent != nil {
							wantFields(t, "second request", o.last().Header, tt.sent)
						}
						if a.body != long || a.Header["Content-Encoding"] != nil {
							t.Errorf("%d: body %.20q, Content-Encoding %q; want it decoded", i, a.body, a.Header["Content-Encoding"])
						}
						if tt.replies[1].status == 404 {
							break
						}
						if want := [2]cachecontrol.Outcome{miss, hit}[i]; a.outcome != want {
							t.Errorf("%d: %v, want %v", i, a.outcome, want)
						}
					}
					wantRequests(t, o, tt.asked)
				})
			})
		}
	}
}

// If the caller has asked for a coding, the rest is requested with the caller's Accept-Encoding and returned as it is
// coded.
func TestPartCompletedForNamedCoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coded := gzipped(digits)
		o := replies(t,
			reply{status: 206, body: coded[:4], fields: []string{fresh60, tag1, "Content-Encoding: gzip", fmt.Sprintf("Content-Range: bytes 0-3/%d", len(coded))}},
			reply{status: 206, body: coded[4:], fields: []string{fresh60, tag1, fmt.Sprintf("Content-Range: bytes 4-%d/%d", len(coded)-1, len(coded))}})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Accept-Encoding: gzip", "Range: bytes=0-3")
		for range 2 {
			if a := do(t, tr, "/", "Accept-Encoding: gzip"); a.body != coded || a.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("GET /, Accept-Encoding: gzip: %q %q, want %q %q; header: %v", a.body, a.Header.Get("Content-Encoding"), coded, "gzip", a.Header)
			}
		}
		wantFields(t, "request", o.last().Header, []string{"Accept-Encoding: gzip"})
		if a := do(t, tr, "/"); a.body != digits || a.outcome != hit {
			t.Errorf("GET /: %q %v, want %q %v", a.body, a.outcome, digits, hit)
		}
		wantRequests(t, o, 2)
	})
}

// A 206 with the tag of a stored whole response, but of another length, does not confirm it.
func TestPartOfAnotherLength(t *testing.T) {
	runScenarios(t, []scenario{{
		name: "another length",
		origin: []reply{
			{body: "0123456789", fields: []string{"Cache-Control: max-age=10", `ETag: "1"`}},
			{status: 206, body: "bbb", fields: []string{"Cache-Control: max-age=10", `ETag: "1"`, "Content-Range: bytes 1-3/12"}},
			{body: "bbbbbbbbbbbb", fields: []string{"Cache-Control: max-age=10", `ETag: "1"`}},
		},
		steps: []step{
			{want: miss}, {wait: 10 * time.Second, with: []string{"Range: bytes=1-3"}, want: miss, body: "bbb"}, {want: miss, body: "bbbbbbbbbbbb"},
		},
	}})
}
