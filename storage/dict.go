package storage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// defaultDictBytes bounds a DictCache that was given no MaxBytes.
const defaultDictBytes = 64 << 20

// DictCache keeps entries in memory. What nobody has asked for yet is packed, so that the garbage collector has little to
// do with it; the first hit makes an entry ready for use. A later one decodes nothing and takes no lock. No hit copies
// the body.
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
	body []byte
	head atomic.Pointer[recordHead] // nil: nobody has asked for the entry yet; changed under the cache's lock

	requestTime, responseTime time.Time // of the packed entry

	confirmed atomic.Pointer[confirmation] // what a TieredCache knows of the far store
}

// recordHead is what may change of a record, ready for use. It is replaced as a whole, so that no reader sees the decoded
// body of another entry.
type recordHead struct {
	entry   *serialize.Entry
	decoded []byte
	size    int64 // an estimate of the memory that it takes, decoded not counted
}

// firstHead is the head that was packed, in one allocation.
type firstHead struct {
	recordHead
	entry serialize.Entry
}

// recordSize is the memory that a record takes: its own, its places in the index and in a queue, and what the blocks of
// its text and its body have to spare.
const recordSize = int64(unsafe.Sizeof(record{})) + 64

func (r *record) key() string { return r.text[:r.keyLen] }

// sizeWith is what r counts with the head h; nil: packed.
func (r *record) sizeWith(h *recordHead) int64 {
	size := recordSize + int64(len(r.text)) + int64(len(r.body))
	if h != nil {
		size += h.size + int64(cap(h.decoded))
	}
	return size
}

// unpack returns the head that r came with.
func (r *record) unpack() *recordHead {
	first := new(firstHead)
	first.recordHead.entry = &first.entry
	first.entry = serialize.Entry{
		RequestTime: r.requestTime, ResponseTime: r.responseTime,
		Length: int64(len(r.body)), Sum: serialize.Sum(r.body), Stamp: r,
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
	r, h := c.find(key)
	if r == nil {
		return nil, ErrNotFound
	}
	return newMemoryHit(h.entry, r.body, h.decoded), nil
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
	r, h := c.find(unsafe.String(unsafe.SliceData(key), len(key))) // which only compares it
	if r == nil {
		return Held{}, false
	}
	return Held{r.key(), h.entry, r.body, h.decoded}, true
}

// HasRanges reports false where no entry with a Range was ever stored.
func (c *DictCache) HasRanges() bool { return c != nil && c.ranges.Load() }

// find returns the record under key and its head, or nil, and remembers that it was asked for.
func (c *DictCache) find(key string) (*record, *recordHead) {
	moves := c.index.moves.Load()
	r := c.index.find(key)
	if r == nil && (moves%2 != 0 || moves != c.index.moves.Load()) {
		c.mu.Lock()
		r = c.index.find(key)
		c.mu.Unlock()
	}
	if r == nil {
		return nil, nil
	}
	r.use()
	h := r.head.Load()
	if h == nil {
		h = c.unpack(r)
	}
	return r, h
}

// unpack makes r ready for use, which takes more memory than the packed entry did.
func (c *DictCache) unpack(r *record) *recordHead {
	first := r.unpack() // without the lock, though others may do the same
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := r.head.Load(); h != nil {
		return h
	}
	r.head.Store(first)
	if c.index.findHash(r.hash, r.key()) == r { // it is still in the cache
		c.resize(r)
	}
	return first
}

// Create returns a Writer that collects the body in memory. Its Write returns ErrTooLarge once the entry
// takes more than a quarter of the cache. Unlike other Stores it does not keep e: e's Header is copied when Create
// returns, and may be changed from then on; so may all of e once the Writer has ended.
func (c *DictCache) Create(_ context.Context, key string, e *serialize.Entry) (Writer, error) {
	if c == nil {
		return nil, ErrClosed
	}
	var scratch [512]byte
	early := packer{data: append(scratch[:0], key...)}.early(key, e)
	whole := early.late(e) // as far as it is known
	text := len(whole.data)
	room := c.bound()/4 - packedSize(text, whole.more)
	if room < 0 || int64(text) > math.MaxUint32 {
		return nil, ErrTooLarge
	}
	w := &dictWriter{
		cache: c, entry: e, keyLen: uint32(len(key)), more: early.more, joint: -1,
		body: bodyBuffer{room: room, hint: e.Length},
	}
	if 0 <= e.Length && e.Length <= min(maxJoint, room) {
		length := int(e.Length)
		block := make([]byte, length+text)
		w.body.data, w.text, w.joint = block[:0:length], block[length:], int32(length)
	} else {
		w.text = make([]byte, text)
	}
	w.text = w.text[:copy(w.text, early.data)]
	return w, nil
}

// Update gives the entry under key the head e, if its body is still the one that e was read with. It keeps e, with what is
// derived from it.
func (c *DictCache) Update(_ context.Context, key string, e *serialize.Entry) error {
	if c == nil {
		return ErrClosed
	}
	stamp, _ := e.Stamp.(*record)
	next := &recordHead{entry: e, size: headSize(e)}

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
	next := &recordHead{old.entry, body, old.size}
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
	c.fresh, c.kept = recordQueue{}, recordQueue{}
}

// noteRange is told of each entry before it can be found.
func (c *DictCache) noteRange(e *serialize.Entry) {
	if e.Range != nil {
		c.ranges.Store(true)
	}
}

// put makes r the entry under its key. The lock is not held.
func (c *DictCache) put(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.index.findHash(r.hash, r.key()); old != nil {
		c.index.moves.Add(1)
		defer c.index.moves.Add(1)
		c.remove(old)
		r.kept = true
	} else {
		r.kept = c.index.left(r.hash)
	}
	c.index.add(r)
	c.queue(r).push(r)
	c.resize(r)
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
	for c.fresh.size+c.kept.size > c.bound() && c.evict(r) {
	}
}

func (c *DictCache) remove(r *record) {
	c.index.remove(r)
	c.queue(r).remove(r)
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
		if r == nil || c.fresh.size <= c.bound()/10 {
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

// dictWriter collects the body of a new entry, whose head is packed already.
type dictWriter struct {
	cache  *DictCache
	entry  *serialize.Entry // for what is known late
	text   []byte           // for the record, with room for that
	keyLen uint32
	joint  int32 // text comes after so many bytes for the body, in one block; -1: it has a block of its own
	more   int64 // as the packer has it
	ended  bool
	body   bodyBuffer

	confirmed *confirmation // for the record
}

// maxJoint is the longest body that is in one block of memory with the head. Who keeps a text of the head keeps all of that.
const maxJoint = 2 << 10

func (w *dictWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, errEnded
	}
	return w.body.Write(p)
}

func (w *dictWriter) Commit() error {
	if w.ended {
		return errEnded
	}
	w.ended = true
	body, err := w.body.finish()
	if err != nil {
		return err
	}
	p := packer{w.text, w.more}.late(w.entry)
	text := p.data
	if w.joint >= 0 && cap(body) != int(w.joint) || cap(text)-len(text) > 64 {
		text = bytes.Clone(text) // the body has not come as announced, or more has become known since
	}
	if packedSize(len(text), p.more)+int64(len(body)) > w.cache.bound()/4 {
		return ErrTooLarge
	}
	r := &record{
		text: unsafe.String(unsafe.SliceData(text), len(text)), // nobody writes there any more
		body: body, keyLen: w.keyLen, requestTime: w.entry.RequestTime, responseTime: w.entry.ResponseTime,
	}
	r.hash = w.cache.index.hash(r.key())
	w.cache.noteRange(w.entry)
	if w.confirmed != nil {
		h := r.unpack()
		r.head.Store(h)
		w.confirmed.entry = h.entry
		r.confirmed.Store(w.confirmed)
	}
	w.cache.put(r)
	w.entry, w.text, w.body = nil, nil, bodyBuffer{}
	return nil
}

func (w *dictWriter) Abort() error {
	w.ended = true
	w.entry, w.text, w.body = nil, nil, bodyBuffer{}
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

// finish returns the body in a slice without much to spare, so that its length is what it costs.
func (b *bodyBuffer) finish() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	if spare := cap(b.data) - len(b.data); spare > 64 && spare > len(b.data)/16 {
		return append(make([]byte, 0, len(b.data)), b.data...), nil
	}
	return b.data, nil
}

// stored returns the entry that a store keeps of e: it shares e's header and slices, but its length, sum and
// stamp can be set without a change to what the caller holds.
func stored(e *serialize.Entry) *serialize.Entry {
	own := e.Copy()
	own.Foreign, own.Stamp = false, nil
	return own
}

// headSize estimates the memory that an entry takes whose texts are its own.
func headSize(e *serialize.Entry) int64 {
	var scratch [1 << 10]byte
	p := packer{data: scratch[:0]}.early("", e).late(e)
	return int64(len(p.data)) + p.more
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
