package cachetest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
)

// Import writes responses, each with its Request, as recordings to the directory dir of a test, such as testdata/http/TestUser.
// It is for responses that something else has recorded; the command "cachecontrol import" reads files of go-vcr, VCR.py and
// browsers. Secrets are replaced as in recordings. A request that was made several times receives its responses in their
// order.
//
// Import reads and closes the bodies. If a response has Uncompressed set, its body was sent with gzip.
// The options should be those of the test. Base, PassThrough, Once and RequireAll have no effect.
//
// If dir already has recordings, the error wraps fs.ErrExist. If a response cannot be recorded, the error names it. In both cases,
// nothing is written.
func Import(dir string, responses []*http.Response, opts ...Option) error {
	defer closeBodies(responses)
	var errs []error
	tp := newTape(dir, recordMissing, func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	if err := tp.load(); err != nil {
		return fmt.Errorf("cachetest: %w", err)
	}
	if len(tp.old) > 0 {
		return fmt.Errorf("cachetest: there are recordings in %s: %w", filepath.ToSlash(dir), fs.ErrExist)
	}
	t := &transport{options: newOptions(opts), tape: tp}
	t.once = true // no response is left out
	for i, resp := range responses {
		if err := t.importResponse(resp); err != nil {
			return fmt.Errorf("cachetest: response %d: %w", i+1, err)
		}
	}
	if tp.spoiled {
		return errors.Join(errs...)
	}
	tp.scrub()
	if _, err := tp.write(); err != nil {
		return fmt.Errorf("cachetest: %w", err)
	}
	return nil
}

// importResponse records a response as if Base had returned it.
func (t *transport) importResponse(resp *http.Response) error {
	if resp == nil || resp.Request == nil || resp.Request.URL == nil {
		return errors.New("it has no Request with a URL")
	}
	req := resp.Request
	r, sent, found, err := t.capture(req)
	if err != nil {
		return err
	}
	maps.Copy(t.tape.secrets, found)
	t.base = received{resp}
	if resp, err = t.record(req, r, t.key(r), sent); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// closeBodies closes the bodies of responses, of which some may be closed already.
func closeBodies(responses []*http.Response) {
	for _, resp := range responses {
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
	}
}

// received is the Base of a request whose response is there already.
type received struct{ *http.Response }

func (r received) RoundTrip(*http.Request) (*http.Response, error) { return r.Response, nil }
