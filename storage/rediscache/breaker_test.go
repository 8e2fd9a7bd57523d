package rediscache_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// fakeServer stands in for Redis and its network: what answer says of a command is what the client gets.
type fakeServer struct {
	answer func(ctx context.Context) error
	calls  atomic.Int32
}

func (f *fakeServer) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { panic("no connection is to be made") }
}

func (f *fakeServer) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		f.calls.Add(1)
		err := f.answer(ctx)
		cmd.SetErr(err)
		return err
	}
}

func (f *fakeServer) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		f.calls.Add(1)
		err := f.answer(ctx)
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func misses(context.Context) error { return redis.Nil }

type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func newFake(t *testing.T, opts ...rediscache.Option) (storage.Store, *fakeServer) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	f := new(fakeServer)
	client.AddHook(f)
	return rediscache.New(client, opts...), f
}

// TestBreaker: a server that does not answer costs a few timeouts, and then nothing. A call in the background finds out
// whether it answers again.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newFake(t)
		// took makes a call and says how long it took.
		took := func(want error) time.Duration {
			t.Helper()
			start := time.Now()
			if _, err := c.Get(t.Context(), "key"); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			return time.Since(start)
		}
		f.answer = hangs
		for range 3 {
			if d := took(context.DeadlineExceeded); d != 500*time.Millisecond {
				t.Errorf("a call took %v, want 500ms", d)
			}
		}
		for range 10 {
			if d := took(storage.ErrSuspended); d != 0 {
				t.Errorf("a call took %v", d)
			}
			if _, err := c.Create(t.Context(), "key", entry("", 0)); !errors.Is(err, storage.ErrSuspended) {
				t.Errorf("Create: %v", err)
			}
			if err := c.Delete(t.Context(), "key"); !errors.Is(err, storage.ErrSuspended) {
				t.Errorf("Delete: %v", err)
			}
			if err := c.Update(t.Context(), "key", entry("", 0)); !errors.Is(err, storage.ErrSuspended) {
				t.Errorf("Update: %v", err)
			}
		}
		if f.calls.Load() != 3 {
			t.Errorf("%d calls, want 3", f.calls.Load())
		}

		time.Sleep(500 * time.Millisecond) // the pause
		for range 2 {
			if d := took(storage.ErrSuspended); d != 0 { // one begins a call in the background
				t.Errorf("a call took %v", d)
			}
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if f.calls.Load() != 4 {
			t.Errorf("%d calls, want 4", f.calls.Load())
		}
		f.answer = misses
		took(storage.ErrSuspended)
		time.Sleep(time.Second) // the next pause is longer
		took(storage.ErrSuspended)
		synctest.Wait()
		took(storage.ErrNotFound)
		took(storage.ErrNotFound)
	})
}

// TestWhatSuspends: want of an answer does, also within a caller's deadline, and an answer that says the server cannot serve, or not
// us; other answers do not, and neither does a caller that gives up.
func TestWhatSuspends(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{io.EOF, true},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		{redis.ErrPoolTimeout, true},
		{reply("LOADING Redis is loading the dataset in memory"), true},
		{reply("CLUSTERDOWN The cluster is down"), true},
		{reply("OOM command not allowed when used memory > 'maxmemory'."), false},
		{reply("NOPERM this user has no permissions"), false},
		{reply("WRONGPASS invalid username-password pair or user is disabled."), true},
		{reply("NOAUTH Authentication required."), true},
		{reply("WRONGTYPE Operation against a key holding the wrong kind of value"), false},
		{redis.Nil, false},
		{redis.ErrClosed, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, f := newFake(t)
			f.answer = func(context.Context) error { return test.err }
			for range 3 {
				c.Get(t.Context(), "key")
				time.Sleep(time.Second)
			}
			f.answer = misses
			_, err := c.Get(t.Context(), "key")
			if got := errors.Is(err, storage.ErrSuspended); got != test.want {
				t.Errorf("after %v: %v", test.err, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, f := newFake(t)
		f.answer = hangs
		for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
			for range 3 {
				f.answer = hangs
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				if end == context.Canceled {
					time.AfterFunc(time.Millisecond, cancel)
				}
				if _, err := c.Get(ctx, "key"); !errors.Is(err, end) {
					t.Errorf("Get = %v, want %v", err, end)
				}
				cancel()
				time.Sleep(time.Second)
			}
			f.answer = misses
			want := storage.ErrNotFound
			if end == context.DeadlineExceeded {
				want = storage.ErrSuspended
			}
			if _, err := c.Get(t.Context(), "key"); err != want {
				t.Errorf("after calls that ended with %v: %v, want %v", end, err, want)
			}
		}
	})
}

// TestDeafClient: a client that does not heed contexts is held to the same bound.
func TestDeafClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
		defer client.Close()
		f := &fakeServer{answer: func(context.Context) error {
			time.Sleep(3 * time.Second)
			return io.EOF
		}}
		client.AddHook(f)
		c := rediscache.New(client, rediscache.Timeout(time.Second))
		start := time.Now()
		if _, err := c.Get(t.Context(), "key"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v", d)
		}
		time.Sleep(time.Minute) // the call ends
	})
}

// TestNothing: no client, no store.
func TestNothing(t *testing.T) {
	for name, c := range map[string]storage.Store{
		"nil client":         rediscache.New(nil),
		"nil *Client":        rediscache.New((*redis.Client)(nil)),
		"nil *ClusterClient": rediscache.New((*redis.ClusterClient)(nil)),
	} {
		_, get := c.Get(t.Context(), "key")
		_, create := c.Create(t.Context(), "key", entry("", 0))
		for _, err := range []error{
			get, create, c.Update(t.Context(), "key", entry("", 0)), c.Delete(t.Context(), "key"),
			c.(storage.Watcher).Watch(t.Context(), func(string) {}),
		} {
			if err != storage.ErrClosed {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	client.Close()
	for name, client := range map[string]redis.UniversalClient{"nil": nil, "closed": client} {
		if err := rediscache.Clear(t.Context(), client, "web:"); err != storage.ErrClosed {
			t.Errorf("Clear with a %s client = %v, want ErrClosed", name, err)
		}
	}
	if _, err := rediscache.New(client).Get(t.Context(), "key"); err != storage.ErrClosed {
		t.Errorf("closed client: %v", err)
	}
}
