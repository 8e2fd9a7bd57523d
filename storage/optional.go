package storage

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Store can implement the following interfaces. A Transport asks for each of them once, before its first request.
// For a Store that embeds another one, they are promoted like all methods: a Store that embeds a DictCache and declares
// Get must also declare Lookup, or embed the interface Store instead.
//
//	Describer          describes itself: how fast it is, what it holds
//	Looker             returns entries in memory without allocations
//	Comparer           compares the stored entry with the one that replaces it
//	RereadingWriter    returns what was written of an entry that is not committed
//	DecodedKeeper      keeps the decoded form of an encoded body
//	Watcher            reports the changes that other processes make; used by Tiered
//	Leaser             lets one of the processes that share it ask the origin for a key
//	Lister             lists what is stored
//	Batcher            makes several calls in the time of one

// Describer is implemented by a Store that describes itself.
type Describer interface {
	// Traits returns the traits of the Store, without waiting. A Transport calls it before its first request, whenever
	// NoRanges or NoMarks decides whether it looks for something, and for its Stats.
	Traits() Traits
}

// Traits describe a Store. The zero value describes a Store of which nothing is known.
type Traits struct {
	// Local is true if methods wait for nothing but a disk, or until their context ends for a lock on this machine, and
	// if they neither panic nor return incomplete results. A Transport calls such a Store directly. It verifies what any
	// other returns, gives a call at most its StoreTimeout or half of the time until the caller's deadline, and finishes
	// the entries that it stores after the caller has the whole body.
	Local bool

	// HonorsContexts is true if each method that is given a context returns soon after the deadline of the context, and
	// if the other methods, those of bodies among them, return within a time that the Store limits. The methods of a
	// Writer have the context that was given to Create. A Transport calls such a Store in the goroutine of the request.
	// A canceled context without a deadline need not end a call. Local implies HonorsContexts.
	HonorsContexts bool

	// Memory is true if methods also wait for no disk. It has no effect unless Local is true.
	Memory bool

	// Copies is true if Create copies e.Header before it returns, and if the Store does not use e once the Writer has
	// ended. The caller may then modify either. It has no effect unless Local is true.
	Copies bool

	// NoRanges is true if no entry with a Range has ever been stored. Entries that other processes have stored may be
	// noticed a second later.
	NoRanges bool

	// NoMarks is true if no entry has ever been stored under MarksKey. It has no effect unless Memory is true.
	NoMarks bool

	// Notices is true if Commit and Update honor Entry.Notice.
	Notices bool

	// Evictions is the number of entries that this process has removed to keep the Store within its limit.
	Evictions uint64

	// Suspended are the names of the servers that are not called at present, because they failed to answer. Calls that
	// need them return ErrSuspended.
	Suspended []string

	// Warning describes what is unsafe about the place where the entries are stored. If it is not empty, a Transport
	// with a Logger logs it once.
	Warning string
}

// Looker is implemented by a Store that can have entries in memory.
type Looker interface {
	// Lookup returns the entry under key without waiting. It must not keep key, which the caller reuses. If the entry is
	// not stored, Lookup returns the zero Held and true. If only Get can find out, it returns false. A Transport calls
	// Lookup before Get.
	Lookup(key []byte) (h Held, known bool)
}

// Held is an entry in memory. Everything in it is shared and must not be modified.
type Held struct {
	Key     string
	Entry   HeldEntry // nil if there is none
	Body    []byte    // the bytes as the origin sent them
	Decoded []byte    // as in Response
}

// HeldEntry is an *Entry, or an entry in a form that takes less memory. It is comparable, and equal only to itself. Its
// methods are safe for concurrent use.
type HeldEntry interface {
	// Unpack returns the entry. It may return another copy each time.
	Unpack() *Entry

	// Derived returns what the method Derived of the entry returns. A hit needs nothing else of the entry.
	Derived(derive func(*Entry) any) any
}

// Comparer is implemented by a Store that can decide with the stored entry before it whether to replace it. A response
// that is received late then does not replace a more recent one, even if another process has stored that. The Writers
// of the Store must implement ComparingWriter.
type Comparer interface {
	// UpdateIf is like Update, but if may returns false for the stored entry, it changes nothing and returns ErrChanged.
	// No other process or goroutine can change the entry while may runs. may must not call the Store. If may is nil,
	// UpdateIf is the same as Update.
	UpdateIf(ctx context.Context, key string, e *Entry, may func(now *Entry) bool) error
}

// ComparingWriter is implemented by the Writers of a Comparer.
type ComparingWriter interface {
	Writer

	// CommitIf is like Commit, but if there is a readable entry under the key and may returns false for it, CommitIf
	// stores nothing and returns ErrChanged. may is called as by UpdateIf. If may is nil, CommitIf is the same as
	// Commit.
	CommitIf(may func(now *Entry) bool) error
}

// RereadingWriter is implemented by the Writers of a Store that can return what was written so far. If the origin or the caller
// ends a response early, a Transport reads what was received of it, and stores that as a part.
type RereadingWriter interface {
	Writer

	// Written returns a reader of the bytes that were written so far. It must be used before the next call of another method.
	Written() (io.Reader, error)
}

// DecodedKeeper is implemented by a Store that can keep the decoded form of an encoded body, so that the body
// need not be decoded on every hit.
type DecodedKeeper interface {
	// KeepDecoded gives the Store the decoded body of the entry e that it returned for key. The Store may ignore the
	// call. It must ignore it if e is no longer the stored entry.
	KeepDecoded(key string, e *Entry, body []byte)
}

// Watcher is implemented by a Store that can report changes made by other processes.
type Watcher interface {
	// Watch calls changed with the key of each entry that any process, including this one, stores, updates or
	// deletes. It need not report an entry that this Store has not returned since it was last reported. It returns when
	// ctx ends, or with an error, which wraps errors.ErrUnsupported if it would fail again. It calls changed with "" if
	// any entry may have changed: at the start, and whenever changes may have been missed.
	Watch(ctx context.Context, changed func(key string)) error
}

// Leaser is implemented by a Store that can let one of all the processes and machines that share it ask the origin for a
// response. The others wait until that response is stored. A Transport calls it if CollapseProcesses is true.
type Leaser interface {
	// Lease returns true if it gives the caller the lease of key: the right to be the only one that asks the origin for
	// the entry under key. The caller has it until release is called, d has passed, or, if the Store can notice that,
	// its process ends. Until then, every call of Lease for the key returns false, in this process and in any other.
	// Leases of different keys are independent. Lease does not wait for another holder.
	//
	// If Lease returns true, release is not nil. It may be called by any goroutine, any number of times, also after d
	// has passed. It never ends the lease of another holder. It may wait for the Store, but not for longer than any other
	// method. The lease does not end with ctx. If ok is false or err is not nil, there is no lease, and release is nil.
	//
	// A lease protects nothing: all other methods work as if it did not exist. The Store may lose leases, for example
	// when its server restarts or when the clock of a machine is changed. Then more than one caller asks the origin.
	Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error)
}

// Lister is implemented by a Store that can list its entries. Transport.List calls it.
type Lister interface {
	// List returns an iterator over the entries, in no particular order. It can be used several times. An entry that is
	// stored before the loop begins and not changed until it ends is listed, and only once unless the Store documents
	// otherwise. One that was deleted before is not listed. An entry that is stored, updated, replaced, evicted or deleted meanwhile may be listed or not.
	//
	// The loop takes a fixed amount of memory, however many entries there are, and holds up no other call for long. Its
	// body may call the Store. Listing an entry does not count as using it.
	//
	// If something cannot be listed, the iterator yields a zero Listed with an error, and continues if it can. It ends
	// with an error when ctx ends or the Store is closed, and with errors.ErrUnsupported if the Store cannot list, as
	// when a store behind it cannot. Entries that Get would not return because they are damaged are omitted.
	List(ctx context.Context) iter.Seq2[Listed, error]
}

// Listed is an entry that a Lister lists.
type Listed struct {
	// Key is the key of the entry. It is "" if the Store does not record it, as with those files of the file caches
	// whose key is not Entry.URL. Python's CacheControl records neither key nor URL.
	Key string

	Entry *Entry // shared; must not be modified
	Size  int64  // about how many bytes the Store uses for the entry, with its body

	// Invalid is true if the entry is not used again until the origin has confirmed it, because its group or its prefix
	// was invalidated. Transport.List sets it.
	Invalid bool
}

// Batcher is implemented by a Store that can make several calls in the time of one, such as one round trip to its server.
type Batcher interface {
	// Batch makes the calls, and sets their results. They take effect in their order, unless some of the keys are on other
	// servers than the first: those calls may be made together, after the others. A call that fails prevents no other.
	Batch(ctx context.Context, calls []Call)
}

// Call is a call of a Batcher. It returns the entry under Key, unless Put or Delete is set.
type Call struct {
	Key    string
	Put    *Entry // if not nil, this entry is stored, with an empty body
	Delete bool   // if true, the entry is deleted

	// Known is an entry that the Store has returned for Key before, or nil. If the stored entry has the same body, the Body
	// of Response may be nil.
	Known *Entry

	Response *Response // the result, as of Get
	Err      error
}
