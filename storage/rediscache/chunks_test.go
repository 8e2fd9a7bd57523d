package rediscache_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

const (
	url  = "http://example.com/{a}?b=}"
	idle = 10 * time.Minute
)

// entry returns an entry of now that can be of use for keep.
func entry(name string, keep time.Duration) *storage.Entry {
	now := time.Now()
	return &storage.Entry{
		Status: 200, Reason: "OK", Version: 11, Header: http.Header{"X-Name": {name}}, URL: url,
		RequestTime: now, ResponseTime: now, Length: -1, Keep: keep,
	}
}

// long returns a body of several chunks, the last of which is short.
func long(seed uint64) string {
	b := make([]byte, 3<<20/2+1000)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return string(b)
}

func begin(t *testing.T, c storage.Store, name string, keep time.Duration, body string) storage.Writer {
	t.Helper()
	w, err := c.Create(t.Context(), url, entry(name, keep))
	if err == nil {
		_, err = io.WriteString(w, body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// waitForBodies waits until there are n bodies: chunks are written behind Write.
func waitForBodies(t *testing.T, m *miniredis.Miniredis, n int) {
	t.Helper()
	for start := time.Now(); len(bodies(m)) != n; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d bodies after a minute, want %d: %q", len(bodies(m)), n, m.Keys())
		}
	}
}

func put(t *testing.T, c storage.Store, name string, keep time.Duration, body string) {
	t.Helper()
	if err := begin(t, c, name, keep, body).Commit(); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, c storage.Store) *storage.Response {
	t.Helper()
	r, err := c.Get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// bodies returns the keys other than the plain one.
func bodies(m *miniredis.Miniredis) []string {
	return slices.DeleteFunc(m.Keys(), func(key string) bool { return !strings.Contains(key, "go-cachecontrol-body:") })
}

func newMini(t *testing.T, opts ...rediscache.Option) (storage.Store, *miniredis.Miniredis) {
	m := miniredis.RunT(t)
	return rediscache.New(newClient(t, m.Addr()), append(opts, patient)...), m
}

// TestForAgesToCome: an entry that is of use for longer than times can be has its body all the while.
func TestForAgesToCome(t *testing.T) {
	c, _ := newMini(t)
	body := long(1)
	put(t, c, "a", 1<<63-1, body)
	r := get(t, c)
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != body {
		t.Errorf("%d bytes of %d, %v", len(b), len(body), err)
	}
}

// TestTimeToLive: what is stored expires when its entry can be of no more use, a body a little later than its head.
func TestTimeToLive(t *testing.T) {
	for _, test := range []struct {
		name string
		keep time.Duration
		age  time.Duration
		want time.Duration
	}{
		{"no end", 0, 0, 0},
		{"no end, old", 0, time.Hour, 0},
		{"an hour", time.Hour, 0, time.Hour},
		{"an hour, of which half is over", time.Hour, 30 * time.Minute, 30 * time.Minute},
		{"over", time.Hour, 2 * time.Hour, time.Second},
		{"from the future", time.Hour, -time.Hour, time.Hour},
		{"fourteen days", 14 * 24 * time.Hour, 0, 14 * 24 * time.Hour},
	} {
		for _, body := range []string{"short", long(1)} {
			c, m := newMini(t)
			e := entry("", test.keep)
			e.ResponseTime = e.ResponseTime.Add(-test.age)
			w, err := c.Create(t.Context(), url, e)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, body)
			for _, name := range bodies(m) {
				if ttl := m.TTL(name); ttl != idle {
					t.Errorf("%s: a body that is being written lives for %v", test.name, ttl)
				}
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			check := func(when string) {
				t.Helper()
				near := func(got, want time.Duration) bool { return got <= want && got > want-time.Minute || got == want }
				if got := m.TTL(url); !near(got, test.want) {
					t.Errorf("%s, %s: the entry lives for %v, want %v", test.name, when, got, test.want)
				}
				names := bodies(m)
				if len(names) != 0 != (len(body) > 1<<20) {
					t.Errorf("%s, %s: %q", test.name, when, names)
				}
				for _, name := range names {
					want := test.want
					if want > 0 {
						want += idle
					}
					if got := m.TTL(name); !near(got, want) {
						t.Errorf("%s, %s: the body lives for %v, want %v", test.name, when, got, want)
					}
				}
			}
			check("stored")

			// A new head begins anew.
			r := get(t, c)
			r.Body.Close()
			e = r.Entry.Clone()
			e.Keep, e.ResponseTime = test.keep, time.Now().Add(-test.age)
			if err := c.Update(t.Context(), url, e); err != nil {
				t.Fatal(err)
			}
			check("updated")
			if test.want > 0 {
				m.FastForward(test.want + idle)
				if keys := m.Keys(); len(keys) != 0 {
					t.Errorf("%s: %q are left", test.name, keys)
				}
			}
		}
	}
}

// TestUpdateTooLate: an Update of an entry that was deleted or replaced meanwhile does not keep its body.
func TestUpdateTooLate(t *testing.T) {
	for name, change := range map[string]func(c storage.Store) error{
		"deleted":             func(c storage.Store) error { return c.Delete(t.Context(), url) },
		"replaced by a long":  func(c storage.Store) error { put(t, c, "new", 0, long(2)); return nil },
		"replaced by a short": func(c storage.Store) error { put(t, c, "new", 0, "short"); return nil },
		"updated, and deleted": func(c storage.Store) error {
			return errors.Join(c.Update(t.Context(), url, get(t, c).Entry), c.Delete(t.Context(), url))
		},
	} {
		c, m := newMini(t)
		put(t, c, "old", 0, long(1))
		old := bodies(m)
		e := get(t, c).Entry
		if err := change(c); err != nil {
			t.Fatal(err)
		}
		if err := c.Update(t.Context(), url, e); err == nil {
			t.Errorf("%s: Update returns nil, want an error", name)
		}
		if ttl := m.TTL(old[0]); ttl != idle {
			t.Errorf("%s: the old body lives for %v, want %v", name, ttl, idle)
		}
	}
}

// TestWriterDies: what a writer leaves behind that neither commits nor aborts is not seen, and goes by itself.
func TestWriterDies(t *testing.T) {
	c, m := newMini(t)
	put(t, c, "old", 0, "old")
	begin(t, c, "new", 0, long(1))
	waitForBodies(t, m, 1)
	if r := get(t, c); r.Entry.Header.Get("X-Name") != "old" {
		t.Errorf("%v", r.Entry.Header)
	}
	for i := 0; len(bodies(m)) != 0; i++ { // some of the chunks may be written late
		if i == 10 {
			t.Fatalf("%q are left", bodies(m))
		}
		m.FastForward(idle)
	}

	w := begin(t, c, "new", 0, long(1))
	if err := w.Abort(); err != nil || len(bodies(m)) != 0 {
		t.Errorf("after Abort %q are left: %v", bodies(m), err)
	}
}

// TestSlowWriter: a body lives as long as somebody writes it, and one that was lost on the way is not committed.
func TestSlowWriter(t *testing.T) {
	c, m := newMini(t)
	body := long(1)
	w := begin(t, c, "slow", 0, "")
	for rest := body; rest != ""; {
		n := min(len(rest), 1<<20+1000)
		if _, err := io.WriteString(w, rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		m.FastForward(idle - time.Second)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(get(t, c).Body); err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	w = begin(t, c, "lost", 0, body)
	waitForBodies(t, m, 2)
	m.FastForward(idle)
	if err := w.Commit(); err == nil {
		t.Error("a body that has lost chunks is committed")
	}
	if r := get(t, c); r.Entry.Header.Get("X-Name") != "slow" {
		t.Errorf("%v", r.Entry.Header)
	}
	if n := len(bodies(m)); n != 1 {
		t.Errorf("%d bodies are left", n)
	}
}

// TestReaderGoesOn: whatever happens to the entry, whoever has begun to read its body can read it to the end, as long as
// he goes on; then it goes by itself.
func TestReaderGoesOn(t *testing.T) {
	for name, change := range map[string]func(*testing.T, storage.Store, *miniredis.Miniredis){
		"replaced": func(t *testing.T, c storage.Store, m *miniredis.Miniredis) { put(t, c, "new", 0, long(2)) },
		"replaced by a short one": func(t *testing.T, c storage.Store, m *miniredis.Miniredis) {
			put(t, c, "new", 0, "short")
		},
		"deleted": func(t *testing.T, c storage.Store, m *miniredis.Miniredis) {
			if err := c.Delete(t.Context(), url); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(t *testing.T, c storage.Store, m *miniredis.Miniredis) { m.FastForward(time.Hour) },
		"updated": func(t *testing.T, c storage.Store, m *miniredis.Miniredis) {
			r := get(t, c)
			if err := c.Update(t.Context(), url, r.Entry.Clone()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, m := newMini(t)
			body := long(1)
			put(t, c, "old", time.Hour, body)
			r := get(t, c)
			before := bodies(m)
			change(t, c, m)
			var got strings.Builder
			for {
				n, err := io.CopyN(&got, r.Body, 200<<10)
				if n == 0 || err != nil {
					break
				}
				m.FastForward(idle/2 - time.Second)
			}
			if got.String() != body {
				t.Errorf("%d bytes of %d, or others", got.Len(), len(body))
			}
			if name == "updated" {
				return
			}
			m.FastForward(5 * idle)
			if slices.Contains(bodies(m), before[0]) {
				t.Error("the body is left")
			}
		})
	}
}

// TestBodyGone: an entry whose body is gone is a miss, one whose body goes or changes while it is read ends in an error,
// and both are then removed.
func TestBodyGone(t *testing.T) {
	for _, test := range []struct {
		name   string
		before bool // before Get
		damage func(m *miniredis.Miniredis, body string)
	}{
		{"gone before", true, func(m *miniredis.Miniredis, body string) { m.Del(body) }},
		{"first chunk shorter", true, func(m *miniredis.Miniredis, body string) { m.HSet(body, "0", "x") }},
		{"another type", true, func(m *miniredis.Miniredis, body string) { m.Del(body); m.Set(body, "x") }},
		{"gone", false, func(m *miniredis.Miniredis, body string) { m.Del(body) }},
		{"a chunk gone", false, func(m *miniredis.Miniredis, body string) { m.HDel(body, "3") }},
		{"a chunk longer", false, func(m *miniredis.Miniredis, body string) { m.HSet(body, "3", m.HGet(body, "3")+"x") }},
		{"other bytes", false, func(m *miniredis.Miniredis, body string) { m.HSet(body, "3", strings.ToUpper(m.HGet(body, "3"))) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, m := newMini(t)
			body := long(1)
			put(t, c, "", 0, body)
			if test.before {
				test.damage(m, bodies(m)[0])
				r, err := c.Get(t.Context(), url)
				if err == nil {
					_, err = io.ReadAll(r.Body)
					t.Errorf("Get returns an entry, and its body %v", err)
				} else if !errors.Is(err, storage.ErrNotFound) {
					t.Error(err)
				}
			} else {
				r := get(t, c)
				if _, err := io.ReadFull(r.Body, make([]byte, 1000)); err != nil {
					t.Fatal(err)
				}
				test.damage(m, bodies(m)[0])
				var got strings.Builder
				_, err := io.Copy(&got, r.Body)
				if !errors.Is(err, storage.ErrUnreadable) || got.Len() >= len(body)-1000 {
					t.Errorf("%d bytes and %v", got.Len(), err)
				}
				if _, again := r.Body.Read(make([]byte, 1)); again == nil || again == io.EOF {
					t.Errorf("after the error: %v", again)
				}
			}
			if _, err := c.Get(t.Context(), url); err != storage.ErrNotFound {
				t.Errorf("the entry is still there: %v", err)
			}
		})
	}
}

// TestSeekReadsNoMore: a range of a long body needs only its chunks.
func TestSeekReadsNoMore(t *testing.T) {
	c, m := newMini(t)
	body := long(1)
	put(t, c, "", 0, body)
	r := get(t, c)
	m.HDel(bodies(m)[0], "2")
	if _, err := r.Body.(io.Seeker).Seek(-100, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r.Body); err != nil || string(got) != body[len(body)-100:] {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestUpdateMovesHeadOnly: neither is the body written anew, nor read.
func TestUpdateMovesHeadOnly(t *testing.T) {
	c, m := newMini(t)
	put(t, c, "old", time.Hour, long(1))
	r := get(t, c)
	name := bodies(m)[0]
	m.HSet(name, "1", "not looked at")
	e := r.Entry.Clone()
	e.Header.Set("X-Name", "new")
	if err := c.Update(t.Context(), url, e); err != nil {
		t.Fatal(err)
	}
	if m.HGet(name, "1") != "not looked at" || len(bodies(m)) != 1 {
		t.Error("Update touches the body")
	}
	if r := get(t, c); r.Entry.Header.Get("X-Name") != "new" {
		t.Errorf("%v", r.Entry.Header)
	}
}

// TestOtherValues: what is under the key and is no entry is a miss, and is replaced and deleted like one.
func TestOtherValues(t *testing.T) {
	for name, set := range map[string]func(*miniredis.Miniredis){
		"empty":           func(m *miniredis.Miniredis) { m.Set(url, "") },
		"text":            func(m *miniredis.Miniredis) { m.Set(url, "text") },
		"another version": func(m *miniredis.Miniredis) { m.Set(url, "cc=3,x") },
		"a list":          func(m *miniredis.Miniredis) { m.Push(url, "x") },
		"a hash":          func(m *miniredis.Miniredis) { m.HSet(url, "x", "y") },
	} {
		t.Run(name, func(t *testing.T) {
			c, m := newMini(t)
			set(m)
			if _, err := c.Get(t.Context(), url); !errors.Is(err, storage.ErrNotFound) ||
				errors.Is(err, storage.ErrUnreadable) != (name != "empty") { // GETRANGE returns the same for a missing key
				t.Errorf("Get: %v", err)
			}
			if err := c.Update(t.Context(), url, entry("", 0)); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("Update: %v", err)
			}
			put(t, c, "", 0, "body")
			if got, err := io.ReadAll(get(t, c).Body); err != nil || string(got) != "body" {
				t.Errorf("%q %v", got, err)
			}
			m.Del(url)
			set(m)
			if err := c.Delete(t.Context(), url); err != nil || len(m.Keys()) != 0 {
				t.Errorf("Delete leaves %q: %v", m.Keys(), err)
			}
		})
	}
}

// TestClear removes what has the prefix, and nothing else.
func TestClear(t *testing.T) {
	const prefix = `a[p]p*?\:`
	c, m := newMini(t, rediscache.Prefix(prefix))
	others := []string{"a", "app*?:", "ap" + url, "x" + prefix, `a[p]pxx\:` + url}
	for _, key := range others {
		m.Set(key, "x")
	}
	put(t, c, "", 0, long(1))
	for i := range 3000 {
		m.Set(prefix+strings.Repeat("k", i%50)+string(rune('a'+i%26))+time.Duration(i).String(), "x")
	}
	if err := rediscache.Clear(t.Context(), newClient(t, m.Addr()), prefix); err != nil {
		t.Fatal(err)
	}
	slices.Sort(others)
	if keys := m.Keys(); !slices.Equal(keys, others) {
		t.Errorf("%d keys are left: %.300q", len(keys), keys)
	}
	if err := rediscache.Clear(t.Context(), newClient(t, m.Addr()), ""); err == nil || len(m.Keys()) != len(others) {
		t.Errorf("without a prefix: %v, %d keys", err, len(m.Keys()))
	}
}
