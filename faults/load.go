package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// changing is an origin that sends a different body in every response. The ETag is a digest of the body, so every
// response shows whether its header and its body belong together.
type changing struct{ answers atomic.Int64 }

func (o *changing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := o.answers.Add(1)
	body := changingBody(n)
	h := w.Header()
	h.Set("Etag", digest(body))
	h.Set("Cache-Control", "max-age=3600")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if vary := r.URL.Query().Get("vary"); vary != "" {
		h.Set("Vary", vary)
	}
	w.Write(body)
}

// changingBody returns a body of up to 12 KiB, or some 100 KiB. Its length differs from those of the previous thousand
// bodies. If Python wrote the header file, only the length shows whether the body file belongs to it.
func changingBody(n int64) []byte {
	size := int(n%1009) * 12
	if n%40 == 0 {
		size += 100 << 10
	}
	body := make([]byte, 0, size+20)
	for len(body) < size {
		body = fmt.Appendf(body, "%d.%d ", n, len(body))
	}
	return body[:size]
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func startOrigin() (*changing, *httptest.Server) {
	o := &changing{}
	return o, httptest.NewServer(o)
}

// tally holds the counts of readers.
type tally struct {
	Reads, Hits   int64
	Wrong, Failed int64
	Damaged       int64  // bodies that ended in a read error because their file was damaged
	Limited       int64  // how often the disk was full
	Peak          int64  // peak of the resident memory in bytes
	First         string // describes the first that was wrong or failed
}

func (t *tally) add(o tally) {
	t.Reads += o.Reads
	t.Hits += o.Hits
	t.Wrong += o.Wrong
	t.Failed += o.Failed
	t.Damaged += o.Damaged
	t.Limited += o.Limited
	t.Peak = max(t.Peak, o.Peak)
	if t.First == "" {
		t.First = o.First
	}
}

func (t *tally) wrong(format string, args ...any) {
	t.Wrong++
	if t.First == "" {
		t.First = fmt.Sprintf(format, args...)
	}
}

func (t *tally) failed(err error) {
	t.Failed++
	if t.First == "" {
		t.First = err.Error()
	}
}

// load makes requests to a changing origin.
type load struct {
	client *http.Client
	url    string
	keys   int
	reads  int     // number of requests in total
	renew  float64 // fraction of the requests with no-cache
	with   func(*http.Request)
	pause  *sync.RWMutex // if not nil, it is read-locked during each request
}

const loadWorkers = 4

// run makes the requests and returns their counts.
func (l *load) run(ctx context.Context) tally {
	var total tally
	var mu sync.Mutex // guards total
	var left atomic.Int64
	left.Store(int64(l.reads))
	var workers sync.WaitGroup
	for range loadWorkers {
		workers.Go(func() {
			var t tally
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				l.one(ctx, &t)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(t)
		})
	}
	workers.Wait()
	return total
}

func (l *load) one(ctx context.Context, t *tally) {
	if l.pause != nil {
		l.pause.RLock()
		defer l.pause.RUnlock()
	}
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/%d", l.url, rand.IntN(l.keys)), nil)
	if err != nil {
		t.failed(err)
		return
	}
	if rand.Float64() < l.renew {
		req.Header.Set("Cache-Control", "no-cache")
	}
	if l.with != nil {
		l.with(req)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.failed(err)
		}
		return
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	t.Reads++
	if cachecontrol.FromCache(resp) {
		t.Hits++
	}
	switch {
	case errors.Is(err, storage.ErrUnreadable) && len(body) > 0:
		t.Damaged++
	case err != nil:
		if ctx.Err() == nil {
			t.failed(err)
		}
	case resp.Header.Get("Etag") != digest(body):
		t.wrong("the head of %s with a body of %d bytes, %.20q", resp.Header.Get("Etag"), len(body), body)
	}
}

// openLayout opens a file cache with this layout.
func openLayout(layout, dir string, opts ...directory.Option) (storage.Store, error) {
	if layout == separateLayout {
		return directory.NewSeparateBodyFileCache(dir, opts...)
	}
	return directory.NewFileCache(dir, opts...)
}

// The layouts of a directory. Their names are those of Python's classes.
const (
	fileLayout     = "FileCache"
	separateLayout = "SeparateBodyFileCache"
)

var layouts = []string{fileLayout, separateLayout}
