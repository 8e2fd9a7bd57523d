package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/detachable"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// originBody passes on the origin's body, counts its bytes, and writes a copy to the store. It commits the entry at EOF
// or after the last byte of a body of known length; if a trailer may follow, at EOF or Close. An incomplete body is
// never committed.
type originBody struct {
	io.ReadCloser
	context *detachable.Context // of the request; nil if it never ends
	counter *atomic.Uint64      // counts the bytes read; nil if they were counted before
	once    sync.Once           // guards the Close of ReadCloser

	stores bool        // a recording was started
	ended  atomic.Bool // the recording has ended: rec is nil and remains nil
	whole  atomic.Bool // the whole response is stored
	closed atomic.Bool // the caller has called Close
	err    error       // returned at the end, if the recording has shown that the body is wrong; set before ended

	turn sync.Mutex // held by Read, so that the body is stored in order

	mu   sync.Mutex      // guards the following fields: Close may run during Read
	rec  *recording      // nil if there is no recording, or no longer
	done <-chan struct{} // closed when the recording has ended; nil if it has ended once rec is nil
}

func (b *originBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if !b.stores || b.ended.Load() && b.err == nil {
		return b.read(p)
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.next(p)
}

// next reads and records the next bytes, even if the caller has closed the body. The caller of next holds turn.
func (b *originBody) next(p []byte) (int, error) {
	n, err := b.read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rec
	if r == nil {
		return n, cmp.Or(b.err, err)
	}
	if n > 0 {
		b.writeChunk(p[:n])
	}
	switch {
	case b.rec == nil:
	case err == io.EOF && (r.length < 0 || r.n == r.length), err == nil && n > 0 && r.n == r.length && !r.hasTrailer:
		b.finish(rules.ReasonNone)
	case err != nil, r.length >= 0 && r.n > r.length:
		b.finish(rules.Incomplete)
	}
	return n, cmp.Or(b.err, err)
}

func (b *originBody) read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 && b.counter != nil {
		b.counter.Add(uint64(n))
	}
	if err != nil {
		b.context.Release()
	}
	return n, err
}

func (b *originBody) writeChunk(p []byte) {
	r := b.rec
	first := r.n == 0
	r.n += int64(len(p))
	if r.n > r.maxBody {
		b.finish(rules.TooLong)
		return
	}
	if first && r.before != nil {
		if err := r.before(r); err != nil {
			b.fail(err)
			return
		}
	}
	r.content.Write(p)
	if err := r.writeBody(p); err != nil {
		b.fail(err)
	}
}

// fail ends the recording after the store has failed to write a part of the body.
func (b *originBody) fail(err error) {
	switch {
	case errors.Is(err, storage.ErrTooLarge):
		b.finish(rules.TooLong)
		return
	case errors.Is(err, storage.ErrChanged):
		b.finish(rules.Outdated)
		return
	}
	b.rec.err = err
	b.finish(rules.StoreFailed)
}

// finish ends the recording. It commits the entry if why is ReasonNone and aborts it otherwise. b.mu is held. If the store is
// not local, finish waits for it only briefly.
func (b *originBody) finish(why rules.Reason) {
	r := b.rec
	b.rec = nil
	if r.waits || r.store.Traits().Local {
		b.end(r, why)
		return
	}
	wait := min(finishWait, r.store.Share(r.ctx))
	r.letGo()
	done := make(chan struct{})
	b.done = done
	r.behind.Do(r.key, wait, func() {
		defer close(done)
		b.end(r, why)
	})
}

// finishWait is how long the caller's last Read waits for a store that may hang. Usually the entry is stored by then, and
// other processes find it.
const finishWait = 100 * time.Millisecond

// end ends the recording, which is not b's any more.
func (b *originBody) end(r *recording, why rules.Reason) {
	defer b.ended.Store(true) // not before the entry is stored
	if why == rules.ReasonNone && r.after != nil {
		if r.err = r.after(r); r.err != nil {
			why = rules.StoreFailed
		}
	}
	if why == rules.ReasonNone && !r.digestsMatch() {
		why = rules.DigestMismatch
		if r.misfit {
			b.err = errCombined
		}
	}
	b.whole.Store(r.finish(why))
	if r.release != nil {
		r.release()
	}
}

// bodyOf returns the body of resp, which becomes an originBody if it is none.
func bodyOf(resp *http.Response) *originBody {
	b, ok := resp.Body.(*originBody)
	if !ok {
		b = &originBody{ReadCloser: resp.Body}
		resp.Body = b
	}
	return b
}

// waitStored waits until the response is stored, or will not be.
func (b *originBody) waitStored() {
	b.mu.Lock()
	done := b.done
	b.mu.Unlock()
	if done != nil {
		<-done
	}
}

// forgetFunc returns a function that aborts the recording of the body, or, if the body is stored, removes the entry under key.
func (b *originBody) forgetFunc(ctx context.Context, e *engine, plain, key string) func(error) {
	ctx = context.WithoutCancel(ctx)
	return func(error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r := b.rec; r != nil {
			r.damaged = true
			b.finish(rules.Incomplete)
			if r.forgetParts != nil {
				r.forgetParts()
			}
			return
		}
		if done := b.done; done != nil {
			e.behind.Do(plain, finishWait, func() {
				<-done
				b.removeStored(ctx, e, plain, key)
			})
			return
		}
		b.removeStored(ctx, e, plain, key)
	}
}

func (b *originBody) removeStored(ctx context.Context, e *engine, plain, key string) {
	if b.whole.Load() {
		e.remove(ctx, plain, key)
	}
}

// record starts a recording of the following bytes, unless the body is closed. b.stores must be true.
func (b *originBody) record(r *recording) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		r.Abort()
		return
	}
	b.rec = r
}

// forgetParts ends the recording of the body in pieces, and removes the pieces.
func (b *originBody) forgetParts() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.rec; r != nil {
		r.damaged = true
		b.finish(rules.Incomplete)
		k, _ := r.lock(r.ctx, r.key)
		defer k.Unlock()
		r.removeParts()
	}
}

// Close does not wait for the origin, except for drainWait. The rest of a response that is being stored may be read in
// the background.
func (b *originBody) Close() error { return b.CloseAfter(nil) }

// CloseAfter is like Close, but if rest is not nil, it calls rest once: in the background to read the remaining body, if that
// is allowed, and otherwise with nil. If rest is nil, the remaining body is read and discarded.
func (b *originBody) CloseAfter(rest func(io.Reader)) error {
	closed := b.closed.Swap(true)
	switch {
	case !closed && b.drainLater(rest):
		return nil
	case rest == nil:
	case !closed && b.whole.Load():
		rest(http.NoBody) // the body is complete and stored
	default:
		rest(nil)
	}
	if closed {
		return nil
	}
	return b.shut()
}

// shut closes the origin's body and ends the recording.
func (b *originBody) shut() error {
	var err error
	b.once.Do(func() { err = b.ReadCloser.Close() })
	b.context.Cancel()
	if !b.stores || b.ended.Load() {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r := b.rec; {
	case r == nil:
	case r.hasTrailer && r.n == r.length:
		b.finish(rules.ReasonNone)
	default:
		b.finish(rules.Incomplete)
	}
	return err
}

// drainWait is how long Close waits for a body that is drained in the background. Usually the rest of the body is in a
// buffer already. The next request then finds the response stored, or the connection free.
const drainWait = 10 * time.Millisecond

// drainLater starts to read the rest of a closed body in the background, if that is all that is missing of a response
// that is being stored. It reports whether it has.
func (b *originBody) drainLater(rest func(io.Reader)) bool {
	if !b.stores || b.ended.Load() || !b.turn.TryLock() { // a Read in progress must end
		return false
	}
	r, most := b.drainable()
	if r == nil || !b.context.Detach() {
		b.turn.Unlock()
		return false
	}
	started := b.drain(r.ctx, r.engine, r.key, func() {
		defer b.turn.Unlock()
		coded := io.LimitReader(readerFunc(b.next), most)
		if rest != nil {
			rest(coded)
		}
		io.Copy(io.Discard, coded)
	})
	if !started {
		b.turn.Unlock()
	}
	return started
}

// drainable returns the recording of a body that may be drained, or nil, and how much may be read: one byte more than
// allowed, to detect EOF after exactly that many bytes.
func (b *originBody) drainable() (r *recording, most int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r = b.rec
	if r == nil || !r.drains {
		return nil, 0
	}
	if left := r.length - r.n; r.length >= 0 && (left > r.drainBytes || left == 0 && !r.announced) {
		return nil, 0
	}
	return r, r.drainBytes + 1
}

// drain runs read in the background and then ends the body. It cancels a read that takes longer than the background
// timeout. It returns false if too many tasks are running. It waits for the task for at most drainWait.
func (b *originBody) drain(ctx context.Context, e *engine, key string, read func()) bool {
	done := make(chan struct{})
	started := e.draining.Run(ctx, key, func(ctx context.Context) {
		defer close(done)
		defer b.shut()
		defer context.AfterFunc(ctx, func() {
			b.context.Cancel()
			b.once.Do(func() { b.ReadCloser.Close() })
		})()
		read()
	})
	if started {
		timer := time.NewTimer(drainWait)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
	return started
}

// readerFunc is a function that reads.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// skip discards up to n bytes.
func (b *originBody) skip(n int64) { io.CopyN(io.Discard, b.ReadCloser, n) }

// framedLength returns the length of the body according to the framing of the message, or -1 if it is not known.
func framedLength(resp *http.Response) int64 {
	n := resp.ContentLength
	if _, ok := resp.Body.(*originBody); ok && n == 0 && resp.StatusCode != http.StatusNoContent {
		n = -1 // as in http.Response.Write, 0 may mean unknown in a response that a program made
	}
	if n < 0 && !resp.Uncompressed {
		if n := rules.ContentLength(resp.Header); n >= 0 {
			return n // the field is the only source
		}
	}
	return max(n, -1)
}
