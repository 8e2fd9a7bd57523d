package origin

import (
	"errors"
	"net/http"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Cache returns middleware that is a shared cache in front of handlers (RFC 9111, section 1). The cache is t, which sends
// requests to a handler instead of a server, so the handler controls it with Cache-Control, Vary, ETag and the like.
// Hits have an Age, and every response has a Cache-Status. A successful unsafe request invalidates the stored
// responses for its URL. Several handlers may share one cache.
//
// Cache sets Base, Shared, DisableCompression and DrainBytes of t, which must not have been used before. The caller must
// close t when it is no longer needed.
//
// A response with Set-Cookie is stored only if it has public or s-maxage, and then without the cookie; see
// cachecontrol.Transport.ReplaySetCookie. If it is not stored for this reason, the cache adds private, so that other
// shared caches do not store it either. If Access-Control-Allow-Origin names an origin, the cache adds Vary: Origin.
//
// The key is the target URI (RFC 9110, section 7.1). Its scheme is https if the connection uses TLS, and http
// otherwise; its host is the request's Host; its path and query are those of the request's URL. The handler receives
// the request with the target of the key, in origin form: the host is in lower case and has no default port. A
// request whose target has no key is answered by the handler, and the response is not stored. A target has no key if
// the Host is not a host with an optional port, if the path does not begin with a slash, or if the target names
// another scheme or host than the connection and the Host. Middleware that changes the path of requests, such as
// http.StripPrefix, must be behind the cache, because in front of it two targets could get the same key. If a server
// answers for every Host, its clients can fill the cache; put a ServeMux with host patterns in front of the cache to
// prevent that. If a handler depends on anything else in the request, it must name that in Vary. Otherwise other
// clients get the same response.
//
// The handler runs in a goroutine of its own. Requests with a body reach it like others. A request for another
// protocol, such as WebSocket, goes directly to the handler. Hijack works only for these. An offer to continue with
// HTTP/2 ("Upgrade: h2c") is not passed on. If the handler panics, the panic propagates to the server and the client
// gets no response or an incomplete one, unless a stored response may be used instead.
//
// If t.Collapse is set, the handler runs once for all clients that share its response. The response is streamed to
// all of them, and the handler's context ends when the last client has left. Interim responses are sent only to the
// client whose request the handler runs for. The request of that client does not end before the handler returns.
func Cache(t *cachecontrol.Transport) func(http.Handler) http.Handler {
	// A handler's request ends when its client leaves, so there is nothing to drain.
	t.Base, t.Shared, t.DisableCompression, t.DrainBytes = &tripper{t.ReplaySetCookie}, true, true, -1
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if straight(r) {
				h.ServeHTTP(w, r)
				return
			}
			serveCached(t, &call{handler: h, w: w, r: r, shares: t.Collapse})
		})
	}
}

// straight reports whether a request goes directly to the handler.
func straight(r *http.Request) bool {
	return r.Host == "" || rules.AsksUpgrade(r.Header) || !isOwnTarget(r) ||
		r.Method != http.MethodGet && r.Method != http.MethodHead && rules.IsSafe(r.Method) || r.Method == http.MethodConnect
}

// serveCached passes the request of the call to the Transport and writes the response.
func serveCached(t *cachecontrol.Transport, cl *call) {
	w, r := cl.w, cl.r
	resp, err := t.RoundTrip(cl.request())
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
func (cl *call) request() *http.Request {
	req := cl.r.WithContext(&callContext{cl.r.Context(), cl})
	u := *cl.r.URL
	u.Scheme, u.Host = schemeOf(cl.r), cl.r.Host
	req.URL = &u
	if req.ContentLength == 0 {
		req.Body = nil
	}
	return req
}
