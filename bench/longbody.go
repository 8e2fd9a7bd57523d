package main

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

const (
	longLength = 1 << 30
	// longLimit is the limit in MiB for a process that caches such a body in files.
	longLimit = 32
	// releaseWait is how long the origin waits until the caller has received the header.
	releaseWait = 30 * time.Second
)

// longOrigin serves a body that is generated while it is sent. It sends the body only after the caller has received the
// header, so a cache that waits for the body before it returns the header fails.
type longOrigin struct {
	once     sync.Once
	released chan struct{}

	mu       sync.Mutex // guards the fields below
	requests int
	sum      uint32
	err      error
}

func (o *longOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/release" {
		o.once.Do(func() { close(o.released) })
		return
	}
	sum, err := o.send(w, r)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests++
	o.sum, o.err = sum, err
}

func (o *longOrigin) send(w http.ResponseWriter, r *http.Request) (uint32, error) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(longLength))
	h.Set("Cache-Control", fresh)
	h.Set("Etag", `"long"`)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return 0, err
	}
	select {
	case <-o.released:
	case <-r.Context().Done():
		return 0, r.Context().Err()
	case <-time.After(releaseWait):
		panic(http.ErrAbortHandler)
	}
	source := rand.NewChaCha8([32]byte{})
	sum := crc32.NewIEEE()
	_, err := io.CopyBuffer(io.MultiWriter(w, sum), io.LimitReader(source, longLength), make([]byte, 64<<10))
	return sum.Sum32(), err
}

// measureLongBody runs one process that fetches and stores a long body, and another that reads it from the cache.
func measureLongBody(ctx context.Context, dir string, sep bool) ([]figure, error) {
	o := &longOrigin{released: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: o}
	go server.Serve(l)
	defer server.Close()

	name := "FileCache"
	if sep {
		name = "SeparateBodyFileCache"
	}
	var figures []figure
	for _, isHit := range []bool{false, true} {
		how := "miss"
		if isHit {
			how = "hit"
		}
		got, peak, err := job{Kind: "longBody", Dir: dir, URL: "http://" + l.Addr().String() + "/long", Hit: isHit, Sep: sep}.run(ctx)
		if err != nil {
			return nil, err
		}
		o.mu.Lock()
		requests, sum, sendErr := o.requests, o.sum, o.err
		o.mu.Unlock()
		switch {
		case sendErr != nil:
			return nil, sendErr
		case requests != 1:
			return nil, fmt.Errorf("after the %s the origin has seen %d requests", how, requests)
		case got[0].Values[0] != float64(sum):
			return nil, errBroken
		}
		figures = append(figures, figure{
			Name: "1 GiB, " + name + ", " + how + ": peak memory", Unit: "MiB",
			Values: []float64{float64(peak) / (1 << 20)}, Bound: longLimit,
		})
	}
	return figures, nil
}

// longBody reads a long body through a cache, and returns its checksum.
func longBody(ctx context.Context, j job) ([]figure, error) {
	t := &cachecontrol.Transport{}
	var err error
	if j.Sep {
		t.Store, err = directory.NewSeparateBodyFileCache(j.Dir)
	} else {
		t.Store, err = directory.NewFileCache(j.Dir)
	}
	if err != nil {
		return nil, err
	}
	defer t.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.URL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if cachecontrol.FromCache(resp) != j.Hit {
		return nil, fmt.Errorf("the outcome is %v", cachecontrol.StatusOf(resp).Outcome)
	}
	if !j.Hit {
		release, err := req.URL.Parse("/release")
		if err != nil {
			return nil, err
		}
		r, err := http.Get(release.String())
		if err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	var sum hash.Hash32 = crc32.NewIEEE()
	n, err := io.Copy(sum, resp.Body)
	if err == nil && n != longLength {
		err = errors.New("the body is too short")
	}
	return []figure{{Values: []float64{float64(sum.Sum32())}}}, err
}
