package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// flushInterval is the longest time for which a part of a body of known length is held back. It is positive so that the
// body of a slow origin streams, but a short body is sent together with its header. Bodies of unknown length are always
// sent on at once.
const flushInterval = 10 * time.Millisecond

// reverseProxy sends each request, rewritten for the upstream server, through the cache.
type reverseProxy struct {
	upstream   *url.URL
	self       pseudonym
	forwarding *forwarding
	errorLog   *log.Logger
	front      *front
}

func newReverseProxy(upstream *url.URL, self pseudonym, forwarding *forwarding, cache http.RoundTripper, errorLog *log.Logger) http.Handler {
	p := &reverseProxy{upstream: upstream, self: self, forwarding: forwarding, errorLog: errorLog}
	p.front = &front{cache, &httputil.ReverseProxy{
		Transport:     frontTransport{cache},
		FlushInterval: flushInterval,
		BufferPool:    &bufferPool{},
		ErrorLog:      errorLog,
		Rewrite:       p.rewrite,
		ModifyResponse: func(resp *http.Response) error {
			p.answered(resp)
			return nil
		},
		ErrorHandler: p.handleError,
	}, p.answered}
	return p
}

func (p *reverseProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status, text := p.refusal(r); status != 0 {
		respondError(w, status, text)
		return
	}
	if n, ok := maxForwards(r); ok && n == 0 {
		answerHere(w, r)
		return
	}
	if r.Header["Upgrade"] != nil && !rules.AsksUpgrade(r.Header) {
		r = r.WithContext(r.Context())
		r.Header = rules.WithoutUpgrade(r.Header)
	}
	if r.ContentLength != 0 && !isGRPC(r) {
		b := &timeoutBody{ReadCloser: r.Body, conn: http.NewResponseController(w)}
		b.extendDeadline()
		r = r.WithContext(context.WithValue(r.Context(), timeoutBodyKey{}, b))
		r.Body = b
	}
	p.front.ServeHTTP(w, r)
}

// refusal returns the status and the text for a request that is not forwarded. It returns 0 for all others.
func (p *reverseProxy) refusal(r *http.Request) (status int, text string) {
	switch {
	case r.Method == http.MethodConnect:
		return http.StatusNotImplemented, "a reverse proxy does not support CONNECT"
	case !hasTarget(r):
		return http.StatusBadRequest, "the target of the request is not a path"
	case p.self.isIn(r.Header):
		return http.StatusLoopDetected, "the request has already passed through this proxy"
	case p.upstream.Path != "" && p.upstream.Path != "/" && hasDotDot(r.URL):
		return http.StatusBadRequest, "the path contains \"..\""
	}
	return 0, ""
}

// rewrite changes a request for the upstream server.
func (p *reverseProxy) rewrite(r *httputil.ProxyRequest) {
	path, rawPath := r.Out.URL.Path, r.Out.URL.RawPath
	r.SetURL(p.upstream)
	if p.upstream.Path == "" || path == "*" {
		r.Out.URL.Path, r.Out.URL.RawPath = path, rawPath
	}
	r.Out.URL.RawQuery = r.In.URL.RawQuery // ReverseProxy would remove what does not parse
	r.Out.URL.ForceQuery = r.In.URL.ForceQuery
	r.Out.Trailer = r.In.Trailer // the server adds the values at the end of the body, and not to the copy of ReverseProxy
	p.forwarding.apply(r)
	if n, ok := maxForwards(r.In); ok {
		r.Out.Header["Max-Forwards"] = []string{strconv.Itoa(n - 1)}
	}
}

// answered changes the header of a response for the client.
func (p *reverseProxy) answered(resp *http.Response) {
	p.self.addTo(resp.Header, resp.ProtoMajor, resp.ProtoMinor)
	relocate(resp.Header, p.upstream)
}

// handleError responds to a request for which there is no response.
func (p *reverseProxy) handleError(w http.ResponseWriter, r *http.Request, err error) {
	if b, ok := r.Context().Value(timeoutBodyKey{}).(*timeoutBody); ok && b.slow.Load() {
		err = errSlowClient
	} else if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	p.errorLog.Printf("%s %s: %v", r.Method, r.URL.Redacted(), err)
	if err == errSlowClient {
		respondError(w, http.StatusRequestTimeout, "the body of the request was not received in time")
		return
	}
	forward := "miss" // the reason is not known more exactly
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		forward = "method"
	}
	w.Header().Set("Cache-Status", "cachecontrol;fwd="+forward+";detail=upstream-failed")
	if t := net.Error(nil); errors.As(err, &t) && t.Timeout() {
		respondError(w, http.StatusGatewayTimeout, "the upstream server did not respond in time")
	} else {
		respondError(w, http.StatusBadGateway, "the upstream server could not be reached or did not send a valid response")
	}
}

// bufferPool is an httputil.BufferPool.
type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b[:]
	}
	return make([]byte, bufferSize)
}

func (p *bufferPool) Put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }
