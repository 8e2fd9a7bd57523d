package probe

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/lint"
)

// The limits of a run.
const (
	MaxRequests = 12
	MaxBody     = 1 << 20 // bytes read of each response
	timeout     = 30 * time.Second
)

// A Result is what a run has found.
type Result struct {
	Notes     []lint.Note // the worst first
	Confirmed []string    // what works, each a clause
	Requests  int
	Bytes     int64 // of bodies
}

type prober struct {
	ctx     context.Context
	base    http.RoundTripper
	req     *http.Request
	result  *Result
	stopped bool
	changes bool   // the content or its validators change from one response to the next
	whole   *reply // to a GET without a content coding
}

// A reply is a response with the beginning of its body.
type reply struct {
	*http.Response
	body  []byte
	ended bool // body is the whole body
}

func (r *reply) status() int { return r.StatusCode }

func (r *reply) etag() string { return r.Header.Get("Etag") }

// sameContent reports whether the contents of two replies are equal, as far as it was read.
func (r *reply) sameContent(other *reply) bool {
	if r.ended != other.ended {
		return false
	}
	return bytes.Equal(r.body, other.body)
}

// send sends a request with more header fields, and returns nil if the run has ended.
func (p *prober) send(method string, fields ...string) *reply {
	if p.stopped {
		return nil
	}
	if p.result.Requests == MaxRequests || p.ctx.Err() != nil {
		p.stopped = true
		return nil
	}
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	req := p.req.Clone(ctx)
	req.Method, req.Body = method, nil
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range", "Cache-Control", "Pragma"} {
		delete(req.Header, name)
	}
	req.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	p.result.Requests++
	r, err := p.exchange(req)
	switch {
	case err != nil:
		p.stopped = true
		p.note("probe-failed", err.Error())
		return nil
	case r.status() == http.StatusTooManyRequests || r.status() == http.StatusServiceUnavailable:
		p.stopped = true
		p.note("probe-stopped", strconv.Itoa(r.status()))
		return nil
	}
	return r
}

func (p *prober) exchange(req *http.Request) (*reply, error) {
	resp, err := p.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	resp.Request = req
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	p.result.Bytes += int64(len(body))
	if err != nil {
		return nil, err
	}
	return &reply{resp, body[:min(len(body), MaxBody)], len(body) <= MaxBody}, nil
}

// check adds the notes of package lint about a response that only the probe asks for. It reports whether there are none.
func (p *prober) check(r *reply) bool {
	right := true
	stated := p.whole.Header["Cache-Control"] != nil || p.whole.Header["Expires"] != nil
	for _, n := range lint.Check(r.Response, time.Time{}) {
		if n.Code == "not-modified-without-freshness" && !stated {
			continue
		}
		if strings.HasPrefix(n.Code, "content-range-") || strings.HasPrefix(n.Code, "not-modified-") {
			right = false
			p.add(n)
		}
	}
	return right
}

func (p *prober) confirm(clause string) { p.result.Confirmed = append(p.result.Confirmed, clause) }

// note adds a note.
func (p *prober) note(code, value string) { p.noteAbout(code, "", value) }

// noteAbout adds a note about a field.
func (p *prober) noteAbout(code, field, value string) {
	i := slices.IndexFunc(notes, func(n lint.Note) bool { return n.Code == code })
	n := notes[i]
	p.changes = p.changes || code == "content-changes" || code == "etag-unstable" || code == "last-modified-unstable"
	if n.Field == several {
		n.Field = field
	}
	n.Value = strings.ToValidUTF8(value[:min(len(value), maxValue)], "")
	p.add(n)
}

// add adds a note, once.
func (p *prober) add(n lint.Note) {
	if !slices.Contains(p.result.Notes, n) {
		p.result.Notes = append(p.result.Notes, n)
	}
}

// maxValue is the maximum length of the Value of a note.
const maxValue = 100
