package cachecontrol_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// A complete response answers any single byte range (RFC 9111, section 3.3, and RFC 9110, section 14).
func TestRangeFromWhole(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60", "X-Own: 1"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		wantWhole(t, do(t, tr, "/"), miss, digits)
		time.Sleep(7 * time.Second)
		for _, tt := range []struct{ spec, contentRange, body string }{
			{"bytes=0-0", "bytes 0-0/10", "0"},
			{"bytes=2-4", "bytes 2-4/10", "234"},
			{"bytes=0-9", "bytes 0-9/10", digits},
			{"bytes=9-9", "bytes 9-9/10", "9"},
			{"bytes=6-", "bytes 6-9/10", "6789"},
			{"bytes=0-", "bytes 0-9/10", digits},
			{"bytes=-3", "bytes 7-9/10", "789"},
			{"bytes=-10", "bytes 0-9/10", digits},
			{"bytes=-99", "bytes 0-9/10", digits},
			{"bytes=8-99", "bytes 8-9/10", "89"},
			{"BYTES=1-1", "bytes 1-1/10", "1"},
			{"bytes=3-9223372036854775807", "bytes 3-9/10", "3456789"},
			{"bytes=-9223372036854775807", "bytes 0-9/10", digits},
		} {
			a := do(t, tr, "/", "Range: "+tt.spec)
			wantPart(t, a, hit, tt.contentRange, tt.body)
			if a.Header.Get("ETag") != `"1"` || a.Header.Get("X-Own") != "1" || a.Header.Get("Age") != "7" {
				t.Errorf("%s: header %v, want ETag: 1, X-Own: 1, Age: 7", tt.spec, a.Header)
			}
		}
		for _, spec := range []string{"bytes=10-", "bytes=10-12", "bytes=-0", "bytes=9223372036854775807-"} {
			a := do(t, tr, "/", "Range: "+spec)
			if a.StatusCode != 416 || a.Header.Get("Content-Range") != "bytes */10" || a.body != "" || a.outcome != hit {
				t.Errorf("%s: %d %q %q %v, want %d %q %q %v; header: %v", spec, a.StatusCode, a.Header.Get("Content-Range"), a.body, a.outcome, 416, "bytes */10", "", hit, a.Header)
			}
		}
		wantRequests(t, o, 1)
		wantWhole(t, do(t, tr, "/"), hit, digits)
	})
}

// A request for anything but ranges of bytes that are stored is sent to the origin unchanged, and the stored response is kept.
func TestRangeForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = "--x\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n--x--\r\n"
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			if req.Header.Get("Range") == "" {
				return respond(200, digits, "Cache-Control: max-age=60", `ETag: "1"`)
			}
			return respond(206, many, "Cache-Control: max-age=60", `ETag: "1"`, "Content-Type: multipart/byteranges; boundary=x")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		specs := []string{
			"lines=0-1", "lines=0-1,3-4", "bytes=0-1,a", "bytes=0-1;3-4", "bytes=0-1,4-3", "bytes=,", "bytes", "bytes=", "bytes=-", "bytes=2-1", "bytes=a-b", "bytes=0--1",
			"bytes=+1-2", "bytes=1.0-2", "bytes=0x1-2", "bytes=-1-2", "0-1", "bytes=9223372036854775808-",
			"bytes=0-18446744073709551616", "bytes=-18446744073709551616", "bytes=1-2-3",
		}
		for _, spec := range specs {
			a := do(t, tr, "/", "Range: "+spec)
			if a.outcome != bypass || a.body != many {
				t.Errorf("%s: %v %q, want %v %q", spec, a.outcome, a.body, bypass, many)
			}
			if got := o.last().Header; got.Get("Range") != spec || got["If-None-Match"] != nil || got["Accept-Encoding"] != nil {
				t.Errorf("%s: forwarded as %v, want Range: spec, no If-None-Match, no Accept-Encoding", spec, got)
			}
		}
		for _, spec := range []string{"bytes=0-1,3-4", "bytes=0-1, -1"} {
			if a := do(t, tr, "/other", "Range: "+spec); a.outcome != bypass || a.body != many {
				t.Errorf("%s of what is not stored: %v %q, want %v %q", spec, a.outcome, a.body, bypass, many)
			}
		}
		two := request(t, "/")
		two.Header["Range"] = []string{"bytes=0-1", "bytes=3-4"}
		if a := send(t, tr, two); a.outcome != bypass {
			t.Errorf("two fields: %v, want %v", a.outcome, bypass)
		}
		wantRequests(t, o, 4+len(specs))
		wantWhole(t, do(t, tr, "/"), hit, digits)
	})
}

// HEAD ignores Range (RFC 9110, section 14.2).
func TestRangeHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60", "Content-Length: 10"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		for _, spec := range []string{"bytes=2-4", "bytes=50-", "bytes=0-1,3-4"} {
			a := do(t, tr, "HEAD /", "Range: "+spec)
			if a.StatusCode != 200 || a.outcome != hit || a.ContentLength != 10 || a.body != "" || a.Header["Content-Range"] != nil {
				t.Errorf("%s: %d %v %d %q %v, want %d %v %d %q %v; header: %v", spec, a.StatusCode, a.outcome, a.ContentLength, a.body, a.Header["Content-Range"], 200, hit, 10, "", nil, a.Header)
			}
		}
		wantRequests(t, o, 1)
	})
}

// If-Range is answered with the range if it names the stored response, and with the whole otherwise (RFC 9110, section
// 13.1.5). A date is a strong validator only if it is at least a second earlier than Date (section 8.8.2.2).
func TestIfRangeFromWhole(t *testing.T) {
	// The clock of a bubble begins at midnight, 1 January 2000.
	const (
		modified = "Fri, 31 Dec 1999 23:00:00 GMT"
		later    = "Fri, 31 Dec 1999 23:59:00 GMT"
		second   = "Fri, 31 Dec 1999 23:59:59 GMT"
		now      = "Sat, 01 Jan 2000 00:00:00 GMT"
		rfc850   = "Friday, 31-Dec-99 23:00:00 GMT"
	)
	for _, tt := range []struct {
		name, etag, modified, ifRange string
		part                          bool
	}{
		{"the strong tag", `"1"`, modified, `"1"`, true},
		{"another tag", `"1"`, modified, `"2"`, false},
		{"the tag as a weak one", `"1"`, modified, `W/"1"`, false},
		{"a weak tag", `W/"1"`, modified, `W/"1"`, false},
		{"a weak tag as a strong one", `W/"1"`, modified, `"1"`, false},
		{"a tag where none is stored", "", modified, `"1"`, false},
		{"two tags", `"1"`, modified, `"1", "2"`, false},
		{"the date", `"1"`, modified, modified, true},
		{"the date in another form", `"1"`, modified, rfc850, true},
		{"a later date", `"1"`, modified, later, false},
		{"a date where none is stored", `"1"`, "", modified, false},
		{"the date, a second old", "", second, second, true},
		{"the date, of now", "", now, now, false},
		{"nonsense", `"1"`, modified, "yesterday", false},
		{"nothing", `"1"`, modified, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(int, *http.Request) *http.Response {
					resp := respond(200, digits, "Cache-Control: max-age=60")
					if tt.etag != "" {
						resp.Header.Set("ETag", tt.etag)
					}
					if tt.modified != "" {
						resp.Header.Set("Last-Modified", tt.modified)
					}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				do(t, tr, "/")
				a := do(t, tr, "/", "Range: bytes=2-4", "If-Range: "+tt.ifRange)
				if tt.part {
					wantPart(t, a, hit, "bytes 2-4/10", "234")
				} else {
					wantWhole(t, a, hit, digits)
				}
				wantRequests(t, o, 1)
			})
		})
	}
}

// If-Range without Range is ignored.
func TestIfRangeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		tr := &cachecontrol.Transport{Base: d.origin(t)}
		defer tr.Close()
		do(t, tr, "/")
		wantWhole(t, do(t, tr, "/", `If-Range: "2"`), hit, digits)
	})
}

// A digest of the content describes the whole message (RFC 9530, section 2), so ranges and combined parts are returned
// without it. The digest of the representation is kept, as is any digest in a response of the origin.
func TestRangeAndDigests(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	digests := func(of string) []string {
		return []string{fresh, tag, "Repr-Digest: sha-256=:all:", "Content-Digest: sha-256=:" + of + ":", "Content-MD5: " + of}
	}
	part := func(body, contentRange string) reply {
		return reply{status: 206, body: body, fields: append(digests(body), "Content-Range: bytes "+contentRange), tail: []string{"Content-Digest: " + body}}
	}
	none := []string{"Repr-Digest: sha-256=:all:", "Content-Digest:", "Content-MD5:"}
	trailer := []string{"Content-Digest:"} // of a part
	runScenarios(t, []scenario{
		{
			"of a whole", nil, []reply{{body: "0123", fields: digests("all")}},
			[]step{
				{want: miss, head: digests("all")}, {want: hit, head: digests("all")},
				{with: []string{"Range: bytes=1-2"}, want: hit, body: "12", head: none},
			},
		}, {
			"the rest", nil, []reply{part("01", "0-1/4"), part("23", "2-3/4")},
			[]step{
				{with: []string{"Range: bytes=0-1"}, want: miss, head: digests("01")},
				{with: []string{"Range: bytes=0-0"}, want: hit, body: "0", head: none},
				{want: miss, body: "0123", head: none, tail: trailer}, {want: hit, body: "0123", head: none, tail: trailer},
			},
		}, {
			"parts that make a whole", nil, []reply{part("01", "0-1/4"), part("23", "2-3/4")},
			[]step{
				{with: []string{"Range: bytes=0-1"}, want: miss},
				{with: []string{"Range: bytes=2-3"}, want: miss, head: digests("23")}, {want: hit, body: "0123", head: none},
			},
		},
	})
}

// A 416 of this cache has no fields of the stored representation, because another cache could store it and reuse it.
func TestUnsatisfiableHeader(t *testing.T) {
	stored := []string{
		"Cache-Control: max-age=60", "Expires: {60s}", `ETag: "1"`, "Last-Modified: {-1h}", "Content-Type: text/plain", "Content-Encoding: gzip",
		"Content-Language: en", "Repr-Digest: sha-256=:x:", "Vary: X", "X-Other: 1", "Access-Control-Allow-Origin: *",
	}
	runScenarios(t, []scenario{{
		origin: []reply{{body: "0123", fields: stored}},
		steps: []step{
			{with: []string{"Accept-Encoding: gzip"}, want: miss},
			{with: []string{"Accept-Encoding: gzip", "Range: bytes=4-"}, want: hit, status: 416, head: []string{
				"Content-Range: bytes */4", "Content-Length: 0", "Vary: X", "X-Other: 1", "Access-Control-Allow-Origin: *",
				"Cache-Control:", "Expires:", "ETag:", "Last-Modified:", "Content-Type:", "Content-Encoding:", "Content-Language:", "Repr-Digest:",
			}},
		},
	}})
}

// A range is returned without a trailer, because the trailer describes the whole.
func TestRangeAndTrailer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp := respond(200, "0123", "Cache-Control: max-age=60")
			resp.Trailer = http.Header{"Content-Digest": {"sha-256=:all:"}}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "/"); a.outcome != hit || a.Trailer == nil {
			t.Errorf("%v, trailer %v, want %v, some", a.outcome, a.Trailer, hit)
		}
		if a := do(t, tr, "/", "Range: bytes=1-2"); a.outcome != hit || a.Trailer != nil {
			t.Errorf("range: %v, trailer %v, want %v, nil", a.outcome, a.Trailer, hit)
		}
	})
}

// A 304 with a strong tag, as nginx sends it, does not make the weak tag of the stored response strong, because the
// bytes may differ.
func TestIfRangeAfterWeakValidation(t *testing.T) {
	for _, validator := range []string{`ETag: W/"1"`, "Last-Modified: {-1h}"} {
		runScenarios(t, []scenario{{
			validator, nil,
			[]reply{ok("Cache-Control: max-age=10", validator), status(304, "Cache-Control: max-age=10", `ETag: "1"`), {body: "whole"}},
			[]step{
				{want: miss, body: "#1"},
				{wait: 11 * time.Second, want: revalidated, body: "#1"},
				{with: []string{"Range: bytes=1-", `If-Range: "1"`}, want: hit, status: 200, body: "#1"},
			},
		}})
	}
}

// Range applies to responses with status 200 only (RFC 9110, section 14.2).
func TestRangeOfOtherStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return respond(404, digits, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		a := do(t, tr, "/", "Range: bytes=2-4")
		if a.StatusCode != 404 || a.body != digits || a.outcome != hit {
			t.Errorf("%d %q %v, want %d %q %v", a.StatusCode, a.body, a.outcome, 404, digits, hit)
		}
	})
}

// A range of an empty body is answered with the whole: a suffix selects all of it (RFC 9110, section 14.1.2), and
// http.ServeContent does not return 416 for others either.
func TestRangeOfEmptyBody(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return respond(200, "", "Cache-Control: max-age=60", `ETag: "1"`)
		})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/")
		for _, spec := range []string{"0-", "-5", "-1", "-0", "0-0", "0-9", "5-", "5-9"} {
			for _, more := range []string{"X: 1", `If-Range: "1"`, `If-Range: "2"`, `If-None-Match: "2"`, `If-Match: "1"`} {
				a := do(t, tr, "/", "Range: bytes="+spec, more)
				if a.StatusCode != 200 || a.outcome != hit || a.body != "" || a.ContentLength != 0 || a.Header["Content-Range"] != nil {
					t.Errorf("bytes=%s, %s: %d %v, length %d, %v; want an empty 200 that is a hit", spec, more, a.StatusCode, a.outcome, a.ContentLength, a.Header)
				}
			}
		}
		wantRequests(t, o, 1)
	})
}

// Ranges of a stored response are what http.ServeContent makes of them, for all small lengths, with these exceptions:
//
//   - bytes=-0 cannot be satisfied (RFC 9110, section 14.1.2); http.ServeContent writes a 206 with a Content-Range that is not valid,
//     such as 10-9/10. Of an empty response it also writes one for any other suffix.
//   - The name of the unit is not case-sensitive (section 14.1); http.ServeContent takes BYTES for an unknown unit, and answers 416.
//   - White space around the field's value is not part of it.
//
// Several ranges, and what is not valid, go to the origin, so that the answer is the origin's own.
func TestRangeAsServeContent(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		serve := func(size int, req *http.Request) *http.Response {
			w := httptest.NewRecorder()
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Header().Set("Content-Type", "text/plain")
			http.ServeContent(w, req, "", time.Time{}, strings.NewReader(digits[:size]))
			return w.Result()
		}
		for _, size := range []int{0, 1, 2, 10} {
			var specs []string
			for first := range 12 {
				specs = append(specs, fmt.Sprintf("bytes=%d-", first), fmt.Sprintf("bytes=-%d", first))
				for last := range 12 {
					specs = append(specs, fmt.Sprintf("bytes=%d-%d", first, last))
				}
			}
			specs = append(specs,
				"bytes=0-0,1-1", "bytes=0-0, -1", "bytes=0-,0-", "bytes=5-,20-", "bytes=20-,30-", "bytes=0-0,", "bytes=,0-0", "bytes=,",
				"bytes", "bytes=", "bytes=-", "bytes=--1", "bytes=a-b", "bytes=1-a", "bytes=+0-1", "bytes=0 - 1", "bytes= 0-1", "bytes=0-1 ",
				"bytes=0-18446744073709551616", "bytes=18446744073709551616-", "bytes=-18446744073709551616",
				"bytes=9223372036854775807-", "bytes=0-9223372036854775807", "bytes=-9223372036854775807",
				"lines=0-1", "bytes=0-1;q=1", "BYTES=0-0", "")
			forwarded := 0
			o := newOrigin(t, func(_ int, req *http.Request) *http.Response { return serve(size, req) })
			tr := &cachecontrol.Transport{Base: o, Store: s}
			target := fmt.Sprintf("/%d", size)
			do(t, tr, target)
			for _, spec := range specs {
				with := []string{"Range: " + spec}
				want := serve(size, request(t, target, with...))
				body, _ := io.ReadAll(want.Body)
				status, contentRange := want.StatusCode, want.Header.Get("Content-Range")
				switch {
				case size == 0 && status == 206: // of a suffix
					status, contentRange = 200, ""
				case spec == "bytes=-0":
					status, contentRange = 416, fmt.Sprintf("bytes */%d", size)
				case spec == "BYTES=0-0" && size == 0:
					status, body = 200, nil
				case spec == "BYTES=0-0":
					status, contentRange, body = 206, fmt.Sprintf("bytes 0-0/%d", size), []byte("0")
				}
				before := o.requests()
				a := do(t, tr, target, with...)
				if asked := o.requests() - before; asked > 0 {
					forwarded++
					if a.outcome != bypass {
						t.Errorf("%q of %d bytes: the origin was asked, %v, want %v", spec, size, a.outcome, bypass)
					}
				}
				text := string(body)
				if status == 416 || strings.HasPrefix(want.Header.Get("Content-Type"), "multipart/") {
					text = a.body // words for people, or a boundary that is another each time
				}
				if a.StatusCode != status || a.Header.Get("Content-Range") != contentRange || a.body != text {
					t.Errorf("%q of %d bytes: %d %q %q, want %d %q %q", spec, size, a.StatusCode, a.Header.Get("Content-Range"), a.body, status, contentRange, text)
				}
			}
			if forwarded == 0 || forwarded > len(specs)/2 {
				t.Errorf("%d of %d were forwarded, want some and at most half", forwarded, len(specs))
			}
			tr.Close()
		}
	})
}

// Ranges of a coded body are returned only to callers that asked for the coding.
func TestRangeOfCodedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			if req.Header.Get("Range") != "" {
				return respond(206, "plain", "Content-Range: bytes 0-4/100", "Vary: Accept-Encoding", "Cache-Control: no-store")
			}
			return respond(200, digits, "Cache-Control: max-age=60", "Content-Encoding: gzip", "Vary: Accept-Encoding", `ETag: "gz"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Accept-Encoding: gzip")
		wantPart(t, do(t, tr, "/", "Accept-Encoding: gzip", "Range: bytes=2-4"), hit, "bytes 2-4/10", "234")
		wantPart(t, do(t, tr, "/", "Range: bytes=0-4"), miss, "bytes 0-4/100", "plain")
		if o.last().Header["Accept-Encoding"] != nil {
			t.Error("Accept-Encoding sent with a range, want none")
		}
	})
}

// Preconditions are evaluated before Range (RFC 9110, section 13.2.2).
func TestRangeWithCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		a := do(t, tr, "/", "Range: bytes=2-4", `If-None-Match: "1"`)
		if a.StatusCode != 304 || a.Header["Content-Range"] != nil || a.body != "" {
			t.Errorf("%d %v %q, want %d %v %q; header: %v", a.StatusCode, a.Header["Content-Range"], a.body, 304, nil, "", a.Header)
		}
		wantPart(t, do(t, tr, "/", "Range: bytes=2-4", `If-None-Match: "2"`), hit, "bytes 2-4/10", "234")
		wantRequests(t, o, 1)
	})
}

// The range is taken from the variant that the request selects.
func TestRangeOfVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			lang := req.Header.Get("Accept-Language")
			return respond(200, strings.Repeat(lang, 5), "Cache-Control: max-age=60", "Vary: Accept-Language")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Accept-Language: en")
		do(t, tr, "/", "Accept-Language: de")
		wantPart(t, do(t, tr, "/", "Accept-Language: de", "Range: bytes=1-2"), hit, "bytes 1-2/10", "ed")
		wantPart(t, do(t, tr, "/", "Accept-Language: en", "Range: bytes=1-2"), hit, "bytes 1-2/10", "ne")
		wantRequests(t, o, 2)
	})
}

// only-if-cached applies to ranges (RFC 9111, section 5.2.1.7).
func TestRangeOnlyIfCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		const only = "Cache-Control: only-if-cached"
		refused := func(fields ...string) {
			t.Helper()
			if a := do(t, tr, "/", append(fields, only)...); a.StatusCode != 504 {
				t.Errorf("%v: %d, want %d", fields, a.StatusCode, 504)
			}
		}
		refused("Range: bytes=0-4")
		refused("Range: bytes=0-1,3-4")
		do(t, tr, "/", "Range: bytes=0-4")
		wantPart(t, do(t, tr, "/", "Range: bytes=1-3", only), hit, "bytes 1-3/10", "123")
		refused("Range: bytes=3-6")
		refused()
		wantRequests(t, o, 1)
		do(t, tr, "/")
		wantPart(t, do(t, tr, "/", "Range: bytes=3-6", only), hit, "bytes 3-6/10", "3456")
		if a := do(t, tr, "/", "Range: bytes=0-1,3-4", only); a.StatusCode != 206 || a.outcome != hit {
			t.Errorf("several ranges of the whole: %d %v, want 206 from the cache", a.StatusCode, a.outcome)
		}
		time.Sleep(time.Hour)
		refused("Range: bytes=3-6")
		refused("Range: bytes=0-1,3-4")
		wantRequests(t, o, 2)
	})
}

// A stale complete response is validated first, and the response of the origin decides whether it is used.
func TestRangeOfStale(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func() *http.Response
		want func(t *testing.T, a answer)
		// the answer to a later request without a range
		outcome cachecontrol.Outcome
		body    string
	}{{
		"304",
		func() *http.Response { return respond(304, "", `ETag: "1"`, "Cache-Control: max-age=60", "X-New: yes") },
		func(t *testing.T, a answer) {
			wantPart(t, a, revalidated, "bytes 2-4/10", "234")
			if a.Header.Get("X-New") != "yes" {
				t.Errorf("header %v, want X-New: yes", a.Header)
			}
		},
		hit, digits,
	}, {
		"206 of the same",
		func() *http.Response {
			return respond(206, "234", `ETag: "1"`, "Cache-Control: max-age=60", "Content-Range: bytes 2-4/10")
		},
		func(t *testing.T, a answer) { wantPart(t, a, miss, "bytes 2-4/10", "234") },
		hit, digits,
	}, {
		"206 of another",
		func() *http.Response {
			return respond(206, "cde", `ETag: "2"`, "Cache-Control: max-age=60", "Content-Range: bytes 2-4/10")
		},
		func(t *testing.T, a answer) { wantPart(t, a, miss, "bytes 2-4/10", "cde") },
		miss, "abcdefghij",
	}, {
		"206 that does not say of what",
		func() *http.Response {
			return respond(206, "cde", "Cache-Control: max-age=60", "Content-Range: bytes 2-4/10")
		},
		func(t *testing.T, a answer) { wantPart(t, a, miss, "bytes 2-4/10", "cde") },
		miss, "abcdefghij",
	}, {
		"200",
		func() *http.Response { return respond(200, "abcdefghij", `ETag: "2"`, "Cache-Control: max-age=60") },
		func(t *testing.T, a answer) { wantWhole(t, a, miss, "abcdefghij") },
		hit, "abcdefghij",
	}, {
		"416",
		func() *http.Response { return respond(416, "", "Content-Range: bytes */1") },
		func(t *testing.T, a answer) {
			if a.StatusCode != 416 || a.outcome != miss {
				t.Errorf("%d %v, want %d %v", a.StatusCode, a.outcome, 416, miss)
			}
		},
		miss, "abcdefghij",
	}} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					switch n {
					case 1:
						return respond(200, digits, `ETag: "1"`, "Cache-Control: max-age=10")
					case 2:
						return tt.then()
					}
					return respond(200, "abcdefghij", `ETag: "2"`, "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				do(t, tr, "/")
				time.Sleep(20 * time.Second)
				a := do(t, tr, "/", "Range: bytes=2-4")
				if h := o.last().Header; h.Get("Range") != "bytes=2-4" || h.Get("If-None-Match") != `"1"` {
					t.Errorf("asked with %v, want Range: bytes=2-4, If-None-Match: 1", h)
				}
				tt.want(t, a)
				wantWhole(t, do(t, tr, "/"), tt.outcome, tt.body)
			})
		})
	}
}

// A 206 of another representation replaces the stored response.
func TestStaleReplacedByPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=10"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(20 * time.Second)
		d.body, d.etag = "abcdefghij", `"2"`
		wantPart(t, do(t, tr, "/", "Range: bytes=2-6"), miss, "bytes 2-6/10", "cdefg")
		wantPart(t, do(t, tr, "/", "Range: bytes=3-5"), hit, "bytes 3-5/10", "def")
		wantRequests(t, o, 2)
	})
}

// If the origin fails, a stale response may answer ranges too (RFC 5861, section 4).
func TestRangeOfStaleOnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			switch n {
			case 1:
				return respond(200, digits, "Cache-Control: max-age=10, stale-if-error=60")
			case 2:
				return respond(503, "sorry")
			}
			return nil
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(20 * time.Second)
		for range 2 {
			wantPart(t, do(t, tr, "/", "Range: bytes=2-4"), stale, "bytes 2-4/10", "234")
		}
	})
}

// After a stale range, the whole response is validated in the background (RFC 5861, section 3).
func TestRangeWhileRevalidating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=10, stale-while-revalidate=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(20 * time.Second)
		d.body, d.etag = "abcdefghij", `"2"`
		wantPart(t, do(t, tr, "/", "Range: bytes=2-4", `If-Range: "1"`), stale, "bytes 2-4/10", "234")
		time.Sleep(time.Second)
		if h := o.last().Header; h["Range"] != nil || h["If-Range"] != nil || h.Get("If-None-Match") != `"1"` {
			t.Errorf("validated with %v, want no Range, no If-Range, If-None-Match: 1", h)
		}
		wantPart(t, do(t, tr, "/", "Range: bytes=2-4"), hit, "bytes 2-4/10", "cde")
		wantRequests(t, o, 2)
	})
}

// All bodies are closed, however a range is answered. eachStore counts those of the store.
func TestRangeClosesBodies(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=10"}}
		tr := &cachecontrol.Transport{Base: d.origin(t), Store: s}
		defer tr.Close()
		for _, target := range []string{"/", "HEAD /"} {
			for _, fields := range [][]string{
				{"Range: bytes=0-3"}, {"Range: bytes=2-5"}, {"Range: bytes=3-4"}, {"Range: bytes=9-"}, {"Range: bytes=3-4", `If-None-Match: "1"`},
				{"Range: bytes=20-"}, {"Range: bytes=-2"}, {}, {"Range: bytes=3-4"}, {"Range: bytes=20-"}, {"Range: bytes=3-4", `If-Range: "2"`},
				{"Range: bytes=0-1,3-4"}, {"Cache-Control: no-cache"}, {"Cache-Control: only-if-cached", "Range: bytes=1-1"},
			} {
				for range 2 {
					do(t, tr, target, fields...)
					// A caller reads a part of the body, or nothing, and closes it.
					resp, err := tr.RoundTrip(request(t, target, fields...))
					if err != nil {
						t.Fatal(err)
					}
					io.CopyN(io.Discard, resp.Body, 1)
					resp.Body.Close()
					time.Sleep(11 * time.Second)
				}
			}
		}
		if n := d.open.Load(); n != 0 {
			t.Errorf("%d bodies of the origin are still open, want 0", n)
		}
	})
}

// Ranges are read concurrently in small pieces while the response is updated and replaced.
func TestRangeConcurrent(t *testing.T) {
	for _, kind := range []string{"memory", "file", "separate"} {
		t.Run(kind, func(t *testing.T) {
			var store storage.Store = storage.NewDictCache()
			var err error
			switch kind {
			case "file":
				store, err = directory.NewFileCache(t.TempDir())
			case "separate":
				store, err = directory.NewSeparateBodyFileCache(t.TempDir())
			}
			if err != nil {
				t.Fatal(err)
			}
			const size = 8 << 10
			bodies := [][]byte{bytes.Repeat([]byte("a"), size), bytes.Repeat([]byte("b"), size)}
			var version atomic.Int32
			o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
				v := version.Load() % 2
				d := &document{
					body: string(bodies[v]), etag: fmt.Sprintf(`"%c"`, bodies[v][0]), fields: []string{"Cache-Control: max-age=60"},
				}
				return d.respond(req)
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for i := range 25 {
						first := (g*977 + i*613) % (size - 100)
						fields := []string{fmt.Sprintf("Range: bytes=%d-%d", first, first+99)}
						switch {
						case g == 0 && i%8 == 0:
							version.Add(1)
							fields = []string{"Cache-Control: no-cache"}
						case g == 1 && i%5 == 0:
							fields = nil
						case g == 2 && i%6 == 0:
							fields = append(fields, "Cache-Control: no-cache")
						}
						resp, err := tr.RoundTrip(request(t, "/", fields...))
						if err != nil {
							t.Error(err)
							return
						}
						body, err := io.ReadAll(io.LimitReader(resp.Body, size+1))
						resp.Body.Close()
						want := size
						if resp.StatusCode == 206 {
							want = 100
						}
						tag := strings.Trim(resp.Header.Get("ETag"), `"`)
						if err != nil || len(body) != want || strings.Trim(string(body), tag) != "" {
							t.Errorf("%d: %d bytes, error %v, want %d bytes of tag %q", resp.StatusCode, len(body), err, want, tag)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// If a stored body is too short, reading a range of it fails.
func TestRangeOfBrokenBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &halfStore{Store: storage.NewDictCache()}
		d := &document{body: thousandfold(digits), fields: []string{"Cache-Control: max-age=60"}}
		tr := &cachecontrol.Transport{Base: d.origin(t), Store: s}
		defer tr.Close()
		do(t, tr, "/")
		s.half = true
		for spec, want := range map[string]string{"2000-8999": thousandfold("234"), "7000-8999": ""} {
			resp, err := tr.RoundTrip(request(t, "/", "Range: bytes="+spec))
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != want {
				t.Errorf("%s: %q, %v", spec, body, err)
			}
			resp.Body.Close()
		}
	})
}

// The cache answers ranges as the origin, http.ServeContent, does, from whole responses and from combined parts.
func TestRangeAsTheOriginAnswers(t *testing.T) {
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, "%03d", i)
	}
	modified := time.Now().Add(-time.Hour)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Type", "text/plain")
		http.ServeContent(w, r, "", modified, strings.NewReader(text.String()))
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()

	last := modified.UTC().Format(http.TimeFormat)
	fields := func(r *rand.Rand) []string {
		var out []string
		a, b := r.IntN(1000), r.IntN(400)
		switch r.IntN(12) {
		case 0:
		case 1:
			out = append(out, fmt.Sprintf("Range: bytes=-%d", 1+b))
		case 2:
			out = append(out, fmt.Sprintf("Range: bytes=%d-", a))
		case 3:
			out = append(out, fmt.Sprintf("Range: bytes=%d-%d", a, a-1-r.IntN(a+1)))
		case 4:
			out = append(out, fmt.Sprintf("Range: lines=%d-%d", a, a+b))
		case 5:
			out = append(out, fmt.Sprintf("Range: bytes=0-%d", b))
		default:
			out = append(out, fmt.Sprintf("Range: bytes=%d-%d", a, a+b))
		}
		switch r.IntN(10) {
		case 0:
			out = append(out, `If-Range: "1"`)
		case 1:
			out = append(out, `If-Range: "2"`)
		case 2:
			out = append(out, "If-Range: "+last)
		case 3:
			out = append(out, `If-None-Match: "1"`)
		case 4:
			out = append(out, `If-None-Match: "2", W/"3"`)
		case 5:
			out = append(out, "If-Modified-Since: "+last)
		}
		return out
	}
	for _, kind := range []string{"memory", "file", "separate"} {
		t.Run(kind, func(t *testing.T) {
			var hits int
			for seed := range uint64(12) {
				r := rand.New(rand.NewPCG(seed, 14))
				var store storage.Store = storage.NewDictCache()
				var err error
				switch kind {
				case "file":
					store, err = directory.NewFileCache(t.TempDir())
				case "separate":
					store, err = directory.NewSeparateBodyFileCache(t.TempDir())
				}
				if err != nil {
					t.Fatal(err)
				}
				tr := &cachecontrol.Transport{Base: base, Store: store}
				for range 20 {
					method, with := "GET ", fields(r)
					if r.IntN(8) == 0 {
						// net/http minds the Range of a HEAD, against RFC 9110, section 14.2.
						method, with = "HEAD ", slices.DeleteFunc(with, func(f string) bool { return strings.HasPrefix(f, "Range:") })
					}
					want := sendPlain(t, base, request(t, method+server.URL, with...))
					got := send(t, tr, request(t, method+server.URL, with...))
					if cachecontrol.FromCache(got.Response) {
						hits++
					}
					if got.StatusCode != want.StatusCode || got.body != want.body || got.Header.Get("Content-Range") != want.Header.Get("Content-Range") {
						if want.StatusCode == 416 && got.StatusCode == 416 {
							continue // such a body is for people to read
						}
						t.Errorf("seed %d, %s%v: %d %q with %d bytes, want %d %q with %d as from the origin", seed, method, with,
							got.StatusCode, got.Header.Get("Content-Range"), len(got.body),
							want.StatusCode, want.Header.Get("Content-Range"), len(want.body))
					}
				}
				if err := tr.Close(); err != nil {
					t.Error(err)
				}
			}
			if hits < 50 {
				t.Errorf("%d answers came from the cache, want at least 50", hits)
			}
		})
	}
}

// sendPlain sends a request without the cache.
func sendPlain(t *testing.T, rt http.RoundTripper, req *http.Request) answer {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{Response: resp, body: string(body)}
}

func TestRangeOfStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("Range") == "bytes=90-" {
				return respond(416, "", "Content-Range: bytes */10")
			}
			return respond(200, "0123456789", "Cache-Control: max-age=60", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		a := do(t, tr, "/", "Range: bytes=2-4")
		if a.StatusCode != 206 || a.body != "234" || a.Header.Get("Content-Range") != "bytes 2-4/10" || a.outcome != hit {
			t.Errorf("%d %q %q %v, want %d %q %q %v; header: %v", a.StatusCode, a.body, a.Header.Get("Content-Range"), a.outcome, 206, "234", "bytes 2-4/10", hit, a.Header)
		}
		// A unit that the cache does not know goes to the origin as it is: nothing of the entry's is added.
		a = do(t, tr, "/", "Range: 0-10")
		if a.outcome != bypass || o.last().Header.Get("If-None-Match") != "" {
			t.Errorf("%v, asked with %v, want %v, no If-None-Match", a.outcome, o.last().Header, bypass)
		}
		if a = do(t, tr, "/"); a.outcome != hit || a.body != "0123456789" {
			t.Errorf("the whole afterwards: %v %q, want %v %q", a.outcome, a.body, hit, "0123456789")
		}
	})
}

func TestRangeNotSatisfiableHasNoLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60"))}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "/", "Range: bytes=100-"); a.StatusCode != 416 || a.outcome != hit || a.ContentLength != 0 || a.body != "" {
			t.Errorf("%d %v with ContentLength %d and body %q, want 416, %v, 0 and none", a.StatusCode, a.outcome, a.ContentLength, a.body, hit)
		}
	})
}
