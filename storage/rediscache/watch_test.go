//go:build unix

package rediscache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// watching is what a Watch tells.
type watching struct {
	t    *testing.T
	keys chan string
	end  func() error
}

// watch watches until the test ends, and returns once it is told of changes.
func watch(t *testing.T, c storage.Store, servers int) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(background)
	w := &watching{t: t, keys: make(chan string, 1000)}
	done := make(chan error, 1)
	go func() { done <- c.(storage.Watcher).Watch(ctx, func(key string) { w.keys <- key }) }()
	ended := false
	w.end = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { w.end() })
	for range servers {
		w.expect("")
	}
	return w
}

// expect waits until it is told of key, and forgets what comes before.
func (w *watching) expect(key string) (before []string) {
	w.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case got := <-w.keys:
			if got == key {
				return before
			}
			before = append(before, got)
		case <-timeout:
			w.t.Fatalf("no word of %q; of %q", key, before)
		}
	}
}

// only waits for key, which must come first.
func (w *watching) only(key string) {
	w.t.Helper()
	if before := w.expect(key); len(before) > 0 {
		w.t.Errorf("before %q there is word of %q", key, before)
	}
}

// hearsOf stores again and again, until there is word of it: the connection may be another by then.
func (w *watching) hearsOf(client *redis.Client, opts ...rediscache.Option) {
	w.t.Helper()
	for range 600 {
		c := rediscache.New(client, opts...) // one that has not seen the server fail
		if wr, err := c.Create(w.t.Context(), url, entry("", time.Hour)); err == nil {
			wr.Commit()
		}
		timeout := time.After(100 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case got := <-w.keys:
				if got == url {
					return
				}
			case <-timeout:
				waiting = false
			}
		}
	}
	w.t.Fatal("no word of what is stored")
}

func TestWatch(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "app:"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			opts := []rediscache.Option{patient}
			if prefix != "" {
				opts = append(opts, rediscache.Prefix(prefix))
			}
			w := watch(t, rediscache.New(newClient(t, s.Addr), opts...), 1)

			client := newClient(t, s.Addr)
			other := rediscache.New(client, opts...)
			put(t, other, "short", time.Hour, "body")
			w.only(url)
			r := get(t, other)
			if err := other.Update(t.Context(), url, r.Entry.Clone()); err != nil {
				t.Fatal(err)
			}
			w.only(url)
			put(t, other, "long", time.Hour, long(1))
			w.only(url)
			if err := other.Delete(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			w.only(url)

			// Somebody who knows nothing of a Cache: Python.
			raw := newClient(t, s.Addr)
			if prefix != "" {
				raw.Set(t.Context(), "not ours", "x", 0)
			}
			raw.Set(t.Context(), prefix+"http://example.com/python", "x", time.Hour)
			w.only("http://example.com/python")
			raw.PExpire(t.Context(), prefix+"http://example.com/python", time.Millisecond)
			w.expect("http://example.com/python")
			w.expect("http://example.com/python") // it has expired
			raw.FlushDB(t.Context())
			w.expect("")

			// A connection that breaks.
			if err := raw.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err(); err != nil {
				t.Fatal(err)
			}
			w.expect("")
			w.hearsOf(client, opts...)

			// A server that comes back.
			s.Stop()
			w.expect("")
			s.Launch()
			w.expect("")
			w.hearsOf(client, opts...)
			if err := w.end(); !errors.Is(err, context.Canceled) {
				t.Errorf("Watch returns %v", err)
			}
		})
	}
}

// TestWatchPaused: a server that says nothing, not even that it is gone, is given up.
func TestWatchPaused(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	w := watch(t, rediscache.New(newClient(t, s.Addr), patient), 1)
	s.Pause()
	w.expect("")
	s.Resume()
	w.expect("")
}

func TestWatchCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	c := rediscache.New(newClusterClient(t, cluster), rediscache.Prefix("app:"), patient)
	w := watch(t, c, 3)
	raw := newClusterClient(t, cluster)
	for i := range 30 {
		key := fmt.Sprintf("http://example.com/%d", i)
		if err := raw.Set(t.Context(), "app:"+key, "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		w.only(key)
	}
	cluster.Servers[1].Kill()
	w.expect("")
}

// TestWatchRefused: where the server does not tell of changes, Watch says so instead of trying for ever.
func TestWatchRefused(t *testing.T) {
	s := redistest.Start(t, "--user", "u", "on", ">p", "~*", "&*", "+@all", "-client|tracking")
	old := miniredis.RunT(t)
	for name, client := range map[string]redis.UniversalClient{
		"no right":   newClient(t, s.Addr, func(o *redis.Options) { o.Username, o.Password = "u", "p" }),
		"no command": newClient(t, old.Addr()),
		"a ring":     redis.NewRing(&redis.RingOptions{}),
	} {
		err := rediscache.New(client).(storage.Watcher).Watch(t.Context(), func(string) {})
		if err == nil || !strings.HasPrefix(err.Error(), "rediscache: watch: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
