package compat

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/compat/internal/status"
)

// env is what a client finds in a scenario: an origin, and a cache in front of it.
type env struct {
	t testing.TB

	// cache is the cache. The client may change its fields before it sends the first request.
	cache *cachecontrol.Transport

	// wire is the RoundTripper without the cache, the Base of the cache.
	wire http.RoundTripper

	// url is the URL of the origin, without a slash at the end.
	url string

	unseen uint64 // responses that the cache may have given up before it had the header

	*origin
}

// origin is a server with a text, which the client reads.
type origin struct {
	mu           sync.Mutex // guards what follows
	handler      http.Handler
	isText       func(*http.Request) bool
	text         string
	changed      func(text string)
	cacheControl string
	fault        fault
	uncoded      bool // the origin does not compress
	seen         []exchange

	half    chan struct{} // receives a value when half of a response has been sent
	release chan struct{} // closed to let the other half follow
	gone    chan struct{} // receives a value when the client of such a response has gone
}

// exchange is a request for the text, and how the origin answered it.
type exchange struct {
	conditional bool
	status      int
}

// fault is what the origin does instead of sending a whole response.
type fault int

const (
	noFault fault = iota
	pauses        // sends half of the response, and the rest after release is closed
	breaks        // sends half of the response and closes the connection
	fails         // responds with 503
)

// serve makes handler respond to all requests. isText reports whether a request is one for the text; if it is nil, all
// GET requests are. A handler that has the text itself is given it by changed, which is nil for others.
func (o *origin) serve(handler http.HandlerFunc, isText func(*http.Request) bool, changed func(text string)) {
	o.mu.Lock()
	o.handler, o.isText, o.changed = handler, isText, changed
	o.mu.Unlock()
	o.set(o.get())
}

func (o *origin) get() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text
}

// set changes the text.
func (o *origin) set(text string) {
	o.wrote(text)
	if o.changed != nil {
		o.changed(text)
	}
}

// wrote notes that a client has changed the text in a handler that has it itself.
func (o *origin) wrote(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = text
}

func (o *origin) setFault(f fault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault = f
}

// exchanges returns the requests for the text that the origin has received.
func (o *origin) exchanges() []exchange {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]exchange(nil), o.seen...)
}

// ServeHTTP gives the responses with the text the Cache-Control of the scenario and an ETag, and damages them as the
// scenario wants.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	handler, cacheControl, fault, uncoded := o.handler, o.cacheControl, o.fault, o.uncoded
	isText := r.Method == http.MethodGet && (o.isText == nil || o.isText(r))
	o.mu.Unlock()
	if !isText {
		handler.ServeHTTP(w, r)
		return
	}
	if fault == fails {
		o.note(r, http.StatusServiceUnavailable)
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return
	}
	plain := r.Clone(r.Context())
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "Range", "If-Range"} {
		plain.Header.Del(name)
	}
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, plain)
	body, h := rec.Body.Bytes(), w.Header()
	for name, values := range rec.Header() {
		h[name] = values
	}
	if rec.Code != http.StatusOK {
		o.note(r, rec.Code)
		w.WriteHeader(rec.Code)
		w.Write(body)
		return
	}
	h.Del("Content-Length")
	h.Set("Cache-Control", cacheControl)
	if !uncoded && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && h.Get("Content-Encoding") == "" {
		body = compress(body)
		h.Set("Content-Encoding", "gzip")
	}
	h.Add("Vary", "Accept-Encoding")
	h.Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(body)))
	if fault == noFault {
		seen := &status.Writer{ResponseWriter: w}
		http.ServeContent(seen, r, "", time.Time{}, bytes.NewReader(body))
		o.note(r, seen.Status())
		return
	}
	o.note(r, http.StatusOK)
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.Write(body[:len(body)/2])
	w.(http.Flusher).Flush()
	if fault == breaks {
		panic(http.ErrAbortHandler)
	}
	o.half <- struct{}{}
	select {
	case <-o.release:
		w.Write(body[len(body)/2:])
	case <-r.Context().Done():
		o.gone <- struct{}{}
	}
}

func (o *origin) note(r *http.Request, status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, exchange{r.Header.Get("If-None-Match") != "", status})
}

func compress(body []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(body)
	z.Close()
	return buf.Bytes()
}

// counted counts the bodies that are open.
type counted struct {
	*http.Transport
	open atomic.Int64
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.Transport.RoundTrip(req)
	if err == nil {
		c.open.Add(1)
		resp.Body = &countedBody{ReadCloser: resp.Body, open: &c.open}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// newEnv starts an origin that speaks HTTP/1.1 or, with http2, HTTP/2. When the test ends, newEnv fails it if a body is
// still open.
func newEnv(t testing.TB, http2 bool) *env {
	o := &origin{
		cacheControl: "max-age=3600", text: randomText(1000),
		half: make(chan struct{}, 1), gone: make(chan struct{}, 1), release: make(chan struct{}),
	}
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	server := httptest.NewUnstartedServer(o)
	server.Config.Protocols = &protocols
	server.Start()
	wire := &counted{Transport: &http.Transport{Protocols: &protocols, DisableCompression: true}}
	cache := &cachecontrol.Transport{Base: wire}
	t.Cleanup(func() {
		cache.Close()
		if n := wire.open.Load(); n != 0 {
			t.Errorf("%d bodies are still open, want 0", n)
		}
		wire.CloseIdleConnections()
		server.Close()
	})
	return &env{t: t, cache: cache, wire: wire, url: server.URL, origin: o}
}

// wait waits until c receives a value.
func (e *env) wait(ctx context.Context, c chan struct{}, what string) {
	e.t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		e.t.Fatalf("%s: %v", what, ctx.Err())
	}
}
