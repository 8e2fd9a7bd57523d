// Inspector serves a page about its cache.
package main

import (
	"log"
	"net/http"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/inspect"
)

func main() {
	cache := &cachecontrol.Transport{}
	defer cache.Close()
	opts := []inspect.Option{inspect.AllowChanges(), inspect.AllowHosts("cache.example.com")}
	http.Handle("/debug/cache/", inspect.Handler(cache, opts...))
	log.Fatal(http.ListenAndServe("127.0.0.1:6060", nil))
}
