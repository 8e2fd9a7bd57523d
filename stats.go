package cachecontrol

import (
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are the counts of a Transport since its first request. Each request is counted once, in Hits, Stale,
// Revalidated, Misses, Bypassed or Refused according to its StatusOf, or in Failed. In JSON the names are in snake
// case, and the keys of the maps are the texts of reasons and the names of operations.
type Stats struct {
	Hits        uint64 `json:"hits"`        // answered with a fresh stored response
	Stale       uint64 `json:"stale"`       // answered with a stale stored response
	Revalidated uint64 `json:"revalidated"` // answered with a stored response after the origin confirmed it
	Misses      uint64 `json:"misses"`      // answered by the origin
	Bypassed    uint64 `json:"bypassed"`    // answered by the origin; the cache does not handle such requests
	Refused     uint64 `json:"refused"`     // answered with 504, because no request was allowed
	Failed      uint64 `json:"failed"`      // RoundTrip returned an error
	Collapsed   uint64 `json:"collapsed"`   // of the above, answered after waiting for another request: see Status.Collapsed

	Background     uint64 `json:"background"`      // validations in the background, also those that StaleIfSlow has continued there
	OriginRequests uint64 `json:"origin_requests"` // requests sent to Base, including those in the background
	OriginErrors   uint64 `json:"origin_errors"`   // requests for which Base returned an error, except canceled ones
	OriginFailures uint64 `json:"origin_failures"` // requests answered with a status of 500 or more

	// HeldBack counts the validations that were not sent, in the background or for the caller, because the origin failed
	// a short time ago: see Transport.Backoff.
	HeldBack uint64 `json:"held_back"`

	// BytesFromCache is the total length of the stored bodies that were returned, in their stored form. It is counted
	// when RoundTrip returns. BytesFromOrigin is the number of bytes that were read from bodies returned by Base.
	BytesFromCache  uint64 `json:"bytes_from_cache"`
	BytesFromOrigin uint64 `json:"bytes_from_origin"`

	// Stored counts the responses that were stored completely. NotStored counts the responses from the origin that were
	// not stored, by reason, including responses whose storing began but failed (Incomplete, TooLong, StoreFailed or
	// Outdated). Neither counts a stored response that was updated by a 304 or a HEAD.
	Stored    uint64            `json:"stored"`
	NotStored map[Reason]uint64 `json:"not_stored"`

	// StoreErrors counts the failures of the store by operation: get, create, write, commit, update and delete, and,
	// for a store other than DictCache and the two file caches, read (of a body) and keep (of a decoded body). An entry
	// that cannot be read is a failure of get.
	StoreErrors map[string]uint64 `json:"store_errors"`

	// StoreSuspended counts the calls of the store that were not made, by operation, because a server had failed to answer a
	// short time before. SuspendedServers are the servers that are not called at present.
	StoreSuspended   map[string]uint64 `json:"store_suspended"`
	SuspendedServers []string          `json:"suspended_servers"`

	// StoreOperations are the calls of a store other than DictCache and the two file caches, by operation: get, create,
	// commit, update, delete and lease, and near for an entry that Tiered had in memory. They include failed calls, but
	// not those in StoreSuspended. With Tiered, all but near are calls of the far store.
	StoreOperations map[string]StoreOperation `json:"store_operations"`

	// Evictions is the number of entries that the store removed to stay within its size limit. It is 0 if the store has
	// no Traits.
	Evictions uint64 `json:"evictions"`
}

// StoreOperation counts the calls of an operation of a store.
type StoreOperation struct {
	Calls uint64        `json:"calls"`
	Time  time.Duration `json:"time"` // that all calls took together, in nanoseconds

	// Took counts the calls by an upper limit of the time they took: 64 µs, 256 µs and so on, by four times as much, to about
	// a second. Calls without such a limit are under 0. A call is counted once, under the lowest limit. The near operation
	// is not timed.
	Took map[time.Duration]uint64 `json:"took"`
}

// counters are the counts behind Stats. The counts of a hit are in shards, so that processors do not contend for them.
type counters struct {
	shards []shard
	next   atomic.Uint32

	failed, collapsed                  atomic.Uint64
	background, heldBack               atomic.Uint64
	sent, originErrors, originFailures atomic.Uint64
	fromOrigin                         atomic.Uint64
	stored                             atomic.Uint64
	notStored                          reasonCounts
}

// shard is a part of the counters that change with every request.
type shard struct {
	answers   [Bypass + 2]atomic.Uint64 // by Outcome or refused
	fromCache atomic.Uint64
	_         [64]byte // keeps shards in separate cache lines
}

// refused is the index in shard.answers for a 504 that the cache itself returned.
const refused = Bypass + 1

func (c *counters) start() {
	c.shards = make([]shard, 2*runtime.GOMAXPROCS(0))
}

// shard returns the shards in turn.
func (c *counters) shard() *shard { return &c.shards[c.next.Add(1)%uint32(len(c.shards))] }

// answered counts an answer with fromCache bytes of a stored body.
func (s *shard) answered(o Outcome, fromCache int64) {
	s.answers[o].Add(1)
	if fromCache > 0 {
		s.fromCache.Add(uint64(fromCache))
	}
}

func (c *counters) read() Stats {
	var answers [len(shard{}.answers)]uint64
	s := Stats{
		Failed: c.failed.Load(), Collapsed: c.collapsed.Load(), Background: c.background.Load(), HeldBack: c.heldBack.Load(),
		OriginRequests: c.sent.Load(), OriginErrors: c.originErrors.Load(), OriginFailures: c.originFailures.Load(),
		BytesFromOrigin: c.fromOrigin.Load(), Stored: c.stored.Load(),
		NotStored: c.notStored.read(),
	}
	for i := range c.shards {
		for o := range answers {
			answers[o] += c.shards[i].answers[o].Load()
		}
		s.BytesFromCache += c.shards[i].fromCache.Load()
	}
	s.Hits, s.Stale, s.Revalidated = answers[Hit], answers[Stale], answers[Revalidated]
	s.Misses, s.Bypassed, s.Refused = answers[Miss], answers[Bypass], answers[refused]
	return s
}

// reasonCounts counts responses by reason. The zero value has no counts.
type reasonCounts struct {
	mu       sync.Mutex // guards what follows
	byReason map[Reason]uint64
}

func (c *reasonCounts) add(r Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byReason == nil {
		c.byReason = make(map[Reason]uint64)
	}
	c.byReason[r]++
}

func (c *reasonCounts) read() map[Reason]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[Reason]uint64, len(c.byReason))
	maps.Copy(all, c.byReason)
	return all
}
