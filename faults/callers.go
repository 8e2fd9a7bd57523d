package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// stores makes a random part of the calls to the store fail, in each of the ways of faultstore.
func stores(ctx context.Context, less int) ([]row, error) {
	var rows []row
	for f := range faultstore.Faults {
		if f == faultstore.None {
			continue
		}
		_, server := startOrigin()
		var faults atomic.Int64
		part := 0.2
		if f == faultstore.Hang {
			part = 0.005
		}
		s := &faultstore.Store{Store: storage.NewDictCache(), Fault: func(op faultstore.Op) faultstore.Fault {
			if op == faultstore.Read || rand.Float64() >= part { // a Read that fails counts as a damaged body
				return faultstore.None
			}
			faults.Add(1)
			return f
		}}
		t := &cachecontrol.Transport{Store: s, StoreTimeout: 100 * time.Millisecond, Base: &http.Transport{MaxIdleConnsPerHost: loadWorkers}}
		l := load{client: t.Client(), url: server.URL, keys: 20, reads: 20_000 / less, renew: 0.1}
		r := row{broken: "store: " + f.String() + " at any call", unit: "calls", tally: l.run(ctx)}
		r.times = faults.Load()
		if err := t.Close(); err != nil {
			return nil, err
		}
		t.CloseIdleConnections()
		server.Close()
		rows = append(rows, r)
	}
	return rows, nil
}

// hostile is a listener that cuts, resets or delays most of its responses.
type hostile struct {
	net.Listener
	broken  atomic.Int64
	serving sync.WaitGroup
}

func (h *hostile) serve() {
	for {
		conn, err := h.Accept()
		if err != nil {
			return
		}
		h.serving.Go(func() { h.answer(conn.(*net.TCPConn)) })
	}
}

func (h *hostile) answer(conn *net.TCPConn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for n := int64(1); ; n++ {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		req.Body.Close()
		body := changingBody(rand.Int64N(1 << 30))
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nEtag: %s\r\nCache-Control: max-age=%d\r\n", digest(body), rand.IntN(3))
		whole := head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + string(body)
		switch rand.IntN(8) {
		case 0: // cut
			h.broken.Add(1)
			io.WriteString(conn, whole[:rand.IntN(len(whole))])
			return
		case 1: // reset
			h.broken.Add(1)
			io.WriteString(conn, whole[:rand.IntN(len(whole))])
			conn.SetLinger(0)
			return
		case 2: // slow
			h.broken.Add(1)
			for len(whole) > 0 {
				n := min(len(whole), 1+rand.IntN(4000))
				if _, err := io.WriteString(conn, whole[:n]); err != nil {
					return
				}
				whole = whole[n:]
				time.Sleep(rand.N(time.Millisecond))
			}
		case 3: // chunks without an end
			h.broken.Add(1)
			fmt.Fprintf(conn, "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", head, len(body)+1, body)
			return
		case 4: // a header that is too long for any client
			h.broken.Add(1)
			io.WriteString(conn, head+"X-Endless: "+strings.Repeat("x", 2<<20)+"\r\n\r\n")
			return
		default:
			if _, err := io.WriteString(conn, whole); err != nil {
				return
			}
		}
	}
}

// origins uses an origin that breaks its responses and callers that leave at any moment. It checks that no goroutines
// or descriptors are left.
func origins(ctx context.Context, less int) ([]row, error) {
	var rows []row
	for _, option := range []struct {
		name string
		set  func(*cachecontrol.Transport)
	}{
		{"", func(*cachecontrol.Transport) {}},
		{", Collapse and DrainBytes", func(t *cachecontrol.Transport) { t.Collapse, t.DrainBytes = true, 64<<10 }},
	} {
		r, err := hostileLoad(ctx, 10_000/less, option.set)
		if err != nil {
			return nil, err
		}
		r.broken = "origin cuts, resets, drips or floods; callers cancel or leave" + option.name
		rows = append(rows, r)
	}
	return rows, nil
}

func hostileLoad(ctx context.Context, requests int, set func(*cachecontrol.Transport)) (row, error) {
	goroutines, files := runtime.NumGoroutine(), descriptors()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return row{}, err
	}
	h := &hostile{Listener: listener}
	h.serving.Go(h.serve)
	base := &http.Transport{MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: 1 << 20}
	t := &cachecontrol.Transport{Base: base, BackgroundTimeout: time.Second}
	set(t)
	var sum tally
	var mu sync.Mutex // guards sum
	var left, errs, gone atomic.Int64
	left.Store(int64(requests))
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				ctx, cancel := context.WithCancel(ctx)
				if rand.IntN(4) == 0 {
					gone.Add(1)
					time.AfterFunc(rand.N(2*time.Millisecond), cancel)
				}
				var one tally
				if !readHostile(ctx, t, "http://"+listener.Addr().String(), &one) {
					errs.Add(1)
				}
				cancel()
				mu.Lock()
				sum.add(one)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if err := t.Close(); err != nil {
		return row{}, err
	}
	base.CloseIdleConnections()
	listener.Close()
	h.serving.Wait()
	r := row{times: h.broken.Load(), unit: "answers", tally: sum}
	moreGoroutines, moreFiles := settle(goroutines, files)
	r.notes = fmt.Sprintf("%d requests ended with the origin's error, %d callers left; goroutines %+d, descriptors %+d", errs.Load(), gone.Load(), moreGoroutines, moreFiles)
	if moreGoroutines > 0 || moreFiles > 0 {
		r.broke = r.notes
	}
	return r, nil
}

// readHostile makes one request and reads some or all of the response. It reports whether there was a response
// without an error.
func readHostile(ctx context.Context, t *cachecontrol.Transport, url string, sum *tally) bool {
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/%d", url, rand.IntN(30)), nil)
	if err != nil {
		sum.failed(err)
		return false
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	sum.Reads++
	fromCache := cachecontrol.FromCache(resp)
	if fromCache {
		sum.Hits++
	}
	if rand.IntN(4) == 0 {
		io.CopyN(io.Discard, resp.Body, rand.Int64N(5000))
		return true
	}
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil && fromCache && ctx.Err() == nil:
		sum.failed(fmt.Errorf("a stored body: %w", err))
	case err != nil:
		return false
	case resp.Header.Get("Etag") != digest(body):
		sum.wrong("the head of %s with a body of %d bytes", resp.Header.Get("Etag"), len(body))
	}
	return true
}

// settle waits for at most ten seconds until there are no more goroutines and descriptors than before. It returns how
// many more there are.
func settle(goroutines, files int) (int, int) {
	for try := 0; ; try++ {
		g, f := runtime.NumGoroutine()-goroutines, descriptors()-files
		if g <= 0 && f <= 0 || try == 1000 {
			return max(g, 0), max(f, 0)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// descriptors returns the number of open files, or 0 if the system has no /proc/self/fd.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// collapsed makes a thousand identical requests at once, in several rounds, while some callers leave. In one round
// they leave before the header arrives, in the next while the body arrives. The origin gets one request per round,
// however slow the machine is, because some caller always waits for the response.
func collapsed(ctx context.Context, less int) ([]row, error) {
	const callers = 1000
	o, server := startOrigin()
	defer server.Close()
	base := &gate{base: http.DefaultTransport}
	t := &cachecontrol.Transport{Base: base, Collapse: true, CollapseTimeout: -1}
	defer t.Close()
	r := row{broken: fmt.Sprintf("%d identical requests at once, Collapse; a tenth of them leave, in every other round the first, too", callers), unit: "rounds"}
	var most int64
	for round := range max(2, 20/less) {
		before := base.asked.Load()
		whileBody := round%2 == 1
		base.arm(whileBody)
		var mu sync.Mutex // guards r
		var answered, left, all sync.WaitGroup
		for i := range callers {
			leaves := rand.IntN(10) == 0
			if i == 0 {
				leaves = whileBody
			}
			answered.Add(1)
			if leaves {
				left.Add(1)
			}
			all.Go(func() {
				one := collapsedCaller(ctx, t, fmt.Sprintf("%s/%d", server.URL, round), leaves, whileBody, &answered, &left)
				mu.Lock()
				defer mu.Unlock()
				r.add(one)
			})
			if i == 0 {
				select {
				case <-base.entered: // the first caller's request has arrived
				case <-ctx.Done():
				}
			}
		}
		if whileBody {
			answered.Wait() // then every caller has received the header, and all share one body
		}
		left.Wait()
		base.open()
		all.Wait()
		r.times++
		most = max(most, base.asked.Load()-before)
	}
	r.notes = fmt.Sprintf("the origin was asked %d times, at most %d in a round", o.answers.Load(), most)
	if most > 1 {
		r.broke = r.notes
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return []row{r}, nil
}

// collapsedCaller makes one of the requests. If leaves is set, it cancels the request immediately or, with whileBody,
// when all callers have the header, and calls left.Done. It calls answered.Done when RoundTrip has returned.
func collapsedCaller(ctx context.Context, t *cachecontrol.Transport, url string, leaves, whileBody bool, answered, left *sync.WaitGroup) (one tally) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	leave := func() {
		if leaves {
			cancel()
			left.Done()
			leaves = false
		}
	}
	defer leave()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		answered.Done()
		one.failed(err)
		return one
	}
	goes := leaves
	var gone sync.WaitGroup
	if goes && !whileBody {
		gone.Go(leave) // may run before, during or after RoundTrip
	}
	resp, err := t.RoundTrip(req)
	answered.Done()
	gone.Wait()
	var body []byte
	if err == nil {
		if goes && whileBody {
			answered.Wait()
			leave()
		}
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	switch {
	case err != nil && goes && errors.Is(err, context.Canceled):
	case err != nil:
		one.failed(err)
	default:
		one.Reads++
		if cachecontrol.FromCache(resp) {
			one.Hits++
		}
		if resp.Header.Get("Etag") != digest(body) {
			one.wrong("the head of %s with a body of %d bytes", resp.Header.Get("Etag"), len(body))
		}
	}
	return one
}

// A gate is a RoundTripper that holds responses, or only their bodies, until it is opened.
type gate struct {
	base    http.RoundTripper
	asked   atomic.Int64
	entered chan struct{} // receives a value when a request arrives, if there is room
	opened  chan struct{} // closed by open
	body    bool          // only the body is held
}

// arm closes the gate. No request may be in progress.
func (g *gate) arm(body bool) {
	g.entered, g.opened, g.body = make(chan struct{}, 1), make(chan struct{}), body
}

func (g *gate) open() { close(g.opened) }

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	g.asked.Add(1)
	select {
	case g.entered <- struct{}{}:
	default:
	}
	if !g.body {
		<-g.opened
	}
	resp, err := g.base.RoundTrip(req)
	if err == nil && g.body {
		resp.Body = &gatedBody{resp.Body, g.opened}
	}
	return resp, err
}

// A gatedBody is a body that cannot be read until its gate is opened.
type gatedBody struct {
	io.ReadCloser
	opened <-chan struct{}
}

func (b *gatedBody) Read(p []byte) (int, error) {
	<-b.opened
	return b.ReadCloser.Read(p)
}
