package storagetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const url = "http://example.com/a?b=c"

// Entry returns an entry with a value in every field that a store must keep.
func Entry() *storage.Entry {
	at := time.Date(2024, 2, 29, 12, 30, 45, 123456789, time.UTC)
	return &storage.Entry{
		Status: http.StatusOK, Reason: "Fine", Version: 11,
		Header: http.Header{
			"Cache-Control": {"max-age=60", "public"},
			"Content-Type":  {"text/plain"},
			"Set-Cookie":    {"a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT", "b=2"},
			"Vary":          {"Accept-Language, X-Absent"},
			"X-Empty":       {""},
			"X-Latin":       {"caf\xe9"},
		},
		Vary: []storage.Field{
			{Name: "Accept-Language", Value: "en, de;q=0.5", Present: true},
			{Name: "X-Absent"},
			{Name: "Authorization", Value: "salt digest", Present: true, Digest: true},
		},
		URL:         url,
		RequestTime: at, ResponseTime: at.Add(1234567),
		Trailer:    http.Header{"X-Trailer": {"t1", "t2"}},
		Length:     -1,
		Generation: "generation",
		Heuristic:  []string{"Expires", "Warning"},
		Lifetime:   time.Hour,
		Variants: []storage.Variant{{
			Key:  url + "#variant",
			Vary: []storage.Field{{Name: "Accept-Language", Value: "de", Present: true}, {Name: "X-Absent"}},
			Date: at.Truncate(time.Second), Encoding: "gzip", Language: "de", ETag: `"1"`,
		}},
		Range:  &storage.Range{Start: 7, Total: -1},
		Groups: []string{"a group", "\xff\x00"},
		Mark:   storage.Mark{List: 1<<63 + 1, Version: 3},
	}
}

type tester struct {
	*testing.T
	store storage.Store
}

// write writes body to w in pieces of different sizes.
func (t *tester) write(w storage.Writer, body []byte) error {
	t.Helper()
	for size := 1; len(body) > 0; size = (size*3 + 1) % 70001 {
		n := min(size, len(body))
		m, err := w.Write(body[:n])
		if err != nil {
			return err
		}
		if m != n {
			t.Fatalf("Write must write all bytes or return an error: Write of %d bytes = %d, nil", n, m)
		}
		body = body[n:]
	}
	return nil
}

func (t *tester) create(key string, e *storage.Entry) storage.Writer {
	t.Helper()
	w, err := t.store.Create(t.Context(), key, e)
	if err != nil {
		t.Fatalf("Create must return a Writer: Create(%s) = %v, want no error", short(key), err)
	}
	return w
}

func (t *tester) tryPut(key string, e *storage.Entry, body []byte) error {
	t.Helper()
	w, err := t.store.Create(t.Context(), key, e)
	if err != nil {
		return err
	}
	if err := t.write(w, body); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

func (t *tester) put(key string, e *storage.Entry, body string) {
	t.Helper()
	if err := t.tryPut(key, e, []byte(body)); err != nil {
		t.Fatalf("Create, Write and Commit must store an entry: key %s: %v", short(key), err)
	}
}

func (t *tester) get(key string) *storage.Response {
	t.Helper()
	r, err := t.store.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get must return a committed entry: Get(%s) = %v, want no error", short(key), err)
	}
	if r == nil || r.Entry == nil || r.Body == nil {
		t.Fatalf("Get must return an entry with a body, or an error: Get(%s) = %+v, nil", short(key), r)
	}
	return r
}

func (t *tester) readAll(r *storage.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("a body must be readable to the end: got error %v", err)
	}
	if err := r.Body.Close(); err != nil {
		t.Errorf("closing a body must not fail: Close() = %v, want nil", err)
	}
	return string(body)
}

// has checks the metadata and the body of the entry under key, and returns the entry.
func (t *tester) has(rule, key string, e *storage.Entry, body string) *storage.Entry {
	t.Helper()
	r := t.get(key)
	got := t.readAll(r)
	if got != body {
		t.Errorf("%s: Get(%s) body = %s, want %s", rule, short(key), short(got), short(body))
	}
	t.sameHead(rule, r.Entry, e)
	if r.Entry.Length != int64(len(body)) {
		t.Errorf("%s: Length must be that of the body: Get(%s) Length = %d, want %d", rule, short(key), r.Entry.Length, len(body))
	}
	if want := checksum.Sum([]byte(body)); r.Entry.Sum != want {
		t.Errorf("%s: Sum must be that of the body: Get(%s) Sum = %#x, want %#x", rule, short(key), r.Entry.Sum, want)
	}
	return r.Entry
}

func (t *tester) hasNot(rule, key string) {
	t.Helper()
	r, err := t.store.Get(t.Context(), key)
	if err == nil {
		r.Body.Close()
		t.Errorf("%s: Get(%s) returned an entry, want ErrNotFound", rule, short(key))
	} else if !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("%s: Get(%s) = %v, want an error that wraps ErrNotFound", rule, short(key), err)
	}
}

// sameHead compares the fields that a store must keep.
func (t *tester) sameHead(rule string, got, want *storage.Entry) {
	t.Helper()
	g, w := kept(got), kept(want)
	for i := range g.NumField() {
		field := g.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s = %v, want %v", rule, field.Name, a, b)
		}
	}
}

// kept returns a comparable copy of e without the fields that a store may set.
func kept(e *storage.Entry) reflect.Value {
	c := e.Clone()
	c.Length, c.Sum, c.BodyTime, c.Keep, c.Stamp = 0, 0, time.Time{}, 0, nil
	c.RequestTime, c.ResponseTime = c.RequestTime.UTC(), c.ResponseTime.UTC()
	for i := range c.Variants {
		c.Variants[i].Date = c.Variants[i].Date.UTC()
	}
	if len(c.Trailer) == 0 {
		c.Trailer = nil
	}
	if len(c.Header) == 0 {
		c.Header = nil
	}
	return reflect.ValueOf(c).Elem()
}

func short(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q... (%d bytes)", s[:40], len(s))
	}
	return strconv.Quote(s)
}

// text returns n pseudo-random bytes that depend on seed.
func text(n int, seed uint64) string {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return string(b)
}

// repeated returns how often a goroutine does what others do at the same time: n times, or less often with -short.
func repeated(n int) int {
	if testing.Short() {
		return n / 4
	}
	return n
}
