package main

import (
	"context"
	"errors"
	"fmt"
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

// newReverseProxy returns a handler that sends each request, rewritten for the upstream server, through the cache.
func newReverseProxy(upstream *url.URL, self pseudonym, forwarding *forwarding, cache http.RoundTripper, errorLog *log.Logger) http.Handler {
	rp := &httputil.ReverseProxy{
		Transport:     frontTransport{cache},
		FlushInterval: flushInterval,
		BufferPool:    &bufferPool{},
		ErrorLog:      errorLog,
		Rewrite: func(r *httputil.ProxyRequest) {
			path, rawPath := r.Out.URL.Path, r.Out.URL.RawPath
			r.SetURL(upstream)
			if upstream.Path == "" || path == "*" {
				r.Out.URL.Path, r.Out.URL.RawPath = path, rawPath
			}
			r.Out.URL.RawQuery = r.In.URL.RawQuery // ReverseProxy would remove what does not parse
			r.Out.URL.ForceQuery = r.In.URL.ForceQuery
			forwarding.apply(r)
			if n, ok := maxForwards(r.In); ok {
				r.Out.Header["Max-Forwards"] = []string{strconv.Itoa(n - 1)}
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			self.addTo(resp.Header, resp.ProtoMajor, resp.ProtoMinor)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if b, ok := r.Context().Value(timeoutBodyKey{}).(*timeoutBody); ok && b.slow.Load() {
				err = errSlowClient
			} else if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
			status, text := http.StatusBadGateway, "the upstream server could not be reached or gave no valid answer"
			if t := net.Error(nil); err == errSlowClient {
				status, text = http.StatusRequestTimeout, "the body of the request did not come in time"
			} else if errors.As(err, &t) && t.Timeout() {
				status, text = http.StatusGatewayTimeout, "the upstream server did not answer in time"
			}
			errorLog.Printf("%s %s: %v", r.Method, r.URL.Redacted(), err)
			http.Error(w, fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text), status)
		},
	}
	front := &front{cache, rp, self}
	inPath := upstream.Path != "" && upstream.Path != "/"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			http.Error(w, "501 Not Implemented: this is a reverse proxy, it makes no tunnels", http.StatusNotImplemented)
			return
		}
		if !hasTarget(r) {
			http.Error(w, "400 Bad Request: the target of the request is no path", http.StatusBadRequest)
			return
		}
		if self.isIn(r.Header) {
			http.Error(w, "508 Loop Detected: the request has come back to this proxy", http.StatusLoopDetected)
			return
		}
		if n, ok := maxForwards(r); ok && n == 0 {
			answerHere(w, r)
			return
		}
		if inPath && hasDotDot(r.URL) {
			http.Error(w, "400 Bad Request: the path leaves that of the upstream server", http.StatusBadRequest)
			return
		}
		if r.Header["Upgrade"] != nil && !rules.AsksUpgrade(r.Header) {
			r = r.WithContext(r.Context())
			r.Header = rules.WithoutUpgrade(r.Header)
		}
		if r.ContentLength != 0 {
			b := &timeoutBody{ReadCloser: r.Body, conn: http.NewResponseController(w)}
			b.extendDeadline()
			r = r.WithContext(context.WithValue(r.Context(), timeoutBodyKey{}, b))
			r.Body = b
		}
		front.ServeHTTP(w, r)
	})
}

// toUpstream sends the requests to the upstream server. It adds the proxy to Via here, behind the cache, so that a
// Vary on Via does not make a variant of each. It returns an error for a status below 100 or above 999.
type toUpstream struct {
	*http.Transport
	self pseudonym
}

func (t toUpstream) RoundTrip(req *http.Request) (*http.Response, error) {
	out := *req
	out.Header = req.Header.Clone()
	t.self.addTo(out.Header, 1, 1)
	resp, err := t.Transport.RoundTrip(&out)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 100 || resp.StatusCode > 999 {
		resp.Body.Close()
		return nil, fmt.Errorf("the upstream server sent the status %03d", resp.StatusCode)
	}
	resp.Request = req
	return resp, nil
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
