package storage

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// defaultNearFor is how long a TieredCache that was given no NearFor goes without asking the far store.
const defaultNearFor = 5 * time.Second

// NearFor sets for how long a TieredCache answers from the near store before it asks the far one again; d <= 0 leaves
// the default of 5 seconds.
func NearFor(d time.Duration) Option {
	return func(o *options) {
		if d > 0 {
			o.nearFor = d
		}
	}
}

// TieredCache is a store in memory before one that several machines share. What is found far away is kept near, and
// answers from there without a call of the far store.
//
// What another process stored, refreshed or deleted in the far store is seen after NearFor at the latest, and at once
// where the far store is a Watcher that tells of it. Where what is near proves to be what is still stored, its body is
// not read again. Writes go to the far store alone, so an entry comes near when it is first asked for. While the far
// store fails, so does the TieredCache once NearFor is over: it cannot know what was deleted meanwhile.
//
// All methods are safe for concurrent use. Every method of a nil *TieredCache that returns an error returns ErrClosed.
type TieredCache struct {
	near    *DictCache
	far     Store
	nearFor time.Duration

	// changes counts, by the key's hash, what has changed. What is near is right only while its count stands still.
	seed    maphash.Seed
	changes [4096]atomic.Uint64

	mu     sync.Mutex // held while a near head and its confirmation are changed together
	closed atomic.Bool
	stop   context.CancelFunc
	done   chan struct{} // closed when nobody watches the far store any more
}

// confirmation says that what is near was what is far.
type confirmation struct {
	entry  *serialize.Entry // what is near
	change uint64           // the count of changes before the far store was asked
	until  time.Time        // when it has to be asked again
	stamp  any              // the far store's own mark of the entry
}

// Tiered returns a TieredCache of near, which nobody else may use, before far. A nil near is one with the default bound.
// It heeds the option NearFor. Where far is a Watcher, Tiered begins to watch it, until Close.
func Tiered(near *DictCache, far Store, opts ...Option) *TieredCache {
	if near == nil {
		near = NewDictCache()
	}
	t := &TieredCache{
		near: near, far: far, nearFor: newOptions(opts).nearFor,
		seed: maphash.MakeSeed(), done: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	switch far := far.(type) {
	case nil:
		t.closed.Store(true)
		close(t.done)
	case Watcher:
		go t.watch(ctx, far)
	default:
		close(t.done)
	}
	return t
}

// watch hears what others change, and begins anew where that ends.
func (t *TieredCache) watch(ctx context.Context, far Watcher) {
	defer close(t.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		far.Watch(ctx, t.changed)
		t.changed("")
		pause.Reset(time.Second)
	}
}

// changed ends the trust in what is near under key, and under those that share its count; "": under every key.
func (t *TieredCache) changed(key string) {
	if key != "" {
		t.count(key).Add(1)
		return
	}
	for i := range t.changes {
		t.changes[i].Add(1)
	}
}

func (t *TieredCache) count(key string) *atomic.Uint64 {
	return &t.changes[maphash.String(t.seed, key)%uint64(len(t.changes))]
}

// GetNear returns what is near under key, if that may answer without a call of the far store. It waits for nobody.
func (t *TieredCache) GetNear(key string) (*Response, bool) {
	if t == nil || t.closed.Load() {
		return nil, false
	}
	r, c := t.lookup(key)
	if c == nil || c.entry != r.Entry || c.change != t.count(key).Load() || !time.Now().Before(c.until) {
		return nil, false
	}
	return r, true
}

// lookup returns what is near, and when it was confirmed.
func (t *TieredCache) lookup(key string) (*Response, *confirmation) {
	r, err := t.near.Get(context.Background(), key)
	if err != nil {
		return nil, nil
	}
	return r, confirmationOf(r.Entry)
}

// confirmationOf returns what is known of the far entry that e is a copy of; nil: e is no entry of a TieredCache.
func confirmationOf(e *serialize.Entry) *confirmation {
	if r, ok := e.Stamp.(*record); ok {
		return r.confirmed.Load()
	}
	return nil
}

// Get returns the entry under key, from near or from far.
func (t *TieredCache) Get(ctx context.Context, key string) (*Response, error) {
	if r, ok := t.GetNear(key); ok {
		return r, nil
	}
	if t == nil || t.closed.Load() {
		return nil, ErrClosed
	}
	// The count is read, and the time taken, before the far store is asked: what changes meanwhile is not missed.
	c := &confirmation{change: t.count(key).Load(), until: time.Now().Add(t.nearFor)}
	far, err := t.far.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		t.near.Delete(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	if far == nil || far.Entry == nil || far.Body == nil {
		return nil, errors.New("storage: the far store returned neither an entry nor an error")
	}
	c.stamp = far.Entry.Stamp
	if r := t.confirm(key, far.Entry, c); r != nil {
		far.Body.Close()
		return r, nil
	}
	return t.bring(ctx, key, far, c), nil
}

// confirm gives what is near the head of e, and returns it, if it has e's body.
func (t *TieredCache) confirm(key string, e *serialize.Entry, c *confirmation) *Response {
	t.mu.Lock()
	defer t.mu.Unlock()
	near, old := t.lookup(key)
	if old == nil || !sameBody(near.Entry, e) {
		return nil
	}
	head := e.Clone()
	head.Stamp = near.Entry.Stamp
	if t.near.Update(context.Background(), key, head) != nil {
		return nil
	}
	near, old = t.lookup(key)
	if old == nil || near.Entry.Stamp != head.Stamp {
		return nil
	}
	c.entry = near.Entry
	near.Entry.Stamp.(*record).confirmed.Store(c)
	return near
}

// bring keeps what is far near: at once where its body is in memory, and else while the caller reads it.
func (t *TieredCache) bring(ctx context.Context, key string, far *Response, c *confirmation) *Response {
	w, err := t.near.Create(ctx, key, far.Entry)
	if err != nil {
		return far
	}
	w.(*DictWriter).confirmed = c
	if body, ok := far.Body.(*bytesbody.Body); ok {
		if int64(len(body.Bytes())) != far.Entry.Length {
			return far // whoever reads it may judge
		}
		if _, err := w.Write(body.Bytes()); err != nil || w.Commit() != nil {
			w.Abort()
			return far
		}
		if near, now := t.lookup(key); now == c {
			return near
		}
		return far
	}
	far.Body = &nearingBody{ReadCloser: far.Body, near: w, left: far.Entry.Length, forget: func() { t.near.Delete(ctx, key) }}
	return far
}

// nearingBody is the body of a far entry, which comes near while it is read.
type nearingBody struct {
	io.ReadCloser

	turn sync.Mutex // held by Read, so that what comes near has the order in which it came

	mu   sync.Mutex // guards what follows: Close may come while Read is under way
	near Writer     // nil: not, or no longer
	left int64

	forget func() // drops what has come near
}

func (b *nearingBody) Read(p []byte) (int, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left -= int64(n)
	if b.near == nil {
		if n > 0 && b.left < 0 {
			b.forget() // it went on after the length that its entry speaks of
		}
		return n, err
	}
	_, failed := b.near.Write(p[:n])
	switch {
	case failed != nil, b.left < 0, err != nil && (err != io.EOF || b.left > 0):
		b.end(b.near.Abort)
	case b.left == 0 && (err == io.EOF || n > 0):
		b.end(b.near.Commit)
	}
	return n, err
}

func (b *nearingBody) Close() error {
	err := b.ReadCloser.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.near != nil {
		b.end(b.near.Abort)
	}
	return err
}

func (b *nearingBody) end(how func() error) {
	how() // an entry that does not come near is nobody's failure
	b.near = nil
}

// Create returns a Writer of the far store.
func (t *TieredCache) Create(ctx context.Context, key string, e *serialize.Entry) (Writer, error) {
	if t == nil || t.closed.Load() {
		return nil, ErrClosed
	}
	w, err := t.far.Create(ctx, key, e)
	if err != nil {
		return nil, err
	}
	return &farWriter{Writer: w, commit: func() { t.changed(key) }}, nil
}

// farWriter is a Writer of the far store.
type farWriter struct {
	Writer
	commit func()
}

func (w *farWriter) Commit() error {
	// Also after an error: it may have come after the change.
	defer w.commit()
	return w.Writer.Commit()
}

// Update gives the entry under key the head e in the far store.
func (t *TieredCache) Update(ctx context.Context, key string, e *serialize.Entry) error {
	if t == nil || t.closed.Load() {
		return ErrClosed
	}
	if c := confirmationOf(e); c != nil {
		e = e.Clone()
		e.Stamp = c.stamp
	}
	defer t.changed(key)
	return t.far.Update(ctx, key, e)
}

// Delete removes the entry under key from both stores.
func (t *TieredCache) Delete(ctx context.Context, key string) error {
	if t == nil || t.closed.Load() {
		return ErrClosed
	}
	defer func() {
		t.changed(key)
		t.near.Delete(ctx, key)
	}()
	return t.far.Delete(ctx, key)
}

// KeepDecoded gives the near store the decoded body of an entry that came from there.
func (t *TieredCache) KeepDecoded(key string, e *serialize.Entry, body []byte) {
	if t != nil {
		t.near.KeepDecoded(key, e, body)
	}
}

// Close ends the watch over the far store, and closes that one if it can be closed.
func (t *TieredCache) Close() error {
	if t == nil {
		return ErrClosed
	}
	t.stop()
	<-t.done
	if t.closed.Swap(true) {
		return nil
	}
	t.near.Clear()
	if c, ok := t.far.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
