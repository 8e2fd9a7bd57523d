package storage

import (
	"encoding/binary"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
)

// record is one entry of a DictCache. A field whose comment says nothing else never changes. Fields that are
// needed to evict an entry come first, so that evicting the previous entry has already loaded them into the
// processor's cache. Fields that are needed for a hit follow.
type record struct {
	next   atomic.Pointer[record] // in the index; changed under the cache's lock
	hash   uint64
	keyLen uint32
	uses   atomic.Uint32 // the requests since it was added to its queue, up to maxUses, and those left from the time before

	// The cache's lock guards these.
	number uint32 // in its queue
	kept   bool   // whether its queue is kept, not fresh
	pinned bool   // whether its queue is pinned
	size   int64

	text string // the key and the packed entry
	body string
	slab *slab                      // the slab that holds the text, the body and the record itself, or nil
	head atomic.Pointer[recordHead] // nil until the first hit; changed under the cache's lock

	requestTime, responseTime time.Time // of the packed entry

	confirmed atomic.Pointer[confirmation] // what Tiered knows of the far store
}

// recordHead is the part of a record that can change. It is replaced as a whole, so that no reader sees an entry
// with the decoded body of another. It is a HeldEntry.
type recordHead struct {
	record  *record // the record it belongs to
	entry   *Entry  // nil if the entry is the packed one
	decoded []byte
	size    int64        // estimated memory, not counting decoded
	derived atomic.Value // from the packed entry
}

const headBytes = int64(unsafe.Sizeof(recordHead{}))

// unpackedHead returns the estimated memory of a recordHead with the entry that p has packed, without its strings.
func unpackedHead(p packer) int64 {
	return headBytes + int64(unsafe.Sizeof(Entry{})) + p.unpacked + p.derived
}

// recordSize is the memory that a record takes: the record itself, its slot in a queue, and the unused ends
// of the blocks that hold its text and body.
const recordSize = int64(unsafe.Sizeof(record{})) + 32

func (r *record) key() string { return r.text[:r.keyLen] }

// bytes returns the body, which must not be modified.
func (r *record) bytes() []byte { return unsafe.Slice(unsafe.StringData(r.body), len(r.body)) }

// asString returns a string that shares b's memory, which must not be modified while the string is in use.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// sizeWith returns the number of bytes that r counts with the unpacked form h, or packed if h is nil. It is
// zero for a record in a slab, because the slab counts as a whole.
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

// entry returns the current entry of r. The caller must hold the cache's lock.
func (r *record) entry() *Entry {
	if h := r.head.Load(); h != nil {
		return h.Unpack()
	}
	return r.unpack()
}

// sizeLength is the length of the estimate at the end of the text of a record: see packer.derived.
const sizeLength = 4

// firstHead returns a recordHead for the packed entry of r.
func (r *record) firstHead() *recordHead {
	derived := binary.LittleEndian.Uint32([]byte(r.text[len(r.text)-sizeLength:]))
	return &recordHead{record: r, size: headBytes + int64(derived)}
}

// unpack unpacks the packed entry of r.
func (r *record) unpack() *Entry {
	e := &Entry{
		RequestTime: r.requestTime, ResponseTime: r.responseTime,
		Length: int64(len(r.body)), Sum: r.sum(), Stamp: r,
	}
	u := unpacker{r.text[r.keyLen:]}
	u.entry(r.key(), e)
	return e
}

// sum returns the checksum of the body.
func (r *record) sum() uint32 {
	if h := r.head.Load(); h != nil && h.entry != nil {
		return h.entry.Sum
	}
	return checksum.Sum(r.bytes())
}

// owned returns e, or a copy of e that is about the body of r.
func (r *record) owned(e *Entry) *Entry {
	length, sum := int64(len(r.body)), r.sum()
	if !e.Foreign && e.Length == length && e.Sum == sum {
		return e
	}
	own := e.Copy()
	own.Foreign, own.Length, own.Sum, own.Stamp = false, length, sum, r
	return own
}

// Unpack implements HeldEntry.
func (h *recordHead) Unpack() *Entry {
	if h.entry != nil {
		return h.entry
	}
	e := h.record.unpack()
	e.derivedIn = &h.derived
	return e
}

// Derived implements HeldEntry.
func (h *recordHead) Derived(derive func(*Entry) any) any {
	if h.entry != nil {
		return h.entry.Derived(derive)
	}
	if v := h.derived.Load(); v != nil {
		return v
	}
	return h.Unpack().Derived(derive)
}

// withDecoded returns a copy of h that has a decoded body.
func (h *recordHead) withDecoded(body []byte) *recordHead {
	next := &recordHead{record: h.record, entry: h.entry, decoded: body, size: h.size}
	if v := h.derived.Load(); v != nil {
		next.derived.Store(v)
	}
	return next
}

// maxUses is the number of requests that count. It is small, so that an entry whose time has passed is soon evicted.
const maxUses = 4

// use counts a request. It writes only a few times, so that processors that share the record do not contend for it. If two
// do so at the same time, one of the requests may not be counted.
func (r *record) use() {
	if n := r.uses.Load(); n < maxUses {
		r.uses.Store(n + 1)
	}
}

// needs returns how many requests save r from eviction: one, or up to maxUses if r takes the room of several others. mean
// is the mean size of all entries.
func (r *record) needs(mean int64) uint32 {
	size := max(r.size, int64(len(r.text)+len(r.body))) // size is 0 in a slab
	return uint32(1 + min(maxUses-1, size/max(1, 2*mean)))
}

// hold copies a packed entry and its body into block, which has exactly their length, and assigns them to r.
func (r *record) hold(block []byte, text, body string) {
	copy(block[copy(block, text):], body)
	whole := asString(block) // safe: block is not written to any more
	r.text, r.body = whole[:len(text)], whole[len(text):]
}

// alone returns r if it is in no slab, and otherwise a copy that is not.
func (r *record) alone() *record {
	if r.slab == nil {
		return r
	}
	own := &record{hash: r.hash, keyLen: r.keyLen, requestTime: r.requestTime, responseTime: r.responseTime}
	own.hold(make([]byte, len(r.text)+len(r.body)), r.text, r.body)
	return own
}

// slab is a block of memory that several records share.
type slab struct {
	records []record // unused
	bytes   []byte   // unused
	length  int      // of bytes when it was allocated
	size    int64    // the memory that it counts for
	entries int      // number of entries that are in the cache
}

// confirmation records that the near entry was equal to the far one.
type confirmation struct {
	entry  *Entry // the near entry
	change uint64 // the count of changes of the key before the far store was asked
	all    uint64 // the count of changes of all keys before that
	state  atomic.Uint32
	until  time.Time // when the far store must be asked again
	stamp  any       // the Stamp of the far entry
}

// The states of a confirmation.
const (
	pending  = iota // the near entry is being stored
	settled         // the key was not changed before it was stored
	outdated        // the key was changed
)
