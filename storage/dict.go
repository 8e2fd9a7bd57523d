package storage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
)

// DefaultMaxBytes is the bound of a DictCache if MaxBytes is zero.
const DefaultMaxBytes = 64 << 20

// DictCache is a Store in memory. An entry is kept in a packed form, and small entries share blocks of memory
// until their first hit, so that the garbage collector has little work to do. The first hit copies a body of up
// to 2 KiB. Later hits copy no body and take no lock. A hit of a Transport does not unpack the entry. Get does
// so once, and keeps the unpacked entry as well, as Update keeps the new one.
//
// The cache is bounded by bytes. Bodies, decoded bodies, keys and an estimate of all other memory that
// entries take stay within MaxBytes. The first hit makes an entry count for more, because
// of the data that a Transport keeps with it, so that other entries may be evicted then, as when an entry is
// stored. Entries that were never requested since they were stored are evicted
// first, then those that were not requested recently. So a crawl through pages that are requested once does
// not evict pages that are requested repeatedly. One entry may take a quarter of MaxBytes; Write returns
// ErrTooLarge as soon as a body is longer. Bodies that are still being written do not count, but each is
// limited to that quarter.
//
// The zero value is an empty cache with the default bound. All methods are safe for concurrent use. Every
// method of a nil *DictCache that returns an error returns ErrClosed.
type DictCache struct {
	// MaxBytes is the bound in bytes. Zero means DefaultMaxBytes. A negative value means no limit. It must not be changed
	// after the first use.
	MaxBytes int64

	index  dictIndex   // read without the lock
	ranges atomic.Bool // whether an entry with a Range has ever been stored
	marks  atomic.Bool // whether an entry has ever been stored under MarksKey

	mu     sync.Mutex // guards the fields below, all changes of index, and the fields of record that name the lock
	fresh  recordQueue
	kept   recordQueue
	pinned recordQueue // the entry under MarksKey, which is not evicted
	slabs  slabs       // of entries in fresh

	evictions atomic.Uint64
	leases    leases
}

// NewDictCache returns an empty DictCache with the default bound.
func NewDictCache() *DictCache { return new(DictCache) }

// bound returns the number of bytes that the cache may hold.
func (c *DictCache) bound() int64 {
	if c.MaxBytes < 0 {
		return math.MaxInt64
	}
	return cmp.Or(c.MaxBytes, DefaultMaxBytes)
}

// Get returns the entry under key, or ErrNotFound. The body implements io.Seeker and io.WriterTo and reads
// the stored bytes directly. It need not be closed.
func (c *DictCache) Get(_ context.Context, key string) (*Response, error) {
	if c == nil {
		return nil, ErrClosed
	}
	h := c.find(key)
	if h == nil {
		return nil, ErrNotFound
	}
	h = c.keepUnpacked(h)
	r := NewResponse(h.entry, h.record.bytes())
	r.Decoded = h.decoded
	return r, nil
}

// Lookup implements Looker. It always knows whether there is an entry. It does not allocate, except on the first hit
// of an entry.
func (c *DictCache) Lookup(key []byte) (h Held, known bool) {
	if c == nil {
		return Held{}, true
	}
	r := c.find(asString(key)) // safe: find only compares the key
	if r == nil {
		return Held{}, true
	}
	return Held{r.record.key(), r, r.record.bytes(), r.decoded}, true
}

// Traits implements Describer.
func (c *DictCache) Traits() Traits {
	t := Traits{Local: true, Memory: true, Copies: true, NoRanges: true, NoMarks: true}
	if c != nil {
		t.NoRanges, t.NoMarks, t.Evictions = !c.ranges.Load(), !c.marks.Load(), c.evictions.Load()
	}
	return t
}

// peek returns the record under key, or nil.
func (c *DictCache) peek(key string) *record {
	moves := c.index.moves.Load()
	r := c.index.find(key)
	if r == nil && (moves%2 != 0 || moves != c.index.moves.Load()) {
		c.mu.Lock()
		r = c.index.find(key)
		c.mu.Unlock()
	}
	return r
}

// find returns the head of the record under key, or nil, and marks the record as used.
func (c *DictCache) find(key string) *recordHead {
	r := c.peek(key)
	if r == nil {
		return nil
	}
	r.use()
	h := r.head.Load()
	if h == nil {
		h = c.firstHead(r)
	}
	return h
}

// firstHead adds a head to r, or to the record that has replaced it, and counts the additional memory.
func (c *DictCache) firstHead(r *record) *recordHead {
	own := r.alone() // without the lock, even if other goroutines do the same
	own.uses.Store(1)
	first := own.firstHead()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.index.findHash(r.hash, r.key())
	for _, other := range [...]*record{r, now} {
		if other != nil && other.head.Load() != nil {
			return other.head.Load()
		}
	}
	own.head.Store(first)
	if now == r { // r is still in the cache
		c.replace(r, own)
		c.resize(own)
	}
	return first
}

// keepUnpacked returns h, or the head that has replaced it, with the unpacked entry.
func (c *DictCache) keepUnpacked(h *recordHead) *recordHead {
	if h.entry != nil {
		return h
	}
	r := h.record
	e := r.unpack()
	_, size := headSize(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	h = r.head.Load()
	if h.entry != nil {
		return h
	}
	if v := h.derived.Load(); v != nil {
		e.derived.Store(v)
	}
	h = &recordHead{record: r, entry: e, decoded: h.decoded, size: size}
	r.head.Store(h)
	if c.index.findHash(r.hash, r.key()) == r {
		c.resize(r)
	}
	return h
}

// Create returns a Writer that buffers the body in memory. Its Write returns ErrTooLarge once the entry takes
// more than a quarter of the cache. Unlike other Stores, a DictCache does not retain e. It copies e.Header
// before Create returns, so that the caller may modify it afterwards. The caller may modify all of e once the
// Writer has ended.
func (c *DictCache) Create(_ context.Context, key string, e *Entry) (Writer, error) {
	if c == nil {
		return nil, ErrClosed
	}
	space := dictBuffers.Get().(*dictBuffer)
	early := packer{data: append(space.text[:0], key...)}.early(key, e)
	whole := early.late(e) // with the fields known so far
	text := len(whole.data) + sizeLength
	room := c.bound()/4 - packedSize(text, whole)
	switch {
	case room < 0 || int64(text) > math.MaxUint32:
		dictBuffers.Put(space)
		return nil, ErrTooLarge
	case text > buffer.MaxHead:
		dictBuffers.Put(space)
		return nil, buffer.ErrHeadTooLong
	}
	return &dictWriter{
		cache: c, entry: e, buffer: space, head: early, keyLen: uint32(len(key)),
		body: buffer.Buffer{Data: space.body[:0], Room: room, Hint: e.Length},
	}, nil
}

// Update replaces the metadata of the entry under key with e if the stored body is still the one that e was
// read with. It retains e, including the values derived from it.
func (c *DictCache) Update(ctx context.Context, key string, e *Entry) error {
	return c.UpdateIf(ctx, key, e, nil)
}

// UpdateIf implements Comparer. The cache is locked while may runs.
func (c *DictCache) UpdateIf(_ context.Context, key string, e *Entry, may func(now *Entry) bool) error {
	if c == nil {
		return ErrClosed
	}
	stamp, _ := e.Stamp.(*record)
	text, size := headSize(e)
	next := &recordHead{record: stamp, entry: e, size: size + int64(text)}
	if stamp != nil {
		next.entry = stamp.owned(e)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.index.find(key)
	switch {
	case r == nil:
		return ErrNotFound
	case r != stamp:
		return ErrChanged
	case r.sizeWith(next) > c.bound()/4:
		return ErrTooLarge
	case text > buffer.MaxHead:
		return buffer.ErrHeadTooLong
	}
	if may != nil && !may(r.entry()) {
		return ErrChanged
	}
	if old := r.head.Load(); old != nil && old.decoded != nil && sameCoding(old.Unpack(), e) && r.sizeWith(next)+int64(cap(old.decoded)) <= c.bound()/4 {
		next.decoded = old.decoded
	}
	c.noteRange(next.entry)
	r.head.Store(next)
	r.use()
	c.resize(r)
	return nil
}

// Delete removes the entry under key.
func (c *DictCache) Delete(_ context.Context, key string) error {
	if c == nil {
		return ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.index.find(key); r != nil {
		c.remove(r)
	}
	return nil
}

// Lease implements Leaser, for Transports that share a DictCache.
func (c *DictCache) Lease(_ context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	if c == nil {
		return nil, false, ErrClosed
	}
	release, ok = c.leases.take(key, d)
	return release, ok, nil
}

// KeepDecoded implements DecodedKeeper. It stores body as the decoded body of the entry e under key. It does nothing if the stored body is
// no longer e's, or if the entry would take more than a quarter of the cache. The cache retains body, which
// must not be modified afterwards.
func (c *DictCache) KeepDecoded(key string, e *Entry, body []byte) {
	if c == nil || e == nil || body == nil {
		return
	}
	stamp, _ := e.Stamp.(*record)

	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.index.find(key)
	if r == nil || r != stamp {
		return
	}
	old := r.head.Load()
	if old == nil || !sameCoding(old.Unpack(), e) {
		return
	}
	next := old.withDecoded(body)
	if r.sizeWith(next) > c.bound()/4 {
		return
	}
	r.head.Store(next)
	c.resize(r)
}

// Len returns the number of entries.
func (c *DictCache) Len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fresh.len + c.kept.len + c.pinned.len
}

// Clear removes all entries. Bodies that are being read can still be read to the end.
func (c *DictCache) Clear() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.clear()
	c.fresh, c.kept, c.pinned, c.slabs = recordQueue{}, recordQueue{}, recordQueue{}, slabs{}
}

// noteRange must be called for each entry before it becomes visible.
func (c *DictCache) noteRange(e *Entry) {
	if e.Range != nil {
		c.ranges.Store(true)
	}
}

// noteMarks must be called for each key before an entry under it becomes visible. It reports whether the entry is pinned.
func (c *DictCache) noteMarks(key string) bool {
	if key != MarksKey {
		return false
	}
	c.marks.Store(true)
	return true
}

// isKnown reports whether the entry with this hash is stored, as old, or was evicted a short time ago.
func (c *DictCache) isKnown(old *record, hash uint64) bool { return old != nil || c.index.left(hash) }

// replace puts own in the place of r, in the index and in its queue.
func (c *DictCache) replace(r, own *record) {
	if own == r {
		return
	}
	own.number, own.kept, own.pinned = r.number, r.kept, r.pinned
	c.index.replace(r, own)
	*c.queue(r).at(r.number) = own
	c.slabs.leave(r)
}

// queue returns the queue that r is in.
func (c *DictCache) queue(r *record) *recordQueue {
	switch {
	case r.pinned:
		return &c.pinned
	case r.kept:
		return &c.kept
	}
	return &c.fresh
}

// resize recomputes the size of r and evicts entries until the cache is within its bound.
func (c *DictCache) resize(r *record) {
	size := r.sizeWith(r.head.Load())
	c.queue(r).size += size - r.size
	r.size = size
	for c.index.size+c.freshSize()+c.kept.size+c.pinned.size > c.bound() && c.evict(r) {
	}
}

func (c *DictCache) freshSize() int64 { return c.fresh.size + c.slabs.size }

func (c *DictCache) remove(r *record) {
	c.index.remove(r)
	c.leave(r)
}

// leave updates the queues and slabs after r was removed from the index.
func (c *DictCache) leave(r *record) {
	c.queue(r).remove(r)
	c.slabs.leave(r)
}

// evict removes one entry other than spare. It returns false if there is none.
//
// The policy is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), with regard to
// sizes. New entries are in the queue fresh, a twentieth of the cache. An entry that was requested often enough while in
// fresh moves to kept. One that was not is evicted, and its hash is remembered; if it is stored again, it is added to
// kept at once. An entry that reaches the end of kept is moved back to its start if it was requested often enough
// meanwhile. Once is enough, except for large entries: see needs.
func (c *DictCache) evict(spare *record) bool {
	entries := c.fresh.len + c.kept.len
	mean := (c.freshSize() + c.kept.size) / int64(max(1, entries))
	for turns := entries; ; turns-- {
		r := c.fresh.first(spare)
		if r == nil || c.freshSize() <= c.bound()/20 {
			r = cmp.Or(c.kept.first(spare), r)
		}
		if r == nil {
			return false
		}
		uses, needs := r.uses.Load(), r.needs(mean)
		switch {
		case uses >= needs && turns > 0:
			if r.kept {
				r.uses.Store(uses - needs)
			} else {
				r.uses.Store(0)
			}
			c.queue(r).remove(r)
			r.kept = true
			c.kept.push(r)
		default:
			if !r.kept {
				c.index.leave(r.hash)
			}
			c.remove(r)
			c.evictions.Add(1)
			return true
		}
	}
}

// dictWriter is the Writer of a DictCache.
type dictWriter struct {
	cache  *DictCache
	entry  *Entry      // for the fields that are set before Commit
	buffer *dictBuffer // nil once the Writer has ended
	head   packer      // what is packed so far
	keyLen uint32
	body   buffer.Buffer

	confirmed *confirmation // set in the record on Commit
}

// maxSmall is the length of the longest body that shares a block of memory with the packed entry. Every
// string of the unpacked entry keeps all of that block in memory.
const maxSmall = 2 << 10

// dictBuffer is the buffer for a small entry that is being written.
type dictBuffer struct {
	text [512]byte
	body [maxSmall]byte
}

var dictBuffers = sync.Pool{New: func() any { return new(dictBuffer) }}

// Write appends p to the body.
func (w *dictWriter) Write(p []byte) (int, error) {
	if w.buffer == nil {
		return 0, buffer.ErrEnded
	}
	return w.body.Write(p)
}

// Written implements RereadingWriter.
func (w *dictWriter) Written() (io.Reader, error) {
	if w.buffer == nil {
		return nil, buffer.ErrEnded
	}
	return bytes.NewReader(w.body.Data), w.body.Err
}

// Commit makes the entry visible.
func (w *dictWriter) Commit() error { return w.CommitIf(nil) }

// CommitIf implements ComparingWriter. The cache is locked while may runs.
func (w *dictWriter) CommitIf(may func(now *Entry) bool) error {
	if w.buffer == nil {
		return buffer.ErrEnded
	}
	defer w.Abort()
	if w.body.Err != nil {
		return w.body.Err
	}
	c := w.cache
	p := w.head.late(w.entry)
	if len(p.data) > buffer.MaxHead {
		return buffer.ErrHeadTooLong
	}
	p.data = binary.LittleEndian.AppendUint32(p.data, uint32(min(p.derived, math.MaxUint32)))
	text, body := asString(p.data), asString(w.body.Data) // not copied yet; they are copied below
	if packedSize(len(text), p)+int64(len(body)) > c.bound()/4 {
		return ErrTooLarge
	}
	c.noteRange(w.entry)
	key := text[:w.keyLen]
	pinned := c.noteMarks(key)
	hash := c.index.hash(key)
	limit := slabLimit(c.bound())
	var r *record
	if w.confirmed != nil || len(body) > maxSmall || len(text)+len(body) > limit/16 {
		r = w.record(hash, text)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.index.findHash(hash, key)
	if old != nil && may != nil && !may(old.entry()) {
		return ErrChanged
	}
	kept := pinned || c.isKnown(old, hash)
	switch {
	case r != nil:
	case kept:
		r = w.record(hash, text)
	default:
		r = c.slabs.place(limit, text, body)
		w.describe(r, hash)
	}
	r.kept, r.pinned = kept, pinned
	if old != nil {
		c.index.replace(old, r)
		c.leave(old)
	} else {
		c.index.add(r)
	}
	c.queue(r).push(r)
	c.resize(r)
	return nil
}

// record returns a record that holds the entry and is in no slab.
func (w *dictWriter) record(hash uint64, text string) *record {
	r := new(record)
	if len(w.body.Data) <= maxSmall {
		r.hold(make([]byte, len(text)+len(w.body.Data)), text, asString(w.body.Data))
	} else {
		r.text, r.body = strings.Clone(text), asString(w.body.Compact())
	}
	w.describe(r, hash)
	if w.confirmed != nil {
		h := r.firstHead()
		h.entry = r.unpack()
		_, h.size = headSize(h.entry)
		r.head.Store(h)
		w.confirmed.entry = h.entry
		r.confirmed.Store(w.confirmed)
	}
	return r
}

// describe sets the fields of r other than the text and the body.
func (w *dictWriter) describe(r *record, hash uint64) {
	r.hash, r.keyLen = hash, w.keyLen
	r.requestTime, r.responseTime = w.entry.RequestTime, w.entry.ResponseTime
}

// Abort discards the entry.
func (w *dictWriter) Abort() error {
	if w.buffer != nil {
		dictBuffers.Put(w.buffer)
		w.entry, w.buffer, w.head, w.body = nil, nil, packer{}, buffer.Buffer{}
	}
	return nil
}

// headSize returns the length of the packed form of e, and estimates the memory that a recordHead with e takes in
// addition to that of the strings.
func headSize(e *Entry) (text int, size int64) {
	var scratch [1 << 10]byte
	p := packer{data: scratch[:0]}.early("", e).late(e)
	return len(p.data), unpackedHead(p)
}

// packedSize returns the most memory that a record takes without its body before its entry is updated. There is room for
// an updated entry like the first, so the text counts twice.
func packedSize(text int, p packer) int64 { return recordSize + 2*int64(text) + unpackedHead(p) }

// sameCoding reports whether a body decodes to the same bytes with either entry.
func sameCoding(a, b *Entry) bool {
	return slices.Equal(a.Header["Content-Encoding"], b.Header["Content-Encoding"])
}
