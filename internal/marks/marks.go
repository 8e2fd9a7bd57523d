// Package marks remembers in a store what was invalidated: groups of responses (RFC 9875), prefixes of URLs, and
// everything. Nothing is searched: an entry carries the mark that was current when its response was requested, and is compared
// with later invalidations when it is used.
//
// A list under storage.MarksKey counts the invalidations in its version, and has the prefixes. It must outlive all entries
// that are older. The groups of each origin have an entry of their own, which may be evicted: then all responses of the
// origin that have groups count as invalidated, until they are validated. It is always changed before the version of the
// list is. So it need not be read again while the version stays the same.
package marks

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// rememberFor is how long a list that was read from a store is used, unless the store is in memory.
const rememberFor = time.Second

// State is the state of an entry: whether it was invalidated since its response was requested.
type State uint8

// The states.
const (
	Current     State = iota
	Invalidated       // it must be validated, perhaps because the store has lost its marks, or cannot be read
	Cleared           // it does not count as stored
)

// Now returns the mark of a response that is requested now. It is the zero Mark if there is no list, or if the list cannot
// be read.
func (m *Marks) Now(ctx context.Context) storage.Mark {
	if m.None() {
		return storage.Mark{}
	}
	l, err := m.current(ctx)
	if err != nil {
		return storage.Mark{}
	}
	return l.mark()
}

// Check returns the state of an entry under key that has this mark and is in these groups. If checked is not nil, it
// remembers for Check that the entry was current.
func (m *Marks) Check(ctx context.Context, key string, mark storage.Mark, of []Group, checked *atomic.Uint64) State {
	if m.None() {
		return Current
	}
	l, err := m.current(ctx)
	switch {
	case err != nil:
		return Invalidated
	case l == nil && mark.List == 0:
		return Current
	case l == nil:
		return Invalidated
	case checked != nil && checked.Load() == l.token():
		return Current
	}
	s := m.check(ctx, l, key, mark, of)
	if s == Current && checked != nil {
		checked.Store(l.token())
	}
	return s
}

// check is Check with the current list.
func (m *Marks) check(ctx context.Context, l *list, key string, mark storage.Mark, of []Group) State {
	switch {
	case mark.List != 0 && mark.List != l.id, mark.Version > l.version:
		return Invalidated
	case l.cleared > mark.Version:
		return Cleared
	case l.hasInvalidated(key, mark.Version):
		return Invalidated
	case len(of) == 0, mark.Version == l.version:
		return Current
	}
	origin, partition := originOf(key), partitionOf(key)
	for _, one := range of {
		g, err := m.groupsOf(ctx, l, shardKey{origin, one.shard()})
		if err != nil || g == nil || g.hasInvalidated(one, partition, mark.Version) {
			return Invalidated
		}
	}
	return Current
}

// None reports whether there are no marks, as far as is known without waiting.
func (m *Marks) None() bool { return m.memory && m.store.HasNoMarks() }

// Clear makes everything that was requested until now count as not stored.
func (m *Marks) Clear(ctx context.Context) error {
	return m.change(ctx, func() error {
		_, err := m.changeList(ctx, (*list).withAll)
		return err
	})
}

// InvalidatePrefix invalidates the entries whose keys are equal to a prefix, or continue it with "/", a query or a derived
// key, or with anything if it ends in "/".
func (m *Marks) InvalidatePrefix(ctx context.Context, prefix string) error {
	if len(prefix) > maxPrefixBytes {
		return fmt.Errorf("it is longer than %d bytes", maxPrefixBytes)
	}
	return m.change(ctx, func() error {
		_, err := m.changeList(ctx, func(l *list) *list { return l.withPrefix(prefix) })
		return err
	})
}

// InvalidateGroups invalidates the entries of the origin of a key that are in one of some groups, in all partitions.
func (m *Marks) InvalidateGroups(ctx context.Context, key string, some []Group) error {
	_, err := m.invalidateGroups(ctx, key, storage.Mark{}, byShard(some), groups.with)
	return err
}

// InvalidateGroupsBy invalidates the entries of the origin of a key that are in one of some groups, in the partition of the
// key, because of the response to a request with this mark. If there was no other invalidation since then, it returns a
// mark that this response may be stored with; otherwise it returns the same mark.
func (m *Marks) InvalidateGroupsBy(ctx context.Context, key string, some []Group, mark storage.Mark) (storage.Mark, error) {
	by, partition := byShard(some), partitionOf(key)
	for _, of := range by {
		for i, one := range of {
			of[i] = one.in(partition)
		}
	}
	return m.invalidateGroups(ctx, key, mark, by, groups.with)
}

// InvalidateAllGroups invalidates the entries of the origin of a key that are in any group.
func (m *Marks) InvalidateAllGroups(ctx context.Context, key string) error {
	var by [shards][]Group
	for shard := range by {
		by[shard] = []Group{}
	}
	_, err := m.invalidateGroups(ctx, key, storage.Mark{}, by, func(g groups, _ []Group, version uint64) groups {
		return newGroups(g.list(), version)
	})
	return err
}

// invalidateGroups replaces the groups in each shard that by has with what next returns for them.
func (m *Marks) invalidateGroups(ctx context.Context, key string, mark storage.Mark, by [shards][]Group, next func(groups, []Group, uint64) groups) (storage.Mark, error) {
	err := m.change(ctx, func() error {
		l, err := m.fresh(ctx)
		if err != nil {
			return err
		}
		version := l.version + 1
		err = m.changeGroups(ctx, l, originOf(key), by, func(g groups, some []Group) groups { return next(g, some, version) })
		if err != nil {
			return err
		}
		after, err := m.changeList(ctx, (*list).next)
		if err == nil && mark == l.mark() && after.version == version {
			mark = after.mark()
		}
		return err
	})
	return mark, err
}

// Prepare must be called before an entry that is in some groups is stored under key. mark is that of its request. Prepare
// stores what will tell whether the groups were invalidated, and returns the mark of the entry.
func (m *Marks) Prepare(ctx context.Context, key string, mark storage.Mark, some []Group) (storage.Mark, error) {
	l, err := m.current(ctx)
	if err != nil {
		return mark, err
	}
	origin, by := originOf(key), byShard(some)
	if l != nil {
		missing := false
		for shard, of := range by {
			if of == nil {
				continue
			}
			g, err := m.groupsOf(ctx, l, shardKey{origin, shard})
			if err != nil {
				return mark, err
			}
			if g != nil {
				by[shard] = nil
			}
			missing = missing || g == nil
		}
		if !missing {
			return within(mark, l), nil
		}
	}
	err = m.change(ctx, func() error {
		if l, err = m.fresh(ctx); err != nil {
			return err
		}
		return m.changeGroups(ctx, l, origin, by, func(g groups, _ []Group) groups { return g })
	})
	return within(mark, l), err
}

// within returns a mark in the list. One that is in no list is older than all invalidations.
func within(mark storage.Mark, l *list) storage.Mark {
	if mark.List == 0 && l != nil {
		mark.List = l.id
	}
	return mark
}

// current returns the list, or nil if there is none. Other processes may have changed it in the last second.
func (m *Marks) current(ctx context.Context) (*list, error) {
	k := m.known.Load()
	if m.memory {
		if h, known := m.store.Lookup(listKey); known && k != nil && h.Entry == k.entry && h.Entry != nil {
			return k.list, nil
		}
	} else if k != nil && time.Since(k.read).Abs() < rememberFor {
		return k.list, nil
	}
	now := time.Now()
	l, entry, err := m.storedList(ctx)
	if err != nil {
		return nil, err
	}
	if k := m.known.Load(); k != nil && k.list.isAfter(l) { // the store has lost it
		err := m.change(ctx, func() error {
			l, err = m.changeList(ctx, same)
			return err
		})
		return l, err
	}
	return m.remember(&knownList{l, entry, now}), nil
}

// Recent reports whether the list need not be read now.
func (m *Marks) Recent() bool {
	k := m.known.Load()
	return m.None() || k != nil && time.Since(k.read).Abs() < rememberFor
}

// Learn remembers what the store has returned for storage.MarksKey after this time.
func (m *Marks) Learn(r *storage.Response, err error, at time.Time) {
	text, entry, err := readRecord(r, err)
	if err != nil {
		return
	}
	l := m.parsed(text, entry)
	if k := m.known.Load(); k == nil || !k.list.isAfter(l) { // otherwise the store has lost it: see current
		m.remember(&knownList{l, entry, at})
	}
}

// groupsOf returns the groups in a shard as of the version of the list, or nil if they are not stored.
func (m *Marks) groupsOf(ctx context.Context, l *list, key shardKey) (groups, error) {
	hash := key.hash()
	if k := m.groups.Get(hash, key); k != nil && k.token == l.token() {
		return k.groups, nil
	}
	g, entry, err := m.storedGroups(ctx, l, key)
	if g != nil {
		m.groups.Put(hash, key, knownGroups{l.token(), g, entry})
	}
	return g, err
}
