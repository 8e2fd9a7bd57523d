package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// TestTogether: all commands at once, each twice, beside a program that uses the directory. Nobody sees an error, no
// body is another one's, and what is left is whole.
func TestTogether(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "Accept-Language")
			io.WriteString(w, strings.Repeat(r.URL.Path+r.Header.Get("Accept-Language")+"\n", 300))
		})
		cache := &cachecontrol.Transport{Store: f.store}
		t.Cleanup(func() { cache.Close() })
		get := func(i int) error {
			path, language := fmt.Sprintf("/%d", i%7), []string{"de", "en"}[i%2]
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin.URL+path, nil)
			if err != nil {
				return err
			}
			req.Header.Set("Accept-Language", language)
			resp, err := cache.RoundTrip(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err == nil && string(body) != strings.Repeat(path+language+"\n", 300) {
				err = fmt.Errorf("%s: %.40q", path, body)
			}
			return err
		}
		f.must(get(0))
		f.age(time.Hour)

		var wg sync.WaitGroup
		done := make(chan struct{})
		for _, args := range [][]string{
			{"ls", f.dir}, {"ls", "--sort", "none", f.dir}, {"stats", f.dir}, {"verify", "--fix", f.dir}, {"verify", "--fix", f.dir},
			{"prune", "--max-bytes", "20K", f.dir}, {"prune", "--max-bytes", "20K", f.dir},
			{"rm", f.dir, origin.URL + "/3"}, {"rm", f.dir, origin.URL + "/3"},
		} {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					code, stdout, stderr := callContext(t.Context(), args...)
					// There may be nothing to remove, or too much that is in use.
					if code != exitOK && args[0] != "rm" && args[0] != "prune" || strings.Contains(stderr, "cannot") {
						t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
					}
				}
			})
		}
		for i := range 200 {
			if err := get(i); err != nil {
				t.Error(err)
			}
		}
		close(done)
		wg.Wait()
		f.age(48 * time.Hour)
		// Variants may be left that nothing lists any more; nothing else is wrong.
		if code, stdout, _ := call(t, "verify", f.dir); code != exitOK || strings.Contains(stdout, "head is missing") {
			t.Errorf("verify: exit code %d, %s", code, stdout)
		}
		if code, stdout, stderr := call(t, "verify", "--fix", f.dir); code != exitOK {
			t.Errorf("verify --fix: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	}
}
