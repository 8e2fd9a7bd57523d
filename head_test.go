package cachecontrol_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// A response to HEAD without a matching validator may describe another representation, so its fields about content are
// ignored. Its fields about caching count.
func TestHeadWithoutValidator(t *testing.T) {
	describing := []string{
		"Content-Type: text/plain", "Content-Language: de", "Content-Location: /de", "Content-Disposition: inline",
		"Repr-Digest: md5=:AA==:", "Digest: md5=AA==", "Content-Md5: AA==",
	}
	// The content of a response to HEAD is empty (RFC 9530, appendix B.2).
	const digest, ofNothing = "Content-Digest: md5=:AA==:", "Content-Digest: md5=:1B==:"
	others := make([]string, len(describing))
	for i, f := range describing {
		name, _, _ := strings.Cut(f, ":")
		others[i] = name + ": other"
	}
	const tag, modified = `ETag: "a"`, "Last-Modified: Fri, 31 Dec 1999 14:00:00 GMT"
	with := func(more []string, fields ...string) reply { return ok(append(fields, more...)...) }
	asks := []string{"Cache-Control: no-cache"}
	const fresh, updated = "Cache-Control: max-age=60", "Cache-Control: max-age=3600"
	updates := []string{"X: 2", updated, "Content-Security-Policy: b"}
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, tt := range []struct {
			name         string
			stored, head []string // validators
			taken        bool
		}{
			{"none", nil, nil, false},
			{"of the stored response", []string{tag, modified}, nil, false},
			{"the same tag", []string{tag}, []string{tag}, true},
			{"the same weak tag", []string{`ETag: W/"a"`}, []string{`ETag: W/"a"`}, true},
			{"the same date", []string{modified}, []string{modified}, true},
			{"the date of both", []string{tag, modified}, []string{modified}, true},
		} {
			want := append([]string{}, describing...)
			if tt.taken {
				want = others
			}
			all = append(all, scenario{tt.name, tr(), []reply{
				with(append(describing, tt.stored...), fresh, "X: 1", "Content-Security-Policy: a", digest),
				with(append(others, tt.head...), append(updates, ofNothing)...),
			}, []step{
				{want: miss}, {do: "HEAD /", with: asks, want: miss, head: append(others, ofNothing), storing: "validated-by-head"},
				{want: hit, body: "#1", head: append(append(want, updates...), digest)},
			}})
			// Nor is a field taken that the stored response does not have.
			none := make([]string, len(describing))
			for i, f := range describing {
				name, _, _ := strings.Cut(f, ":")
				none[i] = name + ":"
			}
			if tt.taken {
				none = others
			}
			all = append(all, scenario{tt.name + ", new fields", tr(), []reply{with(tt.stored, fresh), with(append(others, tt.head...), append(updates, ofNothing)...)}, []step{
				{want: miss}, {do: "HEAD /", with: asks, want: miss}, {want: hit, body: "#1", head: append(append(none, updates...), "Content-Digest:")},
			}})
		}
		return append(all, scenario{"a part of the cache's own doing", &cachecontrol.Transport{RefreshAhead: 1},
			[]reply{ok(fresh, "Content-Type: text/plain"), ok(fresh, "Content-Type: other")},
			[]step{{want: miss}, {do: "HEAD /", with: asks, want: miss}, {want: hit, head: []string{"Content-Type: text/plain"}}}})
	})
}

// HEAD is answered without a body from the stored response to GET. It neither changes the entry nor stores one.
func TestHEADAfterGET(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "fresh",
			origin: []reply{ok("Cache-Control: max-age=60", "Content-Length: 2")},
			steps:  []step{{want: miss}, {do: "HEAD /", want: hit, head: []string{"Content-Length: 2"}}, {want: hit, body: "#1"}},
		}, {
			name: "stale, and the same still",
			origin: []reply{
				ok("Cache-Control: max-age=10", `ETag: "a"`, "X-A: old"), ok("Cache-Control: max-age=10", `ETag: "a"`, "X-A: new"),
			},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, do: "HEAD /", want: miss}, {want: hit, body: "#1", head: []string{"X-A: new"}},
			},
		}, {
			name:   "stale, and another now",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), ok("Cache-Control: max-age=10", `ETag: "b"`)},
			steps:  []step{{want: miss}, {wait: 10 * time.Second, do: "HEAD /", want: miss}, {want: miss, body: "#3", sent: []string{"If-None-Match:"}}},
		}, {
			name:   "fresh by its own word, and another now",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), ok("Cache-Control: max-age=10", `ETag: "b"`)},
			steps:  []step{{want: miss}, {do: "HEAD /", with: []string{"Cache-Control: no-cache"}, want: miss}, {want: miss, body: "#3"}},
		},
	})
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "HEAD /"); a.body != "" {
			t.Errorf("HEAD brought a body: %q, want %q", a.body, "")
		}
	})
}

func TestHEAD(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "is answered from what GET stored",
			origin: []reply{ok("Cache-Control: max-age=60", "X-A: b", "Content-Length: 2")},
			steps: []step{
				{want: miss}, {do: "HEAD /", want: hit, body: "", head: []string{"X-A: b", "Content-Length: 2"}},
				{want: hit, body: "#1"},
			},
		}, {
			name:   "stores nothing",
			origin: []reply{ok("Cache-Control: max-age=60")},
			steps:  []step{{do: "HEAD /", want: miss}, {do: "HEAD /", want: miss}, {want: miss, body: "#3"}},
		},
	})
}
