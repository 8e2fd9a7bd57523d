package rediscache_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// What is remembered of a value is used only if the value has the same metadata, and a body with the same checksum.
func TestRemembered(t *testing.T) {
	for _, body := range []string{"body", strings.Repeat("0123456789", 50_000)} {
		c, m := newMini(t)
		put(t, c, "one", 0, body)
		first := get(t, c)
		defer first.Body.Close()
		again := get(t, c)
		defer again.Body.Close()
		if first.Entry != again.Entry {
			t.Errorf("%d bytes: an entry that has not changed was parsed again", len(body))
		}
		value, _ := m.Get(url)
		for name, change := range map[string]func() (value string){
			"other metadata": func() string { return strings.Replace(value, "one", "two", 1) },
			"another body":   func() string { return strings.Replace(value, body, strings.ToUpper(body[:len(body)-1])+"x", 1) },
			"a longer value": func() string { return value + "x" },
			"a shorter one":  func() string { return value[:len(value)-1] },
			"no value":       func() string { return "" },
		} {
			m.Set(url, change())
			if r, err := c.Get(t.Context(), url); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%d bytes: %s: Get = %v, %v, want %v", len(body), name, r, err, storage.ErrNotFound)
			}
			m.Set(url, value)
		}
		if err := c.Delete(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Get(t.Context(), url); err != storage.ErrNotFound {
			t.Errorf("%d bytes: deleted: Get = %v, %v, want %v", len(body), r, err, storage.ErrNotFound)
		}
		put(t, c, "three", 0, body)
		r := get(t, c)
		defer r.Body.Close()
		if got := r.Entry.Header.Get("X-Name"); got != "three" {
			t.Errorf("%d bytes: X-Name = %q, want that of the entry that is stored now", len(body), got)
		}
	}
}

// A long value that was read before is read in one round trip.
func TestLongValueAgain(t *testing.T) {
	body := strings.Repeat("0123456789", 50_000)
	writer, m := newMini(t)
	put(t, writer, "name", 0, body)
	client := newClient(t, m.Addr())
	client.Ping(t.Context()) // connects
	c := rediscache.New(client, patient)
	get(t, c).Body.Close()
	var count trips
	client.AddHook(&count)
	r := get(t, c)
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); string(got) != body || err != nil || count.n.Load() != 1 {
		t.Errorf("got %d bytes, %v, in %d round trips, want %d bytes in one", len(got), err, count.n.Load(), len(body))
	}
	put(t, writer, "name", 0, "short")
	r = get(t, c)
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); string(got) != "short" || err != nil {
		t.Errorf("body = %q, %v, want the short one that is stored now", got, err)
	}
}

// A long value that does not arrive in one piece before the timeout is read in two, and those after it are, too.
func TestLongValueTimeout(t *testing.T) {
	writer, m := newMini(t)
	put(t, writer, "name", 0, strings.Repeat("0123456789", 50_000))
	value, _ := m.Get(url)
	const timeout = 500 * time.Millisecond // by default
	for _, test := range []struct {
		name         string
		short, long  time.Duration // that the server takes
		first, later time.Duration // that a Get takes
		answered     bool
	}{
		{"quick", 0, 0, 0, 0, true},
		{"slow", 0, 3 * time.Second, timeout + 3*time.Second, 3 * time.Second, true},
		{"no answer", time.Hour, time.Hour, 2 * timeout, timeout, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, "127.0.0.1:1")
				server := &slow{value: value}
				client.AddHook(server)
				c := rediscache.New(client)
				get(t, c).Body.Close()
				server.short, server.long = test.short, test.long
				for _, want := range []time.Duration{test.first, test.later} {
					start := time.Now()
					r, err := c.Get(t.Context(), url)
					if err == nil {
						r.Body.Close()
					}
					if took := time.Since(start); err == nil != test.answered || took != want {
						t.Errorf("Get = %v after %v, want an answer: %t, after %v", err, took, test.answered, want)
					}
				}
			})
		})
	}
}

// slow is a server with one value, which takes its time.
type slow struct {
	value       string
	short, long time.Duration // for the first bytes, and for more
}

func (s *slow) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *slow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *slow) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		wait, value := s.long, s.value
		if args := cmd.Args(); cmd.Name() == "getrange" {
			value = value[args[2].(int64):]
			if last := args[3].(int64); last >= 0 {
				wait, value = s.short, value[:last+1]
			}
		}
		select {
		case <-ctx.Done():
			cmd.SetErr(ctx.Err())
			return ctx.Err()
		case <-time.After(wait):
			cmd.(*redis.StringCmd).SetVal(value)
			return nil
		}
	}
}
