package cachecontrol_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// The status of a stored part, and of its completion, has a TTL like that of a whole response.
func TestPartTTL(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	runScenarios(t, []scenario{{
		"a part, and the rest", nil,
		[]reply{
			{status: 206, body: "01", fields: []string{fresh, tag, "Content-Range: bytes 0-1/4"}},
			{status: 206, body: "23", fields: []string{fresh, tag, "Content-Range: bytes 2-3/4"}},
		},
		[]step{
			{with: []string{"Range: bytes=0-1"}, want: miss, head: []string{"Cache-Status: cachecontrol;fwd=uri-miss;fwd-status=206;stored;ttl=60;detail=uri-miss/max-age"}},
			{want: miss, body: "0123", head: []string{"Cache-Status: cachecontrol;fwd=partial;fwd-status=206;stored;ttl=60;detail=range-miss/max-age"}},
		},
	}})
}

// A part answers ranges that lie within it. Other ranges are sent to the origin unchanged (RFC 9111, section 3.3).
func TestPartReused(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, fields: []string{"Cache-Control: max-age=60", "X-Own: 1"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=4-7")
		time.Sleep(7 * time.Second)
		for _, tt := range []struct{ spec, contentRange, body string }{
			{"bytes=4-7", "bytes 4-7/10", "4567"},
			{"bytes=5-6", "bytes 5-6/10", "56"},
			{"bytes=4-4", "bytes 4-4/10", "4"},
			{"bytes=7-7", "bytes 7-7/10", "7"},
		} {
			a := do(t, tr, "/", "Range: "+tt.spec)
			wantPart(t, a, hit, tt.contentRange, tt.body)
			if a.Header.Get("Age") != "7" || a.Header.Get("X-Own") != "1" {
				t.Errorf("%s: header %v, want Age: 7, X-Own: 1", tt.spec, a.Header)
			}
		}
		wantRequests(t, o, 1)
		for i, tt := range []struct{ spec, contentRange, body string }{
			{"bytes=3-7", "bytes 3-7/10", "34567"},
			{"bytes=4-8", "bytes 4-8/10", "45678"},
			{"bytes=0-1", "bytes 0-1/10", "01"},
			{"bytes=9-", "bytes 9-9/10", "9"},
			{"bytes=-6", "bytes 4-9/10", "456789"},
			{"bytes=4-", "bytes 4-9/10", "456789"},
		} {
			path := fmt.Sprintf("/%d", i)
			do(t, tr, path, "Range: bytes=4-7")
			wantPart(t, do(t, tr, path, "Range: "+tt.spec), miss, tt.contentRange, tt.body)
			if h := o.last().Header; h.Get("Range") != tt.spec || h["If-Range"] != nil || h["If-None-Match"] != nil {
				t.Errorf("%s: forwarded as %v, want Range as it was and no condition", tt.spec, h)
			}
			wantRequests(t, o, 1+2*(i+1))
		}
		if a := do(t, tr, "/", "Range: bytes=10-"); a.StatusCode != 416 || a.outcome != miss {
			t.Errorf("beyond the end: %d %v, want %d %v", a.StatusCode, a.outcome, 416, miss)
		}
	})
}

// A part that includes the last byte answers suffix ranges.
func TestPartToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		wantPart(t, do(t, tr, "/", "Range: bytes=-5"), miss, "bytes 5-9/10", "56789")
		wantPart(t, do(t, tr, "/", "Range: bytes=-2"), hit, "bytes 8-9/10", "89")
		wantPart(t, do(t, tr, "/", "Range: bytes=6-"), hit, "bytes 6-9/10", "6789")
		wantPart(t, do(t, tr, "/", "Range: bytes=7-99"), hit, "bytes 7-9/10", "789")
		wantRequests(t, o, 1)
	})
}

// If the length of the representation is unknown, only offsets from its start can be used.
func TestPartOfUnknownTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				return respond(206, "2345", "Content-Range: bytes 2-5/*", "Cache-Control: max-age=60")
			}
			return respond(206, "?", "Content-Range: bytes 9-9/10", "Cache-Control: no-store")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=2-5")
		wantPart(t, do(t, tr, "/", "Range: bytes=3-4"), hit, "bytes 3-4/*", "34")
		wantPart(t, do(t, tr, "/", "Range: bytes=2-5"), hit, "bytes 2-5/*", "2345")
		wantRequests(t, o, 1)
		for i, spec := range []string{"bytes=-1", "bytes=3-", "bytes=3-6", "bytes=2-9223372036854775807"} {
			if a := do(t, tr, "/", "Range: "+spec); a.outcome != miss {
				t.Errorf("%s: %v, want %v", spec, a.outcome, miss)
			}
			wantRequests(t, o, 2+i)
		}
	})
}

// Parts of unknown length are combined, too. An origin cannot make the whole shorter than they show it to be.
func TestPartsOfUnknownTotal(t *testing.T) {
	part := func(body, contentRange string) reply {
		return reply{status: 206, body: body, fields: []string{"Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: bytes " + contentRange}}
	}
	runScenarios(t, []scenario{
		{
			name:   "they meet",
			origin: []reply{part("012", "0-2/*"), part("345", "3-5/*")},
			steps: []step{
				{with: []string{"Range: bytes=0-2"}, want: miss}, {with: []string{"Range: bytes=3-5"}, want: miss},
				{with: []string{"Range: bytes=1-4"}, want: hit, body: "1234"},
			},
		}, {
			name:   "the rest ends before the last one",
			origin: []reply{part("012", "0-2/*"), part("678", "6-8/*"), part("34", "3-4/5"), {body: digits, fields: []string{`ETag: "2"`}}},
			steps: []step{
				{with: []string{"Range: bytes=0-2"}, want: miss}, {with: []string{"Range: bytes=6-8"}, want: miss},
				{want: miss, body: digits, sent: []string{"Range:"}},
			},
		}, {
			name:   "a range that a part without a validator does not have",
			origin: []reply{partReply(0, 3, "Cache-Control: max-age=60"), partReply(2, 6, "Cache-Control: max-age=60")},
			steps: []step{
				{with: []string{"Range: bytes=0-3"}, want: miss},
				{with: []string{"Range: bytes=2-6"}, want: miss, head: []string{"Cache-Status: cachecontrol;fwd=partial;fwd-status=206;stored;ttl=60;detail=range-miss/max-age"}},
			},
		},
	})
}

// Parts with the same strong entity tag are kept side by side, or combined if they meet (RFC 9111, section 3.4). Otherwise the
// later one is kept.
func TestPartsCombined(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second string // ranges
		etag, then    string
		part          string // the stored part afterwards
		whole         bool   // the whole is
	}{
		{"adjacent, after", "2-3", "4-5", `"1"`, `"1"`, "2345", false},
		{"adjacent, before", "4-5", "2-3", `"1"`, `"1"`, "2345", false},
		{"overlapping, after", "2-4", "3-6", `"1"`, `"1"`, "23456", false},
		{"overlapping, before", "3-6", "2-4", `"1"`, `"1"`, "23456", false},
		{"around", "4-5", "2-7", `"1"`, `"1"`, "234567", false},
		{"apart", "1-2", "4-5", `"1"`, `"1"`, "12|45", false},
		{"apart, before", "4-5", "1-2", `"1"`, `"1"`, "12|45", false},
		{"all but the first byte", "5-9", "1-4", `"1"`, `"1"`, "123456789", false},
		{"all but the last byte", "0-4", "5-8", `"1"`, `"1"`, "012345678", false},
		{"whole, forwards", "0-4", "5-9", `"1"`, `"1"`, "", true},
		{"whole, backwards", "5-9", "0-4", `"1"`, `"1"`, "", true},
		{"whole, overlapping", "0-6", "3-9", `"1"`, `"1"`, "", true},
		{"whole, around", "3-4", "0-9", `"1"`, `"1"`, "", true},
		{"whole at once", "0-9", "", `"1"`, "", "", true},
		{"no tag", "2-3", "4-5", "", "", "45", false},
		{"a weak tag", "2-3", "4-5", `W/"1"`, `W/"1"`, "45", false},
		{"a weak one for a strong one", "2-3", "4-5", `"1"`, `W/"1"`, "45", false},
		{"a tag for none", "2-3", "4-5", "", `"1"`, "45", false},
		{"none for a tag", "2-3", "4-5", `"1"`, "", "45", false},
		{"another tag", "2-3", "4-5", `"1"`, `"2"`, "45", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				d := &document{body: digits, etag: tt.etag, fields: []string{"Cache-Control: max-age=60", "X-From: first"}}
				o := d.origin(t)
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes="+tt.first)
				n := 1
				if tt.second != "" {
					d.etag, d.fields = tt.then, []string{"Cache-Control: max-age=60", "X-From: second"}
					if a := do(t, tr, "/", "Range: bytes="+tt.second); a.StatusCode != 206 || a.outcome != miss {
						t.Errorf("second: %d %v, want %d %v", a.StatusCode, a.outcome, 206, miss)
					}
					n++
				}
				whole := ""
				if tt.whole {
					whole = digits
				}
				wantStored(t, s, whole, tt.part)
				switch {
				case tt.whole:
					a := do(t, tr, "/")
					wantWhole(t, a, hit, digits)
					if a.Header.Get("Content-Length") != "10" {
						t.Errorf("header %v, want Content-Length: 10", a.Header)
					}
					wantPart(t, do(t, tr, "/", "Range: bytes=1-8"), hit, "bytes 1-8/10", "12345678")
				default:
					for _, part := range strings.Split(tt.part, "|") {
						first := strings.Index(digits, part)
						last := first + len(part) - 1
						a := do(t, tr, "/", fmt.Sprintf("Range: bytes=%d-%d", first, last))
						wantPart(t, a, hit, fmt.Sprintf("bytes %d-%d/10", first, last), part)
						if a.Header.Get("X-From") != "second" {
							t.Errorf("the header was not brought up to date: %q, want %q; header: %v", a.Header.Get("X-From"), "second", a.Header)
						}
					}
				}
				wantRequests(t, o, n)
			})
		})
	}
}

// If a new part lies within a stored one, only its header is used. This origin ignores If-None-Match.
func TestPartWithinPart(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=10", "X-Only: first", "X-Both: first"}}
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			req = req.Clone(req.Context())
			req.Header.Del("If-None-Match")
			return d.respond(req)
		})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=1-8")
		time.Sleep(20 * time.Second)
		d.fields = []string{"Cache-Control: max-age=60", "X-Both: second", "Age: 5"}
		a := do(t, tr, "/", "Range: bytes=3-4")
		wantPart(t, a, miss, "bytes 3-4/10", "34")
		if h := o.last().Header; h.Get("Range") != "bytes=3-4" {
			t.Errorf("forwarded as %v, want Range: bytes=3-4", h)
		}
		wantStored(t, s, "", "12345678")
		time.Sleep(10 * time.Second)
		a = do(t, tr, "/", "Range: bytes=1-8")
		wantPart(t, a, hit, "bytes 1-8/10", "12345678")
		if a.Header.Get("X-Only") != "first" || a.Header.Get("X-Both") != "second" || a.Header.Get("Age") != "15" {
			t.Errorf("header %v, want X-Only: first, X-Both: second, Age: 15", a.Header)
		}
		wantRequests(t, o, 2)
	})
}

// Parts with different total lengths are not combined, even if their tags are equal.
func TestPartsOfDifferentTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storage.NewDictCache()
		totals := []string{"10", "11", "*", "11"}
		parts := []string{"0-1", "2-3", "4-5", "6-7"}
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(206, digits[2*n-2:2*n], `ETag: "1"`, "Cache-Control: max-age=60",
				"Content-Range: bytes "+parts[n-1]+"/"+totals[n-1])
		})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		for i, want := range []string{"01", "23", "2345", "234567"} {
			do(t, tr, "/", "Range: bytes="+parts[i])
			wantStored(t, s, "", want)
		}
		wantPart(t, do(t, tr, "/", "Range: bytes=2-7"), hit, "bytes 2-7/11", "234567")
	})
}

// A part at the start of a body is completed by a request for the rest (RFC 9111, section 3.3). If-Range makes the
// origin send the whole if it has changed.
func TestPartCompleted(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60", "X-From: first"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=0-3")
		wantStored(t, s, "", digits[:4])
		time.Sleep(7 * time.Second)
		d.fields = []string{"Cache-Control: max-age=60", "X-From: second"}
		a := do(t, tr, "/", "X-Mine: 1")
		wantWhole(t, a, miss, digits)
		if a.Header.Get("X-From") != "second" || a.Header.Get("Content-Length") != "10" || cachecontrol.FromCache(a.Response) {
			t.Errorf("header %v, want X-From: second, Content-Length: 10, not from the cache", a.Header)
		}
		h := o.last().Header
		if h.Get("Range") != "bytes=4-" || h.Get("If-Range") != `"1"` || h.Get("X-Mine") != "1" || h.Get("Accept-Encoding") != "identity" || h["If-None-Match"] != nil {
			t.Errorf("the rest was asked for with %v, want Range: bytes=4-, If-Range: 1, X-Mine: 1, Accept-Encoding: identity, no If-None-Match", h)
		}
		if n := d.open.Load(); n != 0 {
			t.Errorf("%d bodies of the origin are still open, want 0", n)
		}
		wantStored(t, s, digits, "")
		time.Sleep(7 * time.Second)
		if a = do(t, tr, "/"); a.Header.Get("Age") != "7" {
			t.Errorf("Age %q, want %q", a.Header.Get("Age"), "7")
		}
		wantWhole(t, a, hit, digits)
		wantRequests(t, o, 2)
	})
}

// The origin may answer the request for the rest in other ways.
func TestPartNotCompleted(t *testing.T) {
	rest := func(etag, contentRange, body string) *http.Response {
		return respond(206, body, "ETag: "+etag, "Cache-Control: max-age=60", "Content-Range: bytes "+contentRange)
	}
	unframed := func(resp *http.Response) *http.Response {
		resp.ContentLength = -1
		return resp
	}
	for _, tt := range []struct {
		name  string
		then  func() *http.Response
		again bool // the whole is asked for
	}{
		{"200", func() *http.Response { return respond(200, "abcdefghij", `ETag: "2"`, "Cache-Control: max-age=60") }, false},
		{"another tag", func() *http.Response { return rest(`"2"`, "4-9/10", "456789") }, true},
		{"the tag as a weak one", func() *http.Response { return rest(`W/"1"`, "4-9/10", "456789") }, true},
		{"no tag", func() *http.Response { return rest("", "4-9/10", "456789") }, true},
		{"another total", func() *http.Response { return rest(`"1"`, "4-10/11", "456789A") }, true},
		{"no total", func() *http.Response { return rest(`"1"`, "4-9/*", "456789") }, true},
		{"another offset", func() *http.Response { return rest(`"1"`, "5-9/10", "56789") }, true},
		{"too little", func() *http.Response { return rest(`"1"`, "4-8/10", "45678") }, true},
		{"no Content-Range", func() *http.Response { return rest(`"1"`, "", "456789") }, true},
		{"less than Content-Range says", func() *http.Response { return rest(`"1"`, "4-9/10", "4567") }, true},
		{"more than Content-Range says", func() *http.Response { return rest(`"1"`, "4-9/10", "456789AB") }, true},
		{"416", func() *http.Response { return respond(416, "", "Content-Range: bytes */4") }, true},
		{"several parts", func() *http.Response {
			return unframed(respond(206, "--x--", `ETag: "1"`, "Content-Type: multipart/byteranges; boundary=x"))
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					switch n {
					case 1:
						return d.respond(req)
					case 2:
						return tt.then()
					}
					return respond(200, "abcdefghij", `ETag: "2"`, "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=0-3")
				wantWhole(t, do(t, tr, "/"), miss, "abcdefghij")
				n := 2
				if tt.again {
					n = 3
					if h := o.last().Header; h["Range"] != nil || h["If-Range"] != nil || h.Get("Accept-Encoding") != "gzip, deflate" {
						t.Errorf("asked again with %v, want no Range and no If-Range, Accept-Encoding: gzip, deflate", h)
					}
				}
				wantRequests(t, o, n)
				wantWhole(t, do(t, tr, "/"), hit, "abcdefghij")
				wantRequests(t, o, n)
			})
		})
	}
}

// If the rest is cut short or has another length than in its Content-Range, the caller gets an error, the rest is not
// stored, and the part is kept.
func TestPartCompletionCutShort(t *testing.T) {
	for _, tt := range []struct {
		name string
		body io.Reader
	}{
		{"broken off", io.MultiReader(strings.NewReader("45"), failingReader{errors.New("connection reset")})},
		{"too short", strings.NewReader("45678")},
		{"too long", strings.NewReader("456789A")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storage.NewDictCache()
				d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					resp := d.respond(req)
					if n == 2 {
						resp.ContentLength, resp.Body = -1, io.NopCloser(tt.body)
					}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=0-3")
				resp, err := tr.RoundTrip(request(t, "/"))
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if tt.name == "too long" {
					if string(body) != digits || err != nil {
						t.Errorf("%q, %v, want %q, nil", body, err, digits)
					}
					return
				}
				if err == nil || !strings.HasPrefix(digits, string(body)) {
					t.Errorf("%q, error %v", body, err)
				}
				wantStored(t, s, "", digits[:4])
				wantWhole(t, do(t, tr, "/"), miss, digits)
			})
		})
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// If the origin cannot be reached for the rest, the caller gets that error.
func TestPartCompletionFails(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 2 {
				return nil
			}
			return d.respond(req)
		})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=0-3")
		if resp, err := tr.RoundTrip(request(t, "/")); err == nil {
			t.Errorf("status %d, want an error", resp.StatusCode)
			resp.Body.Close()
		}
		wantWhole(t, do(t, tr, "/"), miss, digits)
		if o.last().Header.Get("Range") != "bytes=4-" {
			t.Error("the part is not stored, want it kept")
		}
	})
}

// A part that is not at the start, or has no strong tag, is not completed. The whole is requested.
func TestPartNotCompletable(t *testing.T) {
	for _, tt := range []struct{ name, spec, field string }{
		{"not the head", "3-5", `ETag: "1"`},
		{"a weak tag", "0-3", `ETag: W/"1"`},
		{"a date of less than a minute before Date", "0-3", "Last-Modified: Fri, 31 Dec 1999 23:59:30 GMT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &document{body: digits, fields: []string{"Cache-Control: max-age=60", tt.field}}
				o := d.origin(t)
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes="+tt.spec)
				wantWhole(t, do(t, tr, "/"), miss, digits)
				if h := o.last().Header; h["Range"] != nil || h["If-Range"] != nil {
					t.Errorf("asked with %v, want no Range, no If-Range", h)
				}
				wantRequests(t, o, 2)
				wantWhole(t, do(t, tr, "/"), hit, digits)
			})
		})
	}
}

// Without a validator the rest is requested while the part is fresh, because an origin without ranges sends the whole.
// A 206 is then not combined with the part.
func TestPartWithoutValidator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=0-3")
		d.body = "abcdefghij"
		wantWhole(t, do(t, tr, "/"), miss, "abcdefghij")
		wantRequests(t, o, 3)
		do(t, tr, "/stale", "Range: bytes=0-3")
		time.Sleep(time.Hour)
		wantWhole(t, do(t, tr, "/stale"), miss, "abcdefghij")
		if o.last().Header["Range"] != nil {
			t.Error("request for the rest of a stale part, want one for the whole")
		}
		wantRequests(t, o, 5)
	})
}

// A 206 of another representation removes the stored whole response, even if the 206 is not stored.
func TestStaleDroppedByPartNotStored(t *testing.T) {
	runScenarios(t, []scenario{{"no-store", nil,
		[]reply{
			{body: digits, fields: []string{"Cache-Control: max-age=10", `ETag: "1"`}},
			{status: 206, body: "cde", fields: []string{"Cache-Control: no-store", `ETag: "2"`, "Content-Range: bytes 2-4/10"}},
			ok("Cache-Control: no-store"),
		},
		[]step{
			{want: miss},
			{wait: 20 * time.Second, with: []string{"Range: bytes=2-4"}, want: miss, body: "cde", storing: "no-store"},
			{with: []string{"Cache-Control: max-stale"}, want: miss, body: "#3"},
		},
	}})
}

// A 206 that another program has stored under the plain key is not used.
func TestForeignPartUnderPlainKey(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		w, err := s.Create(t.Context(), wholeKey, &storage.Entry{
			Status: 206, Reason: "Partial Content", Version: 11, Length: 3,
			Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Range": {"bytes 2-4/10"}, "Date": {date(0)}, "Etag": {`"1"`}},
			URL:    wholeKey, RequestTime: time.Now(), ResponseTime: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "234")
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		wantPart(t, do(t, tr, "/", "Range: bytes=2-4"), miss, "bytes 2-4/10", "234")
		wantWhole(t, do(t, tr, "/"), miss, digits)
		wantWhole(t, do(t, tr, "/"), hit, digits)
		wantRequests(t, o, 2)
	})
}

// A part does not answer HEAD, or a request for the whole with a precondition.
func TestPartIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=0-3")
		if a := do(t, tr, "/", `If-None-Match: "1"`); a.StatusCode != 304 || cachecontrol.FromCache(a.Response) {
			t.Errorf("%d %v, want 304 from the origin", a.StatusCode, a.outcome)
		}
		if h := o.last().Header; h["Range"] != nil || h["If-Range"] != nil {
			t.Errorf("asked with %v, want no Range, no If-Range", h)
		}
		do(t, tr, "HEAD /")
		if req := o.last(); req.Method != "HEAD" || req.Header["Range"] != nil {
			t.Errorf("asked with %s %v, want HEAD without Range", req.Method, req.Header)
		}
		wantRequests(t, o, 3)
	})
}

// Preconditions and If-Range are evaluated for a part as for a whole response.
func TestPartWithConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=2-6")
		a := do(t, tr, "/", "Range: bytes=3-4", `If-None-Match: "1"`)
		if a.StatusCode != 304 || !cachecontrol.FromCache(a.Response) {
			t.Errorf("%d %v, want 304 from the cache", a.StatusCode, a.outcome)
		}
		wantPart(t, do(t, tr, "/", "Range: bytes=3-4", `If-None-Match: "2"`), hit, "bytes 3-4/10", "34")
		wantPart(t, do(t, tr, "/", "Range: bytes=3-4", `If-Range: "1"`), hit, "bytes 3-4/10", "34")
		wantRequests(t, o, 1)
		wantWhole(t, do(t, tr, "/", "Range: bytes=3-4", `If-Range: "2"`), miss, digits)
		if h := o.last().Header; h.Get("Range") != "bytes=3-4" || h.Get("If-Range") != `"2"` {
			t.Errorf("forwarded as %v, want Range: bytes=3-4, If-Range: 2", h)
		}
		wantRequests(t, o, 2)
	})
}

// The rules decide which parts are stored (RFC 9111, sections 3 and 3.3).
func TestPartStored(t *testing.T) {
	for _, tt := range []struct {
		name    string
		shared  bool
		fields  []string // of the 206
		body    string
		request []string
		framing int64 // its ContentLength if that is not the length of the body; -1 if unknown
		max     int64
		part    string
	}{
		{name: "fresh", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10"}, body: "234", part: "234"},
		{name: "a tag alone", fields: []string{`ETag: "1"`, "Content-Range: bytes 2-4/10"}, body: "234", part: "234"},
		{name: "chunked", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10"}, body: "234", framing: -1, part: "234"},
		{name: "private in a private cache", fields: []string{"Cache-Control: private, max-age=60", "Content-Range: bytes 2-4/10"}, body: "234", part: "234"},
		{name: "private in a shared cache", shared: true, fields: []string{"Cache-Control: private, max-age=60", "Content-Range: bytes 2-4/10"}, body: "234"},
		{name: "Authorization in a shared cache", shared: true, fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10"}, body: "234", request: []string{"Authorization: x"}},
		{name: "no-store", fields: []string{"Cache-Control: no-store, max-age=60", "Content-Range: bytes 2-4/10"}, body: "234"},
		{name: "no-store in the request", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10"}, body: "234", request: []string{"Cache-Control: no-store"}},
		{name: "nothing to reuse", fields: []string{"Content-Range: bytes 2-4/10"}, body: "234"},
		{name: "Vary: *", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10", "Vary: *"}, body: "234"},
		{name: "no Content-Range", fields: []string{"Cache-Control: max-age=60"}, body: "234"},
		{name: "two Content-Ranges", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10", "Content-Range: bytes 3-5/10"}, body: "234"},
		{name: "several parts", fields: []string{"Cache-Control: max-age=60", "Content-Type: multipart/byteranges; boundary=x"}, body: "--x--"},
		{name: "another unit", fields: []string{"Cache-Control: max-age=60", "Content-Range: lines 2-4/10"}, body: "234"},
		{name: "unsatisfied", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes */10"}, body: "234"},
		{name: "backwards", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 4-2/10"}, body: "234"},
		{name: "beyond the total", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 8-10/10"}, body: "89A"},
		{name: "negative", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes -2-0/10"}, body: "234"},
		{name: "an offset that overflows", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 18446744073709551616-18446744073709551618/*"}, body: "234"},
		{name: "a length that overflows", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 0-9223372036854775807/*"}, body: "234", framing: -1},
		{name: "an end that overflows", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 9223372036854775805-9223372036854775807/*"}, body: "234", framing: -1},
		{name: "content that overflows", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 9223372036854775805-9223372036854775805/9223372036854775806"}, body: "234"},
		{name: "content too short", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-5/10"}, body: "234"},
		{name: "content too long", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-3/10"}, body: "234"},
		{name: "content too short, chunked", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-5/10"}, body: "234", framing: -1},
		{name: "content too long, chunked", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-3/10"}, body: "234", framing: -1},
		{name: "no content", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 9-9/10"}},
		{name: "as long as allowed", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10"}, body: "234", max: 3, part: "234"},
		{name: "longer than allowed", fields: []string{"Cache-Control: max-age=60", "Content-Range: bytes 2-4/10"}, body: "234", max: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				o := newOrigin(t, func(int, *http.Request) *http.Response {
					resp := respond(206, tt.body, tt.fields...)
					if tt.framing != 0 {
						resp.ContentLength = tt.framing
					}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, Store: s, Shared: tt.shared, MaxBodyBytes: tt.max}
				defer tr.Close()
				a := do(t, tr, "/", append(tt.request, "Range: bytes=2-4")...)
				if a.StatusCode != 206 || a.body != tt.body {
					t.Errorf("%d %q, want %d %q", a.StatusCode, a.body, 206, tt.body)
				}
				wantStored(t, s, "", tt.part)
			})
		})
	}
}

// A stored part that cannot be read is not combined, and the caller still gets its response.
func TestPartsUnreadable(t *testing.T) {
	for _, tt := range []struct{ name, first, part, second, body string }{
		{"before", "0-9999", "0123456789", "10000-12999", "abc"},
		{"after", "4000-13999", "456789abcd", "2000-3999", "23"},
		{"around", "1000-12999", "123456789abc", "4000-5999", "45"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := storage.NewDictCache()
				s := &halfStore{Store: inner}
				d := &document{body: thousandfold("0123456789abcdef"), etag: `"1"`, fields: []string{"Cache-Control: max-age=10"}}
				tr := &cachecontrol.Transport{Base: d.origin(t), Store: s}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes="+tt.first)
				s.half = true
				time.Sleep(20 * time.Second)
				if a := do(t, tr, "/", "Range: bytes="+tt.second); a.StatusCode != 206 || a.body != thousandfold(tt.body) {
					t.Errorf("%d %q, want %d %q", a.StatusCode, a.body, 206, thousandfold(tt.body))
				}
				wantStored(t, inner, "", thousandfold(tt.part))
			})
		})
	}
}

// A 206 of Base without a body is not stored.
func TestPartWithoutBody(t *testing.T) {
	for _, length := range []int64{-1, 0, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := storage.NewDictCache()
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				resp := respond(206, "", "Cache-Control: max-age=60", "Content-Range: bytes 2-4/10")
				resp.Body, resp.ContentLength = http.NoBody, length
				return resp
			})
			tr := &cachecontrol.Transport{Base: bare{o}, Store: s}
			defer tr.Close()
			if resp, err := tr.RoundTrip(request(t, "/", "Range: bytes=2-4")); (err != nil) != (length > 0) {
				t.Errorf("length %d without a Body: error %v", length, err)
			} else if err == nil {
				resp.Body.Close()
			}
			wantStored(t, s, "", "")
		})
	}
}

// bare is a RoundTripper that removes the bodies of responses.
type bare struct{ http.RoundTripper }

func (b bare) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
		resp.Body = nil
	}
	return resp, err
}

// If Content-Range announces more bytes than the content has, the end is that of the content.
func TestPartEndsWithContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return respond(206, "45678", "Cache-Control: max-age=60", "Content-Range: bytes 4-9/10")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=-5")
		wantPart(t, do(t, tr, "/", "Range: bytes=-5"), hit, "bytes 4-8/9", "45678")
		wantPart(t, do(t, tr, "/", "Range: bytes=6-7"), hit, "bytes 6-7/9", "67")
		wantRequests(t, o, 1)
	})
}

// Of a part that is cut short, or not read to its end, what was received is stored.
func TestPartCutShort(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		broken := false
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			resp := d.respond(req)
			if broken {
				resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 1), failingReader{io.ErrUnexpectedEOF}))
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		get := func() {
			resp, err := tr.RoundTrip(request(t, "/", "Range: bytes=3-6"))
			if err != nil {
				t.Fatal(err)
			}
			if broken {
				io.Copy(io.Discard, resp.Body)
			} else {
				io.CopyN(io.Discard, resp.Body, 2)
			}
			resp.Body.Close()
		}
		get()
		broken = true
		get()
		wantStored(t, s, "", "345")
		broken = false
		do(t, tr, "PUT /")
		do(t, tr, "/", "Range: bytes=1-3")
		get()
		broken = true
		get()
		wantStored(t, s, "", "12345")
	})
}

// MaxBodyBytes limits each part. Parts that would exceed it together are kept side by side.
func TestPartsTooLongTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storage.NewDictCache()
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s, MaxBodyBytes: 5}
		defer tr.Close()
		a := do(t, tr, "/", "Range: bytes=0-6")
		if st := cachecontrol.StatusOf(a.Response); st.Stored || st.Storage != rules.TooLong {
			t.Errorf("status %+v, want not stored, too long", st)
		}
		wantStored(t, s, "", "")
		for _, step := range []struct{ spec, part string }{
			{"0-2", "012"}, {"3-4", "01234"}, {"6-7", "01234|67"}, {"5-5", "01234567"},
		} {
			do(t, tr, "/", "Range: bytes="+step.spec)
			wantStored(t, s, "", step.part)
		}
		a = do(t, tr, "/")
		wantWhole(t, a, miss, digits)
		if st := cachecontrol.StatusOf(a.Response); st.Stored || st.Storage != rules.TooLong {
			t.Errorf("status %+v, want not stored, too long", st)
		}
		wantStored(t, s, "", "01234567")
		do(t, tr, "/", "Range: bytes=8-9")
		wantStored(t, s, "", digits)
		wantWhole(t, do(t, tr, "/"), hit, digits)
		wantRequests(t, o, 7)
	})
}

// A stale part is validated like a whole response (RFC 9111, section 4.3). A 304 makes it fresh, and any other response
// replaces it.
func TestPartExpired(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=10", "X-From: first"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=2-6")
		time.Sleep(11 * time.Second)
		d.fields = []string{"Cache-Control: max-age=10", "X-From: second"}
		wantPart(t, do(t, tr, "/", "Range: bytes=3-4"), revalidated, "bytes 3-4/10", "34")
		if h := o.last().Header; h.Get("Range") != "bytes=3-4" || h.Get("If-None-Match") != `"1"` || h["If-Range"] != nil {
			t.Errorf("asked with %v, want Range: bytes=3-4, If-None-Match: 1, no If-Range", h)
		}
		a := do(t, tr, "/", "Range: bytes=2-6")
		wantPart(t, a, hit, "bytes 2-6/10", "23456")
		if got := a.Header.Get("X-From"); got != "second" {
			t.Errorf("X-From = %q, want that of the 304", got)
		}
		time.Sleep(11 * time.Second)
		d.body, d.etag = "abcdefghij", `"2"`
		wantPart(t, do(t, tr, "/", "Range: bytes=3-4"), miss, "bytes 3-4/10", "de")
		wantPart(t, do(t, tr, "/", "Range: bytes=2-6"), miss, "bytes 2-6/10", "cdefg")
		wantRequests(t, o, 4)
	})
}

// With no-cache in the part or the request, a part is validated before use.
func TestPartNoCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=2-6")
		wantPart(t, do(t, tr, "/", "Range: bytes=3-4", "Cache-Control: no-cache"), revalidated, "bytes 3-4/10", "34")
		d.fields = []string{"Cache-Control: no-cache"}
		do(t, tr, "/other", "Range: bytes=2-6")
		wantPart(t, do(t, tr, "/other", "Range: bytes=3-4"), revalidated, "bytes 3-4/10", "34")
		wantRequests(t, o, 4)
	})
}

// A successful unsafe request invalidates parts too (RFC 9111, section 4.4), also those that are being received.
func TestPartInvalidated(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=0-3")
		wantStored(t, s, "", "0123")
		do(t, tr, "PUT /")
		wantStored(t, s, "", "")

		do(t, tr, "/", "Range: bytes=0-3")
		for _, fields := range [][]string{{"Range: bytes=4-6"}, {}} {
			resp, err := tr.RoundTrip(request(t, "/", fields...))
			if err != nil {
				t.Fatal(err)
			}
			do(t, tr, "DELETE /")
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			resp.Body.Close()
			wantStored(t, s, "", "")
			do(t, tr, "/", "Range: bytes=0-3")
		}
	})
}

// A part is selected by the fields in its Vary (RFC 9111, section 4.1).
func TestPartVary(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		docs := map[string]*document{}
		for lang, body := range map[string]string{"en": digits, "de": "abcdefghij"} {
			docs[lang] = &document{body: body, etag: `"` + lang + `"`, fields: []string{"Cache-Control: max-age=60", "Vary: Accept-Language"}}
		}
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			return docs[req.Header.Get("Accept-Language")].respond(req)
		})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		en, de := "Accept-Language: en", "Accept-Language: de"
		do(t, tr, "/", en, "Range: bytes=0-4")
		wantPart(t, do(t, tr, "/", en, "Range: bytes=1-3"), hit, "bytes 1-3/10", "123")
		wantWhole(t, do(t, tr, "/", de), miss, "abcdefghij")
		if o.last().Header["Range"] != nil {
			t.Error("request for the rest of another variant, want one for the whole")
		}
		wantPart(t, do(t, tr, "/", de, "Range: bytes=1-3"), hit, "bytes 1-3/10", "bcd")
		wantPart(t, do(t, tr, "/", en, "Range: bytes=1-3"), hit, "bytes 1-3/10", "123")
		wantRequests(t, o, 2)
		// The completed response is a second variant.
		wantWhole(t, do(t, tr, "/", en), miss, digits)
		if h := o.last().Header; h.Get("Range") != "bytes=5-" || h.Get("Accept-Language") != "en" {
			t.Errorf("the rest was asked for with %v, want Range: bytes=5-, Accept-Language: en", h)
		}
		wantWhole(t, do(t, tr, "/", en), hit, digits)
		wantWhole(t, do(t, tr, "/", de), hit, "abcdefghij")
		wantRequests(t, o, 3)
	})
}

// If a 206 shows that a variant is out of date, that variant is removed and the others are kept.
func TestPartReplacesVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		docs := map[string]*document{}
		for lang, body := range map[string]string{"en": digits, "de": "abcdefghij"} {
			docs[lang] = &document{body: body, etag: `"` + lang + `"`, fields: []string{"Cache-Control: max-age=60", "Vary: Accept-Language"}}
		}
		docs["de"].fields[0] = "Cache-Control: max-age=10"
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			return docs[req.Header.Get("Accept-Language")].respond(req)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		en, de := "Accept-Language: en", "Accept-Language: de"
		do(t, tr, "/", en)
		do(t, tr, "/", de)
		time.Sleep(20 * time.Second)
		docs["de"].body, docs["de"].etag = "ABCDEFGHIJ", `"de2"`
		wantPart(t, do(t, tr, "/", de, "Range: bytes=0-9"), miss, "bytes 0-9/10", "ABCDEFGHIJ")
		wantWhole(t, do(t, tr, "/", de), hit, "ABCDEFGHIJ")
		wantWhole(t, do(t, tr, "/", en), hit, digits)
		wantRequests(t, o, 3)
	})
}

// A part of the document does not make a stored error with the same tag fresh.
func TestPartIsNotOfStoredError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				return respond(404, "none", `ETag: "1"`, "Cache-Control: max-age=10")
			}
			req = req.Clone(req.Context())
			req.Header.Del("If-None-Match")
			return d.respond(req)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(20 * time.Second)
		wantPart(t, do(t, tr, "/", "Range: bytes=2-4"), miss, "bytes 2-4/10", "234")
		wantWhole(t, do(t, tr, "/"), miss, digits)
	})
}

// Python finds entries by the SHA-224 of the URL, so no part is stored in a file of that name.
func TestPartHasNoPlainFile(t *testing.T) {
	for _, kind := range []string{"file", "separate"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				var s storage.Store
				var err error
				if kind == "file" {
					s, err = directory.NewFileCache(dir)
				} else {
					s, err = directory.NewSeparateBodyFileCache(dir)
				}
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum224([]byte(wholeKey))
				hash := hex.EncodeToString(sum[:])
				files := func() (plain, all int) {
					filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
						if err == nil && !e.IsDir() && !strings.HasSuffix(path, ".lock") {
							all++
							if strings.HasPrefix(e.Name(), hash) {
								plain++
							}
						}
						return err
					})
					return plain, all
				}
				d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
				tr := &cachecontrol.Transport{Base: d.origin(t), Store: s}
				defer tr.Close()
				for _, spec := range []string{"2-3", "4-5", "0-1", "7-8"} {
					do(t, tr, "/", "Range: bytes="+spec)
					if plain, all := files(); plain != 0 || all == 0 {
						t.Errorf("after %s: %d files of %d under the plain key, want 0 of some", spec, plain, all)
					}
				}
				do(t, tr, "/", "Range: bytes=0-9")
				if plain, _ := files(); plain == 0 {
					t.Error("no file where Python looks for the whole response, want one")
				}
			})
		})
	}
}

// Several callers fetch and combine parts at the same time, and each gets the right bytes.
func TestPartsConcurrent(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "%04d", i)
	}
	for _, kind := range []string{"memory", "separate"} {
		t.Run(kind, func(t *testing.T) {
			var store storage.Store = storage.NewDictCache()
			if kind == "separate" {
				var err error
				if store, err = directory.NewSeparateBodyFileCache(t.TempDir()); err != nil {
					t.Fatal(err)
				}
			}
			d := &document{body: text.String(), etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
			tr := &cachecontrol.Transport{Base: d.origin(t), Store: store}
			defer tr.Close()
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for i := range 25 {
						first := (g*1237 + i*311) % 3500
						last := first + 100 + (g*31+i*17)%400
						target, fields := "/", []string{fmt.Sprintf("Range: bytes=%d-%d", first, last)}
						switch {
						case i%9 == 8:
							fields, first, last = nil, 0, len(d.body)-1
						case g == 0 && i%10 == 5:
							target = "PUT /"
						}
						resp, err := tr.RoundTrip(request(t, target, fields...))
						if err != nil {
							t.Error(err)
							return
						}
						body, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if err != nil || target == "/" && string(body) != d.body[first:min(last+1, len(d.body))] {
							t.Errorf("%d bytes from %d on, error %v", len(body), first, err)
						}
					}
				})
			}
			wg.Wait()
			if n := d.open.Load(); n != 0 {
				t.Errorf("%d bodies of the origin are still open, want 0", n)
			}
		})
	}
}

// A document changes while random ranges are requested. Every response is of one version, and no response is of an
// older version than an earlier one.
func TestPartsAtRandom(t *testing.T) {
	for seed := range uint64(rounds(60, 15)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { partsAtRandom(t, seed) })
		})
	}
}

func partsAtRandom(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 9111))
	size := 1 + r.IntN(40)
	strong := r.IntN(4) > 0
	store := &watchedStore{Store: storage.NewDictCache(), flat: r.IntN(3) == 0}
	d := &document{fields: []string{fmt.Sprintf("Cache-Control: max-age=%d", 5+r.IntN(60))}}
	version := -1
	change := func() {
		version++
		if r.IntN(5) == 0 {
			size = 1 + r.IntN(40)
		}
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(version)<<6 | byte(i) // a byte tells its version, modulo 4, and its offset
		}
		d.body, d.etag = string(b), fmt.Sprintf(`"%d"`, version)
		if !strong {
			d.etag = "W/" + d.etag
		}
	}
	change()
	o := d.origin(t)
	tr := &cachecontrol.Transport{Base: o, Store: store}
	defer tr.Close()

	seen := 0 // the version of the last answer
	bodies := map[int]string{}
	for step := range 150 {
		switch r.IntN(12) {
		case 0:
			if version < 60 {
				change()
			}
		case 1:
			time.Sleep(time.Duration(r.IntN(30)) * time.Second)
		case 2:
			if r.IntN(4) == 0 && version < 60 {
				change()
				do(t, tr, "PUT /")
				seen = version // nothing older may be used any more
			}
		}
		bodies[version] = d.body
		var fields []string
		switch r.IntN(8) {
		case 0:
		case 1:
			fields = append(fields, fmt.Sprintf("Range: bytes=-%d", r.IntN(45)))
		case 2:
			fields = append(fields, fmt.Sprintf("Range: bytes=%d-", r.IntN(45)))
		default:
			first := r.IntN(40)
			fields = append(fields, fmt.Sprintf("Range: bytes=%d-%d", first, first+r.IntN(15)))
		}
		switch r.IntN(12) {
		case 0:
			fields = append(fields, "Cache-Control: no-cache")
		case 1:
			fields = append(fields, "If-Range: "+d.etag)
		}
		n := o.requests()
		a := do(t, tr, "/", fields...)
		log := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("step %d, %v: %d %v %q: %s", step, fields, a.StatusCode, a.outcome, a.Header["Content-Range"], fmt.Sprintf(format, args...))
		}
		if a.StatusCode == 416 {
			continue
		}
		tag := strings.TrimPrefix(a.Header.Get("ETag"), "W/")
		var v int
		if _, err := fmt.Sscanf(tag, `"%d"`, &v); err != nil {
			log("tag %q: %v", tag, err)
		}
		whole, ok := bodies[v]
		first, want := 0, whole
		switch {
		case !ok:
			log("version %d has never been", v)
		case a.StatusCode == 206:
			var last, total int
			if _, err := fmt.Sscanf(a.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total); err != nil {
				log("%v", err)
			}
			req := request(t, "/", fields...)
			req.Header.Del("If-Range")
			wantFirst, wantLast, ok := (&document{body: whole}).wanted(req)
			if !ok || first != wantFirst || last != wantLast || total != len(whole) {
				log("of %d bytes, %d to %d were asked for", len(whole), wantFirst, wantLast)
			}
			want = whole[first : last+1]
		case a.StatusCode != 200:
			log("status")
		}
		if a.body != want {
			log("body %x of version %d, want %x", a.body, v, want)
		}
		if v < seen {
			log("version %d after version %d", v, seen)
		}
		if o.requests() > n && v != version {
			log("the origin was asked, and the answer is of version %d, not %d", v, version)
		}
		seen = v
	}
	if n := store.open.Load(); n != 0 {
		t.Errorf("%d bodies of the store are still open, want 0", n)
	}
	if n := d.open.Load(); n != 0 {
		t.Errorf("%d bodies of the origin are still open, want 0", n)
	}
	if e, _ := peek(t, store, wholeKey); e != nil && e.Range != nil {
		t.Error("a part is stored under the plain key, want it under its own")
	}
}

// The heuristic is applied again to combined parts, because its result for one part does not come from the origin.
func TestPartsAndHeuristic(t *testing.T) {
	const modified = "Last-Modified: Fri, 31 Dec 1999 14:00:00 GMT" // ten hours before the first request: fresh for one
	transport := func(d *document) (*cachecontrol.Transport, *origin) {
		o := d.origin(t)
		return &cachecontrol.Transport{Base: o, Heuristic: heuristics.LastModified}, o
	}
	t.Run("completed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr, o := transport(&document{body: digits, etag: `"1"`, fields: []string{modified}})
			defer tr.Close()
			do(t, tr, "/", "Range: bytes=0-3")
			wantPart(t, do(t, tr, "/", "Range: bytes=1-2"), hit, "bytes 1-2/10", "12")
			time.Sleep(2 * time.Hour)
			wantWhole(t, do(t, tr, "/"), miss, digits)
			if o.last().Header.Get("Range") != "bytes=4-" {
				t.Errorf("asked with %v, want Range: bytes=4-", o.last().Header)
			}
			time.Sleep(time.Hour) // now twelve hours had passed
			wantWhole(t, do(t, tr, "/"), hit, digits)
			wantRequests(t, o, 2)
		})
	})
	t.Run("combined", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &document{body: digits, etag: `"1"`, fields: []string{modified}}
			tr, o := transport(d)
			defer tr.Close()
			do(t, tr, "/", "Range: bytes=0-3")
			time.Sleep(2 * time.Hour)
			d.fields = nil // a 206 may omit fields that the caller has (RFC 9110, section 15.3.7)
			wantPart(t, do(t, tr, "/", "Range: bytes=4-6", `If-Range: "1"`), miss, "bytes 4-6/10", "456")
			time.Sleep(time.Hour)
			wantPart(t, do(t, tr, "/", "Range: bytes=2-5"), hit, "bytes 2-5/10", "2345")
			wantRequests(t, o, 2)
		})
	})
}

// A 416 is not stored, even if it is fresh, because it answers only one range.
func TestUnsatisfiableRangeNotStored(t *testing.T) {
	runScenarios(t, []scenario{{
		name:   "416 with freshness",
		origin: []reply{status(416, "Cache-Control: max-age=60", "Content-Range: bytes */4"), ok("Cache-Control: max-age=60")},
		steps: []step{
			{with: []string{"Range: bytes=10-"}, want: miss, status: 416, storing: "partial-unusable"},
			{want: miss, status: 200, body: "#2"},
			{want: hit, status: 200, body: "#2"},
		},
	}})
}

// Combined parts are selected by their combined header.
func TestCombinedPartKeepsVary(t *testing.T) {
	runScenarios(t, []scenario{{
		name: "the first part has Vary",
		origin: []reply{
			{status: 206, body: "0123", fields: []string{"Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: bytes 0-3/10", "Vary: User"}},
			{status: 206, body: "4567", fields: []string{"Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: bytes 4-7/10"}},
			ok(),
		},
		steps: []step{
			{with: []string{"User: a", "Range: bytes=0-3"}, want: miss, status: 206},
			{with: []string{"User: a", "Range: bytes=4-7"}, want: miss, status: 206},
			{with: []string{"User: a", "Range: bytes=2-5"}, want: hit, body: "2345", head: []string{"Vary: User"}},
			{with: []string{"User: b", "Range: bytes=2-5"}, want: miss, status: 200, body: "#3"},
		},
	}})
}

// A 206 without a ContentLength, which a program has made, is as long as its body. It is stored and combined.
func TestPartWithoutContentLength(t *testing.T) {
	const text = "0123456789"
	o := newOrigin(t, func(n int, req *http.Request) *http.Response {
		first, last := 0, 4
		if fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-%d", &first, &last); first > 0 {
			last = 9
		}
		resp := respond(206, text[first:last+1], `ETag: "a"`, "Cache-Control: max-age=60", fmt.Sprintf("Content-Range: bytes %d-%d/10", first, last))
		resp.ContentLength = 0
		return resp
	})
	tr := &cachecontrol.Transport{Base: o}
	defer tr.Close()
	do(t, tr, "/", "Range: bytes=0-4")
	if a := do(t, tr, "/", "Range: bytes=1-3"); a.outcome != hit || a.body != "123" {
		t.Errorf("a part of the part: %v %q, want a hit", a.outcome, a.body)
	}
	if a := do(t, tr, "/"); a.StatusCode != 200 || a.body != text || o.last().Header.Get("Range") != "bytes=5-" {
		t.Errorf("the whole: %d %q, after a request for %q, want 200 %q, %q", a.StatusCode, a.body, o.last().Header.Get("Range"), text, "bytes=5-")
	}
	if a := do(t, tr, "/"); a.outcome != hit || a.body != text {
		t.Errorf("the whole again: %v %q, want a hit", a.outcome, a.body)
	}
}

// A part of the response to a request with content is found again, and is removed by an invalidation of the URL, like a
// whole response to such a request.
func TestPartOfRequestWithContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == http.MethodPut {
				return respond(204, "")
			}
			return partReply(0, 3, fresh60, tag1).respond(n, req)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		get := func() answer {
			req := withContent(t, "/", "content")
			req.Header.Set("Range", "bytes=0-3")
			return send(t, tr, req)
		}
		wantPart(t, get(), miss, "bytes 0-3/10", "0123")
		wantPart(t, get(), hit, "bytes 0-3/10", "0123")
		do(t, tr, "PUT /")
		wantPart(t, get(), miss, "bytes 0-3/10", "0123")
	})
}

// If a validation fails because another request was canceled, and the repeated request gets a 206 of the stored whole
// response, that response stays.
func TestPartAfterCanceledValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				return reply{body: "0123456789", fields: []string{fresh10, tag1}}.respond(n, req)
			}
			return partReply(0, 1, fresh60, tag1).respond(n, req)
		})
		s := storage.NewDictCache()
		canceled := true
		tr := &cachecontrol.Transport{Store: s, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("If-None-Match") != "" && canceled {
				canceled = false
				return nil, context.Canceled
			}
			return o.RoundTrip(req)
		})}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(20 * time.Second)
		wantPart(t, do(t, tr, "/", "Range: bytes=0-1"), miss, "bytes 0-1/10", "01")
		if _, body := peek(t, s, wholeKey); body != "0123456789" {
			t.Errorf("the whole response is %q in the store, want %q", body, "0123456789")
		}
	})
}
