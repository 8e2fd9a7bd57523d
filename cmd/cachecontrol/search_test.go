package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

// show and rm find a response to several URLs by each of them.
func TestSeveralURLs(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("No-Vary-Search", `params=("utm")`)
			w.Header().Set("Vary", "Accept-Language")
			io.WriteString(w, "stored for "+r.URL.String())
		})
		cache := &cachecontrol.Transport{Store: f.store}
		t.Cleanup(func() { cache.Close() })
		for _, language := range []string{"en", "de"} {
			req, err := http.NewRequest("GET", origin.URL+"/p?utm=1&a=1", nil)
			f.must(err)
			req.Header.Set("Accept-Language", language)
			resp, err := cache.RoundTrip(req)
			f.must(err)
			_, err = io.Copy(io.Discard, resp.Body)
			f.must(err)
			resp.Body.Close()
		}
		for _, query := range []string{"?a=1", "?utm=1&a=1", "?a=%31&utm"} {
			if code, stdout, stderr := call(t, "show", "--body", f.dir, origin.URL+"/p"+query); code != exitOK || stdout != "stored for /p?utm=1&a=1" {
				t.Errorf("show %s: exit code %d, stdout %q, stderr %q", query, code, stdout, stderr)
			}
		}
		if code, stdout, _ := call(t, "show", f.dir, origin.URL+"/p"); code == exitOK {
			t.Errorf("show /p: %q, want nothing", stdout)
		}
		index, err := keysOfURL(origin.URL + "/p")
		f.must(err)
		for _, flag := range []string{"--shared", "--json"} {
			code, stdout, stderr := call(t, "show", flag, f.dir, cachedir.Hash(index.searches))
			if code != exitOK || !strings.Contains(strings.ReplaceAll(stdout, `\"`, `"`), `params=("utm")`) || strings.Contains(stdout, "missing") {
				t.Errorf("show %s of the index: exit code %d, stdout %q, stderr %q", flag, code, stdout, stderr)
			}
		}
		if code, stdout, stderr := call(t, "rm", f.dir, origin.URL+"/p?a=1&utm=2"); code != exitOK || !strings.Contains(stdout, "2 entries") {
			t.Errorf("rm: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		if code, stdout, _ := call(t, "show", f.dir, origin.URL+"/p?a=1"); code == exitOK {
			t.Errorf("show after rm: %q, want nothing", stdout)
		}
	}
}
