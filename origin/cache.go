package origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Cache is a shared cache in front of handlers (RFC 9111, section 1). It is a cachecontrol.Transport that sends
// requests to a handler instead of a server, so the handler controls it with Cache-Control, Vary, ETag and the like.
// Hits have an Age, and every response has a Cache-Status. A successful unsafe request invalidates the stored
// responses for its URL.
//
// A response with Set-Cookie is stored only if it has public or s-maxage, and then without the cookie; see
// cachecontrol.Transport.ReplaySetCookie. If it is not stored for this reason, the Cache adds private, so that other
// shared caches do not store it either. If Access-Control-Allow-Origin names an origin, the Cache adds Vary: Origin.
//
// The key is the target URI (RFC 9110, section 7.1). Its scheme is https if the connection uses TLS, and http
// otherwise; its host is the request's Host; its path and query are those of the request's URL. The handler receives
// the request with the target of the key, in origin form: the host is in lower case and has no default port. A
// request whose target has no key is answered by the handler, and the response is not stored. A target has no key if
// the Host is not a host with an optional port, if the path does not begin with a slash, or if the target names
// another scheme or host than the connection and the Host. Middleware that changes the path of requests, such as
// http.StripPrefix, must be behind the Cache, because in front of it two targets could get the same key. If a server
// answers for every Host, its clients can fill the cache; put a ServeMux with host patterns in front of the Cache to
// prevent that. If a handler depends on anything else in the request, it must name that in Vary. Otherwise other
// clients get the same response.
//
// The content of a QUERY, up to 1 MiB, is read before the handler runs, because it is part of the key.
//
// The handler runs in a goroutine of its own. Requests with a body reach it like others. A request for another
// protocol, such as WebSocket, goes directly to the handler. Of the requests that are not exempt, Hijack works only
// for these. An offer to continue with HTTP/2 ("Upgrade: h2c") is not passed on. If the handler panics, the panic
// propagates to the server and the client gets no response or an incomplete one, unless a stored response may be used
// instead.
//
// If Configure sets Collapse, the handler runs once for all clients that share its response. The response is streamed to
// all of them, and the handler's context ends when the last client has left. Interim responses are sent only to the
// client whose request the handler runs for. The request of that client does not end before the handler returns.
type Cache struct {
	transport  *cachecontrol.Transport
	options    cacheOptions
	shares     bool // requests may share a response
	generation atomic.Pointer[string]
}

// NewCache returns a Cache over store. If store is nil, a new storage.DictCache is used. The caller must call Close when
// the Cache is no longer needed.
func NewCache(store storage.Store, opts ...CacheOption) *Cache {
	c := &Cache{transport: &cachecontrol.Transport{DisableCompression: true}}
	for _, set := range opts {
		set(&c.options)
	}
	for _, change := range c.options.configure {
		change(c.transport)
	}
	// A handler's request ends when its client leaves, so there is nothing to drain.
	c.transport.Base, c.transport.Store, c.transport.Shared, c.transport.DrainBytes = &tripper{c.transport.ReplaySetCookie}, store, true, -1
	c.shares = c.transport.Collapse || c.transport.CollapseProcesses
	c.transport.Partition = c.inGeneration(c.transport.Partition)
	c.SetGeneration("")
	return c
}

// CacheOption configures a Cache.
type CacheOption func(*cacheOptions)

type cacheOptions struct {
	ignoreRequest bool
	exempt        []func(*http.Request) bool
	configure     []func(*cachecontrol.Transport)
}

// IgnoreRequestDirectives makes a Cache remove Cache-Control and Pragma from requests. A client can then neither force
// the handler to run nor prevent a response from being stored. The handler does not see these fields either.
func IgnoreRequestDirectives() CacheOption { return func(o *cacheOptions) { o.ignoreRequest = true } }

// Exempt makes a Cache pass the requests that match directly to the handler. See PathPrefix.
func Exempt(match func(*http.Request) bool) CacheOption {
	return func(o *cacheOptions) { o.exempt = append(o.exempt, match) }
}

// Configure makes NewCache call change with the Cache's Transport before it is used, to set for example its Heuristic,
// RefreshAhead, ReplaySetCookie, limits or Logger. NewCache overwrites Base, Store, Shared and DrainBytes.
func Configure(change func(*cachecontrol.Transport)) CacheOption {
	return func(o *cacheOptions) { o.configure = append(o.configure, change) }
}

// SetGeneration makes generation a part of the key, which flushes the cache. Responses stored under another generation,
// including those of requests in progress, are not used until that generation is set again. The version of a deployment
// is a good generation. The store evicts old entries as it evicts others.
func (c *Cache) SetGeneration(generation string) { c.generation.Store(&generation) }

// Invalidate invalidates all stored responses for an absolute URL, including all variants. It returns the error of the
// store, or an error if rawURL cannot be parsed or has no key.
func (c *Cache) Invalidate(ctx context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	return c.transport.Invalidate(ctx, u)
}

// Close cancels background work and waits for it to finish. It does not close the store passed to NewCache.
func (c *Cache) Close() error { return c.transport.Close() }

// PathPrefix returns a function for Exempt. It matches requests whose path is the prefix or is below it: "/static"
// matches "/static" and "/static/x", but not "/statically".
func PathPrefix(prefix string) func(*http.Request) bool {
	dir := strings.TrimSuffix(prefix, "/") + "/"
	return func(r *http.Request) bool {
		return r.URL.Path == prefix || strings.HasPrefix(r.URL.Path, dir)
	}
}

// Handler returns a handler that answers requests from the cache if it may, and otherwise runs h. Several handlers may
// share one cache.
func (c *Cache) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.straight(r) {
			h.ServeHTTP(w, r)
			return
		}
		c.serve(h, w, r)
	})
}

// straight reports whether a request goes directly to the handler.
func (c *Cache) straight(r *http.Request) bool {
	if r.Host == "" || rules.AsksUpgrade(r.Header) || !isOwnTarget(r) ||
		rules.IsSafe(r.Method) && !rules.Retrieves(r.Method) || r.Method == http.MethodConnect {
		return true
	}
	for _, match := range c.options.exempt {
		if match(r) {
			return true
		}
	}
	return false
}

// inGeneration returns a Partition function that adds the current generation to the result of given. A request keeps
// the partition it began with, so a response generated before a flush is never used after it.
func (c *Cache) inGeneration(given func(*http.Request) string) func(*http.Request) string {
	return func(r *http.Request) string {
		var own string
		if given != nil {
			own = given(r)
		}
		g := *c.generation.Load()
		if g == "" && own == "" {
			return ""
		}
		return strconv.Itoa(len(g)) + ":" + g + own // the length shows where g ends
	}
}

// serve passes the request to the Transport and writes the response.
func (c *Cache) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	cl := &call{handler: h, w: w, r: r, shares: c.shares}
	resp, err := c.transport.RoundTrip(c.request(cl))
	if err != nil {
		cl.end()
		if p := cl.panicValue(); p != nil {
			panic(p)
		}
		if r.Context().Err() == nil && !errors.Is(err, http.ErrAbortHandler) {
			logf(r, "origin: %s %s: %v", r.Method, r.URL.Redacted(), err)
		}
		panic(http.ErrAbortHandler)
	}
	// The request must not end before the handler returns, because the handler may still read the request's body.
	defer cl.end()
	defer resp.Body.Close()
	err = cl.write(w, resp)
	resp.Body.Close()
	cl.end()
	var broken *panicError
	if errors.As(err, &broken) {
		panic(broken.value)
	}
	if p := cl.panicValue(); p != nil && p != http.ErrAbortHandler {
		logf(r, "origin: %s %s: a stored response is used, because the handler panicked: %v", r.Method, r.URL.Redacted(), p)
	}
	if err != nil && r.Context().Err() == nil {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the body is incomplete, and the client must notice
	}
}

// request returns the request for the Transport. Its URL is absolute, and its Body is nil if there is no body.
func (c *Cache) request(cl *call) *http.Request {
	req := cl.r.WithContext(&callContext{cl.r.Context(), cl})
	u := *cl.r.URL
	u.Scheme, u.Host = schemeOf(cl.r), cl.r.Host
	req.URL = &u
	if req.ContentLength == 0 {
		req.Body = nil
	}
	if c.options.ignoreRequest && (req.Header["Cache-Control"] != nil || req.Header["Pragma"] != nil) {
		req.Header = req.Header.Clone()
		delete(req.Header, "Cache-Control")
		delete(req.Header, "Pragma")
	}
	return req
}
