package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A reply is what an origin answers: its fields are "Name: value" lines. Its body is "#n" in the n-th answer, unless
// it says another, so that a body tells which answer it came with. A duration in braces, such as
// "{-10m}", stands for the HTTP-date so far from now.
type reply struct {
	status int // 0: 200; -1: no answer but an error
	body   string
	fields []string
	tail   []string // fields of the trailer
}

// ok is a reply with status 200.
func ok(fields ...string) reply { return reply{fields: fields} }

// status is a reply with the given status.
func status(code int, fields ...string) reply { return reply{status: code, fields: fields} }

// down is an origin that cannot be reached.
var down = reply{status: -1}

// replies is an origin that gives one after another, and the last one ever after.
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

// A step is one request of a scenario, and what has to come of it.
type step struct {
	wait    time.Duration         // before the request
	do      string                // as in request; "": "/"
	with    []string              // fields of the request
	control *cachecontrol.Control // of its context; nil: none
	want    cachecontrol.Outcome
	body    string   // of the answer; "": not looked at
	status  int      // of the answer; 0: not looked at
	sent    []string // fields that the origin gets: "Name: value", or "Name:" for none of that name
	head    []string // fields of the answer, in the same way
	tail    []string // fields of its trailer, in the same way
	storing string   // why it is stored, or not: Status.Storage; "": not looked at
}

// A scenario is a story of requests, in a bubble of its own.
type scenario struct {
	name      string
	transport *cachecontrol.Transport // without Base; nil: the zero value
	origin    []reply
	steps     []step
}

func runScenarios(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := replies(t, s.origin...)
				tr := s.transport
				if tr == nil {
					tr = &cachecontrol.Transport{}
				}
				tr.Base = o
				defer tr.Close()
				for i, st := range s.steps {
					st.run(t, fmt.Sprintf("step %d", i+1), tr, o)
				}
			})
		})
	}
}

func (st step) run(t *testing.T, name string, rt http.RoundTripper, o *origin) {
	t.Helper()
	time.Sleep(st.wait)
	before := o.requests()
	target := st.do
	if target == "" {
		target = "/"
	}
	req := request(t, target, st.with...)
	if st.control != nil {
		req = req.WithContext(cachecontrol.WithControl(req.Context(), *st.control))
	}
	a := send(t, rt, req)
	asked := o.requests() - before
	if a.outcome != st.want {
		t.Errorf("%s: %v, want %v; Cache-Status: %q", name, a.outcome, st.want, a.Header["Cache-Status"])
	}
	if st.body != "" && a.body != st.body {
		t.Errorf("%s: the body is %q, want %q", name, a.body, st.body)
	}
	if st.status != 0 && a.StatusCode != st.status {
		t.Errorf("%s: status %d, want %d", name, a.StatusCode, st.status)
	}
	if got := cachecontrol.StatusOf(a.Response).Storage.String(); st.storing != "" && got != st.storing {
		t.Errorf("%s: storage %q, want %q", name, got, st.storing)
	}
	if hit := st.want == cachecontrol.Hit; hit && asked != 0 || !hit && st.want != cachecontrol.Stale && asked == 0 && a.StatusCode != 504 {
		t.Errorf("%s: %d requests came to the origin for a %v", name, asked, st.want)
	}
	if fromCache := cachecontrol.FromCache(a.Response); fromCache != (a.outcome == cachecontrol.Hit ||
		a.outcome == cachecontrol.Stale || a.outcome == cachecontrol.Revalidated) {
		t.Errorf("%s: FromCache is %v for a %v", name, fromCache, a.outcome)
	}
	wantFields(t, name+", answer", a.Header, st.head)
	wantFields(t, name+", trailer", a.Trailer, st.tail)
	if len(st.sent) > 0 {
		if asked == 0 {
			t.Errorf("%s: nothing was asked of the origin", name)
			return
		}
		wantFields(t, name+", request", o.last().Header, st.sent)
	}
}

func wantFields(t testing.TB, what string, h http.Header, want []string) {
	t.Helper()
	for _, f := range want {
		name, value, _ := strings.Cut(f, ":")
		value = expandDates(strings.TrimSpace(value))
		if got := strings.Join(h[http.CanonicalHeaderKey(name)], " | "); got != value {
			t.Errorf("%s: %s is %q, want %q", what, name, got, value)
		}
	}
}

// tracked is a body of a response or a request that tells whether it was read to the end, and closed.
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

// track has the origin watch over a response's body, which somebody must close before the test ends.
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

// allClosed fails the test if a body of the origin's was left open.
func (o *origin) allClosed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, b := range o.bodies {
		if b.closed == 0 {
			o.t.Errorf("the body of the origin's answer %d was never closed", i+1)
		}
	}
}

// checkRequest remembers a request, and returns a function that fails the test if it was changed since.
func checkRequest(t testing.TB, req *http.Request) (unchanged func()) {
	t.Helper()
	c := req.Clone(req.Context())
	body, getBody := req.Body, req.GetBody != nil
	return func() {
		t.Helper()
		if diff := cmp.Diff(c.Header, req.Header); diff != "" {
			t.Errorf("the request's header was changed:\n%s", diff)
		}
		if req.Method != c.Method || req.URL != nil && req.URL.String() != c.URL.String() || req.Host != c.Host ||
			req.ContentLength != c.ContentLength || req.Body != body || (req.GetBody != nil) != getBody ||
			!maps.EqualFunc(req.Trailer, c.Trailer, func(a, b []string) bool { return cmp.Equal(a, b) }) {
			t.Errorf("the request was changed: %+v, it was %+v", req, c)
		}
	}
}

// checkStatus fails the test if what the answer says of itself is not well formed.
func checkStatus(t testing.TB, resp *http.Response) {
	t.Helper()
	lines := resp.Header["Cache-Status"]
	if len(lines) == 0 {
		t.Errorf("no Cache-Status in %v", resp.Header)
		return
	}
	if _, err := httpsfv.UnmarshalList(lines[len(lines)-1:]); err != nil {
		t.Errorf("Cache-Status %q: %v", lines, err)
	}
}

// chunks is a body that comes piece by piece, its length not said. After the pieces comes err, or EOF.
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

// chunked makes a response whose length is not said.
func chunked(resp *http.Response, err error, pieces ...string) *http.Response {
	resp.Body, resp.ContentLength = &chunks{pieces, err}, -1
	return resp
}

// bytesBody makes a body.
func bytesBody(s string) io.ReadCloser { return io.NopCloser(bytes.NewReader([]byte(s))) }

// countingStore knows which keys hold an entry.
type countingStore struct {
	storage.Store
	mu   sync.Mutex
	keys map[string]bool
}

func (s *countingStore) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, key, e)
	return &countingWriter{w, s, key}, err
}

func (s *countingStore) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	delete(s.keys, key)
	s.mu.Unlock()
	return s.Store.Delete(ctx, key)
}

type countingWriter struct {
	storage.Writer
	s   *countingStore
	key string
}

func (w *countingWriter) Commit() error {
	w.s.mu.Lock()
	w.s.keys[w.key] = true
	w.s.mu.Unlock()
	return w.Writer.Commit()
}
