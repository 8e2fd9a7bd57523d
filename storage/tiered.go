package storage

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
)

// DefaultNearFor is the time for which Tiered uses a near entry if it is given zero.
const DefaultNearFor = 5 * time.Second

// tiered is the Store that Tiered returns.
type tiered struct {
	near    *DictCache
	far     Store
	batcher Batcher // far, or nil if it is none
	nearFor time.Duration

	// changes counts the changes of keys, by hash, and all the changes of all keys. They tell whether a key was changed
	// while the far store was asked. A change of a key also takes the confirmation from its near entry.
	seed    maphash.Seed
	changes [4096]atomic.Uint64
	all     atomic.Uint64

	mu     sync.Mutex // held while a near entry and its confirmation are changed together
	closed atomic.Bool
	stop   context.CancelFunc
	done   chan struct{} // closed when watch has returned
}

// Tiered returns a Store that keeps copies of a far store's entries in memory, in a near store. The far store
// is usually shared by several machines. An entry found in the far store is copied to the near store, and is
// returned from there without a call of the far store for the time nearFor. Zero means DefaultNearFor. A negative
// value means no limit.
//
// A change that another process makes in the far store is seen after nearFor at the latest, or as soon as the far
// store reports it, if that is a Watcher. If the body of the near entry is still the one in the far store, it
// is not read again. Writes go to the far store only, so an entry is copied to the near store on its first
// Get. While the far store fails, the Store also fails once nearFor has passed, because it cannot know
// which entries were deleted meanwhile. Entries that say what was invalidated, as the one under MarksKey does, are always
// read from the far store.
//
// The Store is a Leaser if far is one, and a Batcher if far is one. Its leases are those of the far store. It lists the entries
// of the far store if that is a Lister.
//
// near must not be used by anything else; if it is nil, a DictCache with the default limit is used. If far is a
// Watcher, it is watched until Close. Close closes far if it implements io.Closer. After Close, and if far is nil,
// every method returns ErrClosed.
func Tiered(near *DictCache, far Store, nearFor time.Duration) interface {
	Store
	io.Closer
} {
	if near == nil {
		near = NewDictCache()
	}
	if nearFor = cmp.Or(nearFor, DefaultNearFor); nearFor < 0 {
		nearFor = math.MaxInt64
	}
	t := &tiered{near: near, far: far, nearFor: nearFor, seed: maphash.MakeSeed(), done: make(chan struct{})}
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
	leaser, leases := far.(Leaser)
	batcher, batches := far.(Batcher)
	t.batcher = batcher
	switch {
	case leases && batches:
		return struct {
			*tiered
			leasing
			batching
		}{t, leasing{t, leaser}, batching{t}}
	case leases:
		return struct {
			*tiered
			leasing
		}{t, leasing{t, leaser}}
	case batches:
		return struct {
			*tiered
			batching
		}{t, batching{t}}
	}
	return t
}

// leasing makes a tiered a Leaser.
type leasing struct {
	t      *tiered
	leaser Leaser
}

// Lease returns a lease of the far store.
func (l leasing) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	if l.t.closed.Load() {
		return nil, false, ErrClosed
	}
	return l.leaser.Lease(ctx, key, d)
}

// batching makes a tiered a Batcher.
type batching struct{ t *tiered }

// Batch makes the calls that need the far store in one batch.
func (b batching) Batch(ctx context.Context, calls []Call) { b.t.batch(ctx, calls) }

// watch receives the changes that others make, and restarts Watch if it returns.
func (t *tiered) watch(ctx context.Context, far Watcher) {
	defer close(t.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		err := far.Watch(ctx, t.changed)
		t.changed("")
		if errors.Is(err, errors.ErrUnsupported) {
			return
		}
		pause.Reset(time.Second)
	}
}

// changed invalidates the near entry under key, also one that is being stored. If key is "", it invalidates all near entries.
func (t *tiered) changed(key string) {
	if key == "" {
		t.all.Add(1)
		return
	}
	t.count(key).Add(1) // first, so that settle or the next line notices it
	if r := t.near.peek(key); r != nil {
		if c := r.confirmed.Load(); c != nil {
			c.state.Store(outdated)
		}
	}
}

func (t *tiered) count(key string) *atomic.Uint64 {
	return &t.changes[maphash.String(t.seed, key)%uint64(len(t.changes))]
}

// Traits implements Describer. The near store never blocks.
func (t *tiered) Traits() Traits {
	d, ok := t.far.(Describer)
	if !ok {
		return Traits{}
	}
	far := d.Traits()
	return Traits{HonorsContexts: far.HonorsContexts || far.Local, NoRanges: far.NoRanges, Notices: far.Notices, Suspended: far.Suspended, Warning: far.Warning}
}

// Lookup implements Looker. It knows of an entry in the near store that need not be confirmed by the far store.
func (t *tiered) Lookup(key []byte) (h Held, known bool) {
	if t.closed.Load() {
		return Held{}, false
	}
	h, _ = t.near.Lookup(key)
	if h.Entry == nil || !t.isConfirmed(h.Entry.Unpack()) {
		return Held{}, false
	}
	return h, true
}

// isConfirmed reports whether the near entry e is equal to the far one, as far as is known.
func (t *tiered) isConfirmed(e *Entry) bool {
	c := confirmationOf(e)
	return c != nil && c.state.Load() == settled && c.entry == e && c.all == t.all.Load() && time.Now().Before(c.until)
}

// settle must be called when a near entry under key has got the confirmation c. The entry is used from then on, unless the key
// was changed since the far store was asked.
func (t *tiered) settle(key string, c *confirmation) {
	if c.change == t.count(key).Load() {
		c.state.CompareAndSwap(pending, settled)
	}
}

// lookup returns the near entry under key and its confirmation.
func (t *tiered) lookup(key string) (*Response, *confirmation) {
	r, err := t.near.Get(context.Background(), key)
	if err != nil {
		return nil, nil
	}
	return r, confirmationOf(r.Entry)
}

// confirmationOf returns the confirmation of the near entry e, or nil if e is not an entry of a tiered.
func confirmationOf(e *Entry) *confirmation {
	if r, ok := e.Stamp.(*record); ok {
		return r.confirmed.Load()
	}
	return nil
}

// Get returns the entry under key from the near store or, if necessary, from the far store.
func (t *tiered) Get(ctx context.Context, key string) (*Response, error) {
	if t.closed.Load() {
		return nil, ErrClosed
	}
	if r := t.confirmed(key); r != nil {
		return r, nil
	}
	q := t.ask(key)
	if q.call.Known != nil {
		calls := []Call{q.call}
		t.batcher.Batch(ctx, calls)
		q.call = calls[0]
	} else {
		q.call.Response, q.call.Err = t.far.Get(ctx, key)
	}
	return t.receive(ctx, &q)
}

// batch is described at Batcher.
func (t *tiered) batch(ctx context.Context, calls []Call) {
	if t.closed.Load() {
		for i := range calls {
			calls[i].Err = ErrClosed
		}
		return
	}
	if slices.ContainsFunc(calls, func(c Call) bool { return c.Put != nil || c.Delete }) {
		t.batcher.Batch(ctx, calls)
		for i := range calls {
			if calls[i].Put != nil || calls[i].Delete {
				t.changed(calls[i].Key)
				t.near.Delete(ctx, calls[i].Key)
			}
		}
		return
	}
	var asked []question
	var far []Call
	var from []int // the calls that are asked
	for i := range calls {
		if calls[i].Response = t.confirmed(calls[i].Key); calls[i].Response == nil {
			q := t.ask(calls[i].Key)
			asked, far, from = append(asked, q), append(far, q.call), append(from, i)
		}
	}
	if len(far) == 0 {
		return
	}
	t.batcher.Batch(ctx, far)
	for i := range asked {
		asked[i].call = far[i]
		calls[from[i]].Response, calls[from[i]].Err = t.receive(ctx, &asked[i])
	}
}

// confirmed returns the near entry under key if it need not be confirmed, and nil otherwise.
func (t *tiered) confirmed(key string) *Response {
	if cachekey.InvalidationSuffix(key) != "" { // it must not be old
		return nil
	}
	if r, err := t.near.Get(context.Background(), key); err == nil && t.isConfirmed(r.Entry) {
		return r
	}
	return nil
}

// question is a Get of the far store.
type question struct {
	call         Call
	confirmation *confirmation // of the near entry if the far one has the same body
}

// ask returns the question for an entry. The counts and the time are read before the far store is asked, so that no change in
// between is missed.
func (t *tiered) ask(key string) question {
	q := question{Call{Key: key}, &confirmation{change: t.count(key).Load(), all: t.all.Load(), until: time.Now().Add(t.nearFor)}}
	if near, old := t.lookup(key); old != nil && t.batcher != nil {
		q.call.Known = near.Entry.Copy()
		q.call.Known.Stamp = old.stamp
	}
	return q
}

// receive returns the entry that the far store has returned, or the near one if that is equal.
func (t *tiered) receive(ctx context.Context, q *question) (*Response, error) {
	key, far, err := q.call.Key, q.call.Response, q.call.Err
	if cachekey.InvalidationSuffix(key) != "" {
		return far, err
	}
	if errors.Is(err, ErrNotFound) {
		t.near.Delete(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	if far == nil || far.Entry == nil || far.Body == nil && q.call.Known == nil {
		return nil, errors.New("storage: the far store returned neither an entry nor an error")
	}
	q.confirmation.stamp = far.Entry.Stamp
	if r := t.confirm(key, far.Entry, q.confirmation); r != nil {
		if far.Body != nil {
			far.Body.Close()
		}
		return r, nil
	}
	if far.Body == nil { // the near entry is gone
		q.call.Known = nil
		q.call.Response, q.call.Err = t.far.Get(ctx, key)
		return t.receive(ctx, q)
	}
	return t.bring(ctx, key, far, q.confirmation), nil
}

// confirm replaces the metadata of the near entry with e and returns it, if their bodies are the same. It
// returns nil otherwise.
func (t *tiered) confirm(key string, e *Entry, c *confirmation) *Response {
	t.mu.Lock()
	defer t.mu.Unlock()
	near, old := t.lookup(key)
	if old == nil || !near.Entry.SameBody(e) {
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
	t.settle(key, c)
	return near
}

// bring copies a far entry to the near store: at once if its body is in memory, and otherwise while the
// caller reads it.
func (t *tiered) bring(ctx context.Context, key string, far *Response, c *confirmation) *Response {
	w, err := t.near.Create(ctx, key, far.Entry)
	if err != nil {
		return far
	}
	w.(*dictWriter).confirmed = c
	if body, ok := far.Body.(*bytesbody.Body); ok {
		if int64(len(body.Bytes())) != far.Entry.Length {
			return far // the reader detects the wrong length
		}
		if _, err := w.Write(body.Bytes()); err != nil || w.Commit() != nil {
			w.Abort()
			return far
		}
		t.settle(key, c)
		if near, now := t.lookup(key); now == c {
			return near
		}
		return far
	}
	far.Body = &nearingBody{
		ReadCloser: far.Body, near: w, left: far.Entry.Length,
		settle: func() { t.settle(key, c) }, forget: func() { t.near.Delete(ctx, key) },
	}
	return far
}

// nearingBody is the body of a far entry. It is copied to the near store while it is read.
type nearingBody struct {
	io.ReadCloser

	turn sync.Mutex // held by Read, so that the bytes are copied in the right order

	mu   sync.Mutex // guards the fields below, because Close may be called during Read
	near Writer     // nil if there is no copy, or no longer
	left int64

	settle func() // is called when there is a copy
	forget func() // removes the copy
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
			b.forget() // the body is longer than its entry says
		}
		return n, err
	}
	_, failed := b.near.Write(p[:n])
	switch {
	case failed != nil, b.left < 0, err != nil && (err != io.EOF || b.left > 0):
		b.end(b.near.Abort)
	case b.left == 0 && (err == io.EOF || n > 0):
		b.end(b.near.Commit)
		b.settle()
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
	how() // an error here only means that there is no copy
	b.near = nil
}

// Create returns a Writer of the far store.
func (t *tiered) Create(ctx context.Context, key string, e *Entry) (Writer, error) {
	if t.closed.Load() {
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
	// Also after an error, because the entry may have been stored nevertheless.
	defer w.commit()
	return w.Writer.Commit()
}

// Written implements RereadingWriter if the far store does.
func (w *farWriter) Written() (io.Reader, error) {
	if r, ok := w.Writer.(RereadingWriter); ok {
		return r.Written()
	}
	return nil, errors.ErrUnsupported
}

// Update replaces the metadata of the entry under key with e in the far store.
func (t *tiered) Update(ctx context.Context, key string, e *Entry) error {
	if t.closed.Load() {
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
func (t *tiered) Delete(ctx context.Context, key string) error {
	if t.closed.Load() {
		return ErrClosed
	}
	defer func() {
		t.changed(key)
		t.near.Delete(ctx, key)
	}()
	return t.far.Delete(ctx, key)
}

// List implements Lister. It lists the entries of the far store.
func (t *tiered) List(ctx context.Context) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		lister, ok := t.far.(Lister)
		switch {
		case t.closed.Load():
			yield(Listed{}, ErrClosed)
			return
		case !ok:
			yield(Listed{}, errors.ErrUnsupported)
			return
		}
		for l, err := range lister.List(ctx) {
			if t.closed.Load() {
				l, err = Listed{}, ErrClosed
			}
			if !yield(l, err) || err == ErrClosed {
				return
			}
		}
	}
}

// KeepDecoded implements DecodedKeeper. It stores the decoded body of an entry in the near store.
func (t *tiered) KeepDecoded(key string, e *Entry, body []byte) {
	t.near.KeepDecoded(key, e, body)
}

// Close stops watching the far store, and closes it if it implements io.Closer.
func (t *tiered) Close() error {
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
