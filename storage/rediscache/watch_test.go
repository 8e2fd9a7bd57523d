package rediscache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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
func watch(t *testing.T, c storage.Store) *watching {
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
	w.expect("")
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

// putAt stores an entry without a body under key.
func putAt(t *testing.T, c storage.Store, key string) {
	t.Helper()
	w, err := c.Create(t.Context(), key, entry("", time.Hour))
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// hold gets the entry under key, so that Watch reports its next change.
func hold(t *testing.T, c storage.Store, key string) {
	t.Helper()
	r, err := c.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
}

var soon = rediscache.WatchInterval(time.Millisecond)

// logKey is the key of the log of changes without a prefix.
const logKey = "{0}go-cachecontrol-changes"

// Each kind of change is reported once, of a key that was read.
func TestWatch(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "app:", "{app}:"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			opts := []rediscache.Option{patient, soon, rediscache.Prefix(prefix)}
			mine := rediscache.New(newClient(t, m.Addr()), opts...)
			w := watch(t, mine)
			other := rediscache.New(newClient(t, m.Addr()), opts...)
			put(t, other, "short", time.Hour, "body") // nobody has read it
			for _, change := range []func() error{
				func() error { put(t, other, "other", time.Hour, "body"); return nil },
				func() error { put(t, other, "long", time.Hour, long(1)); return nil },
				func() error { return other.Update(t.Context(), url, get(t, other).Entry.Clone()) },
				func() error {
					other.(storage.Batcher).Batch(t.Context(), []storage.Call{{Key: url, Put: entry("", time.Hour)}})
					return nil
				},
				func() error { return other.Delete(t.Context(), url) },
			} {
				hold(t, mine, url)
				if err := change(); err != nil {
					t.Fatal(err)
				}
				w.only(url)
			}
			putAt(t, mine, "https://example.com/mine")
			hold(t, mine, "https://example.com/mine")
			putAt(t, mine, "https://example.com/mine")
			w.expect("https://example.com/mine")
			m.FlushAll()
			w.expect("")
			if err := w.end(); !errors.Is(err, context.Canceled) {
				t.Errorf("Watch = %v, want %v", err, context.Canceled)
			}
		})
	}
}

// A change while an entry is read is reported, although the entry was not read when it was changed.
func TestWatchChangeWhileRead(t *testing.T) {
	m := miniredis.RunT(t)
	client := newClient(t, m.Addr())
	mine := rediscache.New(client, patient, soon)
	w := watch(t, mine)
	other := rediscache.New(newClient(t, m.Addr()), patient)
	putAt(t, other, url)
	putAt(t, other, "witness")
	hold(t, mine, "witness")
	client.AddHook(afterGet(func() {
		putAt(t, other, url)
		putAt(t, other, "witness")
		w.expect("witness")
	}))
	hold(t, mine, url)
	w.only(url)
}

// A change that Redis makes after the store has given up the call is reported, too.
func TestWatchLateChange(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c storage.Store) error{
		"update": func(c storage.Store) error { return c.Update(t.Context(), url, get(t, c).Entry.Clone()) },
		"delete": func(c storage.Store) error { return c.Delete(t.Context(), url) },
		"store": func(c storage.Store) error {
			w, err := c.Create(t.Context(), url, entry("", time.Hour))
			if err != nil {
				return err
			}
			return w.Commit()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			mine := rediscache.New(newClient(t, m.Addr()), patient, soon)
			w := watch(t, mine)
			putAt(t, rediscache.New(newClient(t, m.Addr()), rediscache.WatchInterval(-1)), url) // which tells nobody
			hold(t, mine, url)
			slow := &slowChanges{on: make(chan struct{})}
			client := redis.NewClient(&redis.Options{Addr: m.Addr()}) // does not honor contexts
			defer client.Close()
			client.AddHook(slow)
			if err := change(rediscache.New(client, rediscache.Timeout(time.Second))); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%s = %v, want %v", name, err, context.DeadlineExceeded)
			}
			w.only(url)
			hold(t, mine, url)
			close(slow.on)
			w.only(url)
		})
	}
}

// A change that Redis refuses to add to the log, because it has no memory left, is added later.
func TestChangeRefused(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	mine := rediscache.New(newClient(t, m.Addr()), patient, soon)
	w := watch(t, mine)
	putAt(t, rediscache.New(newClient(t, m.Addr()), patient, rediscache.WatchInterval(-1)), url) // which is not reported
	hold(t, mine, url)
	client := newClient(t, m.Addr())
	refusing := &refusedChanges{refused: make(chan struct{})}
	client.AddHook(refusing)
	if err := rediscache.New(client, patient, soon).Delete(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	<-refusing.refused
	w.only(url)
}

// refusedChanges is a hook that refuses the first change of the log.
type refusedChanges struct {
	once    sync.Once
	refused chan struct{}
}

func (r *refusedChanges) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *refusedChanges) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *refusedChanges) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next
		if strings.HasPrefix(cmd.Name(), "eval") && fmt.Sprint(cmd.Args()[3]) == logKey {
			r.once.Do(func() {
				close(r.refused)
				err = func(context.Context, redis.Cmder) error {
					cmd.SetErr(outOfMemory{})
					return outOfMemory{}
				}
			})
		}
		return err(ctx, cmd)
	}
}

// outOfMemory is what Redis answers if it has no memory left for what a script writes.
type outOfMemory struct{}

func (outOfMemory) Error() string { return "OOM command not allowed when used memory > 'maxmemory'" }
func (outOfMemory) RedisError()   {}

// slowChanges is a hook that holds up changes, whatever their contexts.
type slowChanges struct{ on chan struct{} }

func (s *slowChanges) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *slowChanges) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); strings.HasPrefix(name, "eval") && fmt.Sprint(cmd.Args()[3]) == url {
			<-s.on
			ctx = context.WithoutCancel(ctx)
		}
		return next(ctx, cmd)
	}
}

func (s *slowChanges) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[len(cmds)-1].Name() == "unlink" {
			<-s.on
			ctx = context.WithoutCancel(ctx)
		}
		return next(ctx, cmds)
	}
}

// afterGet is a hook that is called after the first read of a value.
func afterGet(f func()) redis.Hook {
	count := new(trips)
	count.after = f
	return count
}

// Whoever may have missed changes is told that everything may have changed.
func TestWatchMissed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		happen func(t *testing.T, m *miniredis.Miniredis)
	}{
		{"the log is removed", func(_ *testing.T, m *miniredis.Miniredis) { m.Del(logKey) }},
		{"another log", func(_ *testing.T, m *miniredis.Miniredis) { m.Set(logKey, "ABCDEFGHIJKLMNOP0000000000000000") }},
		{"a log that has lost its end", func(t *testing.T, m *miniredis.Miniredis) {
			log, _ := m.Get(logKey)
			m.Set(logKey, log[:len(log)-8]+"12345678"+"more and more...")
		}},
		{"a shorter log", func(t *testing.T, m *miniredis.Miniredis) {
			log, _ := m.Get(logKey)
			m.Set(logKey, log[:len(log)-16]) // two changes, because the last one may arrive afterwards
		}},
		{"more was removed than was read", func(_ *testing.T, m *miniredis.Miniredis) {
			log, _ := m.Get(logKey)
			m.Set(logKey, log[:16]+"0000000000001000"+log[32:])
		}},
		{"another program's value", func(_ *testing.T, m *miniredis.Miniredis) { m.Set(logKey, "nonsense") }},
		{"another program's long value", func(_ *testing.T, m *miniredis.Miniredis) { m.Set(logKey, strings.Repeat("nonsense", 10)) }},
		{"another type", func(_ *testing.T, m *miniredis.Miniredis) { m.Del(logKey); m.HSet(logKey, "a", "b") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			mine := rediscache.New(newClient(t, m.Addr()), patient, soon)
			w := watch(t, mine)
			change := func() {
				putAt(t, mine, url)
				hold(t, mine, url)
				putAt(t, mine, url)
				w.expect(url)
			}
			change()
			test.happen(t, m)
			w.expect("")
			change()
		})
	}
}

// A long log is shortened, which those who watch do not notice.
func TestWatchLongLog(t *testing.T) {
	m := miniredis.RunT(t)
	client := newClient(t, m.Addr())
	mine := rediscache.New(client, patient, soon)
	w := watch(t, mine)
	putAt(t, mine, url)
	longest := 0
	for range 4 {
		client.Append(t.Context(), logKey, strings.Repeat("changed.", 50_000)) // of others
		hold(t, mine, url)
		putAt(t, mine, url)
		w.only(url)
		log, _ := m.Get(logKey)
		longest = max(longest, len(log))
	}
	if log, _ := m.Get(logKey); longest > 1<<20 || log[16:32] == "0000000000000000" {
		t.Errorf("the log has up to %d bytes and the head %q, want at most %d and a number of removed bytes", longest, log[:32], 1<<20)
	}
	if ttl := m.TTL(logKey); ttl <= 0 || ttl > time.Minute {
		t.Errorf("the log expires after %v, want at most %v", ttl, time.Minute)
	}
}

// There is no log if no process watches.
func TestWatchNobody(t *testing.T) {
	c, m := newMini(t)
	putAt(t, c, url)
	if keys := m.Keys(); len(keys) != 1 || keys[0] != url {
		t.Errorf("the keys are %q, want %q", keys, url)
	}
}

// Without an interval, a store neither watches nor reports what it changes.
func TestWatchOff(t *testing.T) {
	m := miniredis.RunT(t)
	w := watch(t, rediscache.New(newClient(t, m.Addr()), patient, soon))
	before, _ := m.Get(logKey)
	off := rediscache.New(newClient(t, m.Addr()), patient, rediscache.WatchInterval(-1))
	putAt(t, off, url)
	if err := off.(storage.Watcher).Watch(t.Context(), func(string) { t.Error("changed was called") }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Watch = %v, want %v", err, errors.ErrUnsupported)
	}
	w.end()
	if after, _ := m.Get(logKey); after != before {
		t.Errorf("the log is %q after a change, want %q", after, before)
	}
}

func TestWatchCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	opts := []rediscache.Option{rediscache.Prefix("app:"), patient, soon}
	mine, other := rediscache.New(newClusterClient(t, cluster), opts...), rediscache.New(newClusterClient(t, cluster), opts...)
	w := watch(t, mine)
	for i := range 10 {
		key := fmt.Sprintf("http://example.com/%d", i)
		putAt(t, other, key)
		hold(t, mine, key)
		putAt(t, other, key)
		w.expect(key) // the first change may come late
	}
}

// TestWatchRefused: if Redis does not allow to read the log, Watch returns the error instead of trying for ever.
func TestWatchRefused(t *testing.T) {
	s := redistest.Start(t, "--user", "u", "on", ">p", "~*", "&*", "+@all", "-strlen")
	client := newClient(t, s.Addr, func(o *redis.Options) { o.Username, o.Password = "u", "p" })
	err := rediscache.New(client).(storage.Watcher).Watch(t.Context(), func(string) {})
	if err == nil || !strings.HasPrefix(err.Error(), "rediscache: watch: ") {
		t.Errorf("Watch = %v, want an error of Redis", err)
	}
}
