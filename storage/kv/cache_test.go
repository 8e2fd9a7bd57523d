package kv_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// storetest.Cache is the least that a Cache can be.
type closingCache struct {
	storetest.Cache
	closed int
}

func (c *closingCache) Close() error {
	c.closed++
	return nil
}

// TestFromCacheForeign: what the other cache has stored is a miss that says why, and gives way.
func TestFromCacheForeign(t *testing.T) {
	const key = "http://example.com/"
	dump, err := httputil.DumpResponse(&http.Response{
		StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Cache-Control": {"max-age=60"}},
		Body: io.NopCloser(strings.NewReader("theirs")),
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string][]byte{"a response": dump, "nothing": {}, "nil": nil, "garbage": bytes.Repeat([]byte{0xff}, 99)} {
		c := new(storetest.Cache)
		c.Set(key, value)
		s := kv.FromCache(c)
		_, err := s.Get(t.Context(), key)
		if !errors.Is(err, storage.ErrNotFound) || !errors.Is(err, storage.ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
		w, err := s.Create(t.Context(), key, storagetest.Entry())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "ours")
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		mustGet(t, s, key, "ours")
	}
}

func TestFromCacheCloses(t *testing.T) {
	c := new(closingCache)
	s, ok := kv.FromCache(c).(io.Closer)
	if !ok {
		t.Fatal("no io.Closer")
	}
	for range 2 {
		if err := s.Close(); err != nil || c.closed != 1 {
			t.Errorf("%v, closed %d times", err, c.closed)
		}
	}
	if _, ok := kv.FromCache(new(storetest.Cache)).(io.Closer); ok {
		t.Error("an io.Closer without anything to close")
	}
	if _, err := kv.FromCache(nil).Get(t.Context(), "key"); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("nil: %v", err)
	}
}
