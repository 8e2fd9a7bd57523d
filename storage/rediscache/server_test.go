//go:build unix

package rediscache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// TestServer runs the tests for stores against a real server.
func TestServer(t *testing.T) {
	s := redistest.Start(t)
	client := newClient(t, s.Addr)
	for _, v := range someVariants() {
		t.Run(v.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				if err := client.FlushDB(background).Err(); err != nil {
					t.Fatal(err)
				}
				return rediscache.New(client, append(v.opts, patient)...)
			})
		})
	}
}

// TestSealed runs them with a sealed store, and with bodies in chunks and without.
func TestSealed(t *testing.T) {
	sealed := func(t *testing.T, client *redis.Client, opts ...rediscache.Option) storage.Store {
		store, err := storage.Sealed(rediscache.New(client, append(opts, patient)...), make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	client := newClient(t, redistest.Start(t).Addr)
	for name, opts := range map[string][]rediscache.Option{"default": nil, "chunks": {rediscache.MaxPlain(100)}} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				if err := client.FlushDB(background).Err(); err != nil {
					t.Fatal(err)
				}
				return sealed(t, client, opts...)
			})
		})
	}
	t.Run("hanging", func(t *testing.T) {
		storagetest.RunHanging(t, func(t *testing.T) (storage.Store, func()) {
			s := redistest.Start(t)
			return sealed(t, newClient(t, s.Addr)), s.Pause
		})
	})
}

// TestHanging: calls end with the deadlines of their contexts, whether or not the client honors these.
func TestHanging(t *testing.T) {
	for name, change := range map[string]func(*redis.Options){
		"client that honors contexts": func(*redis.Options) {},
		"deaf client":                 func(o *redis.Options) { o.ContextTimeoutEnabled = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storagetest.RunHanging(t, func(t *testing.T) (storage.Store, func()) {
				s := redistest.Start(t)
				return rediscache.New(newClient(t, s.Addr, change), patient), s.Pause
			})
		})
	}
}

// TestCluster runs them against a cluster of three.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	client := newClusterClient(t, c)
	for _, v := range someVariants() {
		t.Run(v.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				if err := client.ForEachMaster(background, func(ctx context.Context, node *redis.Client) error {
					return node.FlushDB(ctx).Err()
				}); err != nil {
					t.Fatal(err)
				}
				return rediscache.New(client, append(v.opts, patient)...)
			})
		})
	}
}

// TestOneSlot: the body of an entry is where its key is, whatever braces are in the key and in the prefix. The server is
// asked where that is.
func TestOneSlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	client := newClusterClient(t, cluster)
	for _, prefix := range []string{"", "app:", "{app}:", "a{b", "}{"} {
		for _, key := range []string{
			"http://example.com/", "http://example.com/{a}", "http://example.com/}{", "http://example.com/{}{a}", "http://example.com/{{a}}", "{", "}", "",
		} {
			if err := client.ForEachMaster(background, func(ctx context.Context, node *redis.Client) error {
				return node.FlushDB(ctx).Err()
			}); err != nil {
				t.Fatal(err)
			}
			c := rediscache.New(client, rediscache.Prefix(prefix), rediscache.MaxPlain(1), patient)
			w, err := c.Create(background, key, entry("", time.Hour))
			if err == nil {
				_, err = w.Write([]byte("body"))
			}
			if err == nil {
				err = w.Commit()
			}
			if err != nil {
				t.Fatalf("%q: %v", prefix+key, err)
			}
			var mu sync.Mutex
			slots := make(map[int64][]string)
			if err := client.ForEachMaster(background, func(ctx context.Context, node *redis.Client) error {
				keys, err := node.Keys(ctx, "*").Result()
				for _, key := range keys {
					slot, err := node.ClusterKeySlot(ctx, key).Result()
					if err != nil {
						return err
					}
					mu.Lock()
					slots[slot] = append(slots[slot], key)
					mu.Unlock()
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, keys := range slots {
				if len(keys) != 2 || len(slots) != 1 {
					t.Errorf("%q: %v", prefix+key, slots)
				}
			}
		}
	}
}

// TestClearCluster: Clear reaches every server.
func TestClearCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	client := newClusterClient(t, cluster)
	c := rediscache.New(client, rediscache.Prefix("app:"), rediscache.MaxPlain(1), patient)
	for i := range 60 {
		w, err := c.Create(background, fmt.Sprint(i), entry("", time.Hour))
		if err == nil {
			_, err = w.Write([]byte("body"))
		}
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Set(background, fmt.Sprint("other ", i), "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rediscache.Clear(background, client, "app:"); err != nil {
		t.Fatal(err)
	}
	if n, err := client.DBSize(background).Result(); n != 60 || err != nil {
		t.Errorf("%d keys are left, want the 60 others: %v", n, err)
	}
}

// BenchmarkHit compares a far hit and a near one with the bare GET of the same value, in turn. It reports the medians as
// multiples of that of the GET.
func BenchmarkHit(b *testing.B) {
	s := redistest.Start(b)
	client := newClient(b, s.Addr)
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			farCache := &cachecontrol.Transport{Base: pages(size), Store: rediscache.New(client, patient)}
			defer farCache.Close()
			tiered := storage.Tiered(nil, rediscache.New(client, patient), time.Hour)
			defer tiered.Close()
			nearCache := &cachecontrol.Transport{Base: pages(size), Store: tiered}
			defer nearCache.Close()
			req, err := http.NewRequest("GET", fmt.Sprintf("http://example.com/%d", size), nil)
			if err != nil {
				b.Fatal(err)
			}
			hit := func(tr *cachecontrol.Transport) {
				resp, err := tr.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			hit(farCache)
			hit(nearCache)
			ways := []func(){
				func() {
					if err := client.Get(background, req.URL.String()).Err(); err != nil {
						b.Fatal(err)
					}
				},
				func() { hit(farCache) },
				func() { hit(nearCache) },
			}
			took := make([][]float64, len(ways))
			for b.Loop() {
				for i, way := range ways {
					start := time.Now()
					way()
					took[i] = append(took[i], float64(time.Since(start).Nanoseconds()))
				}
			}
			raw, far, near := median(took[0]), median(took[1]), median(took[2])
			b.ReportMetric(raw, "raw-ns")
			b.ReportMetric(far/raw, "far/raw")
			b.ReportMetric(near/raw, "near/raw")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestTiered: what one process changes another sees at once, although what it has near would be good for an hour.
func TestTiered(t *testing.T) {
	client := newClient(t, redistest.Start(t).Addr)
	open := func() storage.Store {
		c := storage.Tiered(nil, rediscache.New(client, rediscache.Prefix("web:"), patient), time.Hour)
		t.Cleanup(func() { c.Close() })
		return c
	}
	storagetest.Run(t, func(t *testing.T) storage.Store {
		if err := rediscache.Clear(background, client, "web:"); err != nil {
			t.Fatal(err)
		}
		return open()
	})

	one, two := open(), open()
	put := func(s storage.Store, body string) {
		t.Helper()
		w, err := s.Create(background, "key", entry("", time.Hour))
		if err == nil {
			_, err = io.WriteString(w, body)
		}
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(s storage.Store) string {
		t.Helper()
		r, err := s.Get(background, "key")
		if errors.Is(err, storage.ErrNotFound) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	awaitNear := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if look(one) == want {
				return
			}
		}
		t.Fatalf("what is near never becomes %q", want)
	}
	for _, body := range []string{"first", "second", strings.Repeat("long", 1<<20)} {
		put(two, body)
		awaitNear(body)
	}
	if err := two.Delete(background, "key"); err != nil {
		t.Fatal(err)
	}
	awaitNear("")
}

// pages answers every request with a page of so many bytes.
type pages int

func (size pages) RoundTrip(req *http.Request) (*http.Response, error) {
	body := strings.Repeat("x", int(size))
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header:        http.Header{"Cache-Control": {"max-age=86400"}, "Content-Type": {"text/plain"}},
		ContentLength: int64(size), Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// TestRights: what docs/storage.md says a user of Redis needs is enough.
func TestRights(t *testing.T) {
	const rights = "+get +set +getrange +unlink +hset +hget +hlen +pttl +pexpire +persist +multi +exec +eval +evalsha +scan +strlen +append +setnx"
	doc, err := os.ReadFile("../../docs/storage.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "~web:* "+rights) {
		t.Errorf("docs/storage.md does not say %q", rights)
	}
	s := redistest.Start(t, append([]string{"--user", "u", "on", ">p", "~web:*", "-@all"}, strings.Fields(rights)...)...)
	client := newClient(t, s.Addr, func(o *redis.Options) { o.Username, o.Password = "u", "p" })
	opts := []rediscache.Option{rediscache.Prefix("web:"), rediscache.MaxPlain(1), patient}
	storagetest.Run(t, func(t *testing.T) storage.Store {
		if err := rediscache.Clear(background, client, "web:"); err != nil {
			t.Fatal(err)
		}
		return rediscache.New(client, opts...)
	})
	ctx, cancel := context.WithCancel(background)
	if err := rediscache.New(client, opts...).(storage.Watcher).Watch(ctx, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
