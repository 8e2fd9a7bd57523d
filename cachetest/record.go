package cachetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// If a body is closed early, the rest of it is read within these limits, so that recordings do not depend on how the caller
// buffers.
const (
	drainTime  = 10 * time.Second
	drainBytes = 64 << 20
)

// record makes a request and records it.
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
		t.finish(rec, nil, err, t.redactor.start(nil))
		return nil, err
	}
	if resp.Body == nil { // as http.Client allows
		resp.Body = http.NoBody
	}
	resp.Request = req
	redact := t.redactor.start(nil)
	x := t.head(resp, req)
	redact.header(resp.Header)
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		t.finish(rec, nil, errors.New("a connection that is no longer HTTP cannot be recorded"), redact)
	case x.bodyless(req.Method):
		t.finish(rec, x, nil, redact)
	default:
		resp.Body = &recordedBody{ReadCloser: resp.Body, t: t, rec: rec, x: x, redact: redact, resp: resp, ctx: req.Context()}
	}
	return resp, nil
}

// reserve adds a recording before its request is made, so that equal requests are numbered in the order in which they began.
func (t *transport) reserve(r *request, key string) *recording {
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	rec := &recording{interaction: &interaction{req: r}, once: t.once, options: t.options, key: key}
	rec.place = func(placed []*recording) { t.place(rec, placed) }
	t.tape.new = append(t.tape.new, rec)
	return rec
}

// place gives a recording the name of its file. The recordings in placed have theirs. The caller holds the tape's lock.
func (t *transport) place(rec *recording, placed []*recording) {
	r, key := rec.req, rec.key
	rec.n = 1
	match := func(c candidate) bool { return t.matches(r, key, c.req, c.key) }
	for _, c := range t.old {
		if match(c) {
			if c.req.url == c.interaction.req.url { // otherwise the old name may hold a secret
				rec.name = cmp.Or(rec.name, c.name)
			}
			if t.tape.mode == recordMissing {
				rec.n++ // these have all been used
			}
		}
	}
	for _, other := range placed {
		otherKey := other.key
		if other.options != t.options {
			otherKey = t.key(other.req)
		}
		if match(candidate{other, other.req, otherKey}) {
			rec.name = cmp.Or(rec.name, other.name)
			rec.before = other
			rec.n++
		}
	}
	rec.name = cmp.Or(rec.name, t.fileName(r, key))
	for t.taken(rec, placed) {
		rec.n++ // another request with the same hash, or another client of the test that matches otherwise
	}
	for _, c := range t.old {
		if c.name == rec.name && c.n == rec.n && match(c) {
			t.keep(rec, c)
		}
	}
}

// keep keeps the comment of the recording that rec replaces, and its request if the differences do not matter, so that they
// change no file.
func (t *transport) keep(rec *recording, old candidate) {
	rec.comment = old.comment
	if (t.ignoreBody || t.matchFunc != nil) && reflect.DeepEqual(old.req, old.interaction.req) && reflect.DeepEqual(old.req.header, rec.req.header) {
		rec.req = old.interaction.req
	}
}

func (t *transport) taken(rec *recording, placed []*recording) bool {
	for _, other := range placed {
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

// finish completes a recording with a response, an error, or both.
func (t *transport) finish(rec *recording, resp *response, err error, redact *redaction) {
	if resp != nil {
		resp = redact.response(resp)
	}
	var fail *failure
	if err != nil {
		fail = newFailure(err, redact)
	}
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	if t.tape.ended {
		return
	}
	rec.resp, rec.fail = resp, fail
	maps.Copy(t.tape.secrets, redact.secrets)
	if fail != nil && !t.recordErrors {
		t.tape.spoiled = true
		text := t.redactor.start(newScrubber(t.tape.secrets)).text(redact.text(err.Error()))
		t.tape.errorfLocked(rec.key, "%s could not be recorded: %s\n\nThe option RecordErrors records errors too.", rec.req, text)
	}
}

// head returns the recorded response without its body.
func (t *transport) head(resp *http.Response, req *http.Request) *response {
	r := &response{
		proto: cmp.Or(resp.Proto, "HTTP/1.1"), status: resp.Status, code: resp.StatusCode, header: canonical(resp.Header),
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

// canonical returns a copy of a header with canonical names.
func canonical(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			out.Add(name, value)
		}
	}
	return out
}

// A recordedBody keeps the bytes that are read from a body.
type recordedBody struct {
	io.ReadCloser
	t      *transport
	rec    *recording
	x      *response
	redact *redaction
	resp   *http.Response
	ctx    context.Context

	mu      sync.Mutex // guards the fields below; Close may be called while Read waits
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

// Close reads the rest of the body, unless it is a stream of events or the request was cancelled.
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

// errCut ends a body that was closed early.
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
	for name, values := range b.resp.Trailer { // an announced field may be missing
		if len(values) > 0 {
			if x.trailer == nil {
				x.trailer = http.Header{}
			}
			x.trailer[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	b.t.finish(b.rec, x, err, b.redact)
}
