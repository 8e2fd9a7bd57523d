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

// Commands run at the same time as each other and as a program that uses the directory. They see no errors, the program
// gets no wrong bodies, and the remaining entries are sound.
func TestTogether(t *testing.T) {
	requests := 200
	if testing.Short() {
		requests = 40
	}
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "Accept-Language")
			io.WriteString(w, strings.Repeat(r.URL.Path+r.Header.Get("Accept-Language")+"\n", 300))
		})
		cache := &cachecontrol.Transport{Store: f.store}
		t.Cleanup(func() { cache.Close() })
		getPage(t, cache, origin.URL, 0)
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
					callTogether(t, args)
				}
			})
		}
		for i := range requests {
			getPage(t, cache, origin.URL, i)
		}
		close(done)
		wg.Wait()
		f.age(48 * time.Hour)
		// There may be orphan variants, but no other problem.
		if code, stdout, _ := call(t, "verify", f.dir); code != exitOK || strings.Contains(stdout, "metadata is missing") {
			t.Errorf("verify: exit code %d, %s", code, stdout)
		}
		if code, stdout, stderr := call(t, "verify", "--fix", f.dir); code != exitOK {
			t.Errorf("verify --fix: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	}
}

// callTogether runs a command while others run, too.
func callTogether(t *testing.T, args []string) {
	code, stdout, stderr := callContext(t.Context(), args...)
	// rm may find nothing to remove, and prune too much that is in use.
	if code != exitOK && args[0] != "rm" && args[0] != "prune" || strings.Contains(stderr, "cannot") {
		t.Errorf("%q: exit code %d, stdout %q, stderr %q, want success", args, code, stdout, stderr)
	}
}

// getPage sends the request with the number i through the cache and checks the body of the response.
func getPage(t *testing.T, cache *cachecontrol.Transport, origin string, i int) {
	t.Helper()
	path, language := fmt.Sprintf("/%d", i%7), []string{"de", "en"}[i%2]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Language", language)
	resp, err := cache.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := strings.Repeat(path+language+"\n", 300); err != nil || string(body) != want {
		t.Errorf("GET %s: body %.40q, error %v, want %.40q", path, body, err, want)
	}
}
