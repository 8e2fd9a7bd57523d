package cachetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Client returns an http.Client that answers requests from the recordings of the test t, which are in a directory below dir.
// A request without a recording fails the test. Its Transport is the one that the function Transport returns. Its other
// fields are not set.
func Client(t testing.TB, dir string, opts ...Option) *http.Client {
	t.Helper()
	return &http.Client{Transport: Transport(t, dir, opts...)}
}

// Transport returns an http.RoundTripper that replays and records, for use in your own http.Client. It may be used by
// several goroutines and by subtests until the test t is over. All transports with the same t and dir share their recordings.
func Transport(t testing.TB, dir string, opts ...Option) http.RoundTripper {
	t.Helper()
	o := newOptions(opts)
	tr := &transport{options: o, tape: openTape(t, dir, o)}
	for _, r := range tr.tape.old {
		if r.interaction != nil {
			req := o.again(r.req)
			tr.old = append(tr.old, candidate{r, req, o.key(req)})
		}
	}
	return tr
}

// A transport replays and records.
type transport struct {
	*options
	tape *tape
	old  []candidate // the recordings that the tape had at first
}

// A candidate is a recording with its request redacted by the current options.
type candidate struct {
	*recording
	req *request
	key string
}

func (r *request) String() string { return r.method + " " + r.url }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		closeBody(req)
		return nil, err
	}
	if req.URL == nil {
		closeBody(req)
		return nil, errors.New("cachetest: a request without a URL")
	}
	if t.passThrough != nil && t.passThrough(req) {
		return t.base.RoundTrip(req)
	}
	r, sent, found, err := t.capture(req)
	if err != nil {
		return nil, err
	}
	t.tape.mu.Lock()
	maps.Copy(t.tape.secrets, found)
	t.tape.mu.Unlock()
	key := t.key(r)
	if t.tape.mode != recordAll {
		if x := t.take(r, key); x != nil {
			return x.replay(req)
		}
	}
	if t.tape.mode == replayOnly {
		return nil, t.missing(r, key)
	}
	return t.record(req, r, key, sent)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// matches reports whether a request matches a recorded one.
func (t *transport) matches(r *request, key string, recorded *request, recordedKey string) bool {
	if t.matchFunc != nil {
		return t.matchFunc(r.httpRequest(), recorded.httpRequest()) == nil
	}
	return key == recordedKey
}

// take returns the recording that answers a request: the first one that was not used yet, or else the last one. It
// returns nil if there is none.
func (t *transport) take(r *request, key string) *recording {
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	rec, found := t.takeFrom(func(c candidate) bool { return t.matches(r, key, c.req, c.key) })
	if !found && t.matchFunc == nil {
		rec, _ = t.takeFrom(func(c candidate) bool { return matchesRedacted(c.key, key) })
	}
	return rec
}

// takeFrom takes one of the recordings that match, and reports whether there are any.
func (t *transport) takeFrom(match func(candidate) bool) (rec *recording, found bool) {
	var last *recording
	for _, c := range t.old {
		if !match(c) {
			continue
		}
		if last = c.recording; !last.used {
			last.used = true
			return last, true
		}
	}
	if t.once {
		return nil, last != nil
	}
	return last, last != nil
}

// matchesRedacted reports whether a key is that of a recording, except for secrets that only other exchanges showed to be
// secrets: when it is replayed, the request alone does not say so. A value in the place of one must look like a secret.
func matchesRedacted(recorded, key string) bool {
	if !strings.Contains(recorded, redacted) {
		return false
	}
	line, rest, _ := strings.Cut(key, "\n")
	recordedLine, recordedRest, _ := strings.Cut(recorded, "\n")
	return matchesText(recordedLine, line, "/?&") && matchesText(recordedRest, rest, "\"&")
}

// matchesText reports whether a text is a recorded one with values in the place of what was redacted. None of the bytes
// of not is in such a value.
func matchesText(recorded, text, not string) bool {
	for {
		before, after, more := strings.Cut(recorded, redacted)
		rest, ok := strings.CutPrefix(text, before)
		if !ok || !more {
			return ok && rest == ""
		}
		literal, _, _ := strings.Cut(after, redacted)
		end := len(rest)
		if literal != "" {
			if end = strings.Index(rest, literal); end < 0 {
				return false
			}
		} else if after != "" {
			return false // two placeholders in a row
		}
		if value := rest[:end]; value != redacted && !looksRandom(value) || strings.ContainsAny(value, not) {
			return false
		}
		recorded, text = after, rest[end:]
	}
}

// missing fails the test because a request has no recording. The message shows the nearest recording and how to record.
func (t *transport) missing(r *request, key string) error {
	var b strings.Builder
	dir := filepath.ToSlash(t.tape.dir)
	var nearest *candidate
	var why []string
	least := 0
	for i, c := range t.old {
		lines, weight := t.compare(r, c.req)
		if nearest == nil || weight < least {
			nearest, why, least = &t.old[i], lines, weight
		}
	}
	switch {
	case nearest == nil:
		fmt.Fprintf(&b, "Nothing is recorded in %s.\n", dir)
	case t.once && t.matches(r, key, nearest.req, nearest.key):
		fmt.Fprintf(&b, "It was made more often than it is recorded in %s.\n", dir)
	default:
		fmt.Fprintf(&b, "The nearest of %d in %s is\n\n\t%s\n\nin %s, which differs:\n\n", len(t.old), dir, nearest.req, nearest.file())
		for _, line := range why {
			fmt.Fprintf(&b, "\t%s\n", strings.ReplaceAll(line, "\n", "\n\t"))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "To record it:\n\n\t%s\n\n%s=1 records all requests of the test again.", t.tape.howToRecord(), environment)
	t.tape.errorf(key, "no recording of\n\n\t%s\n\n%s", r, b.String())
	return fmt.Errorf("cachetest: no recording of %s", r)
}

// compare returns the differences between a request and a recorded one, and their weight.
func (t *transport) compare(r, recorded *request) (lines []string, weight int) {
	for _, d := range t.differences(r, recorded) {
		lines = append(lines, d.text)
		weight += d.weight
	}
	if t.matchFunc != nil {
		lines = nil
		if err := t.matchFunc(r.httpRequest(), recorded.httpRequest()); err != nil {
			lines = []string{err.Error()}
		}
	}
	return lines, weight
}

// replay returns the recorded response or error as net/http would.
func (x *interaction) replay(req *http.Request) (*http.Response, error) {
	if x.resp == nil {
		return nil, x.fail
	}
	r := x.resp
	resp := &http.Response{
		Status: r.status, StatusCode: r.code, Proto: r.proto, Header: r.header.Clone(), Body: http.NoBody, Request: req,
	}
	version := strings.TrimPrefix(r.proto, "HTTP/")
	major, minor, _ := strings.Cut(version, ".")
	resp.ProtoMajor, _ = strconv.Atoi(major)
	resp.ProtoMinor, _ = strconv.Atoi(minor)
	resp.TransferEncoding = resp.Header["Transfer-Encoding"]
	resp.Header.Del("Transfer-Encoding")

	if r.bodyless(req.Method) {
		if req.Method == http.MethodHead {
			resp.ContentLength = rules.ContentLength(r.header)
		}
		return resp, nil
	}
	body := r.body
	if r.gzip {
		switch accepted := req.Header.Values("Accept-Encoding"); {
		case len(accepted) == 0 && req.Header.Get("Range") == "":
			// http.Transport asked for gzip itself and decodes it.
			resp.Header.Del("Content-Encoding")
			resp.Uncompressed = true
		case strings.Contains(strings.ToLower(strings.Join(accepted, ",")), "gzip"):
			body = gzipped(body)
		default:
			resp.Header.Del("Content-Encoding")
		}
	}
	switch {
	case r.cut || x.fail != nil:
		resp.ContentLength = rules.ContentLength(r.header)
	case r.chunked() || r.stream || resp.Uncompressed:
		resp.ContentLength = -1
	default:
		resp.ContentLength = int64(len(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	b := &replayedBody{x: x, resp: resp, ctx: req.Context(), closed: make(chan struct{})}
	b.r.Reset(body)
	if len(r.trailer) > 0 {
		resp.Trailer = make(http.Header, len(r.trailer))
		for name := range r.trailer {
			resp.Trailer[name] = nil
		}
	}
	resp.Body = b
	return resp, nil
}

// A replayedBody ends in the same way as the recorded body.
type replayedBody struct {
	x      *interaction
	resp   *http.Response
	ctx    context.Context
	r      bytes.Reader
	once   sync.Once
	closed chan struct{}
}

// patience limits how long a body waits to be closed, if the recorded body was closed before its end.
const patience = 30 * time.Second

var errClosed = errors.New("http: read on closed response body")

func (b *replayedBody) Read(p []byte) (int, error) {
	select {
	case <-b.closed:
		return 0, errClosed
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	default:
	}
	n, err := b.r.Read(p)
	switch {
	case err != io.EOF:
		return n, err
	case b.x.fail != nil:
		return n, b.x.fail
	case b.x.resp.cut:
		return n, b.wait()
	}
	for name, values := range b.x.resp.trailer {
		b.resp.Trailer[name] = values
	}
	return n, io.EOF
}

// wait returns when the body is closed or the request is cancelled. The recording has nothing after that.
func (b *replayedBody) wait() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-b.closed:
		return errClosed
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-timer.C:
		return fmt.Errorf("cachetest: the recording of %s ends here because its reader closed the body", b.x.req)
	}
}

func (b *replayedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
