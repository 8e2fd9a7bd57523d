// Package inspect serves pages that show what a Transport does, as net/http/pprof does for a process: hits and misses over
// time, the last requests and the rules that decided them, what is stored, why responses were not stored, and failures.
//
//	http.Handle("/debug/cache/", inspect.Handler(cache))
//
// The pages work without JavaScript. They only read, unless AllowChanges is given. They show no values of header fields,
// query parameters and users that may be secret, but anyone who can open them sees the URLs of all requests. Serve
// them only on an address that others cannot reach, or behind an authentication of your own.
package inspect

import (
	"net/http"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/inspect/internal/page"
)

// Handler returns a handler of the pages about t. It must be registered for a path that ends in a slash; it does not
// matter which. From now on t reports each request to the handler, which keeps a fixed amount of memory: the last 200
// requests, half an hour of counts, and 256 hosts.
//
// Below the page are two documents for programs: stats, which is Transport.Stats in JSON, and metrics, in the text format
// of Prometheus, with the names that package otel gives the instruments.
//
// To keep pages of other origins from using the browser of someone who may open the pages, the handler refuses requests
// whose Host is a name other than localhost and those of AllowHosts, because an attacker's name may point to any
// address.
func Handler(t *cachecontrol.Transport, opts ...Option) http.Handler {
	var c page.Config
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	h := page.New(t, c)
	t.Observe(h.Record)
	return h
}

// Option configures a Handler.
type Option func(*page.Config)

// AllowChanges lets the pages remove what is stored. Requests that another site has caused are refused, as
// http.CrossOriginProtection does.
func AllowChanges() Option { return func(c *page.Config) { c.Changes = true } }

// AllowHosts accepts requests whose Host is one of these names, without a port. IP addresses and localhost are always
// accepted.
func AllowHosts(names ...string) Option {
	return func(c *page.Config) { c.Hosts = append(c.Hosts, names...) }
}
