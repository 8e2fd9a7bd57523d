package storage

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// defaultDictBytes bounds a DictCache that was given no MaxBytes.
const defaultDictBytes = 64 << 20

// DictCache keeps entries in memory, ready for use: a hit decodes nothing and copies no body.
//
// It is bounded by bytes: bodies, decoded bodies and an estimate of keys and heads together stay within
// MaxBytes, 64 MiB by default, and the entries not used for longest go first. One entry may take a quarter of that;
// Write returns ErrTooLarge as soon as a body is longer. Bodies that are still being written are not
// counted, but each is held to that quarter.
//
// The zero value is an empty cache with the default bound. All methods are safe for concurrent use. Every
// method of a nil *DictCache that returns an error returns ErrClosed.
type DictCache struct {
	mu      sync.Mutex // guards all below, and what its records say they leave to it
	entries map[string]*record
	lru     record // ring: lru.next is the record used last, lru.prev the one to evict
	size    int64
	limit   int64 // 0: defaultDictBytes
}

// record is one entry of a DictCache. Key and body never change; the cache's mutex guards the rest.
type record struct {
	prev, next *record
	key        string
	entry      *serialize.Entry
	body       []byte
	decoded    []byte
	size       int64
}

// NewDictCache returns an empty DictCache. It heeds the option MaxBytes.
func NewDictCache(opts ...Option) *DictCache {
	return &DictCache{limit: newOptions(opts).maxBytes}
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
	c.mu.Lock()
	r := c.entries[key]
	if r == nil {
		c.mu.Unlock()
		return nil, ErrNotFound
	}
	if c.lru.next != r {
		r.unlink()
		c.pushFront(r)
	}
	entry, decoded := r.entry, r.decoded
	c.mu.Unlock()
	return newMemoryHit(entry, r.body, decoded), nil
}

// Create returns a Writer that collects the body in memory. Its Write returns ErrTooLarge once the entry
// takes more than a quarter of the cache.
func (c *DictCache) Create(_ context.Context, key string, e *serialize.Entry) (Writer, error) {
	if c == nil {
		return nil, ErrClosed
	}
	room := c.bound()/4 - headSize(key, e)
	if room < 0 {
		return nil, ErrTooLarge
	}
	return &dictWriter{cache: c, key: key, entry: e, body: bodyBuffer{room: room, hint: e.Length}}, nil
}

// Update gives the entry under key the head e, if its body is still the one that e was read with.
func (c *DictCache) Update(_ context.Context, key string, e *serialize.Entry) error {
	if c == nil {
		return ErrClosed
	}
	stamp, _ := e.Stamp.(*record)
	own := stored(e)
	head := headSize(key, e)

	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.entries[key]
	switch {
	case r == nil:
		return ErrNotFound
	case r != stamp:
		return ErrChanged
	case head+int64(len(r.body)) > c.bound()/4:
		return ErrTooLarge
	}
	if !sameCoding(r.entry, own) {
		r.decoded = nil
	}
	own.Length, own.Sum, own.Stamp = r.entry.Length, r.entry.Sum, r
	r.entry = own
	r.unlink()
	c.pushFront(r)
	c.resize(r, head)
	return nil
}

// Delete removes the entry under key.
func (c *DictCache) Delete(_ context.Context, key string) error {
	if c == nil {
		return ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.entries[key]; r != nil {
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
	r := c.entries[key]
	if r == nil || r != stamp || !sameCoding(r.entry, e) {
		return
	}
	head := r.size - int64(len(r.body)) - int64(cap(r.decoded))
	if head+int64(len(r.body))+int64(cap(body)) > c.bound()/4 {
		return
	}
	r.decoded = body
	c.resize(r, head)
}

// Len returns the number of entries.
func (c *DictCache) Len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// Clear removes every entry. Bodies that are being read can be read to the end.
func (c *DictCache) Clear() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.size = nil, 0
	c.lru.prev, c.lru.next = nil, nil
}

// put makes r the entry under its key. The lock is not held.
func (c *DictCache) put(r *record, head int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[r.key]; old != nil {
		c.remove(old)
	}
	if c.entries == nil {
		c.entries = make(map[string]*record)
	}
	c.entries[r.key] = r
	c.pushFront(r)
	c.resize(r, head)
}

// resize counts r anew, whose head takes the given number of bytes, and evicts what is then too much.
func (c *DictCache) resize(r *record, head int64) {
	size := head + int64(len(r.body)) + int64(cap(r.decoded))
	c.size += size - r.size
	r.size = size
	for c.size > c.bound() && c.lru.prev != &c.lru {
		c.remove(c.lru.prev)
	}
}

func (c *DictCache) remove(r *record) {
	delete(c.entries, r.key)
	r.unlink()
	c.size -= r.size
}

func (c *DictCache) pushFront(r *record) {
	if c.lru.next == nil {
		c.lru.prev, c.lru.next = &c.lru, &c.lru
	}
	r.prev, r.next = &c.lru, c.lru.next
	r.prev.next, r.next.prev = r, r
}

func (r *record) unlink() {
	r.prev.next, r.next.prev = r.next, r.prev
	r.prev, r.next = nil, nil
}

// dictWriter collects the body of a new entry.
type dictWriter struct {
	cache *DictCache
	key   string
	entry *serialize.Entry
	body  bodyBuffer
	ended bool
}

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
	head := headSize(w.key, w.entry) // again: it may have got a trailer
	if head+int64(len(body)) > w.cache.bound()/4 {
		return ErrTooLarge
	}
	r := &record{key: w.key, entry: stored(w.entry), body: body}
	r.entry.Length, r.entry.Sum, r.entry.Stamp = int64(len(body)), w.body.sum, r
	w.cache.put(r, head)
	w.entry, w.body = nil, bodyBuffer{}
	return nil
}

func (w *dictWriter) Abort() error {
	w.ended = true
	w.entry, w.body = nil, bodyBuffer{}
	return nil
}

// bodyBuffer collects a body in memory, at most room bytes of it.
type bodyBuffer struct {
	data []byte
	sum  uint32
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
	b.sum = serialize.UpdateSum(b.sum, p)
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
	return &serialize.Entry{
		Status: e.Status, Reason: e.Reason, Version: e.Version, Header: e.Header, Vary: e.Vary,
		URL: e.URL, RequestTime: e.RequestTime, ResponseTime: e.ResponseTime, Trailer: e.Trailer,
		Length: e.Length, Sum: e.Sum, BodyTime: e.BodyTime,
		Generation: e.Generation, Variants: e.Variants, Heuristic: e.Heuristic, Range: e.Range,
		Keep: e.Keep,
	}
}

// headSize estimates the memory that a key and a head take.
func headSize(key string, e *serialize.Entry) int64 {
	const (
		fixed   = 640 // record, Entry, the map's slot
		perName = 64  // a slot of the header's map, the slice of its values
		perText = 16  // a string's own header
	)
	n := fixed + len(key) + len(e.URL) + len(e.Reason) + len(e.Generation)
	for _, h := range []http.Header{e.Header, e.Trailer} {
		for name, values := range h {
			n += perName + len(name)
			for _, v := range values {
				n += perText + len(v)
			}
		}
	}
	fields := func(fs []serialize.Field) {
		for _, f := range fs {
			n += 3*perText + len(f.Name) + len(f.Value)
		}
	}
	fields(e.Vary)
	for _, v := range e.Variants {
		n += 8*perText + len(v.Key) + len(v.Encoding) + len(v.Language)
		fields(v.Vary)
	}
	return int64(n)
}

// sameCoding reports whether a body decodes to the same bytes under either head.
func sameCoding(a, b *serialize.Entry) bool {
	return slices.Equal(a.Header["Content-Encoding"], b.Header["Content-Encoding"])
}

// errEnded is returned by a Writer that was committed or aborted.
var errEnded = errors.New("storage: write after Commit or Abort")
