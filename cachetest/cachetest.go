package cachetest

import (
	"errors"
	"maps"
	"net/http"
	"testing"
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
