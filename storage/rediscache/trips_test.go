package rediscache_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// trips counts the round trips of a client that a caller waits for, except those that begin a connection, and the bytes of the
// values that it receives.
type trips struct {
	n, bytes atomic.Int64
	after    func() // called after the next single command
}

func (t *trips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (t *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() != "hello" && (len(args) < 4 || args[3] != logKey) {
			t.n.Add(1)
		}
		err := next(ctx, cmd)
		if s, ok := cmd.(*redis.StringCmd); ok {
			t.bytes.Add(int64(len(s.Val())))
		}
		if f := t.after; f != nil {
			t.after = nil
			f()
		}
		return err
	}
}

func (t *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "client" {
			t.n.Add(1)
		}
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if s, ok := cmd.(*redis.StringCmd); ok {
				t.bytes.Add(int64(len(s.Val())))
			}
		}
		return err
	}
}

// TestRoundTrips counts how often a request waits for Redis, before and after the origin is asked.
func TestRoundTrips(t *testing.T) {
	client := newClient(t, miniredis.RunT(t).Addr())
	count := new(trips)
	client.AddHook(count)
	header := http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}}
	var before int64
	tr := &cachecontrol.Transport{
		Base: roundTrip(func(req *http.Request) (*http.Response, error) {
			before = count.n.Load()
			resp := &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header.Clone(), Request: req}
			resp.Header["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
			if req.Header.Get("If-None-Match") != "" {
				resp.StatusCode, resp.Body = http.StatusNotModified, http.NoBody
			} else {
				resp.ContentLength, resp.Body = 4, io.NopCloser(strings.NewReader("body"))
			}
			return resp, nil
		}),
		Store: rediscache.New(client, patient),
	}
	defer tr.Close()
	stored := uint64(0)
	const warm = "http://example.com/warm"
	for _, test := range []struct {
		name, method, url string
		header            http.Header
		before, after     int64 // -1 if the origin must not be asked
	}{
		{"first", "GET", warm, nil, 1, 1}, // the client also loads the script: not counted below
		{"miss", "GET", "http://example.com/a", nil, 1, 1},
		{"miss with a query", "GET", "http://example.com/b?c", nil, 1, 1},
		{"hit", "GET", "http://example.com/a", nil, -1, 1},
		{"further hit", "GET", "http://example.com/a", nil, -1, 1},
		{"304", "GET", "http://example.com/a", http.Header{"Cache-Control": {"no-cache"}}, 1, 1},
		{"hit after a 304", "GET", "http://example.com/a", nil, -1, 1},
		{"POST", "POST", "http://example.com/a", nil, 0, 1},
		{"miss after a POST", "GET", "http://example.com/a", nil, 1, 1},
		{"hit after that", "GET", "http://example.com/a", nil, -1, 1},
		{"POST to what is not stored", "POST", "http://example.com/z", nil, 0, 1},
	} {
		req, err := http.NewRequest(test.method, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, lines := range test.header {
			req.Header[name] = lines
		}
		before = -1
		start := count.n.Load()
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil {
			t.Errorf("%s: body = %q, %v", test.name, body, err)
		}
		resp.Body.Close()
		if before >= 0 && req.Method == "GET" && test.name != "304" { // it is stored after the caller has the body
			stored++
		}
		for deadline := time.Now().Add(time.Minute); tr.Stats().Stored < stored && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		end := count.n.Load()
		if before >= 0 {
			before -= start
			end -= before
		}
		if end -= start; test.name != "first" && (before != test.before || end != test.after) {
			t.Errorf("%s: %d round trips before the origin was asked, %d after that, want %d, %d", test.name, before, end, test.before, test.after)
		}
	}
}

// TestLongValue: of a value that is read in two pieces, no byte is read twice, unless another value was stored meanwhile.
func TestLongValue(t *testing.T) {
	body := strings.Repeat("0123456789", 50_000)
	other := strings.Repeat("9876543210", 50_000)
	foreign := "cc=4,\x82\xa8response\x86\xa4body\xc6\x00\x07\xa1\x20" + body + "\xa7headers\x81\xa6X-Name\xa7foreign" +
		"\xa6status\xcc\xc8\xa7version\x0b\xa6reason\xa2OK\xaedecode_content\xc3\xa4vary\x80"
	for _, test := range []struct {
		name      string
		meanwhile func(t *testing.T, c storage.Store, m *miniredis.Miniredis)
		body      string
		header    string
		trips     int64
	}{
		{"nothing changes", nil, body, "name", 2},
		{"another body of the same length is stored", func(t *testing.T, c storage.Store, _ *miniredis.Miniredis) { put(t, c, "other", 0, other) }, other, "other", 3},
		{"a body in chunks is stored", func(t *testing.T, c storage.Store, _ *miniredis.Miniredis) { put(t, c, "other", 0, long(1)) }, long(1), "other", 4},
		{"a short body is stored", func(t *testing.T, c storage.Store, _ *miniredis.Miniredis) { put(t, c, "other", 0, "body") }, "body", "other", 3},
		{"the metadata is updated", func(t *testing.T, c storage.Store, _ *miniredis.Miniredis) {
			e := get(t, c).Entry.Clone()
			e.Header.Set("X-Name", strings.Repeat("updated ", 100))
			if err := c.Update(t.Context(), url, e); err != nil {
				t.Fatal(err)
			}
		}, body, strings.Repeat("updated ", 100), 3},
		{"Python stores a body", func(_ *testing.T, _ storage.Store, m *miniredis.Miniredis) { m.Set(url, foreign) }, body, "foreign", 3},
		{"it is deleted", func(_ *testing.T, _ storage.Store, m *miniredis.Miniredis) { m.Del(url) }, "", "", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			writer, m := newMini(t)
			put(t, writer, "name", 0, body)
			client := newClient(t, m.Addr())
			client.Ping(t.Context()) // connects
			var count trips
			if test.meanwhile != nil {
				count.after = func() { test.meanwhile(t, writer, m) }
			}
			client.AddHook(&count)
			value, _ := m.Get(url)
			r, err := rediscache.New(client, patient).Get(t.Context(), url)
			if n := count.n.Load(); n != test.trips {
				t.Errorf("Get has made %d round trips, want %d", n, test.trips)
			}
			if n := count.bytes.Load(); test.meanwhile == nil && n != int64(len(value)) {
				t.Errorf("Get has read %d bytes, want %d", n, len(value))
			}
			if test.body == "" {
				if err != storage.ErrNotFound {
					t.Errorf("Get = %v, want %v", err, storage.ErrNotFound)
				}
				return
			}
			if err != nil {
				t.Fatalf("Get = %v, want no error", err)
			}
			defer r.Body.Close()
			got, err := io.ReadAll(r.Body)
			if string(got) != test.body || err != nil {
				t.Errorf("the body has %d bytes, which begin with %.10q, %v, want %d, which begin with %.10q, nil", len(got), got, err, len(test.body), test.body)
			}
			if got := r.Entry.Header.Get("X-Name"); got != test.header {
				t.Errorf("X-Name = %q, want %q", got, test.header)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Tiered confirms a near entry with one round trip and without its body.
func TestTieredConfirms(t *testing.T) {
	for _, test := range []struct {
		name         string
		body         string
		change       func(t *testing.T, far storage.Store) // by another process
		want         string
		trips, bytes int64 // at most
	}{
		{"one value", strings.Repeat("0123456789", 90_000), nil, "name", 1, 16 << 10},
		{"one value, updated", strings.Repeat("0123456789", 90_000), updateName, "updated", 1, 16 << 10},
		{"a short value", "body", updateName, "updated", 1, 1000},
		{"in chunks", long(1), nil, "name", 1, 1000},
		{"in chunks, updated", long(1), updateName, "updated", 1, 1000},
		{"replaced by a short value", strings.Repeat("0123456789", 90_000), func(t *testing.T, far storage.Store) { put(t, far, "other", 0, "body") }, "other", 2, 2000},
		{"replaced by the same body in chunks", long(1), func(t *testing.T, far storage.Store) { put(t, far, "other", 0, long(1)) }, "other", 2, 300 << 10},
		{"deleted", strings.Repeat("0123456789", 90_000), func(t *testing.T, far storage.Store) { far.Delete(t.Context(), url) }, "", 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			far, m := newMini(t)
			put(t, far, "name", 0, test.body)
			client := newClient(t, m.Addr())
			client.Ping(t.Context()) // connects
			near := storage.Tiered(nil, rediscache.New(client, patient, rediscache.WatchInterval(-1)), time.Nanosecond)
			defer near.Close()
			r := get(t, near)
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if test.change != nil {
				test.change(t, far)
			}
			var count trips
			client.AddHook(&count)
			r, err := near.Get(t.Context(), url)
			if n := count.n.Load(); n > test.trips {
				t.Errorf("Get has made %d round trips, want at most %d", n, test.trips)
			}
			if n := count.bytes.Load(); n > test.bytes {
				t.Errorf("Get has read %d bytes, want at most %d", n, test.bytes)
			}
			if test.want == "" {
				if err != storage.ErrNotFound {
					t.Errorf("Get = %v, want %v", err, storage.ErrNotFound)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			if want := test.body; test.want != "other" && (string(body) != want || err != nil) {
				t.Errorf("the body has %d bytes, %v, want %d, nil", len(body), err, len(want))
			}
			if got := r.Entry.Header.Get("X-Name"); got != test.want {
				t.Errorf("X-Name = %q, want %q", got, test.want)
			}
		})
	}
}

func updateName(t *testing.T, far storage.Store) {
	t.Helper()
	e := get(t, far).Entry.Clone()
	e.Header.Set("X-Name", "updated")
	if err := far.Update(t.Context(), url, e); err != nil {
		t.Fatal(err)
	}
}
