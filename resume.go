package cachecontrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/sections"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// maxResumeTries is the number of requests for the rest of a body, without a byte between them, before its reader gets the error.
const maxResumeTries = 5

// firstResumeWait is the time before the second of these requests. Before each further one it is three times as long.
const firstResumeWait = time.Second

// resumingBody is a body that goes on by itself after it has broken off: that of a response from the origin, or one that the store
// has lost while it is read. It requests the rest with Range and If-Range. The reader notices nothing, unless the representation has
// changed.
type resumingBody struct {
	engine    *engine
	req       *http.Request // the request that was answered
	validator string
	coding    []string // Content-Encoding
	end       int64    // offset of the end of the body in the representation, or -1 if it is not known
	total     int64    // length of the representation, or -1 if it is not known
	accept    string   // Accept-Encoding of requests for the rest; "" for that of req

	stored *storage.Entry // the entry whose body it is; nil if that comes from the origin

	turn  sync.Mutex // held by Read; guards the following fields
	pos   int64      // offset of the next byte in the representation
	tries int        // number of requests since the last byte
	err   error      // the error that came with bytes
	sum   uint32     // checksum of the bytes before pos, of a stored body
	mixed bool       // a stored body goes on with bytes of the origin

	mu     sync.Mutex // guards the following fields
	body   io.ReadCloser
	closed bool
	ctx    context.Context // of the requests for the rest; nil before the first
	cancel context.CancelFunc
}

// resuming returns the body of resp, which resumes if the Transport is to do that and the origin allows it.
func (e *engine) resuming(req *http.Request, resp *http.Response) io.ReadCloser {
	if !e.resumeBodies || !resumable(req) || resp.Uncompressed {
		return resp.Body
	}
	validator := rules.StrongValidator(resp.Header)
	if validator == "" {
		return resp.Body
	}
	b := &resumingBody{
		engine: e, req: req, validator: validator, coding: resp.Header["Content-Encoding"], end: max(resp.ContentLength, -1), total: -1, body: resp.Body,
	}
	switch resp.StatusCode {
	case http.StatusOK:
		if b.end == 0 {
			b.end = -1 // as in framedLength
		}
		b.total = b.end
	case http.StatusPartialContent:
		cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
		if !ok || b.end >= 0 && b.end != cr.Last-cr.First+1 {
			return resp.Body
		}
		b.pos, b.end, b.total = cr.First, cr.Last+1, cr.Total
	default:
		return resp.Body
	}
	return b
}

// survive makes the body of a match go on if the store loses it while it is read, because a server is lost or has evicted it. The
// caller has the header by then, so that the request would fail because of the cache.
func (e *engine) survive(q *query, m *match) {
	if _, inMemory := m.body.(*bytesbody.Body); inMemory || m.body == nil || e.store.Traits().Local {
		return
	}
	validator := rules.StrongValidator(m.stored().Header)
	whole := m.parts == nil && !q.ranged && q.ranges == nil && m.stored().Status == http.StatusOK
	if !whole || m.stored().Foreign || m.stored().Length < 0 || validator == "" || q.offline || q.cc.OnlyIfCached || !resumable(q.req) {
		return
	}
	coding := m.stored().Header["Content-Encoding"]
	ctx := &sentContext{q.req.Context(), e.sending(q)}
	ctx.sending.trace = nil // the request is answered
	m.body = &resumingBody{
		engine: e, req: q.req.WithContext(ctx), validator: validator, coding: coding, end: m.stored().Length, total: m.stored().Length, accept: acceptFor(q, coding),
		stored: m.stored(), body: m.body,
	}
}

// acceptFor returns the Accept-Encoding of a request for the rest of a stored body with this coding, or "" for that of the query.
func acceptFor(q *query, coding []string) string {
	switch {
	case coding == nil:
		return "identity"
	case q.negotiated:
		return q.acceptEncoding()
	}
	return ""
}

// resumable reports whether the rest of the response can be requested: by GET, or by QUERY if its content can be sent again
// (RFC 10008, section 2.8).
func resumable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet:
		return !hasBody(req)
	}
	return req.Method == rules.QUERY && (!hasBody(req) || req.GetBody != nil)
}

func (b *resumingBody) Read(p []byte) (int, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	for {
		err := b.err
		if b.err = nil; err == nil {
			body, closed := b.current()
			if closed {
				return 0, http.ErrBodyReadAfterClose
			}
			var n int
			if n, err = body.Read(p); n > 0 {
				b.pos += int64(n)
				b.tries, b.err = 0, err
				return n, b.verify(p[:n])
			}
		}
		switch {
		case err == nil:
			return 0, nil
		case err == io.EOF && (b.end < 0 || b.pos >= b.end), b.end >= 0 && b.pos >= b.end:
			return 0, err
		}
		if err := b.resume(err); err != nil {
			return 0, err
		}
	}
}

// verify returns an error for the last bytes of a stored body if it has other bytes than were stored: the store verifies only what
// it returns whole.
func (b *resumingBody) verify(p []byte) error {
	if b.stored == nil {
		return nil
	}
	if b.sum = checksum.Update(b.sum, p); b.mixed && b.pos >= b.end && b.sum != b.stored.Sum {
		return errChangedBody
	}
	return nil
}

func (b *resumingBody) current() (body io.ReadCloser, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body, b.closed
}

// Close closes the body, and ends a request for the rest.
func (b *resumingBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.cancel != nil {
		b.cancel()
	}
	return b.body.Close()
}

// resume requests the rest of the body, which has ended with the error cause. It returns an error if that fails.
func (b *resumingBody) resume(cause error) error {
	ctx := b.context()
	for b.tries < maxResumeTries {
		if !b.pause(ctx) {
			return cause
		}
		b.tries++
		body, err := b.request(ctx)
		switch {
		case errors.Is(err, errChangedBody):
			return fmt.Errorf("%w, after %w", err, cause)
		case err != nil:
			continue
		}
		b.mixed = true
		b.mu.Lock()
		b.body.Close()
		b.body = body
		if b.closed {
			body.Close()
		}
		b.mu.Unlock()
		return nil
	}
	return cause
}

// pause waits before the next request. It returns false if ctx ends.
func (b *resumingBody) pause(ctx context.Context) bool {
	wait := time.Duration(0)
	for i := range b.tries {
		if wait *= 3; i == 0 {
			wait = firstResumeWait
		}
	}
	if wait == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// context returns the context of requests for the rest. It ends with that of the request, and with Close.
func (b *resumingBody) context() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		b.ctx, b.cancel = context.WithCancel(b.req.Context())
		if b.closed {
			b.cancel()
		}
	}
	return b.ctx
}

// request requests the rest of the body once. It returns errChangedBody if the origin has another representation, or sends anything
// but the rest. Other errors are failures of the origin.
func (b *resumingBody) request(ctx context.Context) (io.ReadCloser, error) {
	req := b.req.Clone(ctx)
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		delete(req.Header, name)
	}
	rules.AskForRest(req.Header, b.pos, b.end, b.validator)
	if b.accept != "" {
		req.Header["Accept-Encoding"] = []string{b.accept}
	}
	if hasBody(req) {
		var err error
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	e, asked := b.engine, time.Now()
	e.counters.sent.Add(1)
	resp, err := e.exchange(req, asked)
	if err != nil {
		return nil, err
	}
	if cr, ok := b.continuedBy(resp); ok {
		b.end, b.total = cr.Last+1, cr.Total
		return sections.Of(resp.Body, 0, b.end-b.pos), nil
	}
	closeResponse(resp)
	if rules.ServerFailed(resp.StatusCode) {
		return nil, fmt.Errorf("cachecontrol: status %d", resp.StatusCode)
	}
	return nil, errChangedBody
}

// continuedBy returns the range that resp has, and reports whether that is the rest of the body, of the same representation.
func (b *resumingBody) continuedBy(resp *http.Response) (rules.ContentRange, bool) {
	cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
	n := resp.ContentLength
	return cr, ok && resp.StatusCode == http.StatusPartialContent && resp.Body != nil && rules.StrongValidator(resp.Header) == b.validator &&
		rangeHasCoding(resp.Header, b.coding, b.total) && cr.First == b.pos && (b.end < 0 && cr.Last == cr.Total-1 || cr.Last == b.end-1) &&
		(b.total < 0 || cr.Total == b.total) && (n <= 0 || n == cr.Last-cr.First+1)
}

// errChangedBody is the error of a body whose rest the origin no longer has.
var errChangedBody = errors.New("cachecontrol: the representation has changed while its body was read")
