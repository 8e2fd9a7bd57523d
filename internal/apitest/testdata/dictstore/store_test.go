package dictstore

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return New() })
}

func TestTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "hello")
	}))
	defer server.Close()
	store := New()
	cache := &cachecontrol.Transport{Store: store}
	defer cache.CloseIdleConnections()
	defer cache.Close()
	for i, want := range []bool{false, true} {
		resp, err := cache.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := cachecontrol.FromCache(resp); err != nil || string(body) != "hello" || got != want {
			t.Errorf("request %d: %q, %v, from the cache %v, want %q, nil, %v", i+1, body, err, got, "hello", want)
		}
	}
	if store.Reset(); store.Len() != 0 {
		t.Errorf("Len() = %d after Reset, want 0", store.Len())
	}
}
