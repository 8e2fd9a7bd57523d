package storage

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A cache directory is kept within its bounds by those who add to it. With a commit now and then goes a step: a walk
// through a small part of the directory, which goes on where the last one ended, counts what is there, sweeps, and
// evicts. As keys are hashed, every part is a fair sample of the whole, so the entries of a part that were used least
// recently are among those of the whole that were.
//
// How much there is in the whole is known by shares, those directories that begin with the same two digits: what was
// counted there last, and what was added since. With MaxBytes that is kept in a file, so that what one process has
// counted or added all know. What Python adds is known once it is walked by.
const (
	shareCount  = 256
	shareLeaves = leaves / shareCount

	// stateName is the name of the file, and stateTempSuffix what is added to it while a new one is written.
	stateName       = ".trim"
	stateTempSuffix = ".tmp"

	// stepEvery is how often a step is made while entries are stored.
	stepEvery = time.Second

	// stepWait is how long one who stores waits for another process's step, where the directory is far over its bound, or
	// this process has added an eighth of that since its own last step.
	stepWait = 100 * time.Millisecond

	// evictAlways is how many entries a step evicts, if something must go, however long that takes.
	evictAlways = 16

	// slack is the part of MaxBytes that a process adds before it tells the others, and that it evicts beyond what it must.
	slack = 32
)

// pace is how much one step does.
type pace struct {
	entries, dirs int
	time          time.Duration
	evict         int // one in so many entries may be evicted, the oldest
}

var (
	walking = pace{64, 256, 2 * time.Millisecond, 4}

	// hurrying is for a directory that is an eighth over its bound: much smaller entries than are stored now must go.
	hurrying = pace{1024, 4096, 20 * time.Millisecond, 1}
)

// bound keeps a tree within its bounds.
type bound struct {
	last  atomic.Int64             // when the last step was made, in nanoseconds since 1970; 0: not yet
	total atomic.Int64             // what the directory holds, as far as that is known
	since atomic.Int64             // what this process has added to it since the last step
	whole atomic.Bool              // every share has been counted
	added [shareCount]atomic.Int64 // what this process has added to a share since the last step, or removed

	evictions atomic.Uint64 // by this process, for the bytes

	mu   sync.Mutex // one step at a time; guards next
	next int        // where the next step begins, where no file says so
}

// state is what the file holds.
type state struct {
	Next    int               `json:"next"`    // the leaf that the next step begins with
	Counted int64             `json:"counted"` // bytes in the share of Next, before Next
	Whole   bool              `json:"whole"`   // every share has been counted
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

// bounded reports whether there is a bound on bytes.
func (t *tree) bounded() bool { return t.maxBytes > 0 && !t.forever }

// longest returns how long a body may be, of which the format allows n bytes.
func (t *tree) longest(n int64) int64 {
	if t.bounded() {
		return min(n, t.maxBytes)
	}
	return n
}

// sizeAt returns what the entry at path takes on disk, where that counts.
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

// changed notes that the entry at path, which took so many bytes before, has changed.
func (t *tree) changed(path string, before int64) {
	if bytes := t.sizeAt(path) - before; bytes != 0 {
		t.bound.added[t.leafOf(path)/shareLeaves].Add(bytes)
		t.bound.total.Add(bytes)
		t.bound.since.Add(bytes)
	}
}

// leafOf returns the number of the leaf directory in which path is.
func (t *tree) leafOf(path string) (n int) {
	for i := range levels {
		n = n<<4 | digit(path[len(t.dir)+1+2*i:])
	}
	return n
}

// step makes a step if it is time for one. It is called when something has been stored at path, which is given up again
// where nobody makes room for it: half over its bound, a directory grows no more.
func (t *tree) step(path string) {
	b := &t.bound
	now := time.Now()
	over := t.bounded() && (b.total.Load() > t.maxBytes || b.since.Load() > t.maxBytes/slack || !b.whole.Load())
	if !over && now.Sub(time.Unix(0, b.last.Load())).Abs() < stepEvery {
		return
	}
	// Where steps do not keep up, those who store wait their turn, and each makes room for more than it has added.
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
			return // thanks to another
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), stepWait)
		defer cancel()
	}
	unlock, err := lock(ctx, name)
	if err != nil { // another process makes one
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

// giveUp removes what was just stored at path, as far as nobody uses it.
func (t *tree) giveUp(path string) {
	w := sweep{root: t.dir, now: time.Now(), keepDirs: true}
	if f := filesAt(path); w.evict(&f) {
		t.bound.evictions.Add(1)
		t.changed(path, f.size())
	}
}

// behind reports whether steps do not keep up with what is stored within a bound of n bytes.
func (b *bound) behind(n int64) bool { return b.farOver(n) || b.since.Load() > n/8 }

// farOver reports whether the directory is a quarter over its bound of n bytes.
func (b *bound) farOver(n int64) bool { return exceeds(b.total.Load(), n, 4) }

// exceeds reports whether a total is over a bound by more than that part of the bound; the sum of the two may be too large
// for a number.
func exceeds(total, bound, part int64) bool { return total > bound && total-bound > bound/part }

// stateSize is the most that the file holds.
const stateSize = 8 << 10

// write replaces the file. It is not written in place: somebody may have put a link to another file there.
func (s *state) write(name string, mode fs.FileMode) {
	doc, err := json.Marshal(s)
	if err != nil || len(doc) > stateSize {
		return
	}
	temp := name + stateTempSuffix
	os.Remove(temp) // left by a process that died; the lock keeps others away
	if writeNew(temp, doc, mode, newTime()) == nil && replace(temp, name) != nil {
		os.Remove(temp)
	}
}

// readState returns what the file holds, and a new state if it cannot be used.
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

// forgetState has everything counted anew.
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

// advance goes on to another leaf: what was counted up to there is all there is.
func (s *state) advance(to int) {
	for s.Next/shareLeaves < to/shareLeaves {
		s.Shares[s.Next/shareLeaves] = s.Counted
		s.Counted = 0
		s.Next = (s.Next/shareLeaves + 1) * shareLeaves
	}
	s.Next = to
}

// evicted takes what an entry in a leaf took out of the count.
func (s *state) evicted(leaf int, size int64) {
	share := leaf / shareLeaves
	s.Shares[share] = max(0, s.Shares[share]-size)
	if share == s.Next/shareLeaves && leaf < s.Next {
		s.Counted -= size
	}
}

// walk makes the step that begins at s.Next.
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
	}
	if round { // as it always is in a small directory
		reached := false
		round = w.eachLeaf(0, read, func(n int) bool {
			reached = n >= start
			return !reached && visit(n)
		}) || reached
		if round {
			s.advance(start)
		}
	}
	excess := s.total() - t.maxBytes
	if !t.bounded() || excess <= 0 {
		return
	}
	excess += t.maxBytes / slack // so that it is a while until the next time
	slices.SortFunc(found, func(a, b files) int { return a.used().Compare(b.used()) })
	if !round {
		found = found[:(len(found)+p.evict-1)/p.evict]
	}
	// Its own time, however long the walk took: on a busy machine nothing would ever go otherwise.
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
