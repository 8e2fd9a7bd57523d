package cachecontrol_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// An origin is a RoundTripper in memory. It responds to request n, counted from 1, with the result of handle; nil is
// an error. The test fails if the body of a response is not closed.
type origin struct {
	t      testing.TB
	handle func(n int, req *http.Request) *http.Response

	mu     sync.Mutex
	reqs   []*http.Request
	bodies []*tracked
}

func newOrigin(t testing.TB, handle func(n int, req *http.Request) *http.Response) *origin {
	o := &origin{t: t, handle: handle}
	t.Cleanup(o.allClosed)
	return o
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.mu.Lock()
	o.reqs = append(o.reqs, req.Clone(req.Context()))
	n := len(o.reqs)
	o.mu.Unlock()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp := o.handle(n, req)
	if resp == nil {
		return nil, fmt.Errorf("origin: connection refused")
	}
	resp.Request = req
	o.track(resp)
	return resp, nil
}

// requests returns the number of requests so far.
func (o *origin) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.reqs)
}

// last returns the last request.
func (o *origin) last() *http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reqs[len(o.reqs)-1]
}

// respond returns a response with a body of known length and these fields, "Name: value". Without a field Date it is
// dated now; with "Date:" it has no Date.
func respond(status int, body string, fields ...string) *http.Response {
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	if body == "" {
		resp.Body = http.NoBody // as net/http does
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		if value = strings.TrimSpace(value); value != "" || name != "Date" {
			resp.Header.Add(name, value)
		} else {
			resp.Header["Date"] = nil
		}
	}
	if _, ok := resp.Header["Date"]; !ok {
		resp.Header.Set("Date", date(0))
	} else if len(resp.Header["Date"]) == 0 {
		delete(resp.Header, "Date")
	}
	return resp
}

// date returns the time d from now as an HTTP date.
func date(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }

// A reply describes a response of an origin. Its fields are "Name: value"; a duration in braces, such as {-10m}, is
// replaced by the HTTP date at this distance from now. If body is empty, the body of response n is "#n".
type reply struct {
	status int // if 0, 200; if -1, RoundTrip returns an error
	body   string
	fields []string
	tail   []string // fields of the trailer
}

// ok returns a reply with status 200.
func ok(fields ...string) reply { return reply{fields: fields} }

// status returns a reply with this status.
func status(code int, fields ...string) reply { return reply{status: code, fields: fields} }

// down is the reply of an origin that cannot be reached.
var down = reply{status: -1}

// replies returns an origin that gives these replies in order, and repeats the last one.
func replies(t testing.TB, list ...reply) *origin {
	return newOrigin(t, func(n int, req *http.Request) *http.Response {
		r := list[min(n, len(list))-1]
		return r.respond(n, req)
	})
}

func (r reply) respond(n int, req *http.Request) *http.Response {
	if r.status < 0 {
		return nil
	}
	code := r.status
	if code == 0 {
		code = 200
	}
	body := r.body
	if body == "" && code != 304 && code != 204 {
		body = fmt.Sprintf("#%d", n)
	}
	fields := make([]string, len(r.fields))
	for i, f := range r.fields {
		fields[i] = expandDates(f)
	}
	resp := respond(code, body, fields...)
	if len(r.tail) > 0 {
		resp.Trailer = respond(code, "", append([]string{"Date:"}, r.tail...)...).Header
	}
	if req.Method == http.MethodHead {
		resp.Body, resp.ContentLength = http.NoBody, -1
	}
	return resp
}

var inBraces = regexp.MustCompile(`\{[^}]*\}`)

func expandDates(s string) string {
	return inBraces.ReplaceAllStringFunc(s, func(d string) string {
		offset, err := time.ParseDuration(d[1 : len(d)-1])
		if err != nil {
			panic(err)
		}
		return date(offset)
	})
}

// tracked is a body that records whether it was read to EOF and closed.
type tracked struct {
	io.ReadCloser
	o      *origin
	eof    bool
	closed int
}

func (b *tracked) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.o.mu.Lock()
		b.eof = true
		b.o.mu.Unlock()
	}
	return n, err
}

func (b *tracked) Close() error {
	b.o.mu.Lock()
	b.closed++
	b.o.mu.Unlock()
	return b.ReadCloser.Close()
}

// track makes the body of resp one that must be closed before the test ends.
func (o *origin) track(resp *http.Response) {
	if resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		return
	}
	b := &tracked{ReadCloser: resp.Body, o: o}
	resp.Body = b
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bodies = append(o.bodies, b)
}

// closed returns how often the body of response n was closed.
func (o *origin) closed(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bodies[n-1].closed
}

// allClosed fails the test if the body of a response is still open.
func (o *origin) allClosed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, b := range o.bodies {
		if b.closed == 0 {
			o.t.Errorf("the body of the origin's response %d was closed 0 times, want at least 1", i+1)
		}
	}
}

// chunks is a body whose Read returns one piece at a time, and then err or EOF.
type chunks struct {
	pieces []string
	err    error
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; c.pieces[0] == "" {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

func (c *chunks) Close() error { return nil }

// chunked replaces the body of resp with pieces of unknown length.
func chunked(resp *http.Response, err error, pieces ...string) *http.Response {
	resp.Body, resp.ContentLength = &chunks{pieces, err}, -1
	return resp
}

// bytesBody returns a body.
func bytesBody(s string) io.ReadCloser { return io.NopCloser(bytes.NewReader([]byte(s))) }

// digits is a body in which each byte is its offset.
const digits = "0123456789"

// A document is a resource of an origin that supports ranges and If-None-Match.
type document struct {
	body   string
	fields []string // of each response
	etag   string

	open atomic.Int64 // number of open bodies
}

func (d *document) origin(t testing.TB) *origin {
	return newOrigin(t, func(_ int, req *http.Request) *http.Response { return d.respond(req) })
}

func (d *document) respond(req *http.Request) *http.Response {
	fields := d.fields
	if d.etag != "" {
		fields = append(fields[:len(fields):len(fields)], "ETag: "+d.etag)
	}
	status, body := 200, d.body
	first, last, ok := d.wanted(req)
	switch {
	case d.etag != "" && req.Header.Get("If-None-Match") == d.etag:
		status, body = 304, ""
	case ok && (first >= len(d.body) || first > last):
		status, body = 416, ""
		fields = append(fields[:len(fields):len(fields)], fmt.Sprintf("Content-Range: bytes */%d", len(d.body)))
	case ok:
		status, body = 206, d.body[first:last+1]
		fields = append(fields[:len(fields):len(fields)], fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(d.body)))
	}
	resp := respond(status, body, fields...)
	d.open.Add(1)
	resp.Body = &closeCounter{ReadCloser: resp.Body, open: &d.open}
	return resp
}

// wanted returns the first and the last byte of the range that req asks for.
func (d *document) wanted(req *http.Request) (first, last int, ok bool) {
	spec, ok := strings.CutPrefix(req.Header.Get("Range"), "bytes=")
	if v := req.Header.Get("If-Range"); !ok || v != "" && v != d.etag || req.Method != "GET" {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(spec, "-")
	last = len(d.body) - 1
	n, _ := strconv.Atoi(to)
	if from == "" {
		return max(0, len(d.body)-n), last, true
	}
	if first, _ = strconv.Atoi(from); to != "" {
		last = min(last, n)
	}
	return first, last, true
}

// thousandfold repeats each byte of s 1,000 times, so that reading the start of the body does not read its end.
func thousandfold(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(strings.Repeat(s[i:i+1], 1000))
	}
	return b.String()
}

// rawServer returns the URL of a server that calls serve for each request, with n from 1. It closes the connection if
// serve returns false.
func rawServer(t testing.TB, serve func(c net.Conn, n int, req *http.Request) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	var n atomic.Int32
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer func() {
					c.Close()
					mu.Lock()
					defer mu.Unlock()
					delete(conns, c)
				}()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil || !serve(c, int(n.Add(1)), req) {
						return
					}
				}
			})
		}
	})
	return "http://" + l.Addr().String() + "/"
}

// A gate is an origin whose responses wait until letGo is closed.
type gate struct {
	*origin
	letGo   chan struct{}
	running atomic.Int32
}

func newGate(t testing.TB, handle func(n int, req *http.Request) *http.Response) *gate {
	g := &gate{letGo: make(chan struct{})}
	g.origin = newOrigin(t, func(n int, req *http.Request) *http.Response {
		g.running.Add(1)
		defer g.running.Add(-1)
		select {
		case <-g.letGo:
		case <-req.Context().Done():
			return nil
		}
		return handle(n, req)
	})
	return g
}

// waiting returns the number of requests that wait.
func (g *gate) waiting() int {
	synctest.Wait()
	return int(g.running.Load())
}

// pipe returns a response and the writer of its body.
func pipe(fields ...string) (*http.Response, *io.PipeWriter) {
	r, w := io.Pipe()
	resp := respond(200, "", fields...)
	resp.Body, resp.ContentLength = r, -1
	return resp, w
}

// versions returns an origin with one resource. The body of GET is its version, which PUT increases.
func versions(t testing.TB, fields ...string) *origin {
	version := 1
	return newOrigin(t, func(n int, req *http.Request) *http.Response {
		if req.Method == "PUT" {
			version++
			return respond(204, "")
		}
		tag := fmt.Sprintf(`"%d"`, version)
		all := append([]string{"ETag: " + tag}, fields...)
		if req.Header.Get("If-None-Match") == tag {
			return respond(304, "", all...)
		}
		return respond(200, fmt.Sprintf("version %d", version), all...)
	})
}

// partReply returns a 206 with bytes first to last of digits.
func partReply(first, last int, fields ...string) reply {
	return reply{status: 206, body: digits[first : last+1], fields: append(fields, fmt.Sprintf("Content-Range: bytes %d-%d/10", first, last))}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// readFunc is a function that reads.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
