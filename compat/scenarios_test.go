package compat

import (
	"context"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// client is a client library.
type client struct {
	name   string
	module string // the path of its module

	// start makes the client use e.cache. It registers its own cleanup with e.t.
	start func(e *env) use
}

// use is what the scenarios do with a client.
type use struct {
	// read requests the text.
	read func(ctx context.Context) (string, error)

	// open returns the body of the response to a request for the text while it is received. It is nil if the client reads
	// bodies itself.
	open func(ctx context.Context) (io.ReadCloser, error)

	// write changes the text with an unsafe request. It is nil if the client sends none.
	write func(ctx context.Context, text string) error
}

// scenario is something that a client does with a cache below it.
type scenario struct {
	name         string
	cacheControl string // of the origin
	size         int    // of the text
	applies      func(use) bool
	run          func(e *env, ctx context.Context, u use)
}

func always(use) bool    { return true }
func streams(u use) bool { return u.open != nil }
func writes(u use) bool  { return u.write != nil }

const fresh, validate = "max-age=3600", "no-cache"

var scenarios = []scenario{
	{"hit", fresh, 1000, always, func(e *env, ctx context.Context, u use) {
		e.reads(ctx, u)
		e.reads(ctx, u)
		e.expect(exchange{false, 200})
		if n := e.cache.Stats().Hits; n == 0 {
			e.t.Errorf("no hits were counted")
		}
	}},
	{"304", validate, 1000, always, func(e *env, ctx context.Context, u use) {
		e.reads(ctx, u)
		e.reads(ctx, u)
		e.expect(exchange{false, 200}, exchange{true, 304})
		if n := e.cache.Stats().Revalidated; n == 0 {
			e.t.Errorf("no validations were counted")
		}
	}},
	{"changed", validate, 1000, always, func(e *env, ctx context.Context, u use) {
		e.reads(ctx, u)
		e.set(randomText(1000))
		e.reads(ctx, u)
		e.expect(exchange{false, 200}, exchange{true, 200})
	}},
	{"write", fresh, 1000, writes, func(e *env, ctx context.Context, u use) {
		e.reads(ctx, u)
		text := randomText(1000)
		if err := u.write(ctx, text); err != nil {
			e.t.Fatalf("write: %v", err)
		}
		if got := e.get(); got != text {
			e.t.Fatalf("the origin has %.40q, want %.40q", got, text)
		}
		e.reads(ctx, u)
	}},
	{"stale", "max-age=0", 1000, always, func(e *env, ctx context.Context, u use) {
		e.reads(ctx, u)
		e.setFault(fails)
		e.reads(ctx, u)
		e.setFault(noFault)
		if n := e.cache.Stats().Stale; n == 0 {
			e.t.Errorf("no stale responses were counted")
		}
	}},
	{"together", fresh, 1000, always, func(e *env, ctx context.Context, u use) {
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() { e.reads(ctx, u) })
		}
		readers.Wait()
		e.expect(exchange{false, 200})
	}},
	{"streamed", fresh, 1 << 20, streams, func(e *env, ctx context.Context, u use) {
		e.setFault(pauses)
		body, err := u.open(ctx)
		if err != nil {
			e.t.Fatalf("open: %v", err)
		}
		defer body.Close()
		half := make([]byte, 1<<18)
		if _, err := io.ReadFull(body, half); err != nil {
			e.t.Fatalf("the first half: %v", err)
		}
		close(e.release)
		rest, err := io.ReadAll(body)
		if got := string(half) + string(rest); err != nil || !strings.Contains(got, e.get()) {
			e.t.Errorf("open = %.40q... (%d bytes), %v, want %.40q... (%d bytes) in it", got, len(got), err, e.get(), len(e.get()))
		}
		body.Close()
		e.setFault(noFault)
		e.opens(ctx, u)
		e.expect(exchange{false, 200})
	}},
	{"canceled", fresh, 1 << 20, always, func(e *env, ctx context.Context, u use) {
		e.setFault(pauses)
		canceled, cancel := context.WithCancel(ctx)
		defer cancel()
		result := make(chan error, 1)
		go func() {
			_, err := u.read(canceled)
			result <- err
		}()
		e.wait(ctx, e.half, "the origin gets no request")
		cancel()
		if err := <-result; err == nil {
			e.t.Errorf("the canceled request succeeded")
		}
		e.wait(ctx, e.gone, "the origin is not told")
		e.setFault(noFault)
		e.unseen = 1
		e.reads(ctx, u)
	}},
	{"closed early", fresh, 1 << 20, streams, func(e *env, ctx context.Context, u use) {
		body, err := u.open(ctx)
		if err != nil {
			e.t.Fatalf("open: %v", err)
		}
		if _, err := io.ReadFull(body, make([]byte, 100)); err != nil {
			e.t.Fatalf("the first bytes: %v", err)
		}
		body.Close()
		e.opens(ctx, u)
		e.opens(ctx, u)
	}},
	{"broken off", fresh, 1 << 20, always, func(e *env, ctx context.Context, u use) {
		e.setFault(breaks)
		if got, err := u.read(ctx); err == nil && got != e.get() {
			e.t.Errorf("read = %.40q... (%d bytes), want an error", got, len(got))
		}
		e.setFault(noFault)
		e.reads(ctx, u)
		e.reads(ctx, u)
	}},
}

// reads fails the test if the client does not read the text that the origin has.
func (e *env) reads(ctx context.Context, u use) {
	e.t.Helper()
	want := e.get()
	if got, err := u.read(ctx); err != nil {
		e.t.Errorf("read: %v", err)
	} else if got != want {
		e.t.Errorf("read = %.40q... (%d bytes), want %.40q... (%d bytes)", got, len(got), want, len(want))
	}
	e.settle(ctx)
}

// settle waits until the responses that the origin has sent are stored. The cache reads what a client leaves of a body
// in the background.
func (e *env) settle(ctx context.Context) {
	e.t.Helper()
	for tick := time.Tick(time.Millisecond); ; {
		stats, sent := e.cache.Stats(), uint64(0)
		for _, x := range e.exchanges() {
			if x.status == 200 {
				sent++
			}
		}
		ended := stats.Stored
		for _, n := range stats.NotStored {
			ended += n
		}
		if ended+e.unseen >= sent {
			return
		}
		select {
		case <-tick:
		case <-ctx.Done():
			e.t.Fatalf("%d of %d responses are neither stored nor given up", sent-ended, sent)
		}
	}
}

// opens fails the test if the body that the client opens does not contain the text that the origin has.
func (e *env) opens(ctx context.Context, u use) {
	e.t.Helper()
	if got, err := readAll(u.open)(ctx); err != nil || !strings.Contains(got, e.get()) {
		e.t.Errorf("open = %.40q... (%d bytes), %v, want %.40q... (%d bytes) in it", got, len(got), err, e.get(), len(e.get()))
	}
	e.settle(ctx)
}

// expect fails the test if the origin has received other requests for the text.
func (e *env) expect(want ...exchange) {
	e.t.Helper()
	if got := e.exchanges(); !slices.Equal(got, want) {
		e.t.Errorf("the origin had the exchanges %v, want %v", got, want)
	}
}

// randomText returns n hexadecimal digits. They do not compress to less than half.
func randomText(n int) string {
	b := make([]byte, n/2)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b)
}

// TestClients runs all scenarios with all clients, over HTTP/1.1 with a store in memory, and over HTTP/2 with one in a
// directory.
func TestClients(t *testing.T) {
	for _, c := range clients {
		for _, s := range scenarios {
			for _, http2 := range []bool{false, true} {
				name := c.name + "/" + s.name + "/HTTP1"
				if http2 {
					name = c.name + "/" + s.name + "/HTTP2"
				}
				t.Run(name, func(t *testing.T) { s.test(t, c, http2) })
			}
		}
	}
}

func (s *scenario) test(t *testing.T, c client, http2 bool) {
	e := newEnv(t, http2)
	e.cacheControl, e.text = s.cacheControl, randomText(s.size)
	e.cache.StaleIfError, e.cache.Collapse, e.cache.CollapseTimeout = time.Hour, true, -1
	if http2 {
		store, err := directory.NewSeparateBodyFileCache(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		e.cache.Store = store
	}
	u := c.start(e)
	if !s.applies(u) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.run(e, ctx, u)
}
