package main

import (
	"io"
	"net/http"

	"github.com/gregjones/httpcache"
	"github.com/gregjones/httpcache/diskcache"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// subject is a cache to measure: its name, and a function that makes one in an empty directory.
type subject struct {
	name string
	open func(dir string, base http.RoundTripper) (http.RoundTripper, error)
}

// The stores of this module, each in a Transport with default settings.
var (
	memory = subject{"memory", func(_ string, base http.RoundTripper) (http.RoundTripper, error) {
		return &cachecontrol.Transport{Base: base, Store: storage.NewDictCache()}, nil
	}}
	embedded = subject{"embedded", func(_ string, base http.RoundTripper) (http.RoundTripper, error) {
		return &cachecontrol.Transport{Base: base, Store: embedding{storage.NewDictCache()}}, nil
	}}
	file = subject{"file", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		s, err := directory.NewFileCache(dir)
		return &cachecontrol.Transport{Base: base, Store: s}, err
	}}
	sealed = subject{"sealed-file", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		files, err := directory.NewFileCache(dir)
		if err != nil {
			return nil, err
		}
		s, err := storage.Sealed(files, make([]byte, 32))
		return &cachecontrol.Transport{Base: base, Store: s}, err
	}}
	separate = subject{"separate", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		s, err := directory.NewSeparateBodyFileCache(dir)
		return &cachecontrol.Transport{Base: base, Store: s}, err
	}}
)

// embedding is a Store of a program. It must cost hardly more than the DictCache in it.
type embedding struct{ *storage.DictCache }

// The other caches. The disk cache of gregjones also keeps up to 100 MB in memory, and syncs what it writes.
var (
	gregjonesMemory = subject{"gregjones-memory", func(_ string, base http.RoundTripper) (http.RoundTripper, error) {
		return gregjones(httpcache.NewMemoryCache(), base), nil
	}}
	gregjonesDisk = subject{"gregjones-disk", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		return gregjones(diskcache.New(dir), base), nil
	}}
)

func gregjones(c httpcache.Cache, base http.RoundTripper) http.RoundTripper {
	t := httpcache.NewTransport(c)
	t.Transport = base
	return t
}

// nothing uses no cache. It measures the cost of the origin.
var nothing = subject{"origin", func(_ string, base http.RoundTripper) (http.RoundTripper, error) { return base, nil }}

// closeSubject closes a subject, if it can be closed.
func closeSubject(rt http.RoundTripper) {
	if c, ok := rt.(io.Closer); ok {
		c.Close()
	}
}
