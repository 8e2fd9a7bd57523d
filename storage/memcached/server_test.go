//go:build unix

package memcached_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/memcached"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

const key = "http://example.com/a?b=c"

// start starts a memcached with further arguments.
func start(t testing.TB, args ...string) *peer.Server {
	t.Helper()
	exe := peer.Program(t, "apt-get install memcached", "memcached")
	port := peer.FreePort(t)
	return peer.StartServer(t, port, "version\r\n", exe,
		append([]string{"-l", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "0", "-u", "nobody"}, args...)...)
}

// newClient returns a client for tests in which no server is away: on a busy machine any call may take long.
func newClient(t testing.TB, servers ...*peer.Server) *memcache.Client {
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.Addr)
	}
	c := memcache.New(addrs...)
	c.Timeout, c.MaxIdleConns = time.Minute, 100
	t.Cleanup(func() { c.Close() })
	return c
}

// expire makes calls of the servers that are away end after a time. Calls of the others have a minute more.
func expire(c *memcache.Client, after time.Duration, away func(addr string) bool) {
	c.Timeout = after
	c.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(context.WithoutCancel(ctx), network, addr)
		return expiring{conn, func() bool { return away(addr) }}, err
	}
}

type expiring struct {
	net.Conn
	away func() bool
}

func (c expiring) SetDeadline(t time.Time) error {
	if !c.away() {
		t = t.Add(time.Minute)
	}
	return c.Conn.SetDeadline(t)
}

func TestStore(t *testing.T) {
	for name, servers := range map[string][]*peer.Server{
		"one server":  {start(t, "-I", "8m")},
		"two servers": {start(t, "-I", "8m"), start(t, "-I", "8m")},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, servers...)
			storagetest.Run(t, func(t *testing.T) storage.Store {
				if err := client.FlushAll(); err != nil {
					t.Fatal(err)
				}
				return memcached.New(client, memcached.Prefix("test:"), memcached.MaxItemBytes(8<<20))
			})
		})
	}
}

func TestNoClient(t *testing.T) {
	if _, err := memcached.New(nil).Get(t.Context(), key); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func put(t *testing.T, s storage.Store, key string, body []byte) error {
	t.Helper()
	w, err := s.Create(t.Context(), key, storagetest.Entry())
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Commit()
}

// What is longer than the servers keep is refused: by our own limit, and where that is set too high by the server.
func TestItemSize(t *testing.T) {
	client := newClient(t, start(t))
	own := memcached.New(client)
	trusting := memcached.New(client, memcached.MaxItemBytes(1<<30))
	for _, test := range []struct {
		name string
		s    storage.Store
		size int
		want error
	}{
		{"the most", own, 1<<20 - 4<<10, nil},
		{"too much", own, 1 << 20, storage.ErrTooLarge},
		{"too much for the server", trusting, 2 << 20, storage.ErrTooLarge},
	} {
		if err := put(t, test.s, key, make([]byte, test.size)); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
	}
	large := memcached.New(newClient(t, start(t, "-I", "8m")), memcached.MaxItemBytes(8<<20))
	if err := put(t, large, key, make([]byte, 4<<20)); err != nil {
		t.Errorf("4 MiB where 8 are kept: %v", err)
	}
}

// origin answers every request, and counts.
type origin struct {
	requests int
	body     []byte
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.requests++
	return &http.Response{
		StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: int64(len(o.body)),
		Header: http.Header{"Cache-Control": {"max-age=3600"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(o.body)),
	}, nil
}

// ask makes a request, which must succeed whatever becomes of memcached, and returns how it was answered.
func ask(t *testing.T, c *http.Client, o *origin, url string) cachecontrol.Status {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(body, o.body) {
		t.Fatalf("body of %d bytes, %v; want the %d of the origin", len(body), err, len(o.body))
	}
	return cachecontrol.StatusOf(resp)
}

func TestTransport(t *testing.T) {
	o := &origin{body: []byte("hello")}
	transport := &cachecontrol.Transport{Base: o, Store: memcached.New(newClient(t, start(t)))}
	defer transport.Close()
	c := transport.Client()
	for i, want := range []cachecontrol.Outcome{cachecontrol.Miss, cachecontrol.Hit} {
		if s := ask(t, c, o, "http://example.com/a b"); s.Outcome != want {
			t.Errorf("request %d: %v, want %v", i, s.Outcome, want)
		}
		for end := time.Now().Add(time.Minute); transport.Stats().Stored == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // it is stored after the caller has the body
		}
	}
	o.body = make([]byte, 2<<20)
	for i := range 2 {
		if s := ask(t, c, o, "http://example.com/long"); s.Outcome != cachecontrol.Miss {
			t.Errorf("request %d for what does not fit: %v, want a miss", i, s.Outcome)
		}
	}
}

// Requests go on while a server is away, and hits come back by themselves.
func TestFailOpen(t *testing.T) {
	for _, test := range []struct {
		name     string
		away     func(*peer.Server)
		back     func(*peer.Server)
		suspends bool
	}{
		{"stopped", (*peer.Server).Stop, (*peer.Server).Launch, false},
		{"killed", (*peer.Server).Kill, (*peer.Server).Launch, false},
		{"paused", (*peer.Server).Pause, (*peer.Server).Resume, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := start(t)
			client := newClient(t, server)
			var away atomic.Bool
			expire(client, 50*time.Millisecond, func(string) bool { return away.Load() })
			store := &counting{Store: memcached.New(client)}
			o := &origin{body: []byte("hello")}
			transport := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Minute}
			defer transport.Close()
			c := transport.Client()
			hits := func(n int) (hits int) {
				for i := range n {
					if ask(t, c, o, fmt.Sprint("http://example.com/", i%10)).Outcome == cachecontrol.Hit {
						hits++
					}
				}
				return hits
			}
			if n := hits(20); n != 10 {
				t.Fatalf("%d hits of 20 at first, want 10", n)
			}
			away.Store(true)
			test.away(server)
			store.suspended = 0
			if n := hits(100); n != 0 {
				t.Errorf("%d hits while the server is away", n)
			}
			if got := store.suspended > 0; got != test.suspends {
				t.Errorf("calls were suspended: %v (%d)", got, store.suspended)
			}
			// Of 200 calls and more all but a few are suspended.
			if test.suspends && store.waited > store.suspended/10+6 {
				t.Errorf("%d calls waited, %d were suspended", store.waited, store.suspended)
			}
			test.back(server)
			away.Store(false)
			deadline := time.Now().Add(peer.ServerTimeout)
			for hits(20) < 10 && time.Now().Before(deadline) {
				time.Sleep(10 * time.Millisecond)
			}
			if n := hits(10); n != 10 {
				t.Errorf("%d hits of 10 at the end", n)
			}
		})
	}
}

// counting counts how calls of a store end. It is for one request at a time.
type counting struct {
	storage.Store
	suspended, waited int
}

func (s *counting) count(err error) {
	switch {
	case errors.Is(err, storage.ErrSuspended):
		s.suspended++
	case err != nil && strings.Contains(err.Error(), "timeout"):
		s.waited++
	}
}

func (s *counting) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.Store.Get(ctx, key)
	s.count(err)
	return r, err
}

// Where the servers are known one that does not answer leaves the others alone.
func TestServers(t *testing.T) {
	paused, running := start(t), start(t)
	servers := new(memcache.ServerList)
	if err := servers.SetServers(paused.Addr, running.Addr); err != nil {
		t.Fatal(err)
	}
	client := memcache.NewFromSelector(servers)
	t.Cleanup(func() { client.Close() })
	var away atomic.Bool
	expire(client, 100*time.Millisecond, func(addr string) bool { return away.Load() && addr == paused.Addr })
	s := memcached.New(client)
	on := map[string][]string{}
	for i := range 40 {
		key := fmt.Sprint(key, i)
		addr, err := servers.PickServer(key)
		if err != nil {
			t.Fatal(err)
		}
		on[addr.String()] = append(on[addr.String()], key)
		if err := put(t, s, key, []byte("body")); err != nil {
			t.Fatal(err)
		}
	}
	away.Store(true)
	paused.Pause()
	get := func(key string) error {
		r, err := s.Get(t.Context(), key)
		if err == nil {
			r.Body.Close()
		}
		return err
	}
	if err := get(on[paused.Addr][0]); err == nil || errors.Is(err, storage.ErrSuspended) {
		t.Errorf("the first call of a paused server: %v, want a timeout", err)
	}
	suspended := false
	for start := time.Now(); !suspended && time.Since(start) < peer.ServerTimeout; {
		suspended = errors.Is(get(on[paused.Addr][1]), storage.ErrSuspended)
	}
	if !suspended {
		t.Errorf("the paused server is not given up in %v", peer.ServerTimeout)
	}
	for _, key := range on[running.Addr] {
		if err := get(key); err != nil {
			t.Errorf("the other server: %v", err)
		}
	}
}

// A server that is full and may not drop anything answers with an error. That is no reason to stop asking it.
func TestFull(t *testing.T) {
	s := memcached.New(newClient(t, start(t, "-M", "-m", "2")))
	full := false
	for i := range 10000 {
		err := put(t, s, fmt.Sprint(key, i), make([]byte, 10<<10))
		if errors.Is(err, storage.ErrSuspended) {
			t.Fatal(err)
		}
		if full = full || err != nil; full {
			break
		}
	}
	if !full {
		t.Fatal("the server is never full")
	}
	r, err := s.Get(t.Context(), key+"0")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
}

// A lease is released only while its item has the holder's value.
func TestLeaseItem(t *testing.T) {
	client := newClient(t, start(t))
	l := memcached.New(client, memcached.Prefix("test:")).(storage.Leaser)
	lease := func(d time.Duration, want bool) (release func()) {
		t.Helper()
		release, ok, err := l.Lease(t.Context(), key, d)
		if ok != want || err != nil {
			t.Fatalf("Lease for %v = %t, %v, want %t, nil", d, ok, err, want)
		}
		return release
	}
	const name = "test:go-cachecontrol-lease:" + key
	release := lease(time.Hour, true)
	if err := client.Set(&memcache.Item{Key: name, Value: []byte("another holder")}); err != nil {
		t.Fatal(err)
	}
	release()
	lease(time.Hour, false)
	if err := client.Delete(name); err != nil {
		t.Fatal(err)
	}
	lease(1<<63-1, true)()
	lease(time.Hour, true)()
	if item, err := client.Get(name); err != memcache.ErrCacheMiss {
		t.Errorf("Get after the release = %v, %v, want %v", item, err, memcache.ErrCacheMiss)
	}
}
