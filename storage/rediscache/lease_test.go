//go:build unix

package rediscache_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// TestLeaseKey: a lease is one key, which begins with the prefix and expires. It is released only while it has the
// holder's value.
func TestLeaseKey(t *testing.T) {
	client := newClient(t, redistest.Start(t).Addr)
	c := rediscache.New(client, rediscache.Prefix("web:"), patient)
	lease := func(want bool) (release func()) {
		t.Helper()
		release, ok, err := c.(storage.Leaser).Lease(background, "key", time.Hour)
		if ok != want || err != nil {
			t.Fatalf("Lease = %t, %v, want %t, nil", ok, err, want)
		}
		return release
	}
	keys := func(want int) []string {
		t.Helper()
		keys, err := client.Keys(background, "*").Result()
		if err != nil || len(keys) != want {
			t.Fatalf("the keys are %q, %v, want %d", keys, err, want)
		}
		return keys
	}
	release := lease(true)
	name := keys(1)[0]
	if !strings.HasPrefix(name, "web:") {
		t.Errorf("the key of the lease is %q, want the prefix web:", name)
	}
	const most = time.Hour + time.Millisecond // so that it does not end early, although Redis counts whole milliseconds
	if ttl, err := client.PTTL(background, name).Result(); ttl <= 0 || ttl > most || err != nil {
		t.Errorf("the lease expires after %v, %v, want at most %v, nil", ttl, err, most)
	}
	if err := client.Set(background, name, "another holder", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	release()
	lease(false)
	if err := client.Del(background, name).Err(); err != nil {
		t.Fatal(err)
	}
	lease(true)()
	keys(0)
	if err := client.HSet(background, name, "not", "a string").Err(); err != nil {
		t.Fatal(err)
	}
	lease(false)
	release() // does nothing any more
	keys(1)
	put(t, c, "name", time.Hour, "body")
	if err := rediscache.Clear(background, client, "web:"); err != nil {
		t.Fatal(err)
	}
	keys(0)
}

// TestLeaseOfAServerThatHangs: a call of Lease or release takes one timeout, and after a few of them none.
func TestLeaseOfAServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newFake(t)
		l := c.(storage.Leaser)
		f.answer = hangs
		for range 3 {
			start := time.Now()
			if release, ok, err := l.Lease(t.Context(), "key", time.Hour); release != nil || ok || err == nil {
				t.Errorf("Lease = %t, %v, want false and an error", ok, err)
			}
			if took := time.Since(start); took != rediscache.DefaultTimeout {
				t.Errorf("Lease took %v, want %v", took, rediscache.DefaultTimeout)
			}
		}
		if _, ok, err := l.Lease(t.Context(), "key", time.Hour); ok || !errors.Is(err, storage.ErrSuspended) {
			t.Errorf("Lease = %t, %v, want false, %v", ok, err, storage.ErrSuspended)
		}
	})
}
