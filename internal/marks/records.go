package marks

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	random "math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The list, and the groups in each shard of an origin, are each the body of an entry. The Generation of the entry is random, and
// different whenever the entry is written.

// maxRecord is the length of the longest list in bytes. Groups are shorter.
const maxRecord = len(listMagic) + 4*8 + maxPrefixes*(8+2+maxPrefixBytes)

// Marks reads and changes the marks in a store. All methods are safe for concurrent use.
type Marks struct {
	store    *reliable.Store
	memory   bool          // the store is in memory, so its list is not remembered
	compares bool          // a list that another process has changed is not overwritten
	changing chan struct{} // has one element while this process makes a change

	known  atomic.Pointer[knownList]
	groups lossy.Map[shardKey, knownGroups]
}

// knownList is the latest list that this process knows of.
type knownList struct {
	list  *list             // nil if there is none
	entry storage.HeldEntry // of the list, if the store had it in memory
	read  time.Time
}

// knownGroups are the groups in a shard as of a version of the list.
type knownGroups struct {
	token  uint64
	groups groups
	entry  storage.HeldEntry // of the groups, if the store had it in memory
}

// New returns the Marks in a store.
func New(store *reliable.Store) *Marks {
	return &Marks{store: store, memory: store.Traits().Memory, compares: store.Compares(), changing: make(chan struct{}, 1)}
}

var listKey = []byte(storage.MarksKey)

// shardKey identifies a shard of an origin.
type shardKey struct {
	origin string
	shard  int
}

// String returns the key under which the shard is stored.
func (k shardKey) String() string { return k.origin + cachekey.MarksSuffix + strconv.Itoa(k.shard) }

func (k shardKey) hash() uint64 { return lossy.Hash(k.origin) + uint64(k.shard) }

// KeysOf returns the keys of what is stored for the origin of a plain key.
func KeysOf(plain string) []string {
	keys := make([]string, shards)
	for shard := range keys {
		keys[shard] = shardKey{originOf(plain), shard}.String()
	}
	return keys
}

// remember remembers a list, unless a later one is known. It returns the one that is known then.
func (m *Marks) remember(k *knownList) *list {
	for {
		old := m.known.Load()
		if old != nil && old.list.isAfter(k.list) {
			return old.list
		}
		if m.known.CompareAndSwap(old, k) {
			return k.list
		}
	}
}

// storedList returns the list in the store, or nil if there is none, and its entry.
func (m *Marks) storedList(ctx context.Context) (*list, storage.HeldEntry, error) {
	text, entry, err := m.read(ctx, storage.MarksKey)
	if err != nil {
		return nil, entry, err
	}
	return m.parsed(text, entry), entry, nil
}

// parsed returns the list that an entry has as its body, or nil if it has none.
func (m *Marks) parsed(text []byte, entry storage.HeldEntry) *list {
	if text == nil {
		return nil
	}
	if k := m.known.Load(); k != nil && k.entry == entry {
		return k.list
	}
	return parseList(text)
}

// storedGroups returns the groups in a shard in the store, or nil if there are none that belong to the list, and their
// entry.
func (m *Marks) storedGroups(ctx context.Context, l *list, key shardKey) (groups, storage.HeldEntry, error) {
	text, entry, err := m.read(ctx, key.String())
	if text == nil || err != nil {
		return nil, entry, err
	}
	var g groups
	if k := m.groups.Get(key.hash(), key); k != nil && k.entry == entry {
		g = k.groups
	} else {
		g = parseGroups(text)
	}
	if g == nil || g.list() != l.id {
		return nil, entry, nil
	}
	return g, entry, nil
}

// read returns the body and the entry under key. The body is nil if there is none that can be read.
func (m *Marks) read(ctx context.Context, key string) ([]byte, storage.HeldEntry, error) {
	if h, known := m.store.Lookup([]byte(key)); h.Entry != nil {
		return h.Body, h.Entry, nil
	} else if known {
		return nil, nil, nil
	}
	return readRecord(m.store.Get(ctx, key))
}

// readRecord is read of what the store has returned.
func readRecord(r *storage.Response, err error) ([]byte, storage.HeldEntry, error) {
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, int64(maxRecord)+1))
	switch {
	case errors.Is(err, storage.ErrUnreadable), len(text) > maxRecord:
		return nil, r.Entry, nil
	case err != nil:
		return nil, nil, err
	}
	return text, r.Entry, nil
}

// change calls f, which changes what is stored, while no other goroutine of this process makes a change.
func (m *Marks) change(ctx context.Context, f func() error) error {
	select {
	case m.changing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-m.changing }()
	return f()
}

const (
	// maxTries is how often a change is tried if other processes make changes at the same time.
	maxTries = 128

	// pause is the time between two tries.
	pause = 2 * time.Millisecond
)

// errContended is the error of a change that other processes have prevented too often.
var errContended = errors.New("cachecontrol: other processes invalidate at the same time")

// same is a change of a list that only makes sure that it is stored.
func same(l *list) *list { return l }

// changeList replaces the list with what next returns for it. If there is none, or the store has lost the latest, next
// gets a new one, or the latest that is known. changeList returns the list that is stored then.
func (m *Marks) changeList(ctx context.Context, next func(*list) *list) (l *list, err error) {
	wrote := ""
	err = m.try(ctx, func() (done bool, err error) {
		stored, entry, err := m.storedList(ctx)
		if err != nil {
			return false, err
		}
		old := stored
		if k := m.known.Load(); k != nil && k.list.isAfter(stored) {
			old = k.list
		}
		if wrote == "" || generation(entry) != wrote {
			if old == nil {
				old = &list{id: newID()}
			}
			if l = next(old); l != stored {
				wrote, err = m.write(ctx, storage.MarksKey, entry, l.append(nil))
				if errors.Is(err, storage.ErrTooLarge) {
					l = l.withoutPrefixes()
					wrote, err = m.write(ctx, storage.MarksKey, entry, l.append(nil))
				}
				if err != nil || !m.compares {
					return false, err
				}
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	m.remember(&knownList{l, m.inMemory(storage.MarksKey, wrote), time.Now()})
	return l, nil
}

// inMemory returns the entry under key if it is in memory, and if it still is the one with this generation.
func (m *Marks) inMemory(key, generation string) storage.HeldEntry {
	if m.memory {
		if h, _ := m.store.Lookup([]byte(key)); h.Entry != nil && h.Entry.Unpack().Generation == generation {
			return h.Entry
		}
	}
	return nil
}

// fresh returns the list, which is stored if there was none. No other process has changed it before the call.
func (m *Marks) fresh(ctx context.Context) (*list, error) {
	if k := m.known.Load(); k != nil && k.entry != nil && m.inMemory(storage.MarksKey, generation(k.entry)) == k.entry {
		return k.list, nil
	}
	return m.changeList(ctx, same)
}

// changeGroups replaces the groups of an origin, in each shard that by has, with what next returns for them.
func (m *Marks) changeGroups(ctx context.Context, l *list, origin string, by [shards][]Group, next func(groups, []Group) groups) error {
	for shard, some := range by {
		if some == nil {
			continue
		}
		err := m.changeShard(ctx, l, shardKey{origin, shard}, func(g groups) groups { return next(g, some) })
		if err != nil {
			return err
		}
	}
	return nil
}

// changeShard replaces the groups in a shard with what next returns for them. If there are none, next gets new ones, for
// which all that was requested before this version of the list counts as invalidated.
func (m *Marks) changeShard(ctx context.Context, l *list, key shardKey, next func(groups) groups) error {
	wrote := ""
	return m.try(ctx, func() (done bool, err error) {
		stored, entry, err := m.storedGroups(ctx, l, key)
		if err != nil || wrote != "" && generation(entry) == wrote {
			return err == nil, err
		}
		old := stored
		if old == nil {
			old = newGroups(l.id, l.version)
		}
		g := next(old)
		if stored != nil && &g[0] == &stored[0] {
			return true, nil
		}
		wrote, err = m.write(ctx, key.String(), entry, g)
		if errors.Is(err, storage.ErrTooLarge) {
			g = newGroups(l.id, l.version+1)
			wrote, err = m.write(ctx, key.String(), entry, g)
		}
		if err == nil {
			m.groups.Put(key.hash(), key, knownGroups{l.token(), g, m.inMemory(key.String(), wrote)})
		}
		return m.compares, err
	})
}

// try calls f until it is done. A change by another process, storage.ErrChanged, is no failure.
func (m *Marks) try(ctx context.Context, f func() (done bool, err error)) error {
	for range maxTries {
		done, err := f()
		switch {
		case errors.Is(err, storage.ErrChanged):
		case done || err != nil:
			return err
		default:
			continue
		}
		if m.memory {
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return errContended
}

// write stores an entry with this body, if the store still has the entry that old is, or none if old is nil. It returns
// the generation of the new one. If the store does not compare entries, it may replace another one.
func (m *Marks) write(ctx context.Context, key string, old storage.HeldEntry, text []byte) (string, error) {
	now := time.Now()
	e := &storage.Entry{
		Status: http.StatusOK, Reason: "OK", Version: 11, Header: http.Header{}, Generation: strconv.FormatUint(random.Uint64(), 36),
		RequestTime: now, ResponseTime: now, Length: int64(len(text)),
	}
	if origin := originOf(key); origin != key {
		e.URL = origin + "/"
	}
	own := e.Generation // the store may keep e
	w, err := m.store.Create(ctx, key, e)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(text); err != nil {
		w.Abort()
		return "", err
	}
	if c, ok := w.(storage.ComparingWriter); ok {
		err = c.CommitIf(func(now *storage.Entry) bool { return old != nil && generation(now) == generation(old) })
	} else {
		err = w.Commit()
	}
	return own, err
}

// generation returns the generation of an entry, or "" if it is nil.
func generation(e storage.HeldEntry) string {
	if e == nil {
		return ""
	}
	return e.Unpack().Generation
}

// newID returns the id of a new list.
func newID() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return max(binary.BigEndian.Uint64(b[:]), 1)
}
