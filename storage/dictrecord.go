package storage

import (
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

// recordHead is the part of a record that can change, unpacked. It is replaced as a whole, so that no reader
// sees an entry with the decoded body of another.
type recordHead struct {
	record  *record // the record it belongs to
	entry   *Entry
	decoded []byte
	size    int64 // estimated memory, not counting decoded
}

// firstHead holds the recordHead of a packed entry and its entry in one allocation.
type firstHead struct {
	recordHead
	entry Entry
}

// headBytes is the memory that unpacking a record takes, in addition to that of the entry's strings and slices.
const headBytes = int64(unsafe.Sizeof(firstHead{}))

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
		return h.entry
	}
	return r.unpack().entry
}

// unpack returns the unpacked form of r.
func (r *record) unpack() *recordHead {
	first := new(firstHead)
	first.record, first.recordHead.entry = r, &first.entry
	first.entry = Entry{
		RequestTime: r.requestTime, ResponseTime: r.responseTime,
		Length: int64(len(r.body)), Sum: checksum.Sum(r.bytes()), Stamp: r,
	}
	u := unpacker{r.text[r.keyLen:]}
	u.entry(r.key(), &first.entry)
	first.size = int64(u.count())
	return &first.recordHead
}

// maxUses is the number of requests that count. It is small, so that an entry whose time has passed is soon evicted.
const maxUses = 3

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
