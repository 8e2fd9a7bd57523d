package rediscache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// chunkCalls is a hook that records how many chunks each call of Redis reads or writes.
type chunkCalls struct {
	gate chan struct{} // calls of more than hold chunks wait until it is closed
	hold int

	mu              sync.Mutex // guards the fields below
	reads, writes   []int
	inFlight, atAll int // calls, now and at most
}

func (c *chunkCalls) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *chunkCalls) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *chunkCalls) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		reads, writes := 0, 0
		for _, cmd := range cmds {
			switch cmd.Name() {
			case "hget":
				reads++
			case "hset":
				writes += (len(cmd.Args()) - 2) / 2
			}
		}
		n := reads + writes
		if n == 0 {
			return next(ctx, cmds)
		}
		c.mu.Lock()
		if reads > 0 {
			c.reads = append(c.reads, reads)
		} else {
			c.writes = append(c.writes, writes)
		}
		c.inFlight++
		c.atAll = max(c.atAll, c.inFlight)
		c.mu.Unlock()
		if n > c.hold {
			<-c.gate
		}
		err := next(ctx, cmds)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inFlight--
		return err
	}
}

// await waits until there were n calls that read chunks.
func (c *chunkCalls) await(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		now := len(c.reads)
		c.mu.Unlock()
		if now >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d calls have read chunks, want %d", now, n)
		}
	}
}

const chunk = 256<<10 - 64

// newWindow returns a store with a body of 21 chunks, and the hook of its client.
func newWindow(t *testing.T, hold int) (c storage.Store, body []byte, calls *chunkCalls) {
	t.Helper()
	far, m := newMini(t)
	body = make([]byte, 20*chunk+1000)
	rand.NewChaCha8([32]byte{1}).Read(body)
	put(t, far, "name", 0, string(body))
	client := newClient(t, m.Addr())
	client.Ping(t.Context()) // connects
	calls = &chunkCalls{gate: make(chan struct{}), hold: hold}
	client.AddHook(calls)
	return rediscache.New(client, patient, rediscache.WatchInterval(-1)), body, calls
}

// A body is written while the next chunks are received, at most four of them at a time.
func TestWriteWindow(t *testing.T) {
	c, body, calls := newWindow(t, 0)
	w, err := c.Create(t.Context(), url, entry("name", 0))
	if err != nil {
		t.Fatal(err)
	}
	rest := bytes.NewReader(body)
	const early = 1<<20 + 3*chunk // five chunks are written at once, and the next three wait
	if _, err := io.CopyN(w, rest, early); err != nil {
		t.Fatal(err)
	}
	close(calls.gate)
	if _, err := io.Copy(w, rest); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if most := slices.Max(calls.writes[1:]); most > 4 || calls.atAll != 1 {
		t.Errorf("calls have written %d chunks, %d at a time, want at most 4, and one at a time", calls.writes, calls.atAll)
	}
	r := get(t, c)
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); !bytes.Equal(got, body) || err != nil {
		t.Errorf("the body has %d bytes, %v, want the %d that were written, nil", len(got), err, len(body))
	}
}

// The next chunks are read while the reader uses those that were read.
func TestReadWindow(t *testing.T) {
	c, body, calls := newWindow(t, 1)
	r := get(t, c)
	defer r.Body.Close()
	got := make([]byte, len(body))
	if _, err := io.ReadFull(r.Body, got[:16<<10]); err != nil {
		t.Fatal(err)
	}
	if len(calls.reads) != 1 {
		t.Errorf("calls have read %d chunks after the reader had 16 KiB, want [1]", calls.reads)
	}
	n := chunk // the next chunks are not there yet
	if _, err := io.ReadFull(r.Body, got[16<<10:n]); err != nil {
		t.Fatal(err)
	}
	calls.await(t, 2)
	close(calls.gate)
	if _, err := io.ReadFull(r.Body, got[n:]); err != nil || !bytes.Equal(got, body) {
		t.Errorf("the body is not the one that was written: %v", err)
	}
	if want := []int{1, 2, 4, 4, 4, 4, 2}; !slices.Equal(calls.reads, want) || calls.atAll != 1 {
		t.Errorf("calls have read %d chunks, %d at a time, want %d, one at a time", calls.reads, calls.atAll, want)
	}
}

// A reader that seeks or stops leaves at most one call behind.
func TestReadWindowUnwanted(t *testing.T) {
	c, body, calls := newWindow(t, 1)
	r := get(t, c)
	got := make([]byte, 64<<10)
	for _, n := range []int64{0, 9, 4, 15, 2, 12} {
		if _, err := r.Body.(io.Seeker).Seek(n*chunk, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r.Body, got); err != nil || !bytes.Equal(got, body[n*chunk:][:len(got)]) {
			t.Errorf("chunk %d is not the one that was written: %v", n, err)
		}
		calls.await(t, 2)
	}
	if want := []int{1, 2, 1, 1, 1, 1, 1}; !slices.Equal(calls.reads, want) {
		t.Errorf("calls have read %d chunks, want %d", calls.reads, want)
	}
	if err := r.Body.Close(); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	close(calls.gate) // no goroutine is left
}

// An error of chunks that were read ahead is returned when the reader is there.
func TestReadWindowError(t *testing.T) {
	far, m := newMini(t)
	body := string(make([]byte, 20*chunk))
	put(t, far, "name", 0, body)
	for _, write := range []bool{false, true} {
		r := get(t, far)
		name := bodies(m)[0]
		m.HDel(name, "5")
		var n int64
		var err error
		if write {
			n, err = io.Copy(io.Discard, r.Body)
		} else {
			n, err = io.Copy(io.Discard, struct{ io.Reader }{r.Body})
		}
		if n != 5*chunk || !errors.Is(err, storage.ErrUnreadable) {
			t.Errorf("%d bytes were read, %v, want %d, %v", n, err, 5*chunk, storage.ErrUnreadable)
		}
		r.Body.Close()
		put(t, far, "name", 0, body)
	}
}
