package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/parttest"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

const (
	sparseSize   = 100 << 30 // the length of the file
	sparseLimit  = 64 << 20  // the most memory that a process may use that reads it
	sparseRange  = 16 << 10  // the length of the longest range
	sparseRecent = 500       // the number of ranges after which one may be read again
)

// sparse reads ranges of a file of 100 GiB in one process for each layout: half of them anywhere, a quarter after the previous one, and
// a quarter again. The file has no more bytes than are read, and the origin is a part of the process, so that the cache is what is
// measured.
func sparse(ctx context.Context, less int) ([]row, error) {
	rows := make([]row, len(layouts))
	errs := make([]error, len(layouts))
	var all sync.WaitGroup
	for i, layout := range layouts {
		all.Go(func() { rows[i], errs[i] = sparseRow(ctx, layout, max(100, 1_000_000/(less*less))) })
	}
	all.Wait()
	return rows, errors.Join(errs...)
}

func sparseRow(ctx context.Context, layout string, reads int) (row, error) {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return row{}, err
	}
	defer os.RemoveAll(dir)
	got, err := child{Layout: layout, Dir: dir, Reads: reads, Sparse: true}.output(ctx)
	if err != nil {
		return row{}, err
	}
	r := row{broken: layout + ", ranges of up to 16 KiB of a file of 100 GiB", unit: "ranges", times: got.Reads, tally: got,
		notes: fmt.Sprintf("%d files; memory at most %s", countFiles(dir), mib(got.Peak))}
	if got.Peak > sparseLimit {
		r.broke = fmt.Sprintf("a process used %s of memory, more than %s", mib(got.Peak), mib(sparseLimit))
	}
	return r, nil
}

// readSparse makes the requests in a child process.
func readSparse(t *cachecontrol.Transport, reads int) (sum tally) {
	o := &sparseOrigin{File: parttest.File{Version: 1, Size: sparseSize}}
	t.Base = o
	type span struct{ start, end int64 }
	recent := make([]span, 0, sparseRecent)
	oldest, previous := 0, span{}
	for range reads {
		n := 1 + rand.Int64N(sparseRange)
		start := rand.Int64N(sparseSize - n)
		again := false
		if len(recent) > 0 {
			switch rand.IntN(4) {
			case 0:
				start = min(previous.end, sparseSize-n)
			case 1:
				s := recent[rand.IntN(len(recent))]
				start, n, again = s.start, s.end-s.start, true
			}
		}
		s := span{start, start + n}
		previous = s
		sent := o.sent
		hit, err := o.readRange(t, s.start, s.end)
		switch {
		case o.sent-sent < n: // an older part has some of it, and is as old as before: the oldest ones are replaced, used or not
		case len(recent) < cap(recent):
			recent = append(recent, s)
		default:
			recent[oldest] = s
			oldest = (oldest + 1) % sparseRecent
		}
		sum.Reads++
		switch {
		case err != nil:
			sum.wrong("%d-%d: %v", s.start, s.end-1, err)
		case hit:
			sum.Hits++
		}
		if again && o.sent > sent {
			sum.failed(fmt.Errorf("%d-%d was requested again", s.start, s.end-1))
		}
	}
	return sum
}

// sparseOrigin is an origin of a long file.
type sparseOrigin struct {
	parttest.File
	sent int64 // the lengths of the bodies
}

func (o *sparseOrigin) readRange(rt http.RoundTripper, start, end int64) (hit bool, err error) {
	req, err := http.NewRequest(http.MethodGet, "http://origin.example/file", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", start, end-1))
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if want := (rules.ContentRange{First: start, Last: end - 1, Total: o.Size}).String(); resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != want {
		return false, fmt.Errorf("%s %q", resp.Status, resp.Header.Get("Content-Range"))
	}
	_, err = o.Check(resp.Body, start, end)
	return cachecontrol.FromCache(resp), err
}

func (o *sparseOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.File.RoundTrip(req)
	if err == nil {
		o.sent += resp.ContentLength
	}
	return resp, err
}
