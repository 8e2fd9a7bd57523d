package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"sync"

	"github.com/go-cachecontrol/cachecontrol"
)

// front passes GET and HEAD requests without a body and without connection fields directly to the cache. It writes a
// hit itself, which saves the work that httputil.ReverseProxy does for streams and lets the kernel send files. All
// other requests and responses are handled by the proxy.
type front struct {
	cache    http.RoundTripper
	proxy    *httputil.ReverseProxy // its Transport is a frontTransport
	answered func(*http.Response)   // changes the header of a response for the client
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isPlain(r) {
		var seen interimCount
		limit := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { return seen.add(h) }}
		f.proxy.ServeHTTP(plainWriter{w}, r.WithContext(httptrace.WithClientTrace(r.Context(), limit)))
		return
	}
	interim := interimResponses{w: w}
	out := r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: interim.send}))
	out.URL, out.Header = new(*r.URL), maps.Clone(r.Header) // no line is changed
	out.Body, out.Close = nil, false
	delete(out.Header, "Connection")
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // prevents the User-Agent of net/http
	}
	rewritten := &httputil.ProxyRequest{In: r, Out: out}
	f.proxy.Rewrite(rewritten)
	resp, err := f.cache.RoundTrip(rewritten.Out)
	interim.end()
	if err == nil && cachecontrol.FromCache(resp) && len(resp.Trailer) == 0 && !hasConnectionFields(resp.Header) && resp.Header["Connection"] == nil {
		f.answered(resp)
		writeHit(w, r, resp)
		return
	}
	ctx := context.WithValue(r.Context(), frontKey{}, &frontResult{resp, err})
	f.proxy.ServeHTTP(plainWriter{w}, r.WithContext(ctx))
}

func isPlain(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return false
	}
	if hasConnectionFields(r.Header) {
		return false
	}
	switch c := r.Header["Connection"]; len(c) {
	case 0:
		return true
	case 1:
		return strings.EqualFold(c[0], "keep-alive") || strings.EqualFold(c[0], "close")
	}
	return false
}

// hasConnectionFields reports whether h has fields, other than Connection, that apply only to one connection. Responses
// that another program has stored in a shared directory may have them, too.
func hasConnectionFields(h http.Header) bool {
	for _, name := range []string{
		"Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		if h[name] != nil {
			return true
		}
	}
	return false
}

// writeHit sends a response that came from the cache.
func writeHit(w http.ResponseWriter, r *http.Request, resp *http.Response) {
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	plainWriter{w}.WriteHeader(resp.StatusCode)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // shows the client that the body is incomplete
	}
}

// interimResponses passes interim responses (1xx) on to the client until the final response arrives.
type interimResponses struct {
	mu    sync.Mutex // guards the fields below
	w     http.ResponseWriter
	seen  interimCount
	ended bool
}

// Limits for the interim responses to a request: their number, and the bytes of all their fields. Package net/http has
// no limit for them if Got1xxResponse is set.
const (
	maxInterim       = 100
	maxInterimFields = 1 << 20
)

// interimCount counts interim responses and the bytes of their fields.
type interimCount struct{ n, bytes int }

func (c *interimCount) add(h textproto.MIMEHeader) error {
	c.n++
	for name, lines := range h {
		for _, line := range lines {
			c.bytes += len(name) + len(line)
		}
	}
	if c.n > maxInterim || c.bytes > maxInterimFields {
		return errors.New("too many interim responses")
	}
	return nil
}

func (i *interimResponses) send(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return nil
	}
	if err := i.seen.add(header); err != nil {
		return err
	}
	h := i.w.Header()
	maps.Copy(h, header)
	i.w.WriteHeader(code)
	clear(h) // the final response does not have these fields
	return nil
}

func (i *interimResponses) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
}

// frontTransport is the Transport of a front's proxy. It returns the response that the front has received for the
// request, if any, and passes other requests to the cache.
type frontTransport struct{ cache http.RoundTripper }

type (
	frontKey    struct{}
	frontResult struct {
		resp *http.Response
		err  error
	}
)

func (a frontTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if got, ok := req.Context().Value(frontKey{}).(*frontResult); ok {
		return got.resp, got.err
	}
	return a.cache.RoundTrip(req)
}

// plainWriter prevents net/http from adding a guessed Content-Type to a response that has none.
type plainWriter struct{ http.ResponseWriter }

func (w plainWriter) WriteHeader(status int) {
	if h := w.Header(); status >= 200 {
		if _, ok := h["Content-Type"]; !ok {
			h["Content-Type"] = nil
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is used by http.ResponseController.
func (w plainWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
