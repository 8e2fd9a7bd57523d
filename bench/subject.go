package main

import (
	"io"
	"net/http"

	"github.com/gregjones/httpcache"
	"github.com/gregjones/httpcache/diskcache"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// subject is a cache that is measured: its name, and how to make one in an empty directory.
type subject struct {
	name string
	open func(dir string, base http.RoundTripper) (http.RoundTripper, error)
}

// The stores of this module, each under a Transport as it is by default.
var (
	memory = subject{"memory", func(_ string, base http.RoundTripper) (http.RoundTripper, error) {
		return &cachecontrol.Transport{Base: base, Store: storage.NewDictCache()}, nil
	}}
	file = subject{"file", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		s, err := storage.NewFileCache(dir)
		return &cachecontrol.Transport{Base: base, Store: s}, err
	}}
	separate = subject{"separate", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		s, err := storage.NewSeparateBodyFileCache(dir)
		return &cachecontrol.Transport{Base: base, Store: s}, err
	}}
)

// The peers. What gregjones has on disk it also keeps in memory, up to 100 MB; what it writes there it syncs.
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

// nothing is no cache at all: what the origin costs.
var nothing = subject{"origin", func(_ string, base http.RoundTripper) (http.RoundTripper, error) { return base, nil }}

// closeSubject ends what a subject has running.
func closeSubject(rt http.RoundTripper) {
	if c, ok := rt.(io.Closer); ok {
		c.Close()
	}
}
