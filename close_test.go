package cachecontrol_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Close closes the DictCache that a Transport made for itself, and no Store that it was given.
func TestCloseAndStore(t *testing.T) {
	const size = 4 << 20
	for name, store := range map[string]storage.Store{"own": nil, "given": storage.NewDictCache()} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				return respond(200, strings.Repeat("x", size), "Cache-Control: max-age=60")
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			do(t, tr, "/")
			if a := do(t, tr, "/"); a.outcome != hit {
				t.Fatalf("the second request: got %v, want %v", a.outcome, hit)
			}
			before := heapAlloc()
			if err := tr.Close(); err != nil {
				t.Errorf("Close() = %v, want nil", err)
			}
			if freed := before - heapAlloc(); (freed > size/2) != (store == nil) {
				t.Errorf("Close freed %d bytes of an entry of %d, want more than half: %v", freed, size, store == nil)
			}
			if store == nil {
				return
			}
			after := &cachecontrol.Transport{Base: o, Store: store}
			defer after.Close()
			if a := do(t, after, "/"); a.outcome != hit {
				t.Errorf("with another Transport: got %v, want %v", a.outcome, hit)
			}
			runtime.KeepAlive(tr)
		})
	}
}

// heapAlloc returns the size of all objects on the heap.
func heapAlloc() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
