package main

import (
	"container/list"
	"slices"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestBounded makes sure that each cache keeps what it is given, and of too much a part only.
func TestBounded(t *testing.T) {
	const bytes, body = 1 << 20, 10 << 10
	for name, c := range map[string]bounded{
		"DictCache": dict{&storage.DictCache{MaxBytes: bytes}},
		"otter":     newOtter(bytes),
		"last used": &lastUsed{bytes, map[string]*list.Element{}, list.New()},
	} {
		if c.ask("key", make([]byte, body)) || !c.ask("key", make([]byte, body)) {
			t.Errorf("%s: the first request is to be a miss, the second a hit", name)
		}
		for i := range 1000 {
			c.ask(pageKey(i), make([]byte, body))
		}
		kept := 0
		switch c := c.(type) {
		case dict: // where to look an entry up makes it take more
			c.Delete(t.Context(), "key")
			kept = c.Len()
		case otterCache:
			for i := range 1000 {
				if _, ok := c.GetIfPresent(pageKey(i)); ok {
					kept++
				}
			}
		case *lastUsed:
			for i := range 1000 {
				if c.entries[pageKey(i)] != nil {
					kept++
				}
			}
		}
		if room := bytes / (body + overhead()); kept > room || kept < room-2 {
			t.Errorf("%s: there is room for %d entries, it keeps %d", name, room, kept)
		}
	}
}

func TestTrace(t *testing.T) {
	for _, trace := range traces {
		requests := trace.requests()
		crawled := 0
		for _, page := range requests {
			if page >= tracePages {
				crawled++
			}
		}
		if share := float64(crawled) / float64(len(requests)); share < trace.scans-0.1 || share > trace.scans+0.1 {
			t.Errorf("%s: %.2f belong to crawls", trace.name, share)
		}
		if !slices.Equal(requests, trace.requests()) {
			t.Errorf("%s: another time it is another", trace.name)
		}
	}
}
