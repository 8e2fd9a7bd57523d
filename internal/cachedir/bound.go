package cachedir

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Processes that store entries keep a cache directory within its bounds. Some commits are followed by a step.
// A step walks through a small part of the directory, beginning where the last step ended; it counts the
// files there, removes useless files, and evicts entries. Since keys are hashed, every part is a
// representative sample of the directory, so the least recently used entries of a part are among the least
// recently used of all.
//
// The total size is known by shares. A share is all directories that begin with the same two digits. Its size
// is the size that was counted there last plus the bytes added since. With MaxBytes, the sizes are kept in a
// file, so that every process knows what the others have counted and added. Entries that Python adds are
// counted by the next walk through their share.
const (
	// stepEvery is the interval between steps while entries are stored.
	stepEvery = time.Second

	// stepWait limits the wait for another process's step. A writer waits if the directory is far over its
	// bound, or if this process has added an eighth of the bound since its own last step.
	stepWait = 100 * time.Millisecond

	// evictAlways is the number of entries that a step may evict regardless of the time that it takes.
	evictAlways = 16

	// A process adds MaxBytes/slack bytes before it tells the others, and evicts this much more than
	// necessary.
	slack = 32
)

// pace limits the work of one step.
type pace struct {
	entries, dirs int
	time          time.Duration
	evict         int // one in evict entries may be evicted, the oldest ones
}

var (
	walking = pace{64, 256, 2 * time.Millisecond, 4}

	// hurrying is the pace for a directory that is an eighth over its bound. The entries to evict may be much
	// smaller than those that are stored now.
	hurrying = pace{1024, 4096, 20 * time.Millisecond, 1}
)

// state is the content of the file.
type state struct {
	Next    int               `json:"next"`    // the first leaf of the next step
	Counted int64             `json:"counted"` // bytes before Next in Next's share
	Whole   bool              `json:"whole"`   // whether every share has been counted
	Shares  [shareCount]int64 `json:"shares"`  // bytes
}

func (s *state) total() (n int64) {
	for i, share := range s.Shares {
		if i == s.Next/shareLeaves {
			share = max(share, s.Counted)
		}
		n += max(share, 0)
	}
	return n
}

// bounded reports whether the size of the directory is limited.
func (t *tree) bounded() bool { return t.maxBytes > 0 && !t.forever }

// longest returns the maximum length of a body, given that the format allows n bytes.
func (t *tree) longest(n int64) int64 {
	if t.bounded() {
		return min(n, t.maxBytes)
	}
	return n
}

// sizeAt returns the size on disk of the entry at path, or 0 if the tree is not bounded.
func (t *tree) sizeAt(path string) (n int64) {
	if t.bounded() {
		for _, name := range []string{path, path + bodySuffix} {
			if fi, err := lstat(name); err == nil {
				n += diskSize(fi)
			}
		}
	}
	return n
}

// changed records that the entry at path has changed. before is its previous size.
func (t *tree) changed(path string, before int64) {
	if bytes := t.sizeAt(path) - before; bytes != 0 {
		t.bound.added[t.leafOf(path)/shareLeaves].Add(bytes)
		t.bound.total.Add(bytes)
		t.bound.since.Add(bytes)
	}
}

// leafOf returns the number of the leaf directory that contains path.
func (t *tree) leafOf(path string) (n int) {
	for i := range levels {
		n = n<<4 | digit(path[len(t.dir)+1+2*i:])
	}
	return n
}

// step makes a step if one is due. It is called after an entry has been stored at path. If the directory is
// more than half over its bound and another process holds the lock for steps, step removes the entry at path,
// so that the directory does not grow further.
func (t *tree) step(path string) {
	b := &t.bound
	now := time.Now()
	over := t.bounded() && (b.total.Load() > t.maxBytes || b.since.Load() > t.maxBytes/slack || !b.whole.Load())
	if !over && now.Sub(time.Unix(0, b.last.Load())).Abs() < stepEvery {
		return
	}
	// If steps are too slow, writers wait for their turn, and each evicts more than it has added.
	waits := t.bounded() && b.behind(t.maxBytes)
	if waits {
		b.mu.Lock()
	} else if !b.mu.TryLock() {
		return
	}
	defer b.mu.Unlock()
	b.last.Store(now.UnixNano())
	if !t.bounded() {
		s := &state{Next: b.next}
		t.walk(s, now)
		b.next = s.Next
		return
	}
	name := filepath.Join(t.dir, stateName)
	ctx := endedContext
	if waits {
		if !b.behind(t.maxBytes) {
			return // another goroutine has made a step
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), stepWait)
		defer cancel()
	}
	unlock, err := lock(ctx, name)
	if err != nil { // another process is making a step
		if exceeds(b.total.Load(), t.maxBytes, 2) {
			t.giveUp(path)
		}
		return
	}
	defer unlock()
	s := readState(name)
	b.since.Store(0)
	for i := range b.added {
		s.Shares[i] += b.added[i].Swap(0)
	}
	t.walk(s, now)
	b.total.Store(s.total())
	b.whole.Store(s.Whole)
	s.write(name, t.fileMode)
}

// giveUp removes the entry just stored at path, unless it is in use.
func (t *tree) giveUp(path string) {
	w := sweep{root: t.dir, now: time.Now(), keepDirs: true}
	if f := filesAt(path); w.evict(&f) {
		t.bound.evictions.Add(1)
		t.changed(path, f.size())
	}
}

// stateSize is the maximum size of the file.
const stateSize = 8 << 10

// write replaces the file. It does not overwrite the file, because another user may have replaced it by a
// link.
func (s *state) write(name string, mode fs.FileMode) {
	doc, err := json.Marshal(s)
	if err != nil || len(doc) > stateSize {
		return
	}
	temp := name + stateTempSuffix
	os.Remove(temp) // left by a process that died; the lock is held
	if writeNew(temp, doc, mode, newTime()) == nil && replace(temp, name) != nil {
		os.Remove(temp)
	}
}

// readState returns the content of the file, or a new state if the file is unusable.
func readState(name string) *state {
	f, fi, err := openFile(name)
	if err != nil {
		return new(state)
	}
	defer f.Close()
	s := new(state)
	if doc, err := io.ReadAll(io.LimitReader(f, stateSize)); err != nil || fi.Size() > stateSize ||
		json.Unmarshal(doc, s) != nil || s.Next < 0 || s.Next >= leaves {
		return new(state)
	}
	return s
}

// forgetState removes the file, so that everything is counted again.
func forgetState(root string) {
	name := filepath.Join(root, stateName)
	if !exists(name) {
		return
	}
	if unlock, err := lock(endedContext, name); err == nil {
		defer unlock()
		os.Remove(name)
	}
}

// advance sets Next to a later leaf. A share that ends before it is completely counted.
func (s *state) advance(to int) {
	for s.Next/shareLeaves < to/shareLeaves {
		s.Shares[s.Next/shareLeaves] = s.Counted
		s.Counted = 0
		s.Next = (s.Next/shareLeaves + 1) * shareLeaves
	}
	s.Next = to
}

// evicted subtracts the size of an entry that was evicted from a leaf.
func (s *state) evicted(leaf int, size int64) {
	share := leaf / shareLeaves
	s.Shares[share] = max(0, s.Shares[share]-size)
	if share == s.Next/shareLeaves && leaf < s.Next {
		s.Counted -= size
	}
}

// walk scans a part of the directory, beginning at leaf s.Next, updates the counts in s, and evicts entries
// if the directory is over its bound.
func (t *tree) walk(s *state, now time.Time) {
	p := walking
	if t.bounded() && exceeds(s.total(), t.maxBytes, 8) {
		p = hurrying
	}
	w := sweep{root: t.dir, now: now, separate: t.separate, keepDirs: true}
	if !t.forever {
		w.maxAge = t.maxAge
	}
	var found []files
	began, dirs, start := time.Now(), 0, s.Next
	read := func() { dirs++ }
	visit := func(n int) bool {
		s.advance(n)
		dirs++
		for _, f := range w.leaf(n) {
			s.Counted += f.size()
			found = append(found, f)
		}
		s.advance(n + 1)
		return len(found) < p.entries && dirs < p.dirs && time.Since(began) < p.time
	}
	round := w.eachLeaf(start, read, visit)
	if round {
		s.advance(leaves)
	}
	if s.Next == leaves {
		s.Next, s.Whole = 0, true
		w.leases()
	}
	if round { // the rest of the walk, from the first leaf; always so in a small directory
		reached := false
		round = w.eachLeaf(0, read, func(n int) bool {
			reached = n >= start
			return !reached && visit(n)
		}) || reached
		if round {
			s.advance(start)
		}
	}
	if excess := s.total() - t.maxBytes; t.bounded() && excess > 0 {
		t.evict(s, &w, p, found, round, excess+t.maxBytes/slack) // so that the next eviction is not needed soon
	}
}

// evict evicts the least recently used of the entries that a walk has found, until their size is excess. whole reports
// whether the walk has found all entries; if not, it evicts only a part of them.
func (t *tree) evict(s *state, w *sweep, p pace, found []files, whole bool, excess int64) {
	slices.SortFunc(found, func(a, b files) int { return a.used().Compare(b.used()) })
	if !whole {
		found = found[:(len(found)+p.evict-1)/p.evict]
	}
	// Evictions have their own time limit: on a busy machine the walk may use up all the time, and nothing
	// would be evicted.
	for i, began := 0, time.Now(); i < len(found); i++ {
		if excess <= 0 || i >= evictAlways && time.Since(began) > p.time {
			break
		}
		if f := &found[i]; w.evict(f) {
			t.bound.evictions.Add(1)
			excess -= f.size()
			s.evicted(t.leafOf(f.path), f.size())
		}
	}
}
