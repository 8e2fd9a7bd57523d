package cachecontrol_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// An unruly origin has a file that changes, cuts its responses, and answers requests for ranges with other ranges, other totals, or none.
// But each byte that it sends belongs to the validator and the offset that it names.
type unrulyOrigin struct {
	*file
	r *rand.Rand

	mu    sync.Mutex             // guards what follows, and the file
	sizes map[int]map[int64]bool // of each version
}

func (o *unrulyOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, f := o.r, o.file
	if r.IntN(10) == 0 {
		if f.version++; r.IntN(2) == 0 {
			f.size = 66<<10 + r.Int64N(60<<10)
		}
	}
	if o.sizes[f.version] == nil {
		o.sizes[f.version] = make(map[int64]bool)
	}
	o.sizes[f.version][f.size] = true
	asked := req
	if r.IntN(10) == 0 {
		asked = req.Clone(req.Context())
		asked.Header.Del([]string{"Range", "If-Range", "If-None-Match"}[r.IntN(3)])
	}
	resp := f.respond(asked)
	resp.Request = req
	if req.Method == "HEAD" {
		resp.Body = http.NoBody
		return resp, nil
	}
	if resp.StatusCode == 304 || resp.StatusCode == 416 {
		return resp, nil
	}
	switch n := resp.ContentLength; r.IntN(16) {
	case 0:
		return nil, errCut
	case 1:
		return answered503(req), nil
	case 2:
		resp = respond(416, "", fmt.Sprintf("Content-Range: bytes */%d", r.Int64N(f.size)))
		resp.Request = req
	case 3:
		if cr, ok := rules.ParseContentRange(resp.Header["Content-Range"]); ok {
			cr.Total = []int64{-1, cr.Total + 1}[r.IntN(2)]
			resp.Header.Set("Content-Range", cr.String())
		}
	case 4:
		if resp.StatusCode == 206 { // another range
			first := r.Int64N(f.size)
			end := first + 1 + r.Int64N(f.size-first)
			resp.Header.Set("Content-Range", rules.ContentRange{First: first, Last: end - 1, Total: f.size}.String())
			resp.Header.Set("Content-Length", strconv.FormatInt(end-first, 10))
			resp.ContentLength, resp.Body = end-first, &fileBody{fileReader{f, f.version, first, end}}
		}
	case 5:
		if resp.StatusCode == 206 {
			resp.Header.Set("Content-Type", "multipart/byteranges; boundary=x")
			resp.Header.Del("Content-Range")
		}
	case 6:
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
	case 7:
		resp.Body = io.NopCloser(io.LimitReader(resp.Body, r.Int64N(n+1))) // the end is clean, but the length is known
	case 8, 9, 10:
		cutBody(resp, r.Int64N(n+1))
	case 11:
		cutBody(resp, n)
		hideLength(resp)
		cutBodyAt(resp, r.Int64N(n+1))
	}
	return resp, nil
}

func cutBodyAt(resp *http.Response, n int64) {
	if resp.ContentLength < 0 {
		resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, n), failingReader{errCut}))
	}
}

func answered503(req *http.Request) *http.Response {
	resp := respond(503, "")
	resp.Request = req
	return resp
}

// versionOf returns the version whose validator a response has.
func (o *unrulyOrigin) versionOf(resp *http.Response) (int, bool) {
	for v := range o.sizes {
		f := *o.file
		if f.version = v; resp.Header.Get("Etag") == f.tag() || resp.Header.Get("Last-Modified") == f.modified() {
			return v, true
		}
	}
	return 0, false
}

// Whatever an unruly origin sends and whatever fails, no byte of a body is wrong, and no body ends too early without an error.
func TestUnrulyOrigin(t *testing.T) {
	for seed := range uint64(rounds(60, 15)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { unrulyStory(t, rand.New(&lockedSource{src: rand.NewPCG(seed, 18)})) })
		})
	}
}

func unrulyStory(t *testing.T, r *rand.Rand) {
	o := &unrulyOrigin{
		file: &file{size: 70 << 10, weak: r.IntN(8) == 0, fields: []string{"Cache-Control: max-age=20, stale-if-error=1000"}},
		r:    r, sizes: make(map[int]map[int64]bool),
	}
	if r.IntN(3) == 0 {
		o.file.age = []time.Duration{time.Hour, time.Second}[r.IntN(2)] * 24
	}
	var store storage.Store = storage.NewDictCache()
	switch r.IntN(6) {
	case 0:
		store = newFileCache(t, t.TempDir())
	case 1:
		store = newSeparateBodyFileCache(t, t.TempDir())
	case 2:
		store = newPlainStore()
	case 3:
		store = &faultstore.Store{Store: store, Fault: func(op faultstore.Op) faultstore.Fault {
			if r.IntN(20) == 0 && op != faultstore.Read {
				return faultstore.Err
			}
			return faultstore.None
		}}
	}
	tr := &cachecontrol.Transport{Base: o, Store: store, DrainBytes: -1, Backoff: -1, ResumeBodies: r.IntN(3) == 0, Collapse: r.IntN(4) == 0}
	defer tr.Close()
	for range 40 {
		time.Sleep(time.Duration(r.IntN(10)) * time.Second)
		var fields []string
		first := r.Int64N(80 << 10)
		switch r.IntN(6) {
		case 0:
			fields = []string{fmt.Sprintf("Range: bytes=%d-%d", first, first+r.Int64N(40<<10))}
		case 1:
			fields = []string{fmt.Sprintf("Range: bytes=%d-", first)}
		case 2:
			fields = []string{fmt.Sprintf("Range: bytes=-%d", first)}
		case 3:
			fields = []string{"Cache-Control: no-cache"}
		}
		method := "GET"
		if r.IntN(15) == 0 {
			method = "HEAD"
		}
		resp, err := tr.RoundTrip(request(t, method+" /", fields...))
		if err == nil {
			o.check(t, resp, r.IntN(4) == 0)
		}
	}
}

// hasSize reports whether a version has had this size.
func (o *unrulyOrigin) hasSize(version int, size int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sizes[version][size]
}

// A lockedSource is a source of random numbers for several goroutines.
type lockedSource struct {
	mu  sync.Mutex
	src rand.Source
}

func (s *lockedSource) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Uint64()
}

// check reads the body, or a part of it if closes is true.
func (o *unrulyOrigin) check(t *testing.T, resp *http.Response, closes bool) {
	t.Helper()
	defer resp.Body.Close()
	first, length := int64(0), resp.ContentLength
	v, known := o.versionOf(resp)
	if resp.StatusCode == 206 {
		cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
		if first, length = cr.First, cr.Last-cr.First+1; !ok {
			known = false
		}
	}
	if resp.Request.Method == "HEAD" || resp.StatusCode != 200 && resp.StatusCode != 206 || !known {
		io.Copy(io.Discard, resp.Body)
		return
	}
	body := io.Reader(resp.Body)
	if closes {
		body = io.LimitReader(body, o.r.Int64N(60<<10))
	}
	n, err := checkBytes(t, body, v, first)
	switch {
	case closes || err != nil:
	case length >= 0 && n != length:
		if strings.Contains(resp.Header.Get("Cache-Status"), "fwd-status") {
			break // as the origin sent it
		}
		t.Errorf("%d with %d bytes of %d, and no error: %v", resp.StatusCode, n, length, resp.Header)
	case resp.StatusCode == 200 && !o.hasSize(v, n):
		t.Errorf("200 with %d bytes, which no version %d has: %v", n, v, resp.Header)
	}
}
