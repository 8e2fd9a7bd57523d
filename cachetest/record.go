package cachetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A body that its reader closes early is read to its end all the same, so that recordings do not depend on how its
// reader buffers. But not one without an end.
const (
	drainTime  = 10 * time.Second
	drainBytes = 64 << 20
)

// record makes a request and records it. Its place is taken before it is made, so that equal requests are numbered in
// the order in which they began.
func (t *transport) record(req *http.Request, r *request, key string, sent []byte) (*http.Response, error) {
	rec := t.reserve(r, key)
	out := req.Clone(req.Context())
	if req.Body != nil {
		out.Body, out.ContentLength = http.NoBody, 0
		if len(sent) > 0 {
			out.ContentLength = req.ContentLength
			out.Body = io.NopCloser(bytes.NewReader(sent))
			out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(sent)), nil }
		}
	}
	resp, err := t.base.RoundTrip(out)
	if err == nil && resp == nil {
		err = fmt.Errorf("cachetest: %T returned neither a response nor an error", t.base)
	}
	if err != nil {
		t.finish(rec, nil, err)
		return nil, err
	}
	if resp.Body == nil { // as http.Client allows
		resp.Body = http.NoBody
	}
	resp.Request = req
	x := t.head(resp, req)
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		t.finish(rec, nil, errors.New("a connection that is no longer HTTP cannot be recorded"))
	case x.bodyless(req.Method):
		t.finish(rec, x, nil)
	default:
		resp.Body = &recordedBody{ReadCloser: resp.Body, t: t, rec: rec, x: x, resp: resp, ctx: req.Context()}
	}
	return resp, nil
}

// reserve makes the place of a new recording.
func (t *transport) reserve(r *request, key string) *recording {
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	rec := &recording{interaction: &interaction{req: r}, n: 1, once: t.once, by: t, key: key}
	match := func(c candidate) bool { return t.matches(r, key, c.req, c.key) }
	for _, c := range t.old {
		if match(c) {
			rec.name = cmp.Or(rec.name, c.name)
			if t.tape.mode == recordMissing {
				rec.n++ // there are some, all used
			}
		}
	}
	for _, other := range t.tape.new {
		otherKey := other.key
		if other.by != t {
			otherKey = t.key(other.req)
		}
		if match(candidate{other, other.req, otherKey}) {
			rec.name = cmp.Or(rec.name, other.name)
			rec.before = other
			rec.n++
		}
	}
	rec.name = cmp.Or(rec.name, t.fileName(r, key))
	for t.taken(rec) {
		rec.n++ // another request with the same hash, or another client of the test that matches otherwise
	}
	for _, c := range t.old {
		if c.name == rec.name && c.n == rec.n && match(c) {
			rec.comment = c.comment
			if t.matchesLoosely() && reflect.DeepEqual(c.req, c.interaction.req) && reflect.DeepEqual(c.req.header, r.header) {
				rec.req = c.interaction.req // what does not matter does not change from one recording to the next
			}
		}
	}
	t.tape.new = append(t.tape.new, rec)
	return rec
}

// matchesLoosely says whether requests match that differ in what is recorded of them.
func (o *options) matchesLoosely() bool { return o.ignoreBody || o.matchFunc != nil }

func (t *transport) taken(rec *recording) bool {
	for _, other := range t.tape.new {
		if other.file() == rec.file() {
			return true
		}
	}
	if t.tape.mode == recordMissing {
		for _, other := range t.tape.old {
			if other.file() == rec.file() {
				return true
			}
		}
	}
	return false
}

// finish completes a recording, with a response, or an error, or both.
func (t *transport) finish(rec *recording, resp *response, err error) {
	if err != nil && !t.recordErrors {
		t.tape.errorf(rec.file(), "%s could not be recorded: %v\n\nThe option RecordErrors records errors too.", rec.req, err)
		t.tape.mu.Lock()
		t.tape.spoiled = true
		t.tape.mu.Unlock()
	}
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	if t.tape.ended {
		return
	}
	rec.resp = resp
	if err != nil {
		rec.fail = newFailure(err, &t.redactor)
	}
}

// head is what is recorded of a response before its body.
func (t *transport) head(resp *http.Response, req *http.Request) *response {
	r := &response{
		proto: cmp.Or(resp.Proto, "HTTP/1.1"), status: resp.Status, code: resp.StatusCode, header: t.redactor.header(resp.Header),
	}
	if code := strconv.Itoa(r.code); !strings.HasPrefix(r.status, code) {
		r.status = code + " " + http.StatusText(r.code)
	}
	for _, name := range t.omittedFields {
		r.header.Del(name)
	}
	if !r.bodyless(req.Method) {
		if len(resp.TransferEncoding) > 0 {
			r.header["Transfer-Encoding"] = resp.TransferEncoding
		}
		r.stream = resp.ContentLength < 0 && !r.chunked() && !resp.Uncompressed
	}
	if resp.Uncompressed {
		r.gzip = true
		r.header.Set("Content-Encoding", "gzip")
	}
	return r
}

// A recordedBody keeps what its reader reads.
type recordedBody struct {
	io.ReadCloser
	t    *transport
	rec  *recording
	x    *response
	resp *http.Response
	ctx  context.Context

	mu      sync.Mutex // guards what follows: Close may come while Read waits
	kept    bytes.Buffer
	reading bool
	done    bool
}

func (b *recordedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.reading = true
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if !b.done {
		b.kept.Write(p[:n])
		if err != nil {
			b.end(err)
		}
	}
	return n, err
}

// Close reads what is left, but for streams of events, and where the caller gave up.
func (b *recordedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		err := errCut
		if !b.reading && b.ctx.Err() == nil && !strings.HasPrefix(b.x.header.Get("Content-Type"), "text/event-stream") {
			timer := time.AfterFunc(drainTime, func() { b.ReadCloser.Close() })
			_, err = io.CopyN(&b.kept, b.ReadCloser, drainBytes)
			if !timer.Stop() || err == nil {
				err = errCut
			}
		}
		b.end(err)
	}
	return b.ReadCloser.Close()
}

// errCut is the end of a body that went on.
var errCut = errors.New("closed by its reader")

// end completes the recording.
func (b *recordedBody) end(err error) {
	b.done = true
	x := b.x
	if err != io.EOF && b.ctx.Err() != nil {
		err = errCut
	}
	if x.cut = err == errCut; x.cut || err == io.EOF {
		err = nil
	}
	if err == nil && !x.cut {
		x.header.Del("Content-Length") // it is counted
	}
	x.body = bytes.Clone(b.kept.Bytes())
	if len(x.body) == 0 {
		x.body = nil
	}
	if !x.gzip && strings.EqualFold(x.header.Get("Content-Encoding"), "gzip") {
		if plain, err := gunzip(x.body); err == nil {
			x.body, x.gzip = plain, true
		}
	}
	x.body = b.t.redactor.body(x.body, x.header.Get("Content-Type"))
	if trailer := b.t.redactor.header(b.resp.Trailer); len(trailer) > 0 { // what was announced may not have come
		x.trailer = trailer
	}
	b.t.finish(b.rec, x, err)
}
