package interop

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// handler answers the n-th request to an origin, counting from 1.
type handler func(n int, w http.ResponseWriter, r *http.Request)

// origin is a server that remembers what it was asked.
type origin struct {
	port string

	mu   sync.Mutex // guards what follows
	n    int
	seen []*http.Request
}

func newOrigin(t *testing.T, h handler) *origin {
	t.Helper()
	o := new(origin)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.seen = append(o.seen, r)
		o.n++
		n := o.n
		o.mu.Unlock()
		h(n, w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handlers that break off
	s.Start()
	t.Cleanup(s.Close)
	_, o.port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return o
}

// url puts the origin's port into a URL.
func (o *origin) url(u string) string { return strings.ReplaceAll(u, "PORT", o.port) }

// take returns the requests since it was last called.
func (o *origin) take() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen
	o.seen = nil
	return seen
}

func isConditional(r *http.Request) bool {
	return r.Header["If-None-Match"] != nil || r.Header["If-Modified-Since"] != nil
}

// setFields adds pairs of name and value, names spelt as they are. The value none has net/http send no such field.
func setFields(h http.Header, fields []string) {
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == none {
			h[fields[i]] = nil
			continue
		}
		h[fields[i]] = append(h[fields[i]], fields[i+1])
	}
}

// reply answers every request with 200.
func reply(body string, fields ...string) handler { return replyStatus(200, body, fields...) }

func replyStatus(status int, body string, fields ...string) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		setFields(w.Header(), fields)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// chunked answers with 200 and no Content-Length.
func chunked(body string, fields ...string) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		setFields(w.Header(), fields)
		w.(http.Flusher).Flush()
		half := len(body) / 2
		io.WriteString(w, body[:half])
		w.(http.Flusher).Flush()
		io.WriteString(w, body[half:])
	}
}

// validating answers with h, or with 304 and fields where the request is conditional.
func validating(h handler, fields ...string) handler {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		if !isConditional(r) {
			h(n, w, r)
			return
		}
		setFields(w.Header(), fields)
		w.WriteHeader(http.StatusNotModified)
	}
}

// inTurn answers the n-th request with the n-th handler, and later ones with the last.
func inTurn(hs ...handler) handler {
	return func(n int, w http.ResponseWriter, r *http.Request) { hs[min(n, len(hs))-1](n, w, r) }
}

// raw answers with bytes of its own and closes the connection.
func raw(response string) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, response)
	}
}
