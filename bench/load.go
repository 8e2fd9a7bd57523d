package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-cachecontrol/cachecontrol"
)

// answer is the way in which the requests of a case must be answered.
type answer int

const (
	plain       answer = iota // without a cache
	hit                       // from the store, without the origin
	stored                    // by the origin, and then stored
	revalidated               // from the store, after a 304 from the origin
)

// load is an open case, ready to be measured.
type load struct {
	do     func() error // one operation
	verify func() error // checks that an operation does what the case says
	close  func()
}

// traffic holds the requests of a load and their expected answer.
type traffic struct {
	rt     http.RoundTripper
	origin *origin
	next   func() *http.Request
	want   answer
}

func (t *traffic) load() *load {
	return &load{t.do, t.verify, func() { closeSubject(t.rt) }}
}

// do makes the next request, reads the body as most callers do, and closes the body.
func (t *traffic) do() error {
	resp, err := t.rt.RoundTrip(t.next())
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	if n != int64(len(t.origin.body)) {
		return fmt.Errorf("the body has %d bytes, not %d", n, len(t.origin.body))
	}
	return resp.Body.Close()
}

// verify makes a few requests and checks everything about their responses.
func (t *traffic) verify() error {
	for range 3 {
		req := t.next()
		if err := t.expect(req, t.want); err != nil {
			return err
		}
		if t.want == stored {
			if err := t.expect(req, hit); err != nil {
				return fmt.Errorf("after a miss: %w", err)
			}
		}
	}
	return nil
}

// expect makes a request. It returns an error unless the response is the origin's page, answered as wanted.
func (t *traffic) expect(req *http.Request, want answer) error {
	requests, notModified := t.origin.requests.Load(), t.origin.notModified.Load()
	resp, err := t.rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	requests, notModified = t.origin.requests.Load()-requests, t.origin.notModified.Load()-notModified

	if want == plain {
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotModified {
			return fmt.Errorf("the status is %s", resp.Status)
		}
		return nil
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(got, t.origin.body) {
		return errors.New("the response is not the origin's page")
	}
	if resp.Header.Get("Etag") != t.origin.header.Get("Etag") {
		return errors.New("the header is not the origin's")
	}
	type counts struct{ requests, notModified int64 }
	wanted := map[answer]counts{hit: {0, 0}, stored: {1, 0}, revalidated: {1, 1}}[want]
	if (counts{requests, notModified}) != wanted {
		return fmt.Errorf("the origin saw %d requests and answered %d of them with 304", requests, notModified)
	}
	if marked := resp.Header.Get(cachecontrol.XFromCache) == "1"; marked != (want != stored) {
		return fmt.Errorf("X-From-Cache is %q", resp.Header.Get(cachecontrol.XFromCache))
	}
	if _, ours := t.rt.(*cachecontrol.Transport); ours {
		outcome := map[answer]cachecontrol.Outcome{
			hit: cachecontrol.Hit, stored: cachecontrol.Miss, revalidated: cachecontrol.Revalidated,
		}[want]
		s := cachecontrol.StatusOf(resp)
		if s.Outcome != outcome || want == stored && !s.Stored {
			return fmt.Errorf("the outcome is %v, %v", s.Outcome, s.Reason)
		}
	}
	return nil
}
