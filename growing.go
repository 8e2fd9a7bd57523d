package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	growingMemory = 1 << 20  // how much of a body waits in memory for those that read it; more is in a temporary file
	growingChunk  = 32 << 10 // how much of it is read at once
)

// growing is the body of a flight, which comes once and is read by several, each at its own pace. Nobody reads ahead of
// the fastest: a goroutine reads one chunk whenever somebody waits for it, and none is left where nobody does.
type growing struct {
	flight   *flight
	lead     *growingBody   // the leader's
	received *http.Response // whose body it is
	length   int64          // of the body; -1: not known
	source   io.ReadCloser
	close    sync.Once // of source

	mu      sync.Mutex // guards what follows
	open    bool       // others may join: what has come is kept from the start
	landed  bool       // source is known, or that there is none
	readers map[*growingBody]struct{}
	reading bool
	more    chan struct{} // closed when there is more; nil: nobody waits
	err     error         // what comes after the last byte; nil: not known yet
	trailer http.Header

	file   *os.File // the body up to off; nil: nobody needs that any more
	off    int64    // where in the body mem begins
	mem    []byte
	noFile bool // it could not be written: the rest stays in memory
}

// growingBody is a growing body as one request reads it. The request is one of its readers from when it joins.
type growingBody struct {
	g    *growing
	req  *http.Request
	resp *http.Response // is given the trailer at the end
	stop func() bool    // ends the watch over the request's context

	reading sync.Mutex // two goroutines that read at once take turns

	// Guarded by g.mu.
	off  int64
	err  error         // why it reads no more
	shut bool          // by its reader
	gone chan struct{} // closed when it does not
}

// join adds a reader, who is one until it leaves.
func (g *growing) join(req *http.Request) *growingBody {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.add(req, 0)
}

// add is join for who holds the lock. The reader begins at off.
func (g *growing) add(req *http.Request, off int64) *growingBody {
	b := &growingBody{g: g, req: req, off: off, gone: make(chan struct{})}
	if g.readers == nil {
		g.readers = make(map[*growingBody]struct{})
	}
	g.readers[b] = struct{}{}
	ctx := req.Context()
	b.stop = context.AfterFunc(ctx, func() { b.leave(context.Cause(ctx)) })
	return b
}

// leave ends the reader, and with the last one the flight, unless there is something to drain.
func (b *growingBody) leave(why error) { b.leaveAfter(why, nil) }

// leaveAfter is leave with rest as what reads in the background what the reader has not, if it is the last one, and if that is
// allowed. If nil, it is only read.
func (b *growingBody) leaveAfter(why error, rest func(io.Reader)) {
	g, f := b.g, b.g.flight
	f.flights.mu.Lock()
	g.mu.Lock()
	end := false
	var drain *growingBody
	var ahead int64 // how much of what it reads is here already
	if b.err == nil {
		b.err = why
		close(b.gone)
		delete(g.readers, b)
		switch {
		case len(g.readers) > 0:
		case why == http.ErrBodyReadAfterClose && !g.reading && (f.drains() || rest != nil && f.came()): // a Read that is under way is to end
			off := g.size()
			if rest != nil {
				off = b.off
			}
			drain = g.add(f.leader.req, off)
			ahead = g.size() - off
		default:
			f.shut()
			end = true
		}
	}
	landed := g.landed
	g.mu.Unlock()
	f.flights.mu.Unlock()
	b.stop()
	if end {
		f.cancel()
		if landed { // or else land sees to it
			g.end(why)
		}
	}
	if drain != nil && !f.drain(drain, ahead, rest) {
		drain.leave(errLeft)
	}
}

// drains says whether so little of a response that is being stored is missing that it may be read without a caller.
func (f *flight) drains() bool {
	if f.drainBytes <= 0 || !f.landed || !f.keeps || f.growing.err != nil {
		return false
	}
	left := f.length - f.size()
	return f.length < 0 || left > 0 && left <= f.drainBytes
}

// came says whether a response that is being stored has come to its end.
func (f *flight) came() bool {
	return f.landed && f.keeps && (f.growing.err == io.EOF || f.growing.err == nil && f.length == f.size())
}

// drain has the reader read the rest in the background, of which so much as ahead is here already. It says whether it does.
func (f *flight) drain(b *growingBody, ahead int64, rest func(io.Reader)) bool {
	return f.draining.run(f.leader.ctx, f.leader.key, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, f.backgroundTimeout)
		defer cancel()
		defer context.AfterFunc(ctx, func() { b.leave(context.Cause(ctx)) })()
		coded := io.LimitReader(b, ahead+max(f.drainBytes, 0)+1) // one more, to see an end right there
		if rest != nil {
			rest(coded)
		}
		io.Copy(io.Discard, coded)
		b.leave(errLeft)
	})
}

// errWaited is what await returns after its limit.
var errWaited = errors.New("cachecontrol: another request for the URL has no answer yet")

// await waits until c is closed, or for the limit, if it is positive. It returns why the reader has left, if that comes first.
func (b *growingBody) await(c <-chan struct{}, limit time.Duration) error {
	var timeout <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-c:
		return nil
	case <-timeout:
		return errWaited
	case <-b.gone:
	//lint:ignore SA1019 http.Client sets it, and so do callers of old
	case <-b.req.Cancel:
		b.leave(context.Canceled)
	}
	b.g.mu.Lock()
	defer b.g.mu.Unlock()
	return b.err
}

func (b *growingBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	for {
		n, more, err := b.take(p)
		switch {
		case err != nil:
			b.leave(err)
			return 0, err
		case more == nil:
			return n, nil
		}
		if err := b.await(more, 0); err != nil {
			return 0, err
		}
	}
}

// take gives what is there. Where nothing is, it has more read, and returns what is closed once that has come.
func (b *growingBody) take(p []byte) (n int, more <-chan struct{}, err error) {
	g := b.g
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case b.shut && (b.err == nil || b.err == io.EOF):
		return 0, nil, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, nil, b.err
	case len(p) == 0:
		return 0, nil, nil
	case b.off < g.off:
		file, off := g.file, b.off
		p = p[:min(int64(len(p)), g.off-off)]
		g.mu.Unlock() // for a disk may be slow
		n, err = file.ReadAt(p, off)
		g.mu.Lock()
	case b.off < g.size():
		n = copy(p, g.mem[b.off-g.off:])
	case g.err != nil:
		if b.resp != nil && g.trailer != nil {
			b.resp.Trailer = g.trailerFor(b)
		}
		return 0, nil, g.err
	default:
		if !g.reading {
			g.reading = true
			go g.readChunk()
		}
		if g.more == nil {
			g.more = make(chan struct{})
		}
		return 0, g.more, nil
	}
	b.off += int64(n)
	if n > 0 {
		err = nil
	}
	return n, nil, err
}

// trailerFor returns the trailer as a reader may have it: the leader, whose request brought it, has all of it.
func (g *growing) trailerFor(b *growingBody) http.Header {
	if b == g.lead {
		return g.trailer.Clone()
	}
	return g.flight.stored.trailer(g.trailer, false)
}

// Close does not wait for a Read that is under way.
func (b *growingBody) Close() error { return b.closeAfter(nil) }

// closeAfter is Close with rest as in leaveAfter.
func (b *growingBody) closeAfter(rest func(io.Reader)) error {
	why := context.Cause(b.req.Context())
	if why == nil {
		why = http.ErrBodyReadAfterClose
	}
	b.leaveAfter(why, rest)
	b.g.mu.Lock()
	b.shut = true
	b.g.mu.Unlock()
	return nil
}

// size is how much of the body has come.
func (g *growing) size() int64 { return g.off + int64(len(g.mem)) }

// carry makes the response's body the one that grows, and gives the response the leader's view of it.
func (g *growing) carry(resp *http.Response) {
	g.received, g.source, g.length = resp, resp.Body, framedLength(resp)
	resp.Body = g.lead
	if w, ok := g.source.(io.Writer); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &switchedBody{g.lead, w} // nobody has asked for a 101, and it can be written all the same
	}
}

// switchedBody is the body of a 101, which is a connection.
type switchedBody struct {
	*growingBody
	io.Writer
}

// readChunk reads on where the fastest reader is.
func (g *growing) readChunk() {
	g.makeRoom()
	g.mu.Lock()
	if cap(g.mem)-len(g.mem) < growingChunk/8 {
		want := max(int64(len(g.mem)), growingChunk/8)
		if g.length >= 0 {
			want = g.length + 1 - g.size()
		}
		g.mem = slices.Grow(g.mem, int(min(max(want, 512), growingChunk)))
	}
	free := g.mem[len(g.mem):cap(g.mem)]
	g.mu.Unlock()

	n, err := g.read(free[:min(len(free), growingChunk)])

	g.mu.Lock()
	g.mem = g.mem[:len(g.mem)+n]
	if err == io.EOF {
		g.trailer = g.received.Trailer.Clone()
	}
	g.mu.Unlock()
	if err != nil {
		g.end(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading = false
	if g.more != nil {
		close(g.more)
		g.more = nil
	}
}

// read reads on. A body that panics ends in an error, for it is read for others, too.
func (g *growing) read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			g.flight.caught(g.flight.leader.ctx, v)
			n, err = 0, fmt.Errorf("cachecontrol: the body panics: %v", v)
		}
	}()
	n, err = g.source.Read(p)
	_ = p[:n:len(p)] // a count that cannot be panics here
	return n, err
}

// makeRoom moves what fills the memory to a file, or drops what nobody needs. A long body that the leader has to itself
// so far is not worth a file: nobody joins any more.
func (g *growing) makeRoom() {
	g.mu.Lock()
	defer g.mu.Unlock()
	full := len(g.mem) >= growingMemory
	if g.open && (full && len(g.readers) <= 1 || g.size() > g.flight.maxBody) {
		g.mu.Unlock()
		g.flight.retire()
		g.mu.Lock()
	}
	if !g.open && g.allRead() {
		g.off, g.mem = g.size(), g.mem[:0]
		return
	}
	if !full || g.noFile {
		return
	}
	file, mem, off := g.file, g.mem, g.off
	g.mu.Unlock()
	file, err := spill(file, mem, off)
	g.mu.Lock()
	g.file = cmp.Or(file, g.file)
	if err != nil {
		g.noFile = true
		return
	}
	g.off, g.mem = g.size(), g.mem[:0]
}

func (g *growing) allRead() bool {
	for b := range g.readers {
		if b.off < g.size() {
			return false
		}
	}
	return true
}

// spill writes p at an offset to a file, or to a new one without a name, where the system knows such.
func spill(f *os.File, p []byte, off int64) (*os.File, error) {
	if f == nil {
		var err error
		if f, err = os.CreateTemp("", "cachecontrol-*"); err != nil {
			return nil, err
		}
		os.Remove(f.Name())
	}
	_, err := f.WriteAt(p, off)
	return f, err
}

// end says what comes after the last byte, and has no more use for the origin; without readers, for a file neither.
func (g *growing) end(err error) {
	g.flight.retire()
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	if len(g.readers) == 0 && g.file != nil {
		g.file.Close()
		os.Remove(g.file.Name())
		g.file = nil
	}
	g.mu.Unlock()
	g.flight.cancel()
	if g.source != nil {
		g.close.Do(func() { g.source.Close() })
	}
}
