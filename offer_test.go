package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// taggedOrigin is an origin that evaluates If-None-Match as RFC 9110 does, for representations that the request selects.
func taggedOrigin(t testing.TB, choose func(req *http.Request) (tag, body string, fields []string)) *origin {
	return newOrigin(t, func(n int, req *http.Request) *http.Response {
		tag, body, fields := choose(req)
		fields = append(fields, "ETag: "+tag)
		for _, offered := range strings.Split(req.Header.Get("If-None-Match"), ",") {
			if strings.TrimPrefix(strings.TrimSpace(offered), "W/") == strings.TrimPrefix(tag, "W/") {
				return respond(304, "", fields...)
			}
		}
		return respond(200, body, fields...)
	})
}

// Ten variants with one entity tag cost one body.
func TestOneTagOneBody(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		for length, n := range map[int]int{5: 10, 1<<20 + 1: rounds(10, 3)} {
			body := strings.Repeat("x", length)
			o := taggedOrigin(t, func(req *http.Request) (string, string, []string) {
				return `"one"`, body, []string{"Cache-Control: max-age=60", "Vary: X-Site", "X-For: " + req.Header.Get("X-Site")}
			})
			tr := &cachecontrol.Transport{Base: o, Store: store, BackgroundTimeout: -1, StoreTimeout: -1}
			target := fmt.Sprintf("/%d", length)
			for round, want := range []cachecontrol.Outcome{revalidated, hit} {
				for i := range n {
					if round == 0 && i == 0 {
						want = miss
					}
					site := fmt.Sprint("X-Site: ", i)
					a := do(t, tr, target, site)
					if a.StatusCode != 200 || a.body != body || a.outcome != want || a.Header.Get("X-For") != fmt.Sprint(i) {
						t.Errorf("round %d, %s: %d %v, %d bytes, X-For %q; want 200 %v, %d bytes, %d", round, site, a.StatusCode, a.outcome, len(a.body), a.Header.Get("X-For"), want, length, i)
					}
					want = []cachecontrol.Outcome{revalidated, hit}[round]
					synctest.Wait() // for the copy of a long body
				}
			}
			wantRequests(t, o, n)
			if s := tr.Stats(); s.BytesFromOrigin != uint64(length) || s.Stored != 1 || s.Revalidated != uint64(n-1) || s.Hits != uint64(n) {
				t.Errorf("%d bytes from the origin, %d stored, %d revalidated, %d hits; want %d, 1, %d, %d", s.BytesFromOrigin, s.Stored, s.Revalidated, s.Hits, length, n-1, n)
			}
			tr.Close()
		}
	})
}

func TestOfferedTags(t *testing.T) {
	const fresh = "Cache-Control: max-age=60"
	x := func(v string, more ...string) []string { return append([]string{"X: " + v}, more...) }
	vary := func(tag string, more ...string) reply { return ok(append(more, fresh, "Vary: X", "ETag: "+tag)...) }
	not := func(fields ...string) reply { return status(304, append(fields, fresh, "Vary: X")...) }
	both := `If-None-Match: "a", "b"`
	runScenarios(t, []scenario{
		{
			name:   "a 304 selects the variant that it names",
			origin: []reply{vary(`"a"`), vary(`"b"`), not(`ETag: "a"`, "X-New: 1"), not(`ETag: "b"`)},
			steps: []step{
				{with: x("1"), want: miss, sent: []string{"If-None-Match:"}}, {with: x("2"), want: miss, body: "#2", sent: []string{`If-None-Match: "a"`}},
				{with: x("3"), want: revalidated, body: "#1", status: 200, sent: []string{both}, head: []string{`ETag: "a"`, "X-New: 1"}},
				{with: x("3"), want: hit, body: "#1", head: []string{"X-New: 1"}}, {with: x("1"), want: hit, body: "#1", head: []string{"X-New:"}},
				{with: x("4"), want: revalidated, body: "#2", sent: []string{both}}, {with: x("4"), want: hit, body: "#2"},
			},
		}, {
			name:   "a stale variant, which then is fresh for both requests only if both were confirmed",
			origin: []reply{vary(`"a"`), not(`ETag: "a"`)},
			steps: []step{
				{with: x("1"), want: miss}, {wait: time.Minute, with: x("2"), want: revalidated, body: "#1"}, {with: x("2"), want: hit, body: "#1"},
				{with: x("1"), want: revalidated, body: "#1", sent: []string{`If-None-Match: "a"`}}, {with: x("1"), want: hit},
			},
		}, {
			name:   "a 304 without a tag, for one tag",
			origin: []reply{vary(`"a"`), not()},
			steps:  []step{{with: x("1"), want: miss}, {with: x("2"), want: revalidated, body: "#1"}, {with: x("2"), want: hit}},
		}, {
			name:   "a 304 without a tag, for two",
			origin: []reply{vary(`"a"`), vary(`"b"`), not(), vary(`"c"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: miss},
				{with: x("3"), want: miss, body: "#4", status: 200, sent: []string{"If-None-Match:"}}, {with: x("3"), want: hit, body: "#4"},
			},
		}, {
			name:   "a 304 with a tag that was not offered",
			origin: []reply{vary(`"a"`), not(`ETag: "z"`), vary(`"z"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: miss, body: "#3", status: 200, sent: []string{"If-None-Match:"}}, {with: x("1"), want: hit, body: "#1"},
			},
		}, {
			name:   "a 304 after a 304",
			origin: []reply{vary(`"a"`), not(`ETag: "z"`), not(`ETag: "z"`)},
			steps:  []step{{with: x("1"), want: miss}, {with: x("2"), want: miss, status: 304}, {with: x("1"), want: hit, body: "#1"}},
		}, {
			name:   "an origin that weakens the tag in the 304",
			origin: []reply{vary(`"a"`), not(`ETag: W/"a"`), vary(`"c"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: revalidated, body: "#1", head: []string{`ETag: W/"a"`}},
				{with: x("3"), want: miss, sent: []string{`If-None-Match: "a"`}, body: "#3"},
			},
		}, {
			name:   "weak and invalid tags are not offered",
			origin: []reply{vary(`W/"a"`), vary("b"), vary(`"c", "d"`), vary(`"e"`), vary(`"f"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: miss, sent: []string{"If-None-Match:"}}, {with: x("3"), want: miss, sent: []string{"If-None-Match:"}},
				{with: x("4"), want: miss, sent: []string{"If-None-Match:"}}, {with: x("5"), want: miss, sent: []string{`If-None-Match: "e"`}},
			},
		}, {
			name:   "refused because of the tags",
			origin: []reply{vary(`"a"`), status(412), vary(`"b"`), status(431), vary(`"c"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: miss, status: 200, body: "#3"}, {with: x("3"), want: miss, status: 200, body: "#5"},
			},
		}, {
			name:   "the variants of other users",
			origin: []reply{ok(fresh, "Vary: Authorization, X", `ETag: "a"`), ok(fresh, "Vary: Authorization, X", `ETag: "b"`), not(`ETag: "a"`)},
			steps: []step{
				{with: x("1", "Authorization: a"), want: miss}, {with: x("1", "Authorization: b"), want: miss, sent: []string{"If-None-Match:"}},
				{with: x("2", "Authorization: a"), want: revalidated, body: "#1", sent: []string{`If-None-Match: "a"`}},
				{with: x("2"), want: miss, status: 304, sent: []string{"If-None-Match:"}},
			},
		}, {
			name:   "conditions of the caller, HEAD and other methods",
			origin: []reply{vary(`"a"`)},
			steps: []step{
				{with: x("1"), want: miss}, {do: "HEAD /", with: x("2"), want: miss, sent: []string{"If-None-Match:"}},
				{with: x("2", `If-None-Match: "q"`), want: miss, sent: []string{`If-None-Match: "q"`}},
				{with: x("3", `If-Match: "q"`), want: bypass, sent: []string{"If-None-Match:"}},
			},
		}, {
			name:   "a range of the variant that the 304 names",
			origin: []reply{vary(`"a"`, "Content-Length: 2"), not(`ETag: "a"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2", "Range: bytes=1-1"), want: revalidated, status: 206, body: "1", head: []string{"Content-Range: bytes 1-1/2"}},
				{with: x("2", "Range: bytes=0-0"), want: hit, status: 206, body: "#"}, {with: x("2"), want: hit, body: "#1"},
			},
		}, {
			name:   "a 304 that forbids storing",
			origin: []reply{vary(`"a"`), status(304, `ETag: "a"`, "Cache-Control: no-store", "Vary: X")},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: revalidated, body: "#1"}, {with: x("2"), want: revalidated, body: "#1"}, {with: x("1"), want: hit},
			},
		}, {
			name:   "the caller forbids storing",
			origin: []reply{vary(`"a"`), not(`ETag: "a"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2", "Cache-Control: no-store"), want: revalidated, body: "#1"}, {with: x("2"), want: revalidated, body: "#1"},
			},
		}, {
			name:   "another Vary in the 304",
			origin: []reply{vary(`"a"`), status(304, `ETag: "a"`, fresh, "Vary: X, Y")},
			steps: []step{
				{with: x("1", "Y: 1"), want: miss}, {with: x("2", "Y: 1"), want: revalidated, body: "#1"}, {with: x("2", "Y: 1"), want: hit, body: "#1"},
				{with: x("2", "Y: 2"), want: revalidated, body: "#1"}, {with: x("1", "Y: 2"), want: hit},
			},
		}, {
			name:      "without further variants",
			transport: &cachecontrol.Transport{MaxVariants: -1},
			origin:    []reply{vary(`"a"`), not(`ETag: "a"`)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: revalidated, body: "#1"}, {with: x("2"), want: revalidated, body: "#1"}, {with: x("1"), want: hit},
			},
		}, {
			name:   "a field that allows one origin",
			origin: []reply{vary(`"a"`, "Access-Control-Allow-Origin: https://a"), not(`ETag: "a"`), vary(`"a"`, "Access-Control-Allow-Origin: https://b"), not(`ETag: "a"`, "Access-Control-Allow-Origin: https://c")},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: miss, body: "#3", head: []string{"Access-Control-Allow-Origin: https://b"}},
				{with: x("3"), want: revalidated, head: []string{"Access-Control-Allow-Origin: https://c"}}, {with: x("3"), want: hit, head: []string{"Access-Control-Allow-Origin: https://c"}},
				{with: x("1"), want: hit, head: []string{"Access-Control-Allow-Origin: https://a"}},
			},
		}, {
			name:      "cookies of another request",
			transport: &cachecontrol.Transport{ReplaySetCookie: true},
			origin:    []reply{vary(`"a"`, "Set-Cookie: a=1"), not(`ETag: "a"`), not(`ETag: "a"`, "Set-Cookie: a=3")},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: revalidated, head: []string{"Set-Cookie:"}}, {with: x("2"), want: hit, head: []string{"Set-Cookie:"}},
				{with: x("3"), want: revalidated, head: []string{"Set-Cookie: a=3"}}, {with: x("3"), want: hit, head: []string{"Set-Cookie: a=3"}},
			},
		}, {
			name:      "an origin that fails",
			transport: &cachecontrol.Transport{StaleIfError: time.Hour},
			origin:    []reply{vary(`"a"`), status(503), not(`ETag: "a"`), status(503)},
			steps: []step{
				{with: x("1"), want: miss}, {with: x("2"), want: miss, status: 503}, {with: x("2"), want: revalidated, body: "#1"},
				{wait: time.Minute, with: x("2"), want: stale, body: "#1"}, {with: x("3"), want: miss, status: 503},
			},
		},
	})
}

// One tag for several codings is not taken for one representation.
func TestOfferedTagsOfCodings(t *testing.T) {
	coded := encode("gzip", "text")
	ae := func(v string) []string { return []string{"Accept-Encoding: " + v} }
	tags := map[bool]string{true: `"1"`, false: `"1"`}
	for _, weakens := range []bool{false, true} {
		if weakens {
			tags[true] = `W/"1"`
		}
		choose := func(req *http.Request) (string, string, []string) {
			fields := []string{"Cache-Control: max-age=60", "Vary: Accept-Encoding, X"}
			if strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
				return tags[true], coded, append(fields, "Content-Encoding: gzip")
			}
			return tags[false], "text", fields
		}
		for _, order := range [][]string{{"gzip", "identity", "identity, x;q=0"}, {"identity", "gzip", "br"}, {"gzip", "br", "identity"}, {"identity, y;q=0", "gzip", "gzip, br"}} {
			synctest.Test(t, func(t *testing.T) {
				tr := &cachecontrol.Transport{Base: taggedOrigin(t, choose)}
				defer tr.Close()
				for range 2 {
					for _, accepted := range order {
						a := do(t, tr, "/", ae(accepted)...)
						coding := a.Header.Get("Content-Encoding")
						if want := map[string]string{"": "text", "gzip": coded}[coding]; a.body != want || coding == "gzip" && !strings.Contains(accepted, "gzip") {
							t.Errorf("%q, Accept-Encoding %q: %q in coding %q, want it to be %q in a coding that is accepted", order, accepted, a.body, coding, want)
						}
						if a := do(t, tr, "/", "X: "+accepted); a.body != "text" {
							t.Errorf("%q, no Accept-Encoding: %q, want %q", order, a.body, "text")
						}
					}
				}
			})
		}
	}
}

// TestOneTagForDifferentContent: an origin gives one strong tag to what is different content, as that of the Kubernetes API does for
// JSON and protobuf. No caller gets content that it does not accept.
func TestOneTagForDifferentContent(t *testing.T) {
	for _, test := range []struct {
		field, describes string
		values           []string // of the field
		want             []string // of the field that describes the content
	}{
		{"Accept", "Content-Type", []string{"application/json", "application/x.v3@v1.0+protobuf", "application/json, text/html;q=0.5", "*/*"},
			[]string{"application/json", "application/x.v3@v1.0+protobuf", "application/json", "application/json"}},
		{"Accept", "Content-Type", []string{"*/*", "text/html", "application/json;q=0.9"}, []string{"application/json", "text/html", "application/json"}},
		{"Accept-Language", "Content-Language", []string{"de", "en-GB", "en", "fr, de;q=0.1"}, []string{"de", "en-GB", "en-GB", "de"}},
	} {
		t.Run(test.field, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := taggedOrigin(t, func(req *http.Request) (string, string, []string) {
					i := slices.Index(test.values, req.Header.Get(test.field))
					return `"1"`, test.want[i], []string{"Cache-Control: max-age=60", "Vary: " + test.field, test.describes + ": " + test.want[i]}
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				for range 2 {
					for i, value := range test.values {
						a := do(t, tr, "/", test.field+": "+value)
						if got := a.Header.Get(test.describes); a.body != test.want[i] || got != test.want[i] {
							t.Errorf("%s: %s: got %q, %s %q, want %q", test.field, value, a.body, test.describes, got, test.want[i])
						}
					}
				}
				if s := tr.Stats(); s.Hits != uint64(len(test.values)) {
					t.Errorf("%d hits, want %d", s.Hits, len(test.values))
				}
			})
		})
	}
}

// Tags are offered to the origin only for the URL, the partition and the method for which they were received, and not more of
// them than an origin accepts.
func TestOffersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("t", 7000)
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			tag := fmt.Sprintf(`"%d-%s"`, n, strings.Repeat("t", n%200))
			if n%10 == 0 {
				tag = `"` + long + `"`
			}
			return respond(200, "", "Cache-Control: max-age=60", "Vary: X", "ETag: "+tag)
		})
		tr := &cachecontrol.Transport{
			Base: o, MaxVariants: 5000, CacheableMethods: []string{"GET", "QUERY"},
			Partition: func(req *http.Request) string { return req.Header.Get("User") },
		}
		defer tr.Close()
		for i := range rounds(1000, 200) {
			do(t, tr, "/", fmt.Sprint("X: ", i))
			if got := o.last().Header["If-None-Match"]; len(strings.Join(got, "")) > 2<<10 || strings.Contains(strings.Join(got, ""), long) || i > 0 && got == nil {
				t.Fatalf("request %d: If-None-Match %q, want at most 2 KiB", i, got)
			}
		}
		for _, other := range [][]string{{"/", "User: 2", "X: a"}, {"/other", "X: a"}, {"QUERY /", "X: a"}} {
			do(t, tr, other[0], other[1:]...)
			if got := o.last().Header["If-None-Match"]; got != nil {
				t.Errorf("%q: If-None-Match %q, want none", other, got)
			}
		}
	})
}

// The variant that is named by a 304 may have been changed or removed while the origin was asked.
func TestOfferedVariantIsGone(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		var during func()
		o := taggedOrigin(t, func(req *http.Request) (string, string, []string) {
			if f := during; f != nil && req.Header.Get("If-None-Match") != "" {
				during = nil
				f()
			}
			return `"` + req.Header.Get("Tag") + `"`, req.Header.Get("Tag"), []string{"Cache-Control: max-age=60", "Vary: X"}
		})
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		do(t, tr, "/", "X: 1", "Tag: a")
		do(t, tr, "/", "X: 2", "Tag: b")
		steps := []struct {
			what    string
			happens func()
			tag     string
			want    cachecontrol.Outcome
		}{
			{"a new representation", func() { do(t, tr, "/", "X: 2", "Tag: c", "Cache-Control: no-cache") }, "b", miss},
			{"another copy", func() { do(t, tr, "/", "X: 4", "Tag: a") }, "a", revalidated},
			{"an invalidation", func() { do(t, tr, "PUT /", "Tag: d") }, "c", unknown}, // some stores keep the variant
		}
		for i, s := range steps {
			during = s.happens
			x := fmt.Sprint("X: 1", i)
			if a := do(t, tr, "/", x, "Tag: "+s.tag); a.StatusCode != 200 || a.body != s.tag || s.want != unknown && a.outcome != s.want {
				t.Errorf("%s: %d %v %q, want 200 %v %q", s.what, a.StatusCode, a.outcome, a.body, s.want, s.tag)
			}
			want := hit
			if s.want == unknown {
				want = miss // the answer was not stored
			}
			if a := do(t, tr, "/", x, "Tag: "+s.tag); a.StatusCode != 200 || a.body != s.tag || a.outcome != want {
				t.Errorf("after %s: %d %v %q, want 200 %v %q", s.what, a.StatusCode, a.outcome, a.body, want, s.tag)
			}
		}
	})
}

// Concurrent requests for one new variant share one request.
func TestOffersAreCollapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := taggedOrigin(t, func(req *http.Request) (string, string, []string) {
			time.Sleep(time.Second)
			return `"1"`, "text", []string{"Cache-Control: max-age=60", "Vary: X"}
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		do(t, tr, "/", "X: 0")
		var a answers
		for i := range 5 {
			a.add(t, 20, tr, get(t, fmt.Sprint("X: ", i+1)))
		}
		all, collapsed := a.wait(t)
		if len(all) != 100 || collapsed != 95 {
			t.Errorf("%d answers, %d collapsed, want 100, 95", len(all), collapsed)
		}
		if i := slices.IndexFunc(all, func(a answer) bool { return a.body != "text" || a.StatusCode != 200 }); i >= 0 {
			t.Errorf("%d %q, want 200 %q", all[i].StatusCode, all[i].body, "text")
		}
		wantRequests(t, o, 6)
		if got := tr.Stats().BytesFromOrigin; got != 4 {
			t.Errorf("%d bytes from the origin, want 4", got)
		}
	})
}

// BeforeReuse decides about the variant that a 304 names.
func TestBeforeReuseOfOfferedVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := taggedOrigin(t, func(req *http.Request) (string, string, []string) {
			return `"1"`, "text", []string{"Cache-Control: max-age=60", "Vary: X"}
		})
		asked := 0
		tr := &cachecontrol.Transport{Base: o, BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			asked++
			return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseNever}
		}}
		defer tr.Close()
		do(t, tr, "/", "X: 1")
		if a := do(t, tr, "/", "X: 2"); a.outcome != miss || a.body != "text" || asked != 1 {
			t.Errorf("%v %q, BeforeReuse was called %d times, want %v %q, once", a.outcome, a.body, asked, miss, "text")
		}
		if got := o.last().Header["If-None-Match"]; got != nil {
			t.Errorf("If-None-Match %q, want none", got)
		}
	})
}

// An entry whose list has no tags, which an earlier version has stored, offers that of its first variant.
func TestOffersOfListWithoutTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
		o := taggedOrigin(t, func(req *http.Request) (string, string, []string) {
			tag := req.Header.Get("X")
			return `"` + tag + `"`, tag, []string{"Cache-Control: max-age=60", "Vary: X"}
		})
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		do(t, tr, "/", "X: 1")
		do(t, tr, "/", "X: 2")
		r, err := store.Get(t.Context(), wholeKey)
		if err != nil {
			t.Fatal(err)
		}
		old := r.Entry.Clone()
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		old.Variants[0].ETag = ""
		w, err := store.Create(t.Context(), wholeKey, old)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(body)
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		do(t, tr, "/", "X: 3")
		if got := o.last().Header.Get("If-None-Match"); got != `"1"` {
			t.Errorf("If-None-Match %s, want %s", got, `"1"`)
		}
		if a := do(t, tr, "/", "X: 2"); a.outcome != hit || a.body != "2" {
			t.Errorf("the variant without a tag: %v %q, want %v %q", a.outcome, a.body, hit, "2")
		}
	})
}
