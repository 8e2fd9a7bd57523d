package storage

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// defaultDictBytes bounds a DictCache that was given no MaxBytes.
const defaultDictBytes = 64 << 20

// DictCache keeps entries in memory. What nobody has asked for yet is packed, and small entries share a block of memory, so that
// the garbage collector has little to do with it. The first hit makes an entry ready for use, by itself: it copies a body of up
// to 2 KiB. A later one decodes nothing, copies no body and takes no lock.
//
// It is bounded by bytes: bodies, decoded bodies, keys and an estimate of what else entries take together stay within
// MaxBytes, 64 MiB by default. The first hit makes an entry count more, by its unpacked head and what a Transport
// keeps with that; so it may evict others, as storing does. What goes first is what nobody has asked for since it was
// stored, and then what was not asked for lately; so a crawl through pages that are asked for once does not drive out
// those that are asked for again and again. One entry may take a quarter of MaxBytes; Write returns ErrTooLarge as soon
// as a body is longer. Bodies that are still being written are not counted, but each is held to that quarter.
//
// The zero value is an empty cache with the default bound. All methods are safe for concurrent use. Every
// method of a nil *DictCache that returns an error returns ErrClosed.
type DictCache struct {
	index  dictIndex   // read without the lock
	ranges atomic.Bool // an entry with a Range was stored, and may still be

	mu    sync.Mutex // guards all below, every change of the index, and what its records say they leave to it
	fresh recordQueue
	kept  recordQueue
	slabs slabs // of what is in fresh
	limit int64 // 0: defaultDictBytes; never changes

	evictions uint64
}

// record is one entry of a DictCache. What has no other rule never changes. What it takes to evict an entry comes first, so
// that it is in the processor's cache since the one before was evicted; and then what it takes to serve it.
type record struct {
	next   atomic.Pointer[record] // in the index; changed under the cache's lock
	hash   uint64
	keyLen uint32
	used   atomic.Bool // since it came to the front of its queue

	// The cache's lock guards these.
	number uint32 // in its queue
	kept   bool   // and not fresh, is its queue
	size   int64

	text string // the key, and the packed entry
	body string
	slab *slab                      // that the text, the body and the record itself are in; nil: in none
	head atomic.Pointer[recordHead] // nil: nobody has asked for the entry yet; changed under the cache's lock

	requestTime, responseTime time.Time // of the packed entry

	confirmed atomic.Pointer[confirmation] // what a TieredCache knows of the far store
}

// recordHead is what may change of a record, ready for use. It is replaced as a whole, so that no reader sees the decoded
// body of another entry.
type recordHead struct {
	record  *record // whose it is
	entry   *serialize.Entry
	decoded []byte
	size    int64 // an estimate of the memory that it takes, decoded not counted
}

// firstHead is the head that was packed, in one allocation.
type firstHead struct {
	recordHead
	entry serialize.Entry
}

// recordSize is the memory that a record takes: its own, its place in a queue, and what the blocks of its text and its body have
// to spare.
const recordSize = int64(unsafe.Sizeof(record{})) + 32

func (r *record) key() string { return r.text[:r.keyLen] }

// bytes returns the body, which must not be changed.
func (r *record) bytes() []byte { return unsafe.Slice(unsafe.StringData(r.body), len(r.body)) }

// asString returns what b has as long as nobody changes it.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// sizeWith is what r counts with the head h; nil: packed. In a slab that counts it is nothing.
func (r *record) sizeWith(h *recordHead) int64 {
	if r.slab != nil {
		return 0
	}
	size := recordSize + int64(len(r.text)) + int64(len(r.body))
	if h != nil {
		size += h.size + int64(cap(h.decoded))
	}
	return size
}

// unpack returns the head that r came with.
func (r *record) unpack() *recordHead {
	first := new(firstHead)
	first.record, first.recordHead.entry = r, &first.entry
	first.entry = serialize.Entry{
		RequestTime: r.requestTime, ResponseTime: r.responseTime,
		Length: int64(len(r.body)), Sum: serialize.Sum(r.bytes()), Stamp: r,
	}
	u := unpacker{r.text[r.keyLen:]}
	u.entry(r.key(), &first.entry)
	first.size = int64(u.count())
	return &first.recordHead
}

// NewDictCache returns an empty DictCache. It heeds the option MaxBytes.
func NewDictCache(opts ...Option) *DictCache {
	return &DictCache{limit: newOptions(opts).maxBytes}
}

// Evictions returns how many entries have gone so far so that the cache stays within its bound.
func (c *DictCache) Evictions() uint64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.evictions
}

// bound returns the bytes that the cache may hold. It never changes.
func (c *DictCache) bound() int64 {
	if c.limit <= 0 {
		return defaultDictBytes
	}
	return c.limit
}

// Get returns the entry under key, or ErrNotFound. The body is an io.Seeker and an io.WriterTo over the
// stored bytes themselves; closing it is not needed.
func (c *DictCache) Get(_ context.Context, key string) (*Response, error) {
	if c == nil {
		return nil, ErrClosed
	}
	h := c.find(key)
	if h == nil {
		return nil, ErrNotFound
	}
	return newMemoryHit(h.entry, h.record.bytes(), h.decoded), nil
}

// Held is what a DictCache has under a key. All of it is shared, and must not be changed.
type Held struct {
	Key     string
	Entry   *serialize.Entry
	Body    []byte // as it came over the wire
	Decoded []byte // as Response has it
}

// Lookup is Get for who has the key as bytes, and wants the body as they are: it allocates nothing, but at the first hit of
// an entry. It reports false where nothing is stored under key.
func (c *DictCache) Lookup(key []byte) (Held, bool) {
	if c == nil {
		return Held{}, false
	}
	h := c.find(asString(key)) // which only compares it
	if h == nil {
		return Held{}, false
	}
	return Held{h.record.key(), h.entry, h.record.bytes(), h.decoded}, true
}

// HasRanges reports false where no entry with a Range was ever stored.
func (c *DictCache) HasRanges() bool { return c != nil && c.ranges.Load() }

// find returns the head of the record under key, or nil, and remembers that it was asked for.
func (c *DictCache) find(key string) *recordHead {
	moves := c.index.moves.Load()
	r := c.index.find(key)
	if r == nil && (moves%2 != 0 || moves != c.index.moves.Load()) {
		c.mu.Lock()
		r = c.index.find(key)
		c.mu.Unlock()
	}
	if r == nil {
		return nil
	}
	r.use()
	h := r.head.Load()
	if h == nil {
		h = c.unpack(r)
	}
	return h
}

// unpack makes r, or a record in its place, ready for use, which takes more memory than the packed entry did.
func (c *DictCache) unpack(r *record) *recordHead {
	own := r.alone() // without the lock, though others may do the same
	own.used.Store(true)
	first := own.unpack()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.index.findHash(r.hash, r.key())
	for _, other := range [...]*record{r, now} {
		if other != nil && other.head.Load() != nil {
			return other.head.Load()
		}
	}
	own.head.Store(first)
	if now == r { // it is still in the cache
		c.replace(r, own)
		c.resize(own)
	}
	return first
}

// Create returns a Writer that collects the body in memory. Its Write returns ErrTooLarge once the entry
// takes more than a quarter of the cache. Unlike other Stores it does not keep e: e's Header is copied when Create
// returns, and may be changed from then on; so may all of e once the Writer has ended.
func (c *DictCache) Create(_ context.Context, key string, e *serialize.Entry) (Writer, error) {
	w := new(DictWriter)
	if err := c.CreateIn(w, key, e, nil); err != nil {
		return nil, err
	}
	return w, nil
}

// CreateIn is Create for who has memory for the Writer: a zero one, or one that has ended. fields are those of e's Header, in whatever
// order, where they are known; nil: they are taken from there.
func (c *DictCache) CreateIn(w *DictWriter, key string, e *serialize.Entry, fields []rfc9111.HeaderField) error {
	if c == nil {
		return ErrClosed
	}
	buffer := dictBuffers.Get().(*dictBuffer)
	early := packer{data: append(buffer.text[:0], key...)}.early(key, e, fields)
	whole := early.late(e) // as far as it is known
	text := len(whole.data)
	room := c.bound()/4 - packedSize(text, whole.more)
	if room < 0 || int64(text) > math.MaxUint32 {
		dictBuffers.Put(buffer)
		return ErrTooLarge
	}
	if text > serialize.MaxHead {
		dictBuffers.Put(buffer)
		return serialize.ErrHeadTooLong
	}
	w.cache, w.entry, w.buffer, w.text, w.keyLen, w.more = c, e, buffer, early.data, uint32(len(key)), early.more
	w.body = bodyBuffer{data: buffer.body[:0], room: room, hint: e.Length}
	return nil
}

// Update gives the entry under key the head e, if its body is still the one that e was read with. It keeps e, with what is
// derived from it.
func (c *DictCache) Update(_ context.Context, key string, e *serialize.Entry) error {
	if c == nil {
		return ErrClosed
	}
	stamp, _ := e.Stamp.(*record)
	text, size := headSize(e)
	next := &recordHead{record: stamp, entry: e, size: size}

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
	case text > serialize.MaxHead:
		return serialize.ErrHeadTooLong
	}
	old := r.head.Load()
	if e.Foreign || e.Length != old.entry.Length || e.Sum != old.entry.Sum {
		next.entry = stored(e)
		next.entry.Length, next.entry.Sum, next.entry.Stamp = old.entry.Length, old.entry.Sum, r
	}
	if sameCoding(old.entry, next.entry) && r.sizeWith(next)+int64(cap(old.decoded)) <= c.bound()/4 {
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

// KeepDecoded keeps body beside the entry e under key. It does nothing where e's body is no longer the stored one,
// or where the entry would then take more than a quarter of the cache. The cache keeps body itself, which
// must not be changed any more.
func (c *DictCache) KeepDecoded(key string, e *serialize.Entry, body []byte) {
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
	next := &recordHead{r, old.entry, body, old.size}
	if !sameCoding(old.entry, e) || r.sizeWith(next) > c.bound()/4 {
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
	return c.fresh.len + c.kept.len
}

// Clear removes every entry. Bodies that are being read can be read to the end.
func (c *DictCache) Clear() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.clear()
	c.fresh, c.kept, c.slabs = recordQueue{}, recordQueue{}, slabs{}
}

// noteRange is told of each entry before it can be found.
func (c *DictCache) noteRange(e *serialize.Entry) {
	if e.Range != nil {
		c.ranges.Store(true)
	}
}

// replace has own take the place of r, if it is another.
func (c *DictCache) replace(r, own *record) {
	if own == r {
		return
	}
	own.number, own.kept = r.number, r.kept
	c.index.replace(r, own)
	*c.queue(r).at(r.number) = own
	c.slabs.leave(r)
}

// queue returns the queue that r is in.
func (c *DictCache) queue(r *record) *recordQueue {
	if r.kept {
		return &c.kept
	}
	return &c.fresh
}

// resize counts r anew, and evicts what is then too much.
func (c *DictCache) resize(r *record) {
	size := r.sizeWith(r.head.Load())
	c.queue(r).size += size - r.size
	r.size = size
	for c.index.size+c.freshSize()+c.kept.size > c.bound() && c.evict(r) {
	}
}

func (c *DictCache) freshSize() int64 { return c.fresh.size + c.slabs.size }

func (c *DictCache) remove(r *record) {
	c.index.remove(r)
	c.leave(r)
}

// leave is told of a record that is in the index no more.
func (c *DictCache) leave(r *record) {
	c.queue(r).remove(r)
	c.slabs.leave(r)
}

// evict removes one entry, but not the one to spare. It reports false where there is no other.
//
// The policy is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), with one bit
// for use. What is new waits in the queue fresh, a tenth of the cache, and has to be asked for there to be kept;
// what leaves it without that is remembered by its hash, and is kept at once if it comes again. Whoever reaches the
// end of kept gets another turn if it was asked for meanwhile.
func (c *DictCache) evict(spare *record) bool {
	for turns := c.fresh.len + c.kept.len; ; turns-- {
		r := c.fresh.first(spare)
		if r == nil || c.freshSize() <= c.bound()/10 {
			r = cmp.Or(c.kept.first(spare), r)
		}
		switch {
		case r == nil:
			return false
		case r.used.Load() && turns > 0:
			r.used.Store(false)
			c.queue(r).remove(r)
			r.kept = true
			c.kept.push(r)
		default:
			if !r.kept {
				c.index.leave(r.hash)
			}
			c.remove(r)
			c.evictions++
			return true
		}
	}
}

// use remembers that the record was asked for. It writes once only, so that processors which share it do not
// disturb each other.
func (r *record) use() {
	if !r.used.Load() {
		r.used.Store(true)
	}
}

// DictWriter is the Writer of a DictCache.
type DictWriter struct {
	cache  *DictCache
	entry  *serialize.Entry // for what is known late
	buffer *dictBuffer      // nil: it has ended
	text   []byte           // of the record
	keyLen uint32
	more   int64 // as the packer has it
	body   bodyBuffer

	confirmed *confirmation // for the record
}

// maxSmall is the longest body that is in one block of memory with the head. Who keeps a text of the head keeps all of that.
const maxSmall = 2 << 10

// dictBuffer is where a small entry is collected.
type dictBuffer struct {
	text [512]byte
	body [maxSmall]byte
}

var dictBuffers = sync.Pool{New: func() any { return new(dictBuffer) }}

// Write collects a part of the body.
func (w *DictWriter) Write(p []byte) (int, error) {
	if w.buffer == nil {
		return 0, errEnded
	}
	return w.body.Write(p)
}

// Commit makes the entry visible.
func (w *DictWriter) Commit() error {
	if w.buffer == nil {
		return errEnded
	}
	defer w.Abort()
	if w.body.err != nil {
		return w.body.err
	}
	c := w.cache
	p := packer{w.text, w.more}.late(w.entry)
	if len(p.data) > serialize.MaxHead {
		return serialize.ErrHeadTooLong
	}
	text, body := asString(p.data), asString(w.body.data) // which are copied
	if packedSize(len(text), p.more)+int64(len(body)) > c.bound()/4 {
		return ErrTooLarge
	}
	c.noteRange(w.entry)
	key := text[:w.keyLen]
	hash := c.index.hash(key)
	limit := slabLimit(c.bound())
	var r *record
	if w.confirmed != nil || len(body) > maxSmall || len(text)+len(body) > limit/16 {
		r = w.record(hash, text)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.index.findHash(hash, key)
	kept := old != nil || c.index.left(hash)
	switch {
	case r != nil:
	case kept:
		r = w.record(hash, text)
	default:
		r = c.slabs.place(limit, text, body)
		w.describe(r, hash)
	}
	r.kept = kept
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

// record returns a record with the entry, in no slab.
func (w *DictWriter) record(hash uint64, text string) *record {
	r := new(record)
	if len(w.body.data) <= maxSmall {
		r.hold(make([]byte, len(text)+len(w.body.data)), text, asString(w.body.data))
	} else {
		r.text, r.body = strings.Clone(text), asString(w.body.compact())
	}
	w.describe(r, hash)
	if w.confirmed != nil {
		h := r.unpack()
		r.head.Store(h)
		w.confirmed.entry = h.entry
		r.confirmed.Store(w.confirmed)
	}
	return r
}

// describe gives r what is neither text nor body.
func (w *DictWriter) describe(r *record, hash uint64) {
	r.hash, r.keyLen = hash, w.keyLen
	r.requestTime, r.responseTime = w.entry.RequestTime, w.entry.ResponseTime
}

// Abort drops what was collected.
func (w *DictWriter) Abort() error {
	if w.buffer != nil {
		dictBuffers.Put(w.buffer)
		w.entry, w.buffer, w.text, w.body = nil, nil, nil, bodyBuffer{}
	}
	return nil
}

// bodyBuffer collects a body in memory, at most room bytes of it.
type bodyBuffer struct {
	data []byte
	room int64
	hint int64 // the length to expect, or -1
	err  error
}

// trustedHint is how much memory an announced length is given before that many bytes have come in.
const trustedHint = 1 << 20

func (b *bodyBuffer) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	need := int64(len(b.data)) + int64(len(p))
	if need > b.room {
		b.data, b.err = nil, ErrTooLarge
		return 0, b.err
	}
	if need > int64(cap(b.data)) {
		size := min(b.hint, b.room)
		if need <= trustedHint {
			size = min(size, trustedHint)
		}
		if size >= need {
			b.data = append(make([]byte, 0, size), b.data...)
		}
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// compact returns the body in a slice without much to spare, so that its length is what it costs.
func (b *bodyBuffer) compact() []byte {
	if spare := cap(b.data) - len(b.data); spare > 64 && spare > len(b.data)/16 {
		return append(make([]byte, 0, len(b.data)), b.data...)
	}
	return b.data
}

// stored returns the entry that a store keeps of e: it shares e's header and slices, but its length, sum and
// stamp can be set without a change to what the caller holds.
func stored(e *serialize.Entry) *serialize.Entry {
	own := e.Copy()
	own.Foreign, own.Stamp = false, nil
	return own
}

// headSize returns the length of an entry's packed form, and estimates the memory that the entry takes if its texts are its own.
func headSize(e *serialize.Entry) (text int, size int64) {
	var scratch [1 << 10]byte
	p := packer{data: scratch[:0]}.early("", e, nil).late(e)
	return len(p.data), int64(len(p.data)) + p.more
}

// packedSize is the most that a record without its body takes before another head is given to it. Its text counts twice, so that
// a head like the first can be.
func packedSize(text int, more int64) int64 { return recordSize + 2*int64(text) + more }

// sameCoding reports whether a body decodes to the same bytes under either head.
func sameCoding(a, b *serialize.Entry) bool {
	return slices.Equal(a.Header["Content-Encoding"], b.Header["Content-Encoding"])
}

// errEnded is returned by a Writer that was committed or aborted.
var errEnded = errors.New("storage: write after Commit or Abort")
