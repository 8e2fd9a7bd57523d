package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Cache is a shared cache in front of handlers (RFC 9111, section 1): a cachecontrol.Transport that asks a handler
// where others ask a server. What a handler says with Cache-Control, Vary, ETag and the like decides; hits say Age,
// and every response says in Cache-Status how it came about. Successful unsafe requests invalidate their URL.
//
// A response with Set-Cookie is stored only if it is marked public or s-maxage, and without the cookie, as
// cachecontrol.Transport.ReplaySetCookie says. If it is not stored, private is added for the caches further out. One that names an origin in Access-Control-Allow-Origin gets Vary: Origin.
//
// The key is the target URI (RFC 9110, section 7.1): https if the connection is, http otherwise, the Host that the client
// named, and the path and query of the request's URL. The handler sees the target as the key has it, in origin form: the
// host in lower case and without a default port. A request whose target has no key goes straight to the handler, and
// nothing is stored: if its Host is not a host and a port, if its path does not begin with a slash, or if its target has
// another scheme or host than the connection and the Host say. A server that answers for every Host lets its clients fill
// the cache; a ServeMux with host patterns in front of it does not. A handler must name in Vary what else of the
// request it looks at, or other clients get the response too.
//
// The handler runs in a goroutine of its own. Requests with a body reach it like others. Requests for another
// protocol, as WebSocket, go straight to it, and its Hijack works for these alone. An offer to continue with HTTP/2
// ("Upgrade: h2c") is not passed on. A handler that panics sends no
// response, or a broken one, and the panic goes on to the server, unless a stored response may stand in.
//
// If Engine sets Collapse, a handler runs once for the clients that share its response. It streams to all of them, and ends with the
// last one. Its interim responses reach only the client whose request it has. The request of that client does not
// end before the handler does.
type Cache struct {
	transport  *cachecontrol.Transport
	options    *options
	shares     bool // the Transport's Collapse
	generation atomic.Pointer[string]
}

// NewCache returns a cache over a store; nil is a storage.DictCache of its own. Options are IgnoreRequestDirectives,
// Exempt, RefreshAhead, StoreSetCookie and Engine. Close it when it is no longer needed.
func NewCache(store storage.Store, opts ...Option) *Cache {
	c := &Cache{options: newOptions(opts)}
	if store == nil {
		store = storage.NewDictCache()
	}
	c.transport = &cachecontrol.Transport{RefreshAhead: c.options.refresh, DisableCompression: true}
	for _, change := range c.options.engine {
		change(c.transport)
	}
	c.transport.Base, c.transport.Store, c.transport.Shared = (*tripper)(c), store, true
	// A handler ends with its request, so nothing is left to be read of a response whose client has gone.
	c.transport.DrainBytes = -1
	c.shares = c.transport.Collapse
	c.transport.Partition = c.inGeneration(c.transport.Partition)
	c.SetGeneration("")
	return c
}

// SetGeneration flushes the cache: what was stored under another generation, also what is under way just now, is not
// found any more, until that generation is set again. A deployment's version is a good one. The store drops the old
// entries as it drops others.
func (c *Cache) SetGeneration(generation string) { c.generation.Store(&generation) }

// Invalidate forgets what is stored for an absolute URL, all its variants. The error is the store's.
func (c *Cache) Invalidate(ctx context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	return c.transport.Invalidate(ctx, u)
}

// Close ends the work in the background and waits for it. It does not close the store that NewCache was given.
func (c *Cache) Close() error { return c.transport.Close() }

// PathPrefix returns a function for Exempt that matches the URLs whose path is the prefix or lies below it: "/static"
// matches "/static" and "/static/x", and not "/statically".
func PathPrefix(prefix string) func(*http.Request) bool {
	dir := strings.TrimSuffix(prefix, "/") + "/"
	return func(r *http.Request) bool {
		return r.URL.Path == prefix || strings.HasPrefix(r.URL.Path, dir)
	}
}

// Handler returns a handler that answers from the cache what it may, and has h answer the rest. It is middleware;
// several handlers may share one cache.
func (c *Cache) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.straight(r) {
			h.ServeHTTP(w, r)
			return
		}
		c.serve(h, w, r)
	})
}

// straight reports whether a request is none of the cache's business.
func (c *Cache) straight(r *http.Request) bool {
	if r.Host == "" || rfc9111.AsksUpgrade(r.Header) || !isOwnTarget(r) ||
		r.Method != http.MethodGet && r.Method != http.MethodHead && rfc9111.IsSafe(r.Method) || r.Method == http.MethodConnect {
		return true
	}
	for _, match := range c.options.exempt {
		if match(r) {
			return true
		}
	}
	return false
}

// call is a request on its way through the cache, as the tripper finds it in the context.
type call struct {
	handler http.Handler
	w       http.ResponseWriter
	r       *http.Request
	running sync.WaitGroup // the handler, as often as it runs for this request
	flush   atomic.Bool    // what was read from the body is to be flushed
	shares  bool           // the response may be one that several requests share

	mu       sync.Mutex // guards what follows
	over     bool       // no handler may begin to run for this request
	panicked any        // what the handler panicked with
}

type callKey struct{}

// callContext is the context of a request on its way through the cache. It has the call under callKey and, while a client waits for
// the response, under foreground.Key.
type callContext struct {
	context.Context
	call *call
}

func (c *callContext) Value(key any) any {
	if key == (callKey{}) || key == (foreground.Key{}) {
		return c.call
	}
	return c.Context.Value(key)
}

// begin reports whether the client still waits. If so, the request does not end before cl.running is done.
func (cl *call) begin() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.over {
		return false
	}
	cl.running.Add(1)
	return true
}

// end waits for the handler. One that shared the request with others, and begins only now, runs for those.
func (cl *call) end() {
	cl.mu.Lock()
	cl.over = true
	cl.mu.Unlock()
	cl.running.Wait()
}

// inGeneration returns a partition of the key for each generation: nothing that is made before a flush is stored after it, for a
// request keeps the partition that it began with. What the program divides by is divided further.
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
		return strconv.Itoa(len(g)) + ":" + g + own // the length says where the one ends
	}
}

// serve has the Transport answer, and writes what it answers.
func (c *Cache) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	cl := &call{handler: h, w: w, r: r, shares: c.shares}
	resp, err := c.transport.RoundTrip(c.request(cl))
	if err != nil {
		cl.end()
		cl.rethrow()
		if r.Context().Err() == nil && !errors.Is(err, http.ErrAbortHandler) {
			logf(r, "origin: %s %s: %v", r.Method, r.URL.Redacted(), err)
		}
		panic(http.ErrAbortHandler)
	}
	// Until the handler has ended its request must not end: it may still read the body.
	defer cl.end()
	defer resp.Body.Close()
	err = cl.write(w, resp)
	resp.Body.Close()
	cl.end()
	var broken *panicError
	if errors.As(err, &broken) {
		panic(broken.value)
	}
	cl.mu.Lock()
	p := cl.panicked
	cl.mu.Unlock()
	if p != nil && p != http.ErrAbortHandler {
		logf(r, "origin: %s %s: a stored response stands in, for the handler panicked: %v", r.Method, r.URL.Redacted(), p)
	}
	if err != nil && r.Context().Err() == nil {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the body broke off, so that what was sent must not look whole
	}
}

// request returns the request that the Transport gets: with an absolute URL, and no body if there is none.
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

// rethrow panics as the handler did.
func (cl *call) rethrow() {
	cl.mu.Lock()
	p := cl.panicked
	cl.mu.Unlock()
	if p != nil {
		panic(p)
	}
}

// write writes the response. The error is that of its body, or of the client.
func (cl *call) write(w http.ResponseWriter, resp *http.Response) error {
	h := w.Header()
	outer := h["Vary"]
	for name, lines := range resp.Header {
		if name == "Set-Cookie" {
			lines = slices.Concat(h[name], lines)
		}
		h[name] = lines // what was set further out is the default
	}
	addVary(h, outer...)
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // it was guessed where it may be, and shall not be again
	}
	announced := slices.Sorted(maps.Keys(resp.Trailer))
	if len(announced) > 0 {
		h["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	w.WriteHeader(resp.StatusCode)
	if len(announced) > 0 {
		http.NewResponseController(w).Flush() // only a chunked body has trailers
	}
	if err := cl.copy(w, resp); err != nil {
		return err
	}
	for name, lines := range resp.Trailer {
		if !slices.Contains(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = lines
	}
	return nil
}

// copy writes the body, and flushes when the handler has. It cannot know when the handler of another request flushes the response that
// both share, so it flushes all of that. Nor does it always learn in time of a later flush of its own handler, if the Transport
// reads ahead between them, so that one flush stands for all that follow.
func (cl *call) copy(w http.ResponseWriter, resp *http.Response) error {
	body := resp.Body
	flushes := cl.shares && cachecontrol.StatusOf(resp).Collapsed
	if _, ok := body.(io.WriterTo); ok {
		_, err := io.Copy(w, body) // it is stored
		return err
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		if cl.flush.Swap(false) || flushes {
			flushes = cl.shares
			http.NewResponseController(w).Flush()
		}
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}
