package cachecontrol_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Directives about fields apply to those of the trailer, too.
func TestPrivateTrailers(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "a"`
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	both, one := []string{"X-Mine: 1", "X-Yours: 2"}, []string{"X-Mine:", "X-Yours: 2"}
	tailed := func(fields ...string) reply { return reply{fields: append(fields, tag), tail: both} }
	asks := []string{"Cache-Control: no-cache"}
	runScenarios(t, []scenario{
		{
			name: "private names one: a shared cache does not store it", transport: shared(),
			origin: []reply{tailed(fresh + `, private="x-mine"`), status(304)},
			steps: []step{
				{want: miss, tail: both}, {want: hit, tail: one}, {with: asks, want: revalidated, tail: one}, {want: hit, tail: one},
			},
		}, {
			name:   "and a private one does",
			origin: []reply{tailed(fresh + `, private="x-mine"`)},
			steps:  []step{{want: miss, tail: both}, {want: hit, tail: both}, {do: "HEAD /", want: hit, tail: []string{"X-Mine:", "X-Yours:"}}},
		}, {
			name:   "no-cache names one: it comes back with a validation only",
			origin: []reply{tailed(fresh + `, no-cache="x-mine"`), status(304)},
			steps: []step{
				{want: miss, tail: both}, {want: hit, tail: one}, {with: asks, want: revalidated, tail: both}, {want: hit, tail: one},
			},
		}, {
			name: "a 304 says that one is private", transport: shared(),
			origin: []reply{tailed(fresh), status(304, fresh+`, private="x-mine"`), status(304, fresh)},
			steps: []step{
				{want: miss, tail: both}, {want: hit, tail: both}, {with: asks, want: revalidated, tail: one},
				{with: asks, want: revalidated, tail: one}, {want: hit, tail: one},
			},
		},
	})
}

// A shared cache does not return a trailer field that private names and that a private cache has stored.
func TestPrivateTrailerOfAnotherCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
		o := replies(t, reply{fields: []string{`Cache-Control: max-age=60, private="x-mine"`}, tail: []string{"X-Mine: 1"}})
		do(t, &cachecontrol.Transport{Base: o, Store: store}, "/")
		if a := do(t, &cachecontrol.Transport{Base: o, Store: store, Shared: true}, "/"); a.outcome != hit || a.Trailer != nil {
			t.Errorf("%v, trailer %v, want %v, nil", a.outcome, a.Trailer, hit)
		}
	})
}

// Trailer fields that are not stored are not shared in flight either.
func TestTrailersInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := reply{
			fields: []string{`Cache-Control: max-age=60, private="x-mine", no-cache="x-checked"`},
			tail:   []string{"X-Mine: 1", "X-Checked: 2", "X-Yours: 3"},
		}
		g := newGate(t, origin.respond)
		tr := &cachecontrol.Transport{Base: g, Collapse: true, Shared: true}
		defer tr.Close()
		var a answers
		a.add(t, 5, tr, get(t))
		time.Sleep(time.Second)
		close(g.letGo)
		all, collapsed := a.wait(t)
		if len(all) != 5 || collapsed != 4 {
			t.Fatalf("%d answers, %d collapsed, want 5, 4", len(all), collapsed)
		}
		for _, x := range all {
			want := map[string][]string{"X-Yours": {"3"}}
			if !cachecontrol.StatusOf(x.Response).Collapsed {
				want = map[string][]string{"X-Mine": {"1"}, "X-Checked": {"2"}, "X-Yours": {"3"}}
			}
			if diff := cmp.Diff(want, map[string][]string(x.Trailer)); diff != "" {
				t.Errorf("%v: trailer (-want +got):\n%s", x.outcome, diff)
			}
		}
	})
}

// A trailer that was not announced is stored if it was read, with HTTP/2 also after a body of known length.
func TestTrailersUnannounced(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, length := range []bool{false, true} {
			if length && !http2 {
				continue // HTTP/1.1 has none then
			}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if length {
					w.Header().Set("Content-Length", "4")
				}
				io.WriteString(w, "body")
				w.(http.Flusher).Flush()
				w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			tr := &cachecontrol.Transport{Base: server.Client().Transport}
			defer tr.Close()
			for _, want := range []cachecontrol.Outcome{miss, hit} {
				a := do(t, tr, server.URL)
				if a.outcome != want || a.Trailer.Get("X-Sum") != "1" {
					t.Errorf("HTTP/2 %v, length %v: %v, trailer %v; want %v, X-Sum 1", http2, length, a.outcome, a.Trailer, want)
				}
			}
		}
	}
}
