package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// invariants checks the queues, the index and the counts of a DictCache against each other.
func (c *DictCache) invariants() error {
	var size int64
	n := 0
	inSlabs := map[*slab]int{}
	for _, q := range []*recordQueue{&c.fresh, &c.kept} {
		var inQueue int64
		length := 0
		for n := q.oldest; n != q.next; n++ {
			r := *q.at(n)
			if r == nil {
				if n == q.oldest {
					return errors.New("the oldest record of a queue has left")
				}
				continue
			}
			if c.index.find(r.key()) != r || c.queue(r) != q || r.number != n {
				return fmt.Errorf("%q is in the wrong place of a queue", r.key())
			}
			if r.slab != nil {
				if inSlabs[r.slab]++; r.head.Load() != nil || r.kept && !r.used.Load() {
					return fmt.Errorf("%q is in a slab though it is to stay", r.key())
				}
			}
			if want := r.sizeWith(r.head.Load()); r.size != want {
				return fmt.Errorf("%q counts %d instead of %d", r.key(), r.size, want)
			}
			if r.size > c.bound()/4 {
				return fmt.Errorf("%q takes %d of %d", r.key(), r.size, c.bound())
			}
			inQueue += r.size
			length++
		}
		if q.size != inQueue || q.len != length {
			return fmt.Errorf("a queue says that it has %d records of %d bytes, and has %d of %d", q.len, q.size, length, inQueue)
		}
		size += inQueue
		n += length
	}
	var slabbed int64
	for s, entries := range inSlabs {
		if slabbed += s.size; s.entries != entries {
			return fmt.Errorf("a slab says that it has %d entries, and has %d", s.entries, entries)
		}
	}
	if c.slabs.size != slabbed {
		return fmt.Errorf("the slabs count %d instead of %d", c.slabs.size, slabbed)
	}
	size += slabbed
	indexed, buckets := 0, int64(0)
	for i := range c.index.parts {
		p := &c.index.parts[i]
		inPart := 0
		if t := p.table.Load(); t != nil {
			buckets += int64(len(*t))
			for j := range *t {
				b := &(*t)[j]
				var bits uint32
				for r := b.first.Load(); r != nil; r = r.next.Load() {
					if t.bucket(r.hash) != b || c.index.part(r.hash) != p || c.index.hash(r.key()) != r.hash {
						return fmt.Errorf("%q is in the wrong place", r.key())
					}
					bits |= chainBit(r.hash)
					inPart++
				}
				if b.bits.Load() != bits {
					return fmt.Errorf("a bucket has the bits %b instead of %b", b.bits.Load(), bits)
				}
			}
			if inPart > len(*t) {
				return fmt.Errorf("%d records in %d buckets", inPart, len(*t))
			}
		}
		if inPart != p.count {
			return fmt.Errorf("a part of the index counts %d of %d records", p.count, inPart)
		}
		indexed += inPart
	}
	switch {
	case n != indexed:
		return fmt.Errorf("%d in the queues, %d in the index", n, indexed)
	case buckets*bucketSize != c.index.size:
		return fmt.Errorf("%d buckets count %d bytes", buckets, c.index.size)
	case c.index.size+size > c.bound():
		return fmt.Errorf("%d bytes in a cache of %d", size, c.bound())
	}
	return nil
}

func TestDictCacheInvariants(t *testing.T) {
	for _, test := range []struct {
		name              string
		bound             int64
		keys, steps, body int
		every             int // so many steps
	}{
		{"few entries, none in a slab", 64 << 10, 60, 20000, 5000, 1},
		{"many small entries", 2 << 20, 15000, 60000, 60, 150},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := t.Context()
			r := rand.New(rand.NewPCG(1, 2))
			c := NewDictCache(MaxBytes(test.bound))
			var known []*serialize.Entry
			mostSlabs := int64(0)
			for i := range test.steps {
				key := fmt.Sprint("key", r.IntN(test.keys))
				switch op := r.IntN(10); op {
				case 0, 1, 2:
					w, err := c.Create(ctx, key, &serialize.Entry{Header: http.Header{"A": {key}}, Length: int64(r.IntN(test.body)) - 1})
					if err != nil {
						t.Fatal(err)
					}
					for range r.IntN(5) {
						w.Write(make([]byte, r.IntN(test.body)))
					}
					if r.IntN(4) > 0 {
						w.Commit()
					} else {
						w.Abort()
					}
				case 3:
					c.Delete(ctx, key)
				case 4:
					if len(known) > 0 {
						c.KeepDecoded(key, known[r.IntN(len(known))], make([]byte, r.IntN(20000)))
					}
				case 5:
					if len(known) > 0 {
						e := known[r.IntN(len(known))].Clone()
						e.Header.Set("B", string(make([]byte, r.IntN(10000))))
						c.Update(ctx, key, e)
					}
				default:
					if resp, err := c.Get(ctx, key); err == nil {
						known = append(known[max(0, len(known)-50):], resp.Entry)
					}
				}
				if r.IntN(5000*test.every) == 0 {
					c.Clear()
				}
				mostSlabs = max(mostSlabs, c.slabs.size)
				if i%test.every != 0 {
					continue
				}
				if err := c.invariants(); err != nil {
					t.Fatalf("after step %d: %v", i, err)
				}
			}
			if slabs := slabLimit(test.bound) > 0; slabs != (mostSlabs > 0) || c.Evictions() == 0 {
				t.Errorf("at most %d bytes in slabs, %d evictions", mostSlabs, c.Evictions())
			}
		})
	}
}

// TestQueueSparesTheOldest: while all others leave a queue before its oldest record, nobody looks again and again at the places
// that they had.
func TestQueueSparesTheOldest(t *testing.T) {
	var q recordQueue
	spare := new(record)
	q.push(spare)
	var others []*record
	for range 100 {
		others = append(others, new(record))
		q.push(others[len(others)-1])
	}
	q.remove(others[50])
	others = append(others[:50], others[51:]...)
	for _, want := range others {
		r := q.first(spare)
		if r != want || *q.at(spare.number) != spare || q.oldest != spare.number || r.number != spare.number+1 {
			t.Fatalf("%d left: number %d is first, and the oldest has %d of %d", q.len, r.number, spare.number, q.oldest)
		}
		q.remove(r)
	}
	if r := q.first(spare); r != nil || q.next-q.oldest != 1 || q.first(nil) != spare {
		t.Errorf("%d places for the last one", q.next-q.oldest)
	}
	q.push(others[0])
	if q.first(spare) != others[0] || q.first(nil) != spare || q.len != 2 {
		t.Error("it is not in its place")
	}
	q.remove(spare)
	q.remove(others[0])
	if q.oldest != q.next || q.len != 0 {
		t.Errorf("%d are left, in %d places", q.len, q.next-q.oldest)
	}
}

// TestUnpackAfterItHasGone: who has found an entry may unpack it when it is no longer in the cache, and it then counts nothing.
func TestUnpackAfterItHasGone(t *testing.T) {
	for name, remove := range map[string]func(*DictCache){
		"Clear":  (*DictCache).Clear,
		"Delete": func(c *DictCache) { c.Delete(t.Context(), "key") },
	} {
		c := new(DictCache)
		w, err := c.Create(t.Context(), "key", &serialize.Entry{Status: 200, Header: http.Header{"A": {"b"}}})
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		r := c.index.find("key")
		remove(c)
		if h := c.unpack(r); h.entry.Header.Get("A") != "b" {
			t.Errorf("%s: it comes with %v", name, h.entry.Header)
		}
		if err := c.invariants(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUpdateKeepsToTheQuarter: a head that grows leaves no entry with more than a quarter of the cache.
func TestUpdateKeepsToTheQuarter(t *testing.T) {
	c := NewDictCache(MaxBytes(64 << 10))
	w, err := c.Create(t.Context(), "key", &serialize.Entry{Status: 200, Version: 11})
	if err == nil {
		_, err = w.Write(make([]byte, 7<<10))
	}
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Get(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	c.KeepDecoded("key", r.Entry, make([]byte, 7<<10))
	e := r.Entry.Clone()
	e.URL = string(make([]byte, 4<<10))
	if err := c.Update(t.Context(), "key", e); err != nil {
		t.Fatal(err)
	}
	if err := c.invariants(); err != nil {
		t.Error(err)
	}
}

// TestHintIsNotTrusted: a length that is announced and never comes must not cost its memory.
func TestHintIsNotTrusted(t *testing.T) {
	b := bodyBuffer{room: 1 << 30, hint: 1 << 30}
	b.Write([]byte("x"))
	if cap(b.data) > trustedHint {
		t.Errorf("one byte takes %d", cap(b.data))
	}
	b = bodyBuffer{room: 100, hint: 50}
	for range 50 {
		b.Write([]byte("x"))
	}
	if cap(b.data) != 50 {
		t.Errorf("50 announced bytes take %d", cap(b.data))
	}
}

func TestBodyTime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		nanoseconds int64
		usable      bool
	}{{123456789, true}, {123456000, true}, {123000000, false}, {0, false}} {
		at := time.Unix(1700000000, test.nanoseconds)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if !fi.ModTime().Equal(at) {
			t.Skipf("the file system rounds %v to %v", at, fi.ModTime())
		}
		if got := uniqueTime(fi); got.IsZero() == test.usable {
			t.Errorf("bodyTime of a file of %v: %v", at, got)
		}
	}

	before := time.Now()
	tree := &tree{options: newOptions(nil)}
	body, err := tree.tempFile(name, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	fi, err := body.stat()
	if err != nil {
		t.Fatal(err)
	}
	at := uniqueTime(fi)
	if d := before.Sub(at); !at.IsZero() && (d < 10*time.Millisecond || d > 2*time.Second) {
		t.Errorf("the body is marked %v before now", d)
	}
}

// TestLockFileRemoved: a lock on a file that is no longer the lock file excludes nobody, so it is taken again.
func TestLockFileRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(endedContext, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("a lock was taken twice: %v", err)
	}
	if err := os.Remove(path + lockSuffix); err != nil {
		t.Skip(err) // Windows
	}
	again, err := lock(endedContext, path)
	if err != nil {
		t.Fatalf("the new lock file is free: %v", err)
	}
	unlock()
	if _, err := lock(endedContext, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("a lock was taken twice: %v", err)
	}
	again()
}

// TestNewFile: whatever is there and whatever the last file had to have made, all directories are there afterwards, and only
// where the last one was there before the file it is asked whether it may be put in place.
func TestNewFile(t *testing.T) {
	for _, named := range []bool{false, true} {
		for there := range levels + 2 { // the root counts, too
			for last := range int32(levels + 1) {
				about := fmt.Sprintf("named %v, %d there, %d were missing", named, there, last)
				root := filepath.Join(t.TempDir(), "cache")
				tree := &tree{dir: root, options: newOptions(nil)}
				path := tree.path("key")
				exists := filepath.Dir(path)
				for range levels + 1 - there {
					exists = filepath.Dir(exists)
				}
				if there > 0 {
					if err := os.MkdirAll(exists, 0o700); err != nil {
						t.Fatal(err)
					}
				}
				tree.named.Store(named)
				tree.missing.Store(last)
				for i := range 3 {
					f, err := tree.newFile(path, []byte("text"), true)
					if err != nil {
						t.Fatalf("%s: %v", about, err)
					}
					at := path + strconv.Itoa(i)
					asked := false
					if err := f.create(at, func() bool { asked = true; return true }); err != nil {
						if runtime.GOOS == "linux" {
							t.Fatalf("%s, file %d: %v", about, i, err)
						}
						if err := replace(f.name, at); err != nil {
							t.Fatalf("%s, file %d: %v", about, i, err)
						}
					}
					if got, err := os.ReadFile(at); string(got) != "text" || err != nil {
						t.Errorf("%s, file %d holds %q, %v", about, i, got, err)
					}
					if want := i > 0 || there > levels; asked != want {
						t.Errorf("%s, file %d: asked is %v", about, i, asked)
					}
					if want := int32(min(levels, levels+1-there)); i == 0 && tree.missing.Load() != want || i > 0 && tree.missing.Load() != 0 {
						t.Errorf("%s, file %d: now %d were", about, i, tree.missing.Load())
					}
				}
				noTemps(t, path)
			}
		}
	}
}

// TestNewFileTaken: where there is something, or may be, it stays, and the file can take its place under another name, or go.
func TestNewFileTaken(t *testing.T) {
	for _, named := range []bool{false, true} {
		for _, free := range []bool{false, true} {
			tree := &tree{dir: t.TempDir(), options: newOptions(nil)}
			tree.named.Store(named)
			path := tree.path("key")
			write := func(text string) *newFile {
				t.Helper()
				f, err := tree.newFile(path, []byte(text), true)
				if err != nil {
					t.Fatal(err)
				}
				return f
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if free {
				if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			left, next := write("left"), write("next")
			for _, f := range []*newFile{left, next} {
				if err := f.create(path, func() bool { return free }); err == nil {
					t.Errorf("named %v, free %v: it was put in place", named, free)
				}
			}
			left.discard()
			left.discard() // is nothing twice
			if err := next.giveName(); err != nil {
				t.Fatal(err)
			}
			if err := replace(next.name, path); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); string(got) != "next" || err != nil {
				t.Errorf("named %v, free %v: %q, %v", named, free, got, err)
			}
			noTemps(t, path)
		}
	}
}

// TestNewFileCannotBeLinked: a file that cannot be given a name is written again, and the next ones have one from the start.
func TestNewFileCannotBeLinked(t *testing.T) {
	tree := &tree{dir: t.TempDir(), options: newOptions(nil)}
	path := tree.path("key")
	f, err := tree.newFile(path, []byte("text"), true)
	if err != nil {
		t.Fatal(err)
	}
	if f.name != "" {
		t.Skip("files cannot do without a name here")
	}
	f.file.close()
	if err := f.create(path, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "text" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if f, err := tree.newFile(path, nil, true); err != nil || f.name == "" {
		t.Errorf("the next one: %+v, %v", f, err)
	} else {
		f.discard()
	}
	noTemps(t, path)
}

func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	name := filepath.Join(dir, "file")
	long := make([]byte, 3<<20)
	if err := writeNew(name, long, 0o640, at); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Size() != int64(len(long)) || !fi.ModTime().Equal(at) || fi.Mode() != 0o640 && runtime.GOOS != "windows" {
		t.Errorf("%v, %d bytes, of %v", fi.Mode(), fi.Size(), fi.ModTime())
	}
	if err := writeNew(name, nil, defaultFileMode, at); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Size() != int64(len(long)) {
		t.Errorf("what was there: %v, %v", fi, err)
	}
	if err := writeNew(filepath.Join(dir, "a", "file"), nil, defaultFileMode, at); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
}

func TestSpoolLimit(t *testing.T) {
	tree := &tree{options: newOptions(nil)}
	for _, limit := range []int64{10, spoolSize + 10} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		s := tree.newSpool(filepath.Join(dir, "entry"), 0, limit)
		if _, err := s.Write(make([]byte, limit)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n, err := s.Write([]byte("x")); n != 0 || !errors.Is(err, ErrTooLarge) {
				t.Errorf("Write past the limit: %d, %v", n, err)
			}
		}
		if (s.f != nil) != (limit > spoolSize) {
			t.Errorf("%d bytes, and a temporary file is there: %v", limit, s.f != nil)
		}
		if _, err := s.close(true); !errors.Is(err, ErrTooLarge) {
			t.Errorf("close after that: %v", err)
		}
		if list, _ := os.ReadDir(dir); len(list) > 0 {
			t.Errorf("%v is left", list)
		}
	}
}
