//go:build unix

package rediscache_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// longPages answers with bodies of 50 to 450 KB, or with a range of them.
type longPages struct{}

func (longPages) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header()["Etag"] = []string{`"` + req.URL.Path + `"`}
	w.Header()["Cache-Control"] = []string{"max-age=3600"}
	w.Header()["Content-Type"] = []string{"text/plain"}
	http.ServeContent(w, req, "", time.Time{}, strings.NewReader(longBody(req.URL.Path)))
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

func longBody(path string) string {
	var n int
	fmt.Sscanf(path, "/%d", &n)
	return strings.Repeat(path, (50_000+n*7919%400_000)/len(path))
}

// TestEvictions: whichever policy a Redis that is full has, no request fails, and no response is torn. If a body in chunks is
// evicted while it is read, the rest comes from the origin. The policy decides how many entries are kept.
func TestEvictions(t *testing.T) {
	requests, pages := 300, 200
	if *full {
		requests, pages = 2000, 400
	}
	forms := map[string]int64{"in chunks": 4 << 10}
	if *full {
		forms["in one value"] = 0
	}
	policies := []string{"allkeys-lru", "volatile-ttl", "noeviction"}
	if !testing.Short() {
		policies = append(policies, "volatile-lru", "allkeys-random", "volatile-random", "allkeys-lfu", "volatile-lfu")
	}
	for _, policy := range policies {
		for form, maxPlain := range forms {
			t.Run(policy+", "+form, func(t *testing.T) {
				s := redistest.Start(t, "--maxmemory", "30mb", "--maxmemory-policy", policy)
				tr := &cachecontrol.Transport{Base: longPages{}, Store: rediscache.New(newClient(t, s.Addr), rediscache.MaxPlain(maxPlain))}
				defer tr.Close()
				hits := readLongPages(t, tr, requests, pages)
				stats := tr.Stats()
				t.Logf("%.1f %% hits of %d requests; failures of the store %v; not stored %v", 100*float64(hits)/float64(requests), requests,
					stats.StoreErrors, stats.NotStored)
				if hits == 0 {
					t.Error("there are no hits")
				}
			})
		}
	}
}

// readLongPages makes requests for pages, some more often than others, and returns the number of hits.
func readLongPages(t *testing.T, tr *cachecontrol.Transport, requests, pages int) int64 {
	var hits atomic.Int64
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			urls := rand.NewZipf(rand.New(rand.NewPCG(uint64(w), 0)), 1.1, 10, uint64(pages-1))
			for range requests / 4 {
				path := fmt.Sprintf("/%d", urls.Uint64())
				got, body, err := fetchBody(tr, path)
				if err != nil || body != longBody(path) {
					t.Errorf("GET %s: %d bytes, %v", path, len(body), err)
				}
				if got == cachecontrol.Hit {
					hits.Add(1)
				}
			}
		})
	}
	work.Wait()
	return hits.Load()
}

// fetchBody makes a request and returns how it was answered and the body.
func fetchBody(tr *cachecontrol.Transport, path string) (cachecontrol.Outcome, string, error) {
	resp, err := tr.Client().Get("http://example.com" + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return cachecontrol.StatusOf(resp).Outcome, string(body), err
}
