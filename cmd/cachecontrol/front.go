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

// front asks the cache for what needs no proxy: a GET or HEAD request without a body and without fields for the connection
// alone. It writes a hit itself, which saves what httputil.ReverseProxy does for streams, and lets the kernel send files.
// Every other answer it leaves to the proxy behind it.
type front struct {
	cache http.RoundTripper
	proxy *httputil.ReverseProxy // its Transport is an answered
	self  pseudonym
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
	out.URL, out.Header = new(*r.URL), r.Header.Clone()
	out.Body, out.Close = nil, false
	delete(out.Header, "Connection")
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // not net/http's own
	}
	rewritten := &httputil.ProxyRequest{In: r, Out: out}
	f.proxy.Rewrite(rewritten)
	resp, err := f.cache.RoundTrip(rewritten.Out)
	interim.end()
	if err == nil && cachecontrol.FromCache(resp) && len(resp.Trailer) == 0 && !hasConnectionFields(resp.Header) && resp.Header["Connection"] == nil {
		f.self.add(resp.Header, resp.ProtoMajor, resp.ProtoMinor)
		writeHit(w, r, resp)
		return
	}
	ctx := context.WithValue(r.Context(), frontKey{}, &frontAnswer{resp, err})
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

// hasConnectionFields says whether there are fields, beside Connection, that hold for one connection alone. What others
// have written into a shared directory may have them, too.
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

// writeHit sends a response that the cache had stored.
func writeHit(w http.ResponseWriter, r *http.Request, resp *http.Response) {
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	plainWriter{w}.WriteHeader(resp.StatusCode)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // the client must see that it is not whole
	}
}

// interimResponses are sent on until the final one has come.
type interimResponses struct {
	mu    sync.Mutex // guards what follows
	w     http.ResponseWriter
	seen  interimCount
	ended bool
}

// How many interim responses may come before the final one, and how long their fields may be together. Package net/http leaves that to
// those who want to see them.
const (
	maxInterim       = 100
	maxInterimFields = 1 << 20
)

// interimCount is what has come of interim responses.
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
	clear(h) // what is interim is no part of the final response
	return nil
}

func (i *interimResponses) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
}

// answered makes the requests of a front's proxy: what the front was answered is the answer, and other requests are the
// cache's.
type answered struct{ cache http.RoundTripper }

type (
	frontKey    struct{}
	frontAnswer struct {
		resp *http.Response
		err  error
	}
)

func (a answered) RoundTrip(req *http.Request) (*http.Response, error) {
	if got, ok := req.Context().Value(frontKey{}).(*frontAnswer); ok {
		return got.resp, got.err
	}
	return a.cache.RoundTrip(req)
}
