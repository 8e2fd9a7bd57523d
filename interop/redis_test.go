package interop

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// TestRedisChunks: an entry whose body we keep in chunks is a miss for Python, which then stores its own over it; that
// one is a hit for us, and ours that replaces it is again a miss for Python. Nobody sees half of anything.
func TestRedisChunks(t *testing.T) {
	p := startPython(t, "redis")
	dir := "redis://" + redistest.Start(t).Addr
	o := newOrigin(t, reply(large, "Cache-Control", fresh, "ETag", `"1"`))
	url := o.url("http://127.0.0.1:PORT/")
	py := &pythonUser{p, redisCache, dir}
	client := redisClient(t, dir)
	tr := &cachecontrol.Transport{Base: &http.Transport{DisableKeepAlives: true}, Store: rediscache.New(client, rediscache.Timeout(patience)), StoreTimeout: 2 * patience}
	defer tr.Close()
	us := &goUser{tr, tr.Store}

	for i, step := range []struct {
		user      user
		fromCache bool
	}{{us, false}, {us, true}, {py, false}, {py, true}, {us, true}} {
		a := step.user.do(t, "GET", url, nil)
		if a.fromCache != step.fromCache || string(a.body) != large {
			t.Errorf("step %d, %T: from cache %v, %s", i+1, step.user, a.fromCache, abridged(a.body))
		}
	}
	// What Python has stored has the life it gives it; what we have, the one that a validator is kept for.
	python := client.TTL(t.Context(), url).Val()
	a := us.do(t, "GET", url, map[string]string{"Cache-Control": "no-cache"})
	if ours := client.TTL(t.Context(), url).Val(); a.fromCache || python > 14*24*time.Hour || python < time.Hour-time.Minute ||
		ours > 14*24*time.Hour || ours < 14*24*time.Hour-time.Minute {
		t.Errorf("Python's entry lives for %v, ours for %v", python, ours)
	}
	if a := py.do(t, "GET", url, nil); a.fromCache || string(a.body) != large {
		t.Errorf("Python: from cache %v, %s", a.fromCache, abridged(a.body))
	}
}
